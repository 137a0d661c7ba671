"""report.html, made from the files of a run alone, readable offline."""

from __future__ import annotations

import base64
import csv
import json
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cervispine.evaluation.tables import EMPTY
from cervispine.exceptions import DataError
from cervispine.records.files import write_text
from cervispine.reporting.pages import render
from cervispine.reporting.published import CITATION, PUBLISHED

__all__ = ["write_report"]

#: An interval in brackets, or a name with hyphens in it.
UNBROKEN = re.compile(r"(\([^()]* to [^()]*\)|\w+(?:-\w+)+)")

#: Stands where a figure cannot be estimated or was not printed.
NOT_GIVEN = "\N{EN DASH}"


def write_report(run: str | Path) -> Path:
    """Write ``report.html`` into a run folder, from what the run saved there.

    Parameters
    ----------
    run
        Folder of a finished experiment.

    Returns
    -------
    Path
        Of the page: one file, without scripts and without anything from the network.

    Raises
    ------
    DataError
        When the folder is not that of a finished run (``RUN_INCOMPLETE``).
    """
    from jinja2 import UndefinedError

    folder = Path(run)
    try:
        values = {**_read_run(folder), "published": PUBLISHED, "citation": CITATION}
        # What the page needs and the files do not hold is an error too.
        page = render(
            "report.html",
            values,
            interval=_interval,
            percent=_percent,
            settings=_settings,
            spread=_spread,
            unbroken=_unbroken,
        )
    except (OSError, ValueError, LookupError, UndefinedError) as error:
        raise DataError(
            "the folder does not hold a finished run",
            where=str(folder),
            advice="cervispine experiment --resume finishes a run that was interrupted",
            code="RUN_INCOMPLETE",
        ) from error
    path = folder / "report.html"
    write_text(path, page)
    return path


def _read_run(folder: Path) -> dict[str, Any]:
    comparison = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    figure = (folder / "figures" / "roc.svg").read_text(encoding="utf-8")
    return {
        "manifest": json.loads((folder / "manifest.json").read_text(encoding="utf-8")),
        "comparison": comparison,
        "tables": _read_tables(folder / "tables"),
        # Our own figure: inline, so that its text is text and the page one file.
        "figure": Markup(figure[figure.index("<svg") :]),  # noqa: S704
        "cases": _read_cases(folder / "cases"),
        "deeper": _deeper(comparison),
    }


def _read_tables(folder: Path) -> dict[str, list[dict[str, str]]]:
    return {path.stem: _without_empty(_read_rows(path)) for path in sorted(folder.glob("*.csv"))}


def _without_empty(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Leave out the columns in which no row has anything."""
    filled = {column for row in rows for column, cell in row.items() if cell != EMPTY}
    return [{column: cell for column, cell in row.items() if column in filled} for row in rows]


def _read_cases(folder: Path) -> list[dict[str, str]]:
    cases = _read_rows(folder / "cases.csv")
    for case in cases:
        # The page may be shown to others: it says nothing of who a case is.
        del case["patient"]
        content = base64.b64encode((folder / case["file"]).read_bytes()).decode()
        case["image"] = f"data:image/png;base64,{content}"
    return cases


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _interval(estimate: dict[str, Any] | None) -> str:
    if estimate is None or estimate["value"] is None:
        return NOT_GIVEN
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def _spread(raters: list[dict[str, Any]], figure: str) -> str:
    """Return from the least to the greatest value that raters have of a figure."""
    values = [rater[figure]["value"] for rater in raters if rater[figure] is not None]
    shown = [f"{value:.3f}" for value in (min(values), max(values))] if values else [NOT_GIVEN]
    return " to ".join(dict.fromkeys(shown))


def _unbroken(text: str) -> Markup:
    """Keep intervals and hyphenated names in one line, for a table would break them anywhere."""
    pieces = UNBROKEN.split(text)
    kept = Markup('<span class="whole">{}</span>')
    return Markup("").join(
        kept.format(piece) if place % 2 else piece for place, piece in enumerate(pieces)
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _deeper(comparison: dict[str, Any]) -> str:
    """Say whether the deepest ResNet was the best, whichever way it came out."""
    areas = {
        rater["name"]: rater["auc"]["value"]
        for rater in comparison["raters"]
        if rater["name"] in PUBLISHED and rater["auc"] is not None
    }
    if len(areas) < 2:
        return ""
    deepest = max(areas, key=lambda name: int(name.removeprefix("resnet")))
    best = max(areas, key=areas.__getitem__)
    significant = any(
        pair["adjusted_p_value"] is not None and pair["adjusted_p_value"] < 0.05
        for pair in comparison["model_against_model"]
        if {pair["first"], pair["second"]} <= set(areas)
    )
    told = "some differences" if significant else "no difference"
    return (
        f"The deepest network was {'' if best == deepest else 'not '}the best in AUC; between the "
        f"depths {told} reached p < 0.05 after correction."
    )
