"""Two areas under ROC curves on different cases: two hospitals, or two groups of patients."""

from __future__ import annotations

from typing import Literal

from numpy.typing import ArrayLike

from cervispine.evaluation.areas import estimate_auc
from cervispine.evaluation.checking import check_confidence, check_margin, checked_pair, choose
from cervispine.evaluation.delong import ZERO_VARIANCE, placements
from cervispine.evaluation.results import Difference, hypothesis_in_words, with_warning

__all__ = ["compare_independent_aucs"]

_METHOD = "unpaired DeLong, Satterthwaite degrees of freedom"
_SCOPE = "two independent samples of cases, cases like these"


def compare_independent_aucs(
    truth_a: ArrayLike,
    a: ArrayLike,
    truth_b: ArrayLike,
    b: ArrayLike,
    *,
    confidence: float = 0.95,
    margin: float = 0.0,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
) -> Difference:
    """Difference of two areas on different cases (unpaired DeLong), first minus second.

    For one model in two hospitals, or in two groups of patients. Two raters of the same
    cases are compared by ``compare_aucs``, which is far more powerful.

    Parameters
    ----------
    truth_a, a
        0/1 (1 being diseased) and scores of the first cases, shape (first cases,).
    truth_b, b
        The same of the second cases, shape (second cases,).
    confidence
        Of the interval, which is two-sided whatever the alternative.
    margin
        Stated beforehand. Above 0 the test is of non-inferiority of the first:
        null hypothesis a - b <= -margin, one-sided.
    alternative
        With a margin of 0: two-sided, or one-sided that the first is ``"greater"`` or
        ``"less"``.

    Returns
    -------
    Difference
        ``n`` counts both samples. Where a sample has one case of a class, or parts its
        classes completely, its variance is undefined or 0: nothing is estimable, and a
        StatisticsWarning says so.

    Raises
    ------
    EvaluationError, MismatchedCasesError
        As ``auc``.
    UsageError
        A margin outside [0, 1), or one with ``alternative="less"``.

    Notes
    -----
    Assumes that no case, and no patient, is in both samples. t with the degrees of freedom
    of Satterthwaite, as pROC.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837; Satterthwaite 1946,
    Biometrics Bulletin 2:110.
    """
    from scipy.special import stdtr, stdtrit

    choose(alternative, ("two-sided", "greater", "less"), "alternative")
    check_confidence(confidence)
    check_margin(margin, alternative)
    samples = [checked_pair(truth_a, a, "a"), checked_pair(truth_b, b, "b")]
    areas, variances, sizes = [], [], []
    for labels, scores in samples:
        placed = placements(labels, scores[None, :])
        areas.append(float(placed.areas[0]))
        variances.append(float(placed.covariance()[0, 0]))
        sizes.append(labels.size)
    value, n = areas[0] - areas[1], sum(sizes)
    method = _METHOD + hypothesis_in_words(margin, alternative)
    if not min(variances) > ZERO_VARIANCE:
        notes = [estimate_auc(*sample).note for sample in samples]
        reason = "; ".join(note for note in notes if note)
        note = f"the difference has no interval and no test: {reason}"
        return with_warning(
            Difference(value, None, None, None, None, None, method, _SCOPE, n, note)
        )
    variance = sum(variances)
    df = variance**2 / sum(v**2 / (size - 1) for v, size in zip(variances, sizes, strict=True))
    error = variance**0.5
    t = (value + margin) / error
    half = float(stdtrit(df, (1 + confidence) / 2)) * error
    if margin:
        alternative = "greater"
    p_value = float(
        2 * stdtr(df, -abs(t))
        if alternative == "two-sided"
        else stdtr(df, -t if alternative == "greater" else t)
    )
    low, high = max(-1.0, value - half), min(1.0, value + half)
    return Difference(value, low, high, t, df, p_value, method, _SCOPE, n)
