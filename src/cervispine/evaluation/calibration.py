"""Whether probabilities mean what they say, and whether acting on them helps."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.evaluation.checking import (
    Binary,
    Scores,
    as_binary,
    as_scores,
    as_truth,
    check_same_length,
)
from cervispine.evaluation.results import json_fields
from cervispine.evaluation.roots import crossing
from cervispine.exceptions import EvaluationError, UsageError

__all__ = ["Calibration", "calibration", "net_benefit"]

# The logit of 0 and 1 is infinite; R's rms clips likewise.
_CLIP = 1e-6
_BINS = 10
# Newton's method needs about six steps.
_STEPS = 100
_CONVERGED = 1e-10


@attrs.frozen(eq=False)
class Calibration:
    """How well probabilities agree with what happened.

    Parameters
    ----------
    brier
        Mean squared difference of probability and truth; 0 is perfect.
    slope
        Of the logistic regression of the truth on the logit; 1 is right, below 1
        the probabilities are too extreme. ``None`` where it is not estimable.
    intercept
        Calibration in the large: the intercept with the slope held at 1; 0 is
        right, above 0 the probabilities are too low.
    ece
        Expected calibration error over ten bins of equal width, closed on the right.
    scaled_brier
        1 - Brier / Brier of always saying the prevalence; 1 is perfect, 0 useless.
    joint_intercept
        The intercept of the regression that gives the slope (``val.prob`` of R's rms).
    bins
        The reliability curve: mean probability, share of positives and number of
        cases of each bin that holds a case, shape (bins, 3).
    n
        The number of cases.
    """

    brier: float
    slope: float | None
    intercept: float
    ece: float
    scaled_brier: float
    joint_intercept: float | None
    bins: Scores
    n: int

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values, without the bins."""
        return json_fields(self, without=("bins",))


def calibration(truth: ArrayLike, probabilities: ArrayLike) -> Calibration:
    """Return the calibration of probabilities.

    Parameters
    ----------
    truth
        0/1, 1 being diseased, shape (cases,).
    probabilities
        Of disease, within [0, 1], shape (cases,). For the logit they are clipped to
        [1e-6, 1 - 1e-6].

    Raises
    ------
    EvaluationError
        As ``auc``, and ``NOT_PROBABILITIES`` when a value lies outside [0, 1].

    References
    ----------
    Cox 1958, Biometrika 45:562, for slope and intercept; Brier 1950, Mon Weather
    Rev 78:1.
    """
    labels = as_truth(truth)
    values = _probabilities(probabilities)
    check_same_length(truth=labels, probabilities=values)
    brier = float(np.mean((values - labels) ** 2))
    prevalence = float(labels.mean())
    clipped = np.clip(values, _CLIP, 1 - _CLIP)
    logits = np.log(clipped) - np.log1p(-clipped)
    joint, slope = _recalibration(labels, logits)
    bins = _reliability(labels, values)
    return Calibration(
        brier=brier,
        slope=slope,
        intercept=_in_the_large(labels, logits),
        ece=float(np.sum(np.abs(bins[:, 0] - bins[:, 1]) * bins[:, 2]) / labels.size),
        scaled_brier=1 - brier / (prevalence * (1 - prevalence)),
        joint_intercept=joint,
        bins=bins,
        n=labels.size,
    )


def net_benefit(
    truth: ArrayLike, probabilities: ArrayLike, thresholds: ArrayLike
) -> NDArray[np.float64]:
    """Net benefit of acting on probabilities at or above each threshold.

    Parameters
    ----------
    truth
        0/1, 1 being diseased, shape (cases,).
    probabilities
        Of disease, within [0, 1], shape (cases,). All ones gives treating everybody.
    thresholds
        Probabilities in (0, 1) at which one would act, shape (thresholds,).

    Returns
    -------
    ndarray of float64, shape (thresholds,)
        True positives / n - false positives / n * t / (1 - t).

    Raises
    ------
    EvaluationError
        ``NOT_PROBABILITIES`` and as ``auc``; a single class is allowed.
    UsageError
        A threshold outside (0, 1).

    References
    ----------
    Vickers and Elkin 2006, Med Decis Making 26:565.
    """
    labels, values = as_binary(truth, "truth"), _probabilities(probabilities)
    check_same_length(truth=labels, probabilities=values)
    limits = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if not ((limits > 0) & (limits < 1)).all():
        raise UsageError("a threshold of net benefit lies between 0 and 1", where="thresholds")
    acted = values >= limits[:, None]
    true_positives = (acted & (labels == 1)).mean(axis=1)
    false_positives = (acted & (labels == 0)).mean(axis=1)
    benefit: NDArray[np.float64] = true_positives - false_positives * limits / (1 - limits)
    return benefit


def _probabilities(values: ArrayLike) -> Scores:
    array = as_scores(values, "probabilities")
    outside = int(((array < 0) | (array > 1)).sum())
    if outside:
        raise EvaluationError(
            f"{outside} of {array.size} probabilities lie outside [0, 1]",
            where="probabilities",
            advice="calibration is of probabilities; scores on another scale have none",
            code="NOT_PROBABILITIES",
        )
    return array


def _recalibration(truth: Binary, logits: Scores) -> tuple[float | None, float | None]:
    """Intercept and slope of the logistic regression on the logits; None when not finite.

    Newton's method, whose steps are those of every GLM program; importing one takes longer
    than a comparison.
    """
    from scipy.special import expit

    positive, negative = logits[truth == 1], logits[truth == 0]
    # Classes that do not overlap, in either direction, have no finite slope.
    if positive.min() >= negative.max() or negative.min() >= positive.max():
        return None, None
    design = np.column_stack([np.ones(truth.size), logits])
    coefficients = np.zeros(2)
    for _ in range(_STEPS):
        fitted = expit(design @ coefficients)
        information = (design.T * (fitted * (1 - fitted))) @ design
        try:
            step = np.linalg.solve(information, design.T @ (truth - fitted))
        except np.linalg.LinAlgError:
            return None, None
        coefficients += step
        if np.abs(step).max() <= _CONVERGED * max(1.0, np.abs(coefficients).max()):
            return float(coefficients[0]), float(coefficients[1])
    return None, None


def _in_the_large(truth: Binary, logits: Scores) -> float:
    """Find the shift of the logits at which as many positives are expected as there are."""
    from scipy.special import expit

    # Both classes are there and the logits are clipped, so the root lies well inside.
    limit = float(2 * np.log(truth.size) - 2 * np.log(_CLIP))
    return crossing(
        lambda shift: float(expit(logits + shift).sum()) - float(truth.sum()), -limit, limit
    )


def _reliability(truth: Binary, probabilities: Scores) -> Scores:
    edges = np.linspace(0, 1, _BINS + 1)
    places = np.clip(np.searchsorted(edges, probabilities, side="left") - 1, 0, _BINS - 1)
    counts = np.bincount(places, minlength=_BINS)
    held = counts > 0
    means = [
        np.bincount(places, weights, _BINS)[held] / counts[held]
        for weights in (probabilities, truth)
    ]
    return np.column_stack([*means, counts[held]])
