"""One model against the mean of several readers of the same cases.

Whether the readers are these very readers (fixed) or a sample of readers like
them (random) decides the answer when they are few: ask both, and say which.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from cervispine.evaluation.checking import (
    Scores,
    as_truth,
    check_confidence,
    check_margin,
    choose,
    rows_of,
)
from cervispine.evaluation.covariances import FigureCovariance, Measure, figures_and_covariance
from cervispine.evaluation.delong import ZERO_VARIANCE
from cervispine.evaluation.results import Difference, hypothesis_in_words, with_warning
from cervispine.exceptions import EvaluationError

__all__ = ["model_against_readers"]

# Below this many readers their own scatter is hardly known (our judgement).
ENOUGH_READERS = 5


def model_against_readers(
    truth: ArrayLike,
    model: ArrayLike,
    readers: Mapping[str, ArrayLike] | ArrayLike,
    *,
    readers_are: Literal["random", "fixed"] = "random",
    covariance: FigureCovariance = "delong",
    measure: Measure = "auc",
    confidence: float = 0.95,
    margin: float = 0.0,
) -> Difference:
    """Difference of a model and the mean of the readers, model minus readers.

    Parameters
    ----------
    truth
        0/1, 1 being diseased, shape (cases,).
    model
        The model's scores, or its 0/1 calls for sensitivity and specificity,
        shape (cases,).
    readers
        The readers' ratings, or calls, of the same cases: by name, or of shape
        (readers, cases).
    readers_are
        ``"random"``: readers like these; the single-treatment analysis of Obuchowski
        and Rockette with Hillis' degrees of freedom, at least two readers.
        ``"fixed"``: these readers only; a contrast on the joint covariance.
    covariance
        Of the raters' figures over cases: DeLong's, the jackknife's, or the unbiased one.
        They differ for areas only.
    measure
        What is compared; sensitivity and specificity are of calls at an operating point.
    confidence
        Of the two-sided interval.
    margin
        Stated beforehand. Above 0 the test is of non-inferiority of the model: null
        hypothesis difference <= -margin, one-sided.

    Returns
    -------
    Difference
        Its scope says in words for what readers and cases it holds. Random readers
        fewer than five draw a StatisticsWarning.

    Raises
    ------
    EvaluationError
        As ``auc``; ``READERS_TOO_FEW``; ``NOT_BINARY`` for calls that are not.
    UsageError
        A margin outside [0, 1).

    Notes
    -----
    Assumes that every reader read every case, once.

    References
    ----------
    Obuchowski and Rockette 1995, Commun Stat Simul 24:285; Hillis 2007, Stat Med
    26:596, section 5.3; DeLong, DeLong and Clarke-Pearson 1988, Biometrics 44:837.
    """
    return with_warning(
        estimate_against_readers(
            truth,
            model,
            readers,
            readers_are=readers_are,
            covariance=covariance,
            measure=measure,
            confidence=confidence,
            margin=margin,
        )
    )


def estimate_against_readers(
    truth: ArrayLike,
    model: ArrayLike,
    readers: Mapping[str, ArrayLike] | ArrayLike,
    *,
    readers_are: Literal["random", "fixed"] = "random",
    covariance: FigureCovariance = "delong",
    measure: Measure = "auc",
    confidence: float = 0.95,
    margin: float = 0.0,
) -> Difference:
    """As ``model_against_readers``, with what there is to warn of in the note."""
    choose(readers_are, ("random", "fixed"), "readers_are")
    check_confidence(confidence)
    check_margin(margin)
    labels = as_truth(truth)
    rows = list(readers.values()) if isinstance(readers, Mapping) else rows_of(readers)
    needed = 2 if readers_are == "random" else 1
    if len(rows) < needed:
        raise EvaluationError(
            f"readers taken as {readers_are} must be at least {needed}, got {len(rows)}",
            where="readers",
            advice="compare with one reader by compare_aucs or paired_difference",
            code="READERS_TOO_FEW",
        )
    values, spread = figures_and_covariance(labels, [model, *rows], measure, covariance)
    # psi: each reader minus the model, as Hillis writes it; the sign turns at the end.
    psi = values[1:] - values[0]
    covariances = spread[1:, 1:] - spread[1:, :1] - spread[:1, 1:] + spread[0, 0]
    name = {"auc": f"AUC, {covariance} covariance"}.get(measure, measure)
    test = _random_readers if readers_are == "random" else _fixed_readers
    return test(psi, covariances, name, labels.size, confidence, margin)


def note_of_few(readers: int) -> str:
    """Return what narrows an inference from so many readers to readers like them, if anything."""
    if readers >= ENOUGH_READERS:
        return ""
    return (
        f"only {readers} readers: how readers in general scatter is hardly known, "
        "so the inference to them is weak"
    )


def _random_readers(
    psi: Scores, covariances: Scores, name: str, n: int, confidence: float, margin: float = 0.0
) -> Difference:
    from scipy.special import stdtr, stdtrit

    readers = psi.size
    off_diagonal = covariances[~np.eye(readers, dtype=bool)].mean()
    scatter = float(psi.var(ddof=1))
    denominator = scatter + max(readers * float(off_diagonal), 0.0)
    method = f"{name}; single-treatment Obuchowski-Rockette, Hillis degrees of freedom"
    scope = f"readers like these {readers} and cases like these"
    note = note_of_few(readers)
    value = 0.0 - float(psi.mean())  # never -0.0
    if not denominator > ZERO_VARIANCE:
        return _not_estimable(value, method, scope, n, note)
    error = float(np.sqrt(denominator / readers))
    # Readers without any scatter leave the scatter of cases, whose df are infinite.
    df = denominator**2 / (scatter**2 / (readers - 1)) if scatter > ZERO_VARIANCE else np.inf
    t = (value + margin) / error
    half = float(stdtrit(df, (1 + confidence) / 2)) * error
    p_value = float(stdtr(df, -t) if margin else 2 * stdtr(df, -abs(t)))
    method += hypothesis_in_words(margin)
    return _difference(value, half, t, df, p_value, method, scope, n, note)


def _fixed_readers(
    psi: Scores, covariances: Scores, name: str, n: int, confidence: float, margin: float = 0.0
) -> Difference:
    from scipy.special import ndtr, ndtri

    variance = float(covariances.mean())
    method = f"{name}; contrast on the joint covariance"
    scope = f"these {psi.size} readers only, cases like these"
    value = 0.0 - float(psi.mean())  # never -0.0
    if not variance > ZERO_VARIANCE:
        return _not_estimable(value, method, scope, n, "")
    error = float(np.sqrt(variance))
    z = (value + margin) / error
    half = float(ndtri((1 + confidence) / 2)) * error
    p_value = float(ndtr(-z) if margin else 2 * ndtr(-abs(z)))
    method += hypothesis_in_words(margin)
    return _difference(value, half, z, None, p_value, method, scope, n, "")


def _difference(
    value: float,
    half: float,
    statistic: float,
    df: float | None,
    p_value: float,
    method: str,
    scope: str,
    n: int,
    note: str,
) -> Difference:
    low, high = max(-1.0, value - half), min(1.0, value + half)
    return Difference(value, low, high, statistic, df, p_value, method, scope, n, note)


def _not_estimable(value: float, method: str, scope: str, n: int, note: str) -> Difference:
    reason = "the variance of the difference is zero or undefined, so it has no interval"
    note = f"{note}; {reason}" if note else reason
    p_value = 1.0 if value == 0 else None
    return Difference(value, None, None, None, None, p_value, method, scope, n, note)
