"""A comparison in words, and as the JSON that comparison.json holds."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from itertools import groupby
from typing import Any

from cervispine.evaluation.comparison import (
    SCHEMA,
    SCHEMA_VERSION,
    Comparison,
)
from cervispine.evaluation.paired import PairedCounts
from cervispine.evaluation.performance import LABELS, RATES, Evaluation
from cervispine.evaluation.results import (
    Estimate,
    format_interval,
    format_p_value,
    json_fields,
    json_ready,
)

__all__ = ["as_json", "summarise"]

_FIGURES = ("auc", "sensitivity", "specificity")


def summarise(comparison: Comparison) -> str:
    """Write the comparison as text: the sample, the raters, then each kind of difference."""
    lines = [
        *([comparison.mark] if comparison.mark else []),
        f"{comparison.n} patients: {comparison.positives} positive, "
        f"{comparison.negatives} negative; {_counted(len(comparison.models), 'model')}, "
        f"{_counted(len(comparison.readers), 'reader')}",
        f"{100 * comparison.confidence:g} % intervals; corrected p-values by "
        f"{comparison.correction.title()} within each endpoint",
    ]
    for rater in comparison.raters.values():
        lines += ["", *_rater(rater)]
    lines += _section(
        "Model minus each reader",
        [
            f"{pair.model} - {pair.reader}, {LABELS[pair.endpoint]}: {pair.difference}, "
            f"corrected {format_p_value(pair.adjusted_p_value)}"
            for pair in comparison.against_readers
        ],
    )
    lines += _section(
        "Model minus the mean of the readers",
        [
            f"{item.model}, {LABELS[item.endpoint]}: {item.difference}"
            f"{_degrees(item.difference.df)}, corrected {format_p_value(item.adjusted_p_value)}; "
            f"{item.difference.scope}"
            for item in comparison.against_mean
        ],
    )
    lines += _section(
        "Model minus model, AUC",
        [
            f"{pair.first} - {pair.second}: {pair.difference}, "
            f"corrected {format_p_value(pair.adjusted_p_value)}"
            for pair in comparison.between_models
        ],
    )
    lines += _section(
        "Model minus reader at the reader's operating point, described and not tested",
        [
            f"{item.model} - {item.reader}, {item.endpoint} at {item.matched} {item.at:.3f}: "
            f"{item.model_rate:.3f} - {item.reader_rate:.3f} = {item.difference.value:+z.3f} "
            f"{format_interval(item.difference.low, item.difference.high, signed=True)}"
            for item in comparison.at_readers_points
        ],
    )
    lines += _section(
        "Predictive values at the stated prevalence",
        [f"{name}, {values}" for name, values in comparison.predictive_values.items()],
    )
    lines += _section("By stratum, the hardest level first", list(_levels(comparison)))
    if comparison.agreement.fleiss is not None:
        lines += _section(
            "Agreement among the readers", [f"Fleiss' kappa {comparison.agreement.fleiss}"]
        )
    lines += _section("Notes", list(comparison.notes))
    return "\n".join(lines)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain values; what is not estimable is None."""
    agreement = comparison.agreement
    return {
        "schema": SCHEMA,
        "version": SCHEMA_VERSION,
        "mark": comparison.mark,
        "settings": {
            "confidence": comparison.confidence,
            "correction": comparison.correction,
            "resamples": comparison.resamples,
            "seed": comparison.seed,
            "prevalence": comparison.prevalence,
        },
        "software": _versions(),
        "sample": {
            "patients": comparison.n,
            "positives": comparison.positives,
            "negatives": comparison.negatives,
            "left_out": comparison.patients_left_out,
        },
        "raters": [
            {"kind": "model" if name in comparison.models else "reader", **rater.to_dict()}
            for name, rater in comparison.raters.items()
        ],
        "model_against_reader": [
            {
                "model": pair.model,
                "reader": pair.reader,
                "endpoint": pair.endpoint,
                "counts": None if pair.counts is None else _counts(pair.counts),
                "difference": pair.difference.to_dict(),
                "exact_p_value": json_ready(pair.exact_p_value),
                "adjusted_p_value": json_ready(pair.adjusted_p_value),
            }
            for pair in comparison.against_readers
        ],
        "model_against_readers_mean": [
            {
                "model": item.model,
                "endpoint": item.endpoint,
                "readers_are": item.readers_are,
                "difference": item.difference.to_dict(),
                "adjusted_p_value": json_ready(item.adjusted_p_value),
            }
            for item in comparison.against_mean
        ],
        "model_against_model": [
            {
                "first": pair.first,
                "second": pair.second,
                "endpoint": "auc",
                "difference": pair.difference.to_dict(),
                "adjusted_p_value": json_ready(pair.adjusted_p_value),
            }
            for pair in comparison.between_models
        ],
        "model_at_readers_point": [
            {
                **json_fields(item, without=("difference",)),
                "difference": item.difference.to_dict(),
            }
            for item in comparison.at_readers_points
        ],
        "strata": [
            {
                **json_fields(item, without=_FIGURES),
                **{name: _figure(getattr(item, name)) for name in _FIGURES},
            }
            for item in comparison.strata
        ],
        "agreement": {
            "fleiss_kappa": _figure(agreement.fleiss),
            "cohen_kappa": [
                {"first": first, "second": second, "kappa": kappa.to_dict()}
                for (first, second), kappa in agreement.pairs.items()
            ],
            "cochran_q": None if agreement.cochran_q is None else agreement.cochran_q.to_dict(),
        },
        "predictive_values": [
            {"rater": name, **values.to_dict()}
            for name, values in comparison.predictive_values.items()
        ],
        "notes": list(comparison.notes),
    }


def _rater(rater: Evaluation) -> list[str]:
    lines = [
        rater.name if rater.threshold is None else f"{rater.name}, threshold {rater.threshold}"
    ]
    for name, estimate in rater.figures.items():
        if estimate is None:
            continue
        counts = f"{round(estimate.value * estimate.n)}/{estimate.n} " if name in RATES else ""
        lines.append(f"  {LABELS[name]:<12} {counts}{estimate}")
    return lines


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _section(title: str, items: list[str]) -> list[str]:
    return ["", title, *(f"  {item}" for item in items)] if items else []


def _levels(comparison: Comparison) -> Iterator[str]:
    """Give each level a line with its n, then a line for each rater."""
    for (stratum, level), items in groupby(comparison.strata, lambda x: (x.stratum, x.level)):
        figures = list(items)
        yield (
            f"{stratum} {level}: {figures[0].positives} positive, {figures[0].negatives} negative"
        )
        for item in figures:
            named = {LABELS[name]: getattr(item, name) for name in _FIGURES}
            held = [f"{name} {figure}" for name, figure in named.items() if figure is not None]
            yield f"  {item.rater}: {', '.join(held) or 'no calls and no area here'}"


def _figure(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else estimate.to_dict()


def _counts(counts: PairedCounts) -> dict[str, int]:
    return {
        "both": counts.both,
        "model_only": counts.only_first,
        "reader_only": counts.only_second,
        "neither": counts.neither,
    }


def _degrees(df: float | None) -> str:
    return "" if df is None else f", df {df:.1f}"


def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("cervispine", "numpy", "scipy")}
