"""Logits to probabilities, by the temperature that validation data ask for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["fit_temperature", "positive_probability"]

#: Beyond these a temperature says that the validation part is too small to calibrate on.
TEMPERATURES = (0.2, 20.0)


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
