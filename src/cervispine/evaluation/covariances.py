"""The figures of several raters of the same cases, and how they vary together over cases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.evaluation.checking import (
    Binary,
    Scores,
    as_binary,
    as_scores,
    check_same_length,
    choose,
)
from cervispine.evaluation.delong import Placements, placements

__all__ = ["FigureCovariance", "Measure", "figures_and_covariance"]

Measure = Literal["auc", "sensitivity", "specificity"]
FigureCovariance = Literal["delong", "jackknife", "unbiased"]

MEASURES = ("auc", "sensitivity", "specificity")
COVARIANCES = ("delong", "jackknife", "unbiased")

# Pairs of a positive and a negative are compared in blocks of about this many, over all raters.
_BLOCK = 2_000_000


def figures_and_covariance(
    labels: Binary, rows: Sequence[ArrayLike], measure: Measure, covariance: FigureCovariance
) -> tuple[Scores, Scores]:
    """Return each rater's figure, and the covariance of the figures over cases.

    Parameters
    ----------
    labels
        0/1, shape (cases,).
    rows
        Each rater's scores, or 0/1 calls for sensitivity and specificity.
    measure
        The figure.
    covariance
        How the covariance of areas is estimated. For sensitivity and specificity the three are
        one and the same: the covariance of the right calls over their number.

    Returns
    -------
    figures : ndarray of float64, shape (raters,)
    covariance : ndarray of float64, shape (raters, raters)
        NaN throughout where a class that counts has one case.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837; Gallas 2006, Acad Radiol 13:353,
    for the unbiased one.
    """
    choose(measure, MEASURES, "measure")
    choose(covariance, COVARIANCES, "covariance")
    if measure == "auc":
        table: Scores = _stacked(labels, [as_scores(row, "ratings") for row in rows])
        placed = placements(labels, table)
        if covariance == "unbiased":
            return placed.areas, _unbiased(placed, labels, table)
        return placed.areas, placed.covariance(covariance)
    diseased = 1 if measure == "sensitivity" else 0
    calls: Binary = _stacked(labels, [as_binary(row, "calls") for row in rows])
    right = (calls == diseased)[:, labels == diseased].astype(np.float64)
    cases = right.shape[1]
    if cases < 2:
        return right.mean(axis=1), np.full((len(right), len(right)), np.nan)
    return right.mean(axis=1), np.atleast_2d(np.cov(right)) / cases


def _unbiased(placed: Placements, labels: Binary, table: Scores) -> Scores:
    """Return the product of two areas less the unbiased estimate of the product of their means.

    That estimate averages over two pairs of a positive and a negative that share no case; it
    comes from all pairs of pairs, less those that share a positive, a negative, or both.
    """
    m, n = placed.positive.shape[1], placed.negative.shape[1]
    if min(m, n) < 2:
        return np.full((len(table), len(table)), np.nan)
    product = np.outer(placed.areas, placed.areas)
    every = (m * n) ** 2 * product
    same_positive = n**2 * placed.positive @ placed.positive.T
    same_negative = m**2 * placed.negative @ placed.negative.T
    apart = every - same_positive - same_negative + _shared_pairs(labels, table)
    result: Scores = product - apart / (m * (m - 1) * n * (n - 1))
    return result


def _shared_pairs(labels: Binary, table: Scores) -> Scores:
    """Sum, over all pairs, of how two raters rank the same pair (1, 1/2 or 0 each)."""
    positive, negative = table[:, labels == 1], table[:, labels == 0]
    block = max(1, _BLOCK // negative.size)
    total = np.zeros((len(table), len(table)))
    for start in range(0, positive.shape[1], block):
        some = positive[:, start : start + block, None]
        ranked = (some > negative[:, None, :]) + 0.5 * (some == negative[:, None, :])
        flat = ranked.reshape(len(table), -1)
        total += flat @ flat.T
    return total


def _stacked(labels: Binary, rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    for row in rows:
        check_same_length(truth=labels, rater=row)
    return np.stack(rows)
