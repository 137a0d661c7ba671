"""The figures of each rater in the parts of a sample: by OPLL type, level, site, sex."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.areas import estimate_auc
from cervispine.evaluation.checking import is_missing
from cervispine.evaluation.comparison import StratumFigures
from cervispine.evaluation.performance import Evaluation, estimate_rate
from cervispine.evaluation.results import Estimate
from cervispine.evaluation.settings import Settings
from cervispine.exceptions import MismatchedCasesError

__all__ = ["figures_by_stratum"]


def figures_by_stratum(
    raters: Iterable[Evaluation],
    cases: Sequence[Hashable],
    strata: Mapping[str, Mapping[Any, Any]],
    groups: NDArray[np.int64] | None,
    settings: Settings,
) -> tuple[tuple[StratumFigures, ...], list[str]]:
    """Figures by level of each stratum, the hardest level first, and what was left out.

    A level is as hard as the raters found it: hardest where the mean of their
    sensitivities and specificities, as far as the level has them, is lowest. A column
    such as the type of OPLL has levels of positives only, so the negatives without a
    level are not missing; positives without one are.

    Raises
    ------
    MismatchedCasesError
        ``CASES_MISMATCHED``: a stratum has none of the cases.
    """
    judged = list(raters)
    results: list[StratumFigures] = []
    notes: list[str] = []
    for stratum, values in strata.items():
        if not any(case in values for case in cases):
            raise MismatchedCasesError(
                f"none of the {len(cases)} cases is in the stratum",
                where=f"strata, {stratum}",
                advice="give the level of each case by its identifier, which is text",
            )
        levels = np.array([_level(values.get(case)) for case in cases])
        without = int(((levels == "") & (judged[0].truth == 1)).sum())
        if without:
            notes.append(f"{without} positive patients without a {stratum} are in no level of it")
        by_level = []
        for level in np.unique(levels[levels != ""]):
            among = levels == level
            figures = [_figures(rater, among, groups, settings) for rater in judged]
            by_level.append(
                [
                    StratumFigures(stratum, str(level), rater.name, *_classes(rater, among), *held)
                    for rater, held in zip(judged, figures, strict=True)
                ]
            )
        results.extend(figure for level in sorted(by_level, key=_ease) for figure in level)
    return tuple(results), notes


def _classes(rater: Evaluation, among: NDArray[np.bool_]) -> tuple[int, int]:
    positives = int(rater.truth[among].sum())
    return positives, int(among.sum()) - positives


def _figures(
    rater: Evaluation,
    among: NDArray[np.bool_],
    groups: NDArray[np.int64] | None,
    settings: Settings,
) -> tuple[Estimate | None, Estimate | None, Estimate | None]:
    """Area, sensitivity and specificity in a level, each where it can be had."""
    area = None
    if rater.scores is not None and min(_classes(rater, among)) > 1:
        area = estimate_auc(
            rater.truth[among],
            rater.scores[among],
            confidence=settings.confidence,
            groups=None if groups is None else groups[among],
        )
    if rater.calls is None:
        return area, None, None
    sensitivity, specificity = (
        estimate_rate(
            rater.right,
            among & (rater.truth == label),
            groups,
            settings.confidence,
            settings.resamples,
            settings.seed,
        )
        for label in (1, 0)
    )
    return area, sensitivity, specificity


def _ease(figures: Sequence[StratumFigures]) -> float:
    """How easy the raters found a level, by their calls; by their areas where none called."""
    rates = [
        [rate.value for rate in rates if rate is not None]
        for rates in zip(*((each.sensitivity, each.specificity) for each in figures), strict=True)
    ]
    held = [float(np.mean(values)) for values in rates if values]
    areas = [each.auc.value for each in figures if each.auc is not None]
    return float(np.mean(held or areas or [1.0]))


def _level(value: Any) -> str:
    return "" if is_missing(value) else str(value).strip()
