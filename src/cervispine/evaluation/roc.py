"""The ROC curve of a score, and the area under a part of it.

A case is called positive when its score is at or above a threshold; a higher
score means more diseased. Nothing here turns a curve round.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import ArrayLike

from cervispine.evaluation.checking import Scores, checked_pair
from cervispine.evaluation.delong import ranked_counts
from cervispine.exceptions import UsageError

__all__ = ["RocCurve", "partial_auc", "roc_curve"]


@attrs.frozen(eq=False)
class RocCurve:
    """The points of a ROC curve, from none called positive to all.

    Parameters
    ----------
    thresholds
        Descending; the first is infinite. A score at or above one is a positive call.
    sensitivity, specificity
        The rates at each threshold.
    """

    thresholds: Scores
    sensitivity: Scores
    specificity: Scores


def roc_curve(truth: ArrayLike, scores: ArrayLike) -> RocCurve:
    """Return the ROC curve, with one point for each distinct score.

    Parameters
    ----------
    truth
        0/1, 1 being diseased, shape (cases,).
    scores
        Higher means more diseased, shape (cases,).

    Raises
    ------
    EvaluationError
        When truth or scores are unusable (see their codes).
    """
    labels, values = checked_pair(truth, scores)
    counts = ranked_counts(labels, values)
    true_positives = np.cumsum(counts.positives[::-1])
    false_positives = np.cumsum(counts.negatives[::-1])
    return RocCurve(
        np.concatenate([[np.inf], counts.values[::-1]]),
        np.concatenate([[0.0], true_positives / true_positives[-1]]),
        np.concatenate([[1.0], 1 - false_positives / false_positives[-1]]),
    )


def partial_auc(
    truth: ArrayLike,
    scores: ArrayLike,
    *,
    specificity: tuple[float, float] | None = None,
    sensitivity: tuple[float, float] | None = None,
    corrected: bool = False,
) -> float:
    """Area under a part of the ROC curve, between two specificities or sensitivities.

    Parameters
    ----------
    truth
        0/1, 1 being diseased, shape (cases,).
    scores
        Higher means more diseased, shape (cases,).
    specificity, sensitivity
        The range on one of the two, lower limit first; exactly one must be given.
    corrected
        Standardise so that a useless score has 0.5 and a perfect one 1 (McClish 1989,
        Medical Decision Making 9:190).

    Raises
    ------
    EvaluationError
        As ``auc``.
    UsageError
        When not exactly one range is given, or a range is not within [0, 1].
    """
    if (specificity is None) == (sensitivity is None):
        raise UsageError(
            "a partial area needs one range: of specificity, or of sensitivity",
            where="specificity, sensitivity",
            advice="write specificity=(0.9, 1.0)",
        )
    curve = roc_curve(truth, scores)
    if specificity is not None:
        start, end = specificity
        x, y = 1 - curve.specificity, curve.sensitivity
    else:
        assert sensitivity is not None
        start, end = sensitivity
        x, y = 1 - curve.sensitivity[::-1], curve.specificity[::-1]
    if not 0 <= start < end <= 1:
        raise UsageError(
            f"a range within [0, 1], lower limit first, was expected; got ({start}, {end})",
            where="specificity" if specificity is not None else "sensitivity",
        )
    low, high = 1 - end, 1 - start
    area = _area_between(x, y, low, high)
    if not corrected:
        return area
    least, most = (high**2 - low**2) / 2, high - low
    return (1 + (area - least) / (most - least)) / 2


def _area_between(x: Scores, y: Scores, low: float, high: float) -> float:
    """Area under the line through (x, y), x ascending, cut to low <= x <= high."""
    x0, x1, y0, y1 = x[:-1], x[1:], y[:-1], y[1:]
    sloped = x1 > x0
    x0, x1, y0, y1 = x0[sloped], x1[sloped], y0[sloped], y1[sloped]
    slope = (y1 - y0) / (x1 - x0)
    left, right = np.clip(x0, low, high), np.clip(x1, low, high)
    middle = y0 + slope * ((left + right) / 2 - x0)
    return float(np.sum(middle * (right - left)))
