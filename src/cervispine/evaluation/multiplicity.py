"""Correction of a family of p-values for their number."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.evaluation.checking import as_scores, choose
from cervispine.exceptions import EvaluationError

__all__ = ["Correction", "adjust"]

Correction = Literal["holm", "hochberg", "benjamini-hochberg", "bonferroni"]

CORRECTIONS = ("holm", "hochberg", "benjamini-hochberg", "bonferroni")


def adjust(p_values: ArrayLike, *, method: Correction = "holm") -> NDArray[np.float64]:
    """Return p-values corrected for the number of tests in their family.

    Parameters
    ----------
    p_values
        All p-values of the family, shape (tests,); may be empty.
    method
        ``"holm"`` and ``"bonferroni"`` hold the chance of any false rejection whatever
        the dependence; ``"hochberg"`` does so for independent or positively
        dependent tests; ``"benjamini-hochberg"`` holds the false discovery rate.

    Returns
    -------
    ndarray of float64, shape (tests,)
        In the order given.

    Raises
    ------
    EvaluationError
        ``P_VALUES_INVALID`` when one lies outside [0, 1].

    References
    ----------
    Holm 1979, Scand J Stat 6:65; Hochberg 1988, Biometrika 75:800; Benjamini and
    Hochberg 1995, JRSS B 57:289.
    """
    choose(method, CORRECTIONS, "method")
    if np.size(p_values) == 0:
        return np.empty(0)
    family = as_scores(p_values, "p_values")
    if ((family < 0) | (family > 1)).any():
        raise EvaluationError(
            "a p-value lies outside [0, 1]", where="p_values", code="P_VALUES_INVALID"
        )
    # Written here because statsmodels' multipletests runs the garbage collector at each
    # call, which takes longer than all the rest of a comparison.
    tests = family.size
    order = np.argsort(family)
    steps = np.arange(1, tests + 1)
    factors = {
        "holm": tests - steps + 1,
        "hochberg": tests - steps + 1,
        "benjamini-hochberg": tests / steps,
        "bonferroni": np.full(tests, tests),
    }[method]
    raised = family[order] * factors
    if method == "holm":
        raised = np.maximum.accumulate(raised)
    elif method != "bonferroni":
        raised = np.minimum.accumulate(raised[::-1])[::-1]
    corrected = np.empty(tests)
    corrected[order] = np.minimum(raised, 1.0)
    return corrected
