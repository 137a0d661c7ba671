"""How far raters agree with each other, and whether their rates differ.

Calls and ratings of several raters have the shape (raters, cases).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.evaluation.checking import (
    as_binary,
    as_rows,
    as_scores,
    check_confidence,
    choose,
)
from cervispine.evaluation.results import Estimate, Test, with_warning
from cervispine.exceptions import EvaluationError

__all__ = ["cochran_q", "cohen_kappa", "fleiss_kappa"]

# Rounding leaves about 1e-16 where the standard error is zero.
_ZERO_ERROR = 1e-12


def cohen_kappa(
    a: ArrayLike,
    b: ArrayLike,
    *,
    weights: Literal["none", "linear", "quadratic"] = "none",
    confidence: float = 0.95,
) -> Estimate:
    """Agreement of two raters beyond chance (Cohen's kappa).

    Parameters
    ----------
    a, b
        Calls or ratings of the same cases, shape (cases,).
    weights
        ``"linear"`` and ``"quadratic"`` count near misses of ordered ratings in part;
        the categories are the distinct ratings that occur, taken as equally spaced
        in their order.
    confidence
        Of the two-sided normal interval.

    Returns
    -------
    Estimate
        Without an interval when its standard error is zero (the raters agree on
        every case, or one has a single category); a StatisticsWarning says so.

    Raises
    ------
    EvaluationError
        ``KAPPA_UNDEFINED`` when all ratings are of one category.
    MismatchedCasesError
        ``LENGTHS_DIFFER``.

    References
    ----------
    Cohen 1960, Educ Psychol Meas 20:37; Fleiss, Cohen and Everitt 1969, Psychol
    Bull 72:323, for the variance.
    """
    return with_warning(estimate_cohen_kappa(a, b, weights=weights, confidence=confidence))


def estimate_cohen_kappa(
    a: ArrayLike,
    b: ArrayLike,
    *,
    weights: Literal["none", "linear", "quadratic"] = "none",
    confidence: float = 0.95,
) -> Estimate:
    """As ``cohen_kappa``, with what there is to warn of in the note."""
    choose(weights, ("none", "linear", "quadratic"), "weights")
    check_confidence(confidence)
    table = as_rows([a, b], as_scores, "ratings")
    _, codes = np.unique(table, return_inverse=True)
    first, second = codes.reshape(table.shape)
    size = int(codes.max()) + 1
    _refuse_one_category(size)
    counts = np.bincount(first * size + second, minlength=size * size).reshape(size, size)
    value, error = _weighted_kappa(counts / first.size, _agreement_weights(size, weights))
    name = "Cohen's kappa" if weights == "none" else f"Cohen's kappa, {weights} weights"
    return _estimate(value, error / np.sqrt(first.size), name, first.size, confidence)


def fleiss_kappa(calls: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """Agreement of several raters beyond chance (Fleiss' kappa).

    Parameters
    ----------
    calls
        Calls or nominal ratings, shape (raters, cases), at least two of each.
    confidence
        Of the two-sided normal interval, whose standard error comes from leaving one
        case out at a time; it regards the cases as a sample and the raters as given.
        There is none when that error is zero; a StatisticsWarning says so.

    Raises
    ------
    EvaluationError
        ``KAPPA_UNDEFINED`` when all calls are of one category, ``RATERS_TOO_FEW``.
    MismatchedCasesError
        ``LENGTHS_DIFFER``.

    References
    ----------
    Fleiss 1971, Psychol Bull 76:378.
    """
    return with_warning(estimate_fleiss_kappa(calls, confidence=confidence))


def estimate_fleiss_kappa(calls: ArrayLike, *, confidence: float = 0.95) -> Estimate:
    """As ``fleiss_kappa``, with what there is to warn of in the note."""
    check_confidence(confidence)
    table = as_rows(calls, as_scores, "ratings")
    raters, cases = table.shape
    _refuse_few_raters(raters)
    categories, codes = np.unique(table, return_inverse=True)
    _refuse_one_category(categories.size)
    codes = codes.reshape(table.shape)
    counts = np.stack([(codes == code).sum(axis=0) for code in range(categories.size)], axis=1)
    agreeing = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    # The whole first, then each case left out.
    shares = np.vstack([counts.sum(axis=0), counts.sum(axis=0) - counts])
    sizes = np.concatenate([[cases], np.full(cases, cases - 1)])
    observed = np.concatenate([[agreeing.sum()], agreeing.sum() - agreeing]) / sizes
    chance = ((shares / (raters * sizes)[:, None]) ** 2).sum(axis=1)
    name = "Fleiss' kappa, jackknife over cases"
    if (chance >= 1).any():  # one case alone differs from the others
        value = float((observed[0] - chance[0]) / (1 - chance[0]))
        return _estimate(value, 0.0, name, cases, confidence)
    kappas = (observed - chance) / (1 - chance)
    value, left_out = float(kappas[0]), kappas[1:]
    error = float(np.sqrt((cases - 1) / cases * np.sum((left_out - left_out.mean()) ** 2)))
    return _estimate(value, error, name, cases, confidence)


def cochran_q(calls: ArrayLike) -> Test:
    """Test whether several raters call cases positive equally often (Cochran's Q).

    Parameters
    ----------
    calls
        0/1, shape (raters, cases). Of the correctness of the calls it tests equal
        accuracy; on the diseased alone, equal sensitivity.

    Returns
    -------
    Test
        Chi-squared with raters - 1 degrees of freedom; p = 1 when all raters agree on
        every case.

    Raises
    ------
    EvaluationError
        ``NOT_BINARY``, ``RATERS_TOO_FEW``.
    MismatchedCasesError
        ``LENGTHS_DIFFER``.

    References
    ----------
    Cochran 1950, Biometrika 37:256.
    """
    from scipy.special import chdtrc

    table = as_rows(calls, as_binary, "calls")
    _refuse_few_raters(len(table))
    method = "Cochran's Q"
    if (table == table[0]).all():
        return Test(0.0, len(table) - 1.0, 1.0, method)
    raters, total = len(table), table.sum()
    between = raters * np.sum(table.sum(axis=1) ** 2) - total**2
    within = raters * total - np.sum(table.sum(axis=0) ** 2)
    statistic = float((raters - 1) * between / within)
    return Test(statistic, raters - 1.0, float(chdtrc(raters - 1, statistic)), method)


def _agreement_weights(size: int, weights: str) -> NDArray[np.float64]:
    """How far each pair of categories agrees, from 0 to 1, shape (size, size)."""
    if weights == "none":
        return np.eye(size)
    apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) / (size - 1)
    return 1 - apart ** (1 if weights == "linear" else 2)


def _weighted_kappa(
    shares: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, float]:
    """Return kappa, and its standard error times the root of the number of cases."""
    first, second = shares.sum(axis=1), shares.sum(axis=0)
    observed, chance = float(np.sum(weights * shares)), float(first @ weights @ second)
    kappa = (observed - chance) / (1 - chance)
    # Fleiss, Cohen and Everitt 1969: the large-sample variance of weighted kappa.
    expected = (weights @ second)[:, None] + (first @ weights)[None, :]
    spread = np.sum(shares * (weights - expected * (1 - kappa)) ** 2)
    variance = float(spread - (kappa - chance * (1 - kappa)) ** 2) / (1 - chance) ** 2
    return kappa, float(np.sqrt(max(variance, 0.0)))


def _estimate(value: float, error: float, name: str, n: int, confidence: float) -> Estimate:
    if not error > _ZERO_ERROR:
        note = "the cases do not scatter enough for an interval of kappa"
        return Estimate(value, None, None, name, n, note)
    half = _quantile(confidence) * error
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half), name, n)


def _refuse_one_category(categories: int) -> None:
    if categories < 2:
        raise EvaluationError(
            "all ratings are of one category: agreement beyond chance is undefined",
            where="ratings",
            code="KAPPA_UNDEFINED",
        )


def _refuse_few_raters(raters: int) -> None:
    if raters < 2:
        raise EvaluationError(
            f"at least two raters are needed, got {raters}",
            where="calls",
            advice="give an array of shape (raters, cases)",
            code="RATERS_TOO_FEW",
        )


def _quantile(confidence: float) -> float:
    from scipy.special import ndtri

    return float(ndtri((1 + confidence) / 2))
