"""Logits to probabilities, by the odds of the training part and the temperature of validation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["class_weights", "fit_temperature", "offset_of", "positive_probability"]

#: Beyond these a temperature says that the validation part is too small to calibrate on.
TEMPERATURES = (0.2, 20.0)


def class_weights(truth: NDArray[np.int64], class_weight: str | None) -> NDArray[np.float64]:
    """Return what the loss weighs the negative and the positive class by, float64 (2,).

    Parameters
    ----------
    truth
        (n,) 0 or 1, of the training part; both occur.
    class_weight
        "balanced" for two classes that weigh alike together; None for studies that do.
    """
    if class_weight is None:
        return np.ones(2)
    return len(truth) / (2 * np.bincount(truth, minlength=2))


def offset_of(weights: NDArray[np.float64]) -> float:
    """Return what margins lack that were trained under a loss of weighted classes.

    To such a loss the classes are as common as their weights make them, so a network says how
    likely a class would be there. With balanced weights it lacks the log of the odds of the
    training part. Elkan 2001, "The Foundations of Cost-Sensitive Learning" (IJCAI, p. 973),
    Theorem 2.

    Parameters
    ----------
    weights
        (2,): of the negative and the positive class.
    """
    return float(np.log(weights[0] / weights[1]))


def positive_probability(margins: ArrayLike, temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the probability of the positive class, float64 (n,).

    Parameters
    ----------
    margins
        (n,): logit of the positive class minus logit of the negative one.
    temperature
        Divides the margins; above 1 where the network is too sure of itself.
    """
    from scipy.special import expit

    return expit(np.asarray(margins, dtype=np.float64) / temperature)


def fit_temperature(truth: ArrayLike, margins: ArrayLike) -> float:
    """Return the temperature under which validation data are likeliest.

    One parameter, so that even a small validation part can bear it, and monotone, so that no
    AUC changes. Guo et al. 2017, "On Calibration of Modern Neural Networks", s. 4.2.

    Parameters
    ----------
    truth
        (n,) 0 or 1.
    margins
        (n,): logit of the positive class minus logit of the negative one.
    """
    from scipy.optimize import minimize_scalar

    signs = 2 * np.asarray(truth, dtype=np.float64) - 1
    margins = np.asarray(margins, dtype=np.float64)

    def log_loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, -signs * margins / np.exp(log_temperature)).mean())

    low, high = np.log(TEMPERATURES)
    return float(np.exp(minimize_scalar(log_loss, bounds=(low, high), method="bounded").x))
