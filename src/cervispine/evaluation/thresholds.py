"""The operating point: the score at or above which a case is called positive."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, Literal

import attrs
import numpy as np
from numpy.typing import ArrayLike

from cervispine.evaluation.checking import as_scores, as_truth, check_same_length, choose
from cervispine.evaluation.delong import ranked_counts
from cervispine.exceptions import EvaluationError, UsageError

__all__ = ["Threshold", "choose_threshold"]


def _finite(value: Any) -> float:
    # Of NaN every comparison is false: nothing would be called, and no figure would show why.
    if not isinstance(value, Real) or not math.isfinite(value):
        raise UsageError(
            "a threshold is a finite number",
            where="threshold",
            advice="choose one on validation data, as choose_threshold does",
        )
    return float(value)


@attrs.frozen
class Threshold:
    """An operating point that remembers where it came from.

    Parameters
    ----------
    value
        A score at or above it is a positive call.
    source
        Where it was chosen, in words, as the tables print it.

    Raises
    ------
    UsageError
        A value that is not a finite number.
    """

    value: float = attrs.field(converter=_finite)
    source: str = "fixed beforehand"

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.source})"


def choose_threshold(
    truth: ArrayLike,
    scores: ArrayLike,
    *,
    rule: Literal["youden", "sensitivity", "specificity"] = "youden",
    at: float | None = None,
) -> float:
    """Choose an operating point among the observed scores.

    Choose on validation data, never on the cases it is then judged on.

    Parameters
    ----------
    truth
        0/1, 1 being diseased, shape (cases,).
    scores
        Higher means more diseased, shape (cases,).
    rule
        ``"youden"``: greatest sensitivity + specificity, the lowest of equals.
        ``"sensitivity"``: the highest score whose sensitivity is at least ``at``.
        ``"specificity"``: the lowest score whose specificity is at least ``at``.
    at
        In (0, 1], for the last two rules.

    Returns
    -------
    float
        A case is positive when its score is at or above it.

    Raises
    ------
    EvaluationError
        As ``auc``, and ``THRESHOLD_UNREACHABLE`` when no observed score has the
        specificity asked for.
    UsageError
        A rule without the ``at`` it needs, or with one it does not.

    References
    ----------
    Youden 1950, Cancer 3:32.
    """
    choose(rule, ("youden", "sensitivity", "specificity"), "rule")
    if (rule == "youden") != (at is None) or (at is not None and not 0 < at <= 1):
        raise UsageError(
            f"rule {rule!r} with at={at}",
            where="at",
            advice="youden takes none; sensitivity and specificity take one in (0, 1]",
        )
    labels, values = as_truth(truth), as_scores(scores)
    check_same_length(truth=labels, scores=values)
    counts = ranked_counts(labels, values)
    # At each distinct score: positives at or above it, negatives below it.
    detected = counts.positives[::-1].cumsum()[::-1]
    cleared = np.cumsum(counts.negatives) - counts.negatives
    positives, negatives = int(detected[0]), int(counts.negatives.sum())
    if rule == "youden":
        # Whole numbers, so that equals are equal; argmax takes the first, the lowest.
        return float(counts.values[np.argmax(detected * negatives + cleared * positives)])
    assert at is not None
    if rule == "sensitivity":
        return float(counts.values[np.flatnonzero(detected / positives >= at)[-1]])
    reached = np.flatnonzero(cleared / negatives >= at)
    if reached.size == 0:
        raise EvaluationError(
            f"no observed score has a specificity of {at:g}: "
            f"{counts.negatives[-1]} of {negatives} negatives share the highest score",
            where="scores",
            advice="ask for a lower specificity",
            code="THRESHOLD_UNREACHABLE",
        )
    return float(counts.values[reached[0]])
