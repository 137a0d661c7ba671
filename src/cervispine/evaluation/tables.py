"""The tables of a comparison: as rows, as data frames, as CSV and as HTML."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from cervispine.evaluation.calibration import net_benefit
from cervispine.evaluation.comparison import Comparison
from cervispine.evaluation.performance import LABELS, RATES, Evaluation
from cervispine.evaluation.results import Difference, Estimate, format_interval
from cervispine.records.written import csv_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "EMPTY",
    "MARK_COLUMN",
    "TITLES",
    "as_csv",
    "as_html",
    "printed_tables",
    "rater_frame",
    "table_rows",
]

EMPTY = "-"

#: Holds the mark of a comparison in each row of a CSV, which may be copied out of its folder.
MARK_COLUMN = "data"

_ACTING = (0.1, 0.2, 0.3, 0.5)
# Columns whose cells people have named, and could have named like a formula.
_NAMES = ("model", "reader", "rater", "first", "second", "readers", "stratum", "level")
TITLES = {
    "T1": "Raters",
    "T2": "Each model and reader",
    "T3": "Each model and the mean of the readers",
    "T4": "Calibration and net benefit",
    "T5": "Each pair of models",
    "T6": "By stratum, the hardest level first",
    "T7": "Agreement among the readers",
    "T8": "Models at the operating points of readers who gave calls only",
    "T9": "Predictive values at the stated prevalence",
}


def rater_frame(comparison: Comparison) -> pd.DataFrame:
    """One row for each rater, with each figure and its limits in numbers."""
    import pandas as pd

    rows: dict[str, dict[str, Any]] = {}
    for name, rater in comparison.raters.items():
        row: dict[str, Any] = {
            "kind": "model" if name in comparison.models else "reader",
            "positives": rater.positives,
            "negatives": rater.negatives,
            "threshold": None if rater.threshold is None else rater.threshold.value,
            "threshold_source": None if rater.threshold is None else rater.threshold.source,
        }
        for figure, estimate in rater.figures.items():
            row[figure] = None if estimate is None else estimate.value
            row[f"{figure}_low"] = None if estimate is None else estimate.low
            row[f"{figure}_high"] = None if estimate is None else estimate.high
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("rater")


def printed_tables(comparison: Comparison) -> dict[str, pd.DataFrame]:
    """Return the tables as they are printed, by name; one without rows is left out."""
    import pandas as pd

    return {name: pd.DataFrame(rows) for name, rows in table_rows(comparison).items()}


def as_csv(comparison: Comparison) -> dict[str, str]:
    """Return each table that has rows as CSV, by name; names cannot pass for formulas."""
    marked = {MARK_COLUMN: comparison.mark} if comparison.mark else {}
    return {
        name: _csv([{**row, **marked} for row in rows])
        for name, rows in table_rows(comparison).items()
    }


def table_rows(comparison: Comparison) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table that has any, by name, each cell as it is printed."""
    rows: dict[str, list[dict[str, Any]]] = {
        "T1": [_rater_row(rater) for rater in comparison.raters.values()],
        "T2": _reader_rows(comparison),
        "T3": [
            {
                "model": item.model,
                "endpoint": LABELS[item.endpoint],
                "n": item.difference.n,
                **_difference_cells(item.difference),
                "corrected p": _p_value(item.adjusted_p_value),
                "readers": item.readers_are,
                "statistic": _number(item.difference.statistic, 2),
                "df": _number(item.difference.df, 1),
                "scope": item.difference.scope,
            }
            for item in comparison.against_mean
        ],
        "T4": [row for rater in comparison.models.values() for row in _calibration_row(rater)],
        "T5": [
            {
                "first": pair.first,
                "second": pair.second,
                **_difference_cells(pair.difference),
                "corrected p": _p_value(pair.adjusted_p_value),
            }
            for pair in comparison.between_models
        ],
        "T6": [
            {
                "stratum": item.stratum,
                "level": item.level,
                "n (+/-)": f"{item.positives + item.negatives} ({item.positives}/{item.negatives})",
                "rater": item.rater,
                "AUC": EMPTY if item.auc is None else str(item.auc),
                "sensitivity": _rate(item.sensitivity),
                "specificity": _rate(item.specificity),
            }
            for item in comparison.strata
        ],
        "T7": list(_agreement_rows(comparison)),
        "T8": [
            {
                "model": item.model,
                "reader": item.reader,
                "endpoint": LABELS[item.endpoint],
                "n": item.difference.n,
                "held equal": f"{LABELS[item.matched]} {item.at:.3f}",
                "of the model": f"{item.model_rate:.3f}",
                "of the reader": f"{item.reader_rate:.3f}",
                "difference": _signed(item.difference),
            }
            for item in comparison.at_readers_points
        ],
        "T9": [
            {
                "rater": name,
                "prevalence": f"{values.prevalence:g}",
                "PPV": EMPTY if values.ppv is None else str(values.ppv),
                "NPV": EMPTY if values.npv is None else str(values.npv),
            }
            for name, values in comparison.predictive_values.items()
        ],
    }
    return {name: table for name, table in rows.items() if table}


def as_html(comparison: Comparison) -> str:
    """Write the sample, the tables and the notes, for a notebook."""
    parts = [
        *([f"<p><b>{html.escape(comparison.mark)}</b></p>"] if comparison.mark else []),
        f"<p><b>{comparison.n} patients</b>: {comparison.positives} positive, "
        f"{comparison.negatives} negative. {100 * comparison.confidence:g} % intervals, "
        f"corrected p-values by {html.escape(comparison.correction.title())} "
        "within each endpoint.</p>",
    ]
    for name, table in comparison.tables().items():
        parts.append(f"<h4>{name}. {TITLES[name]}</h4>{table.to_html(index=False, border=0)}")
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in comparison.notes)
    return "\n".join([*parts, f"<ul>{notes}</ul>"])


def _csv(rows: list[dict[str, Any]]) -> str:
    columns = list(rows[0])
    return csv_text(
        columns, (row.values() for row in rows), printed=set(columns).difference(_NAMES)
    )


def _rater_row(rater: Evaluation) -> dict[str, Any]:
    return {
        "rater": rater.name,
        "n (+/-)": f"{rater.n} ({rater.positives}/{rater.negatives})",
        "AUC": EMPTY if rater.auc is None else str(rater.auc),
        "threshold": EMPTY if rater.threshold is None else str(rater.threshold),
        **{LABELS[rate]: _rate(getattr(rater, rate)) for rate in RATES},
    }


def _reader_rows(comparison: Comparison) -> list[dict[str, Any]]:
    rows = []
    for pair in comparison.against_readers:
        counts = pair.counts
        cells: tuple[Any, ...] = (
            (EMPTY,) * 4
            if counts is None
            else (counts.both, counts.only_first, counts.only_second, counts.neither)
        )
        names = ("both right", "model only", "reader only", "neither")
        rows.append(
            {
                "model": pair.model,
                "reader": pair.reader,
                "endpoint": LABELS[pair.endpoint],
                "n": pair.difference.n,
                **dict(zip(names, cells, strict=True)),
                **_difference_cells(pair.difference),
                "exact p": EMPTY if counts is None else _p_value(pair.exact_p_value),
                "corrected p": _p_value(pair.adjusted_p_value),
            }
        )
    return rows


def _calibration_row(rater: Evaluation) -> Iterable[dict[str, Any]]:
    if rater.calibration is None or rater.scores is None:
        return
    benefits = net_benefit(rater.truth, rater.scores, _ACTING)
    everybody = net_benefit(rater.truth, np.ones(rater.n), _ACTING)
    yield {
        "model": rater.name,
        "Brier": EMPTY if rater.brier is None else str(rater.brier),
        "slope": _number(rater.calibration.slope, 2),
        "intercept": _number(rater.calibration.intercept, 2),
        "ECE": _number(rater.calibration.ece, 3),
        **{
            f"net benefit at {at:g} (all treated)": f"{own:.3f} ({all_treated:.3f})"
            for at, own, all_treated in zip(_ACTING, benefits, everybody, strict=True)
        },
    }


def _agreement_rows(comparison: Comparison) -> Iterable[dict[str, Any]]:
    if comparison.agreement.fleiss is not None:
        kappa = comparison.agreement.fleiss
        yield {"readers": "all", "measure": kappa.method, "value": str(kappa)}
    for (first, second), kappa in comparison.agreement.pairs.items():
        yield {"readers": f"{first}, {second}", "measure": kappa.method, "value": str(kappa)}


def _difference_cells(difference: Difference) -> dict[str, str]:
    return {"difference": _signed(difference), "p": _p_value(difference.p_value)}


def _signed(difference: Difference | Estimate) -> str:
    interval = format_interval(difference.low, difference.high, signed=True)
    return f"{difference.value:+z.3f} {interval}"


def _rate(estimate: Estimate | None) -> str:
    if estimate is None:
        return EMPTY
    return f"{round(estimate.value * estimate.n)}/{estimate.n}, {estimate}"


def _p_value(p_value: float | None) -> str:
    if p_value is None:
        return "not estimable"
    return "< 0.0001" if p_value < 0.0001 else f"{p_value:.4f}"


def _number(value: float | None, digits: int) -> str:
    return EMPTY if value is None else f"{value:.{digits}f}"
