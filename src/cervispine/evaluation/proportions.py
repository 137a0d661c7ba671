"""A proportion and its interval."""

from __future__ import annotations

import math
from typing import Literal

from cervispine.evaluation.checking import check_confidence, choose
from cervispine.evaluation.results import Estimate
from cervispine.exceptions import EvaluationError

__all__ = ["proportion", "wilson_limits"]

_NAMES = {"wilson": "Wilson", "clopper-pearson": "Clopper-Pearson"}


def proportion(
    successes: int,
    trials: int,
    *,
    confidence: float = 0.95,
    method: Literal["wilson", "clopper-pearson"] = "wilson",
) -> Estimate:
    """Proportion of successes with its interval.

    Parameters
    ----------
    successes, trials
        Counts of independent trials, 0 <= successes <= trials, trials > 0.
    confidence
        Of the two-sided interval.
    method
        ``"wilson"``: the score interval, whose coverage is near the level on average.
        ``"clopper-pearson"``: the exact one, whose coverage is never below it.

    Raises
    ------
    EvaluationError
        ``NO_TRIALS`` when there are none, ``COUNTS_INVALID`` when the counts
        contradict each other.

    References
    ----------
    Wilson 1927, JASA 22:209; Clopper and Pearson 1934, Biometrika 26:404.
    """
    choose(method, tuple(_NAMES), "method")
    check_confidence(confidence)
    if trials == 0:
        raise EvaluationError(
            "a proportion of no trials is undefined", where="trials", code="NO_TRIALS"
        )
    if (
        not 0 <= successes <= trials < math.inf
        or successes != int(successes)
        or trials != int(trials)
    ):
        raise EvaluationError(
            f"{successes} successes in {trials} trials cannot be counts",
            where="successes, trials",
            code="COUNTS_INVALID",
        )
    limits = wilson_limits if method == "wilson" else _clopper_pearson
    low, high = limits(int(successes), int(trials), (1 - confidence) / 2)
    return Estimate(successes / trials, low, high, _NAMES[method], int(trials))


# scipy.stats.binomtest has the same limits; importing it would take as long as a comparison.


def wilson_limits(successes: float, trials: int, tail: float) -> tuple[float, float]:
    """Return Wilson's limits; the sum of values from 0 to 1 may stand for the successes.

    No values from 0 to 1 of the same mean scatter more than those that are 0 or 1, so the
    limits are then on the safe side.
    """
    from scipy.special import ndtri

    z = float(ndtri(1 - tail))
    failures, total = trials - successes, trials + z**2
    middle = (successes + z**2 / 2) / total
    half = z / total * math.sqrt(successes * failures / trials + z**2 / 4)
    return middle - half if successes else 0.0, middle + half if failures else 1.0


def _clopper_pearson(successes: int, trials: int, tail: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    failures = trials - successes
    low = float(betaincinv(successes, failures + 1, tail)) if successes else 0.0
    return low, float(betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
