r"""The tables of a comparison as LaTeX, to be put into a paper by ``\input``.

They need the packages array and booktabs, and longtable where a table is longer than a page.
Below each stands what it rests on: sample, methods, correction, version, seed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from cervispine.evaluation.comparison import Comparison
from cervispine.evaluation.tables import EMPTY, TITLES, table_rows

__all__ = ["as_latex", "escape_latex", "latex_table"]

# Longer than this it does not fit on a page, and runs on to the next.
_ROWS_ON_A_PAGE = 40

# Columns are set on one line up to the first of these lengths, and wrapped beyond it.
_SHORT, _LONG = 14, 34
_NARROW, _WIDE = "1.9cm", "3.2cm"

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    '"': "''",
}
_SPECIAL = re.compile("[" + re.escape("".join(_ESCAPES)) + "]")
# A blank line would end a cell; a space without break stays one.
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_MINUS = re.compile(r"(?<![\w-])-(?=\d)")


def escape_latex(text: str) -> str:
    """Return text that LaTeX sets as it stands; the sign of a number becomes a minus."""
    # One pass over the text, so that no escape is escaped again.
    escaped = _SPECIAL.sub(lambda match: _ESCAPES[match[0]], _BLANKS.sub(" ", text).strip(" "))
    return _MINUS.sub("$-$", escaped)


def as_latex(comparison: Comparison) -> dict[str, str]:
    """Return each table that has rows as LaTeX, by name."""
    return {
        name: latex_table(name, TITLES[name], rows, _foot(comparison, name))
        for name, rows in table_rows(comparison).items()
    }


def latex_table(name: str, title: str, rows: Sequence[dict[str, Any]], foot: str) -> str:
    """Return a table with its caption, its label ``tab:name`` and what it rests on below.

    Parameters
    ----------
    name
        Of the label; plain letters and figures.
    title, foot
        Caption, and text below; both are escaped.
    rows
        At least one; all with the same columns.
    """
    columns = list(rows[0])
    shape = "".join(_alignment(column, [row[column] for row in rows]) for column in columns)
    head = _line(columns)
    body = "\n".join(_line(row.values()) for row in rows)
    caption = f"\\caption{{{escape_latex(title)}}}\\label{{tab:{name}}}"
    small = "\\footnotesize\\setlength{\\tabcolsep}{3pt}"
    if len(rows) > _ROWS_ON_A_PAGE:
        parts = [
            f"{{{small}\n\\begin{{longtable}}{{{shape}}}",
            f"{caption} \\\\",
            f"\\toprule\n{head}\n\\midrule\n\\endhead",
            "\\bottomrule\n\\endfoot",
            body,
            f"\\end{{longtable}}\n{escape_latex(foot)}\\par}}",
        ]
    else:
        parts = [
            f"\\begin{{table}}\n\\centering{small}\n{caption}",
            f"\\begin{{tabular}}{{{shape}}}",
            f"\\toprule\n{head}\n\\midrule",
            body,
            f"\\bottomrule\n\\end{{tabular}}\n\n\\medskip\n{escape_latex(foot)}",
            "\\end{table}",
        ]
    return "\n".join(parts) + "\n"


def _alignment(column: str, cells: Sequence[Any]) -> str:
    longest = max(len(str(cell)) for cell in (column, *cells))
    if longest > _SHORT:
        width = _NARROW if longest <= _LONG else _WIDE
        return f">{{\\raggedright\\arraybackslash}}p{{{width}}}"
    counts = [cell for cell in cells if cell != EMPTY]
    return "r" if counts and all(isinstance(cell, int) for cell in counts) else "l"


def _line(cells: Iterable[Any]) -> str:
    line = " & ".join(escape_latex(str(cell)) for cell in cells) + r" \\"
    # The end of a row and a rule take a star or a bracket that follows for their own.
    return "{}" + line if line.startswith(("*", "[")) else line


def _foot(comparison: Comparison, name: str) -> str:
    """Say what a table rests on."""
    parts = [
        *([f"{comparison.mark}."] if comparison.mark else []),
        f"{comparison.n} patients: {comparison.positives} positive, "
        f"{comparison.negatives} negative; {comparison.patients_left_out} left out.",
        f"{100 * comparison.confidence:g} % intervals. "
        f"Methods: {'; '.join(_methods(comparison, name))}.",
    ]
    if name in ("T2", "T3", "T5"):
        apart = ", fixed and random readers apart" if name == "T3" else ""
        parts.append(
            f"Corrected p by {comparison.correction.title()} within each endpoint{apart}; "
            "the other not corrected."
        )
    if name in ("T6", "T8"):
        parts.append("Described and not tested.")
    parts.append(f"cervispine {version('cervispine')}, seed {comparison.seed}.")
    return " ".join(parts)


def _methods(comparison: Comparison, name: str) -> list[str]:
    """Return how the figures of a table were made, each once, in order."""
    raters = comparison.raters.values()
    agreement = comparison.agreement
    figures: dict[str, Iterable[Any]] = {
        "T1": [
            figure
            for rater in raters
            for kind, figure in rater.figures.items()
            if figure is not None and kind != "brier"
        ],
        "T2": [pair.difference for pair in comparison.against_readers],
        "T3": [item.difference for item in comparison.against_mean],
        "T4": [rater.brier for rater in raters if rater.brier is not None],
        "T5": [pair.difference for pair in comparison.between_models],
        "T6": [
            figure
            for item in comparison.strata
            for figure in (item.auc, item.sensitivity, item.specificity)
            if figure is not None
        ],
        "T7": [*([agreement.fleiss] if agreement.fleiss else []), *agreement.pairs.values()],
        "T8": [item.difference for item in comparison.at_readers_points],
        "T9": [
            value
            for values in comparison.predictive_values.values()
            for value in (values.ppv, values.npv)
            if value is not None
        ],
    }
    return list(dict.fromkeys(figure.method for figure in figures[name]))
