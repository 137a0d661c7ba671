"""The area of a cross-validation, in which each fold was scored by a model of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cervispine.evaluation.areas import normal_quantile
from cervispine.evaluation.checking import (
    as_groups,
    check_confidence,
    checked_pair,
)
from cervispine.evaluation.delong import ZERO_VARIANCE, placements
from cervispine.evaluation.results import Estimate, with_warning
from cervispine.exceptions import EvaluationError

__all__ = ["cross_validated_auc"]


def cross_validated_auc(
    truth: ArrayLike, scores: ArrayLike, folds: ArrayLike, *, confidence: float = 0.95
) -> Estimate:
    """Mean of the areas of the folds, with its interval.

    A positive is compared with the negatives of its own fold alone: scores of two models need not
    be on one scale, and pooling them measures that too.

    Parameters
    ----------
    truth
        0/1, 1 being diseased, shape (cases,).
    scores
        Of the model that did not see the case, higher meaning more diseased, shape (cases,).
    folds
        The fold in which each case was scored, shape (cases,).
    confidence
        Of the two-sided interval.

    Returns
    -------
    Estimate
        Mean plus and minus a normal quantile times its standard error, clipped to [0, 1]. The
        variance is the sum of DeLong's of the folds over their number squared: folds hold
        different cases. It is that of these models on other cases; how models trained on other
        cases would differ is not in it, for which there is no unbiased estimate. Limits are
        ``None`` where a fold has one case of a class, or all folds are parted completely. Where
        some are, they add no variance and the interval is too short: a StatisticsWarning says so.

    Raises
    ------
    EvaluationError
        ``SINGLE_CLASS`` when a fold lacks a class; ``SCORES_NOT_FINITE``, ``NOT_BINARY``,
        ``NO_CASES``; ``GROUPS_MISSING`` when a case has no fold.
    MismatchedCasesError
        ``LENGTHS_DIFFER``.

    References
    ----------
    LeDell, Petersen and van der Laan 2015, Electron J Stat 9:1583, whose interval this is but for
    DeLong's divisors n - 1. Bengio and Grandvalet 2004, J Mach Learn Res 5:1089, for what
    cannot be estimated.
    """
    check_confidence(confidence)
    labels, values = checked_pair(truth, scores)
    of_case = as_groups(folds, labels, name="folds")
    areas, variances = [], []
    for fold in np.unique(of_case):
        inside = of_case == fold
        if len(np.unique(labels[inside])) < 2:
            raise EvaluationError(
                f"a fold of {int(inside.sum())} cases lacks a class, so it has no area",
                advice="fewer folds, stratified by class",
                code="SINGLE_CLASS",
            )
        placed = placements(labels[inside], values[inside][None, :])
        areas.append(float(placed.areas[0]))
        variances.append(float(placed.covariance()[0, 0]))
    area, variance = float(np.mean(areas)), float(np.sum(variances)) / len(areas) ** 2
    name = f"mean of {len(areas)} folds, DeLong's variances"
    if not variance > ZERO_VARIANCE:
        reason = "a fold has one case of a class" if np.isnan(variance) else "no fold's area varies"
        note = f"the interval is not estimable: {reason}"
        return with_warning(Estimate(area, None, None, name, labels.size, note))
    half = normal_quantile(0.5 + confidence / 2) * np.sqrt(variance)
    parted = sum(each in (0.0, 1.0) for each in areas)
    note = (
        f"{parted} of {len(areas)} folds are parted completely and add no variance, so the "
        "interval is too short"
    )
    return with_warning(
        Estimate(
            area,
            max(0.0, area - half),
            min(1.0, area + half),
            name,
            labels.size,
            note if parted else "",
        )
    )
