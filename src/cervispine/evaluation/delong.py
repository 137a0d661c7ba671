"""Placement values and the covariance of the areas under several ROC curves.

The placement value of a positive is the share of negatives it outranks (ties
count half); that of a negative is the share of positives that outrank it. The
area is their mean, and its variance follows from how they scatter. One sort
per rater gives all of them, so the work is O(n log n) and the memory O(n).

References
----------
DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837, for the covariance.
Sun and Xu 2014, IEEE Signal Processing Letters 21:1389, for the use of ranks.
Obuchowski 1997, Biometrics 53:567, for clustered cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.evaluation.checking import (
    Binary,
    Scores,
    as_groups,
    as_rows,
    as_scores,
    as_truth,
    check_same_length,
    choose,
)

__all__ = [
    "ZERO_VARIANCE",
    "Placements",
    "RankedCounts",
    "delong_covariance",
    "placements",
    "ranked_counts",
]

PlacementCovariance = Literal["delong", "jackknife"]

#: Rounding leaves about 1e-32 of a variance that is zero; the smallest true one at a hundred
#: thousand cases is about 1e-20.
ZERO_VARIANCE = 1e-26


@attrs.frozen(eq=False)
class RankedCounts:
    """How many cases of each class hold each distinct score.

    Parameters
    ----------
    order
        The cases in ascending order of score, shape (cases,).
    starts
        Where in that order each distinct score begins, shape (distinct scores,).
    values
        The distinct scores, ascending.
    positives, negatives
        The number of cases of each class at each distinct score.
    """

    order: NDArray[np.intp]
    starts: NDArray[np.intp]
    values: Scores
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]


def ranked_counts(truth: Binary, scores: Scores) -> RankedCounts:
    """Sort once, and count the cases of each class at each distinct score."""
    order = np.argsort(scores)
    ordered, ordered_truth = scores[order], truth[order]
    differs = ordered[1:] != ordered[:-1]
    if differs.all():  # without ties every score stands for one case, and nothing is summed
        every = np.arange(len(scores))
        return RankedCounts(order, every, ordered, ordered_truth, 1 - ordered_truth)
    starts = np.flatnonzero(np.concatenate([[True], differs]))
    positives = np.add.reduceat(ordered_truth, starts)
    sizes = np.diff(starts, append=len(scores))
    return RankedCounts(order, starts, ordered[starts], positives, sizes - positives)


@attrs.frozen(eq=False)
class Placements:
    """The placement values of some raters on the same cases.

    Parameters
    ----------
    positive
        Of the positives, shape (raters, positives).
    negative
        Of the negatives, shape (raters, negatives).
    positive_groups, negative_groups
        The cluster of each, or ``None`` where every case stands for itself.
    """

    positive: Scores
    negative: Scores
    positive_groups: NDArray[np.int64] | None = None
    negative_groups: NDArray[np.int64] | None = None

    @property
    def areas(self) -> Scores:
        """The area under each rater's curve, shape (raters,)."""
        areas: Scores = self.positive.mean(axis=1)
        return areas

    def contrast(self, weights: ArrayLike) -> Placements:
        """Return the placements of a weighted sum of the raters, as of one rater.

        Contracting the placements before taking a variance, and not the
        covariance matrix after, keeps equal rankings at a variance of exactly 0.
        """
        row = np.asarray(weights, dtype=np.float64)[None, :]
        return Placements(
            row @ self.positive, row @ self.negative, self.positive_groups, self.negative_groups
        )

    def covariance(self, method: PlacementCovariance = "delong") -> Scores:
        """Return the covariance of the areas; NaN throughout with one case in a class."""
        choose(method, ("delong", "jackknife"), "covariance")
        m, n = self.positive.shape[1], self.negative.shape[1]
        positive = self.positive - self.areas[:, None]
        negative = self.negative - self.areas[:, None]
        if min(m, n) < 2:
            return np.full((len(positive), len(positive)), np.nan)
        if self.positive_groups is not None and self.negative_groups is not None:
            return _clustered(positive, negative, self.positive_groups, self.negative_groups)
        s10 = positive @ positive.T / (m - 1)
        s01 = negative @ negative.T / (n - 1)
        result: Scores = s10 / m + s01 / n
        if method == "jackknife":
            # Leaving one positive out moves the area by -(its placement - area)/(m - 1).
            result = (m + n - 1) / (m + n) * (s10 / (m - 1) + s01 / (n - 1))
        return result


def _clustered(
    positive: Scores,
    negative: Scores,
    positive_groups: NDArray[np.int64],
    negative_groups: NDArray[np.int64],
) -> Scores:
    """Obuchowski's covariance: sums within clusters scatter, not single cases."""
    m, n = positive.shape[1], negative.shape[1]
    total = int(max(positive_groups.max(), negative_groups.max())) + 1
    a = np.stack([np.bincount(positive_groups, row, total) for row in positive])
    b = np.stack([np.bincount(negative_groups, row, total) for row in negative])
    with_positive = len(np.unique(positive_groups))
    with_negative = len(np.unique(negative_groups))
    if min(with_positive, with_negative) < 2:
        return np.full((len(positive), len(positive)), np.nan)
    s10 = with_positive / ((with_positive - 1) * m) * (a @ a.T)
    s01 = with_negative / ((with_negative - 1) * n) * (b @ b.T)
    s11 = total / (total - 1) * (a @ b.T)
    result: Scores = s10 / m + s01 / n + (s11 + s11.T) / (m * n)
    return result


def placements(
    truth: Binary, scores: Scores, groups: NDArray[np.int64] | None = None
) -> Placements:
    """Return the placement values of several raters.

    Parameters
    ----------
    truth
        0/1, shape (cases,).
    scores
        Finite, shape (raters, cases).
    groups
        The cluster of each case, or ``None``.
    """
    positives = truth == 1
    m, n = int(positives.sum()), int((~positives).sum())
    positive, negative = np.empty((len(scores), m)), np.empty((len(scores), n))
    placed = np.empty(truth.size)
    for row, rater in enumerate(scores):
        counts = ranked_counts(truth, rater)
        # Shares of the other class: of the negatives below each distinct score, and of the
        # positives above it, ties counting half. In place, for it is most of the work.
        below = np.cumsum(counts.negatives, dtype=np.float64)
        below -= 0.5 * counts.negatives
        below /= n
        above = np.cumsum(counts.positives, dtype=np.float64)
        above -= 0.5 * counts.positives
        above /= -m
        above += 1.0
        if counts.starts.size < truth.size:
            sizes = counts.positives + counts.negatives
            below, above = np.repeat(below, sizes), np.repeat(above, sizes)
        placed[counts.order] = np.where(positives[counts.order], below, above)
        positive[row], negative[row] = placed[positives], placed[~positives]
    if groups is None:
        return Placements(positive, negative)
    return Placements(positive, negative, groups[positives], groups[~positives])


def delong_covariance(
    truth: ArrayLike,
    scores: ArrayLike | Sequence[ArrayLike],
    *,
    groups: ArrayLike | None = None,
) -> tuple[Scores, Scores]:
    """Areas under the ROC curves of several raters, and their joint covariance.

    Parameters
    ----------
    truth
        0/1, 1 being diseased, shape (cases,).
    scores
        Higher means more diseased, shape (raters, cases).
    groups
        The cluster (the patient, where a case is an image) of each case; the
        covariance is then Obuchowski's, which is DeLong's for clusters of one.

    Returns
    -------
    areas : ndarray of float64, shape (raters,)
    covariance : ndarray of float64, shape (raters, raters)
        NaN throughout when a class has one case (or one cluster).

    Raises
    ------
    EvaluationError
        When truth, scores or groups are unusable (see their codes).
    MismatchedCasesError
        ``LENGTHS_DIFFER``.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837; Obuchowski 1997,
    Biometrics 53:567.
    """
    labels = as_truth(truth)
    table = as_rows(scores, as_scores, "scores")
    check_same_length(truth=labels, scores=table)
    clusters = None if groups is None else as_groups(groups, labels)
    placed = placements(labels, table, clusters)
    return placed.areas, placed.covariance()
