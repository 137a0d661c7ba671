"""A proportion and its interval."""

from __future__ import annotations

from typing import Final, Literal

from cervispine.evaluation.checking import check_confidence, choose
from cervispine.evaluation.results import Estimate
from cervispine.exceptions import EvaluationError

__all__ = ["proportion"]

_SciPyName = Literal["wilson", "exact"]
_NAMES: Final[dict[str, tuple[_SciPyName, str]]] = {
    "wilson": ("wilson", "Wilson"),
    "clopper-pearson": ("exact", "Clopper-Pearson"),
}


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
    from scipy.stats import binomtest

    choose(method, tuple(_NAMES), "method")
    check_confidence(confidence)
    if trials == 0:
        raise EvaluationError(
            "a proportion of no trials is undefined", where="trials", code="NO_TRIALS"
        )
    if not 0 <= successes <= trials or successes != int(successes) or trials != int(trials):
        raise EvaluationError(
            f"{successes} successes in {trials} trials cannot be counts",
            where="successes, trials",
            code="COUNTS_INVALID",
        )
    scipy_name, name = _NAMES[method]
    interval = binomtest(int(successes), int(trials)).proportion_ci(confidence, method=scipy_name)
    return Estimate(
        successes / trials, float(interval.low), float(interval.high), name, int(trials)
    )
