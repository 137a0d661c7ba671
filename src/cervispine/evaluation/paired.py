"""Two sets of calls on the same cases: their difference, and McNemar's test."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import attrs
import numpy as np
from numpy.typing import ArrayLike

from cervispine.evaluation.checking import (
    as_binary,
    check_confidence,
    check_margin,
    check_same_length,
    choose,
)
from cervispine.evaluation.results import Difference
from cervispine.evaluation.roots import crossing
from cervispine.exceptions import EvaluationError

__all__ = ["PairedCounts", "mcnemar", "paired_difference"]

_SCOPE = "cases like these, these two raters"


@attrs.frozen
class PairedCounts:
    """How two raters' calls on the same cases fall together.

    Parameters
    ----------
    both, only_first, only_second, neither
        The number of cases that both, one or neither called positive (or got right).
    """

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def of(cls, first: ArrayLike, second: ArrayLike) -> PairedCounts:
        """Count two sets of 0/1 calls on the same cases, each of shape (cases,)."""
        a, b = as_binary(first, "calls_a"), as_binary(second, "calls_b")
        check_same_length(calls_a=a, calls_b=b)
        both, only_first, only_second = int(a @ b), int(a @ (1 - b)), int((1 - a) @ b)
        return cls(both, only_first, only_second, a.size - both - only_first - only_second)

    @property
    def n(self) -> int:
        """The number of cases."""
        return self.both + self.only_first + self.only_second + self.neither


def paired_difference(
    calls_a: ArrayLike,
    calls_b: ArrayLike,
    *,
    confidence: float = 0.95,
    method: Literal["tango", "newcombe"] = "tango",
    margin: float = 0.0,
) -> Difference:
    """Difference of two proportions on the same cases, first minus second.

    Parameters
    ----------
    calls_a, calls_b
        0/1 of the same cases, shape (cases,). Restricted to the diseased the
        difference is that of the sensitivities; of the calls of 1 minus those, on
        the non-diseased, that of the specificities.
    confidence
        Of the two-sided interval.
    method
        The interval: ``"tango"``, of the score test; or ``"newcombe"``, the square-and-add
        of Wilson limits (his method 10).
    margin
        Stated beforehand. At 0 the p-value is McNemar's mid-p, two-sided. Above 0 it
        is Tango's one-sided test of non-inferiority of the first: null hypothesis
        difference <= -margin, with its z as the statistic.

    Raises
    ------
    EvaluationError
        ``NOT_BINARY``, ``NO_CASES``.
    MismatchedCasesError
        ``LENGTHS_DIFFER``.
    UsageError
        A margin outside [0, 1).

    References
    ----------
    Tango 1998, Stat Med 17:891; Newcombe 1998, Stat Med 17:2635, method 10;
    Fagerland, Lydersen and Laake 2013, BMC Med Res Methodol 13:91, for mid-p.
    """
    return difference_of_counts(
        PairedCounts.of(calls_a, calls_b), confidence=confidence, method=method, margin=margin
    )


def difference_of_counts(
    counts: PairedCounts,
    *,
    confidence: float = 0.95,
    method: Literal["tango", "newcombe"] = "tango",
    margin: float = 0.0,
) -> Difference:
    """As ``paired_difference``, from the four counts."""
    choose(method, ("tango", "newcombe"), "method")
    check_confidence(confidence)
    check_margin(margin)
    interval = _tango if method == "tango" else _newcombe
    low, high = interval(counts, confidence)
    name = "Tango score interval" if method == "tango" else "Newcombe interval (method 10)"
    statistic: float | None = None
    if margin > 0:
        from scipy.special import ndtr

        statistic = _tango_z(counts, -margin)
        p_value = float(ndtr(-statistic))
        name += f"; Tango non-inferiority test, margin {margin:g}, one-sided"
    else:
        p_value = mcnemar(counts.only_first, counts.only_second)
        name += "; McNemar mid-p"
    value = (counts.only_first - counts.only_second) / counts.n
    return Difference(value, low, high, statistic, None, p_value, name, _SCOPE, counts.n)


def mcnemar(
    only_a: int,
    only_b: int,
    *,
    method: Literal["mid-p", "exact", "asymptotic", "corrected"] = "mid-p",
) -> float:
    """Two-sided p-value of McNemar's test from the two discordant counts.

    Parameters
    ----------
    only_a, only_b
        The number of cases that only the first, only the second called positive.
    method
        ``"mid-p"`` and ``"exact"`` are binomial; ``"asymptotic"`` and ``"corrected"``
        chi-squared with one degree of freedom, the latter with the continuity
        correction, which is dropped when the counts are equal (as R does).

    Returns
    -------
    float
        1 when there is no discordant case, whatever the method.

    Raises
    ------
    EvaluationError
        ``COUNTS_INVALID`` when a count is negative or no whole number.

    References
    ----------
    McNemar 1947, Psychometrika 12:153; Fagerland, Lydersen and Laake 2013, BMC Med
    Res Methodol 13:91, who prefer mid-p and asymptotic to exact.
    """
    from scipy.special import bdtr, chdtrc

    choose(method, ("mid-p", "exact", "asymptotic", "corrected"), "method")
    if not all(0 <= count < math.inf and count == int(count) for count in (only_a, only_b)):
        raise EvaluationError(
            f"{only_a} and {only_b} cannot be counts",
            where="only_a, only_b",
            code="COUNTS_INVALID",
        )
    b, c = int(only_a), int(only_b)
    total, least = b + c, min(b, c)
    if total == 0:
        return 1.0
    if method in ("exact", "mid-p"):
        at_most = float(bdtr(least, total, 0.5))
        below = float(bdtr(least - 1, total, 0.5)) if least else 0.0
        if method == "exact":
            return min(1.0, 2 * at_most)
        return 1 - (at_most - below) / 2 if b == c else at_most + below
    gap = abs(b - c) - (1 if method == "corrected" and b != c else 0)
    return float(chdtrc(1, gap**2 / total))


def _tango_variance(counts: PairedCounts, difference: float) -> float:
    """Return n squared times the variance of the difference, restricted to that difference."""
    n, b, c, d = counts.n, counts.only_first, counts.only_second, difference
    linear = -b - c + (2 * n - b + c) * d
    constant = -c * d * (1 - d)
    q = (np.sqrt(max(linear**2 - 8 * n * constant, 0.0)) - linear) / (4 * n)
    return max(float(n * (2 * q + d * (1 - d))), 0.0)


def _tango_z(counts: PairedCounts, difference: float) -> float:
    gap = counts.only_first - counts.only_second - counts.n * difference
    return float(gap / np.sqrt(_tango_variance(counts, difference)))


def _tango(counts: PairedCounts, confidence: float) -> tuple[float, float]:
    from scipy.special import ndtri

    z_squared = float(ndtri((1 + confidence) / 2)) ** 2

    def excess(difference: float) -> float:
        # Squared and without a quotient, so that a zero variance does no harm.
        gap = counts.only_first - counts.only_second - counts.n * difference
        return float(gap**2 - z_squared * _tango_variance(counts, difference))

    estimate = (counts.only_first - counts.only_second) / counts.n
    return _root(excess, estimate, -1.0), _root(excess, estimate, 1.0)


def _root(excess: Callable[[float], float], estimate: float, end: float) -> float:
    """Find the limit between the estimate and one end of the range of differences."""
    if estimate == end:
        return end
    # The excess vanishes at the estimate itself when no pair, or every pair, is
    # discordant; a step aside it is negative.
    start = estimate + np.copysign(1e-9, end)
    return crossing(excess, float(start), end) if excess(end) > 0 else end


def _newcombe(counts: PairedCounts, confidence: float) -> tuple[float, float]:
    from cervispine.evaluation.proportions import proportion

    n = counts.n
    first, second = counts.both + counts.only_first, counts.both + counts.only_second
    one = proportion(first, n, confidence=confidence)
    two = proportion(second, n, confidence=confidence)
    assert one.low is not None
    assert one.high is not None
    assert two.low is not None
    assert two.high is not None
    # Python's integers do not overflow in the product of the four margins.
    margins = first * (n - first) * second * (n - second)
    cross = counts.both * counts.neither - counts.only_first * counts.only_second
    phi = (max(cross - n / 2, 0) if cross > 0 else cross) / margins**0.5 if margins else 0.0
    value = one.value - two.value
    below, above = one.value - one.low, two.high - two.value
    low = value - np.sqrt(below**2 - 2 * phi * below * above + above**2)
    above, below = one.high - one.value, two.value - two.low
    high = value + np.sqrt(above**2 - 2 * phi * above * below + below**2)
    return float(max(low, -1.0)), float(min(high, 1.0))
