"""The components of variance of a reader study, and the error that follows from them.

References
----------
Obuchowski and Rockette 1995, Commun Stat Simul 24:285; Hillis 2007, Stat Med 26:596; Hillis
2014, Stat Med 33:330, for fixed readers or fixed cases.
"""

from __future__ import annotations

from typing import Any, Literal

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.checking import Scores
from cervispine.evaluation.delong import ZERO_VARIANCE
from cervispine.evaluation.results import json_fields

__all__ = ["Components", "Effect", "ErrorTerm", "components_of"]

Effect = Literal["random", "fixed"]

# What rounding leaves of a variance that is zero, as a share of one figure's.
_ZERO_SHARE = 1e-12


@attrs.frozen
class ErrorTerm:
    """What a mean square of the modalities is measured by.

    Parameters
    ----------
    variance
        J times the variance of the mean of J readers, apart from what moves all modalities
        alike; 0 where nothing scatters.
    df
        Its degrees of freedom; infinite where only cases scatter.
    """

    variance: float
    df: float


@attrs.frozen
class Components:
    """How the figures of readers and modalities scatter, after Obuchowski and Rockette.

    Parameters
    ----------
    modalities, readers
        Their numbers.
    ms_modality, ms_reader, ms_modality_by_reader
        Mean squares of the figures; ``None`` without a degree of freedom.
    error
        The mean variance of one figure over cases.
    cov1
        The mean covariance, over cases, of one reader's figures in two modalities; ``None`` of
        a single modality.
    cov2
        Of two readers' figures in one modality; ``None`` of a single reader.
    cov3
        Of two readers' figures in two modalities; ``None`` where one of them is single.
    """

    modalities: int
    readers: int
    ms_modality: float | None
    ms_reader: float | None
    ms_modality_by_reader: float | None
    error: float
    cov1: float | None
    cov2: float | None
    cov3: float | None

    @property
    def reader(self) -> float | None:
        """The variance of readers, which can be estimated below 0; ``None`` where it cannot."""
        if self.ms_reader is None or self.ms_modality_by_reader is None:
            return None
        gain = (self.ms_reader - self.ms_modality_by_reader) / self.modalities
        return gain - (self.cov1 or 0.0) + (self.cov3 or 0.0)

    @property
    def modality_by_reader(self) -> float | None:
        """The variance of what a reader gains from a modality; as ``reader``."""
        if self.ms_modality_by_reader is None:
            return None
        shared = max((self.cov2 or 0.0) - (self.cov3 or 0.0), 0.0)
        return self.ms_modality_by_reader - self.error + (self.cov1 or 0.0) + shared

    def error_term(self, readers: Effect, cases: Effect) -> ErrorTerm:
        """Return the error of the modalities' differences, or of the mean in a single one."""
        people = self.readers
        scatter = self.ms_reader if self.modalities == 1 else self.ms_modality_by_reader
        shared = max((self.cov2 or 0.0) - (self.cov3 or 0.0), 0.0)
        df = max(self.modalities - 1, 1) * (people - 1)
        if readers == "fixed":
            term = ErrorTerm(self.error - (self.cov1 or 0.0) + (people - 1) * shared, np.inf)
        elif cases == "fixed":
            term = ErrorTerm(scatter or 0.0, df)
        else:
            assert scatter is not None
            variance = scatter + people * shared
            # Readers without any scatter leave the scatter of cases, whose df are infinite.
            term = ErrorTerm(
                variance, variance**2 * df / scatter**2 if self._counts(scatter) else np.inf
            )
        return term if self._counts(term.variance) else ErrorTerm(0.0, term.df)

    def to_dict(self) -> dict[str, Any]:
        """Return the components as JSON-ready values."""
        derived = {"reader": self.reader, "modality_by_reader": self.modality_by_reader}
        return {**json_fields(self), **derived}

    def _counts(self, variance: float) -> bool:
        return variance > max(ZERO_VARIANCE, _ZERO_SHARE * self.error)


def components_of(figures: Scores, spread: Scores) -> Components:
    """Return the components of variance of figures and their covariance over cases.

    Parameters
    ----------
    figures
        Shape (modalities, readers).
    spread
        The covariance of the figures in that order, shape (modalities * readers, the same).
    """
    modalities, readers = figures.shape
    between = np.repeat(np.arange(modalities), readers)
    among = np.tile(np.arange(readers), modalities)
    same_modality = between[:, None] == between
    same_reader = among[:, None] == among
    by_modality, by_reader = figures.mean(axis=1), figures.mean(axis=0)
    mean = figures.mean()
    interaction = figures - by_modality[:, None] - by_reader + mean
    return Components(
        modalities,
        readers,
        _mean_square(readers * np.sum((by_modality - mean) ** 2), modalities - 1),
        _mean_square(modalities * np.sum((by_reader - mean) ** 2), readers - 1),
        _mean_square(np.sum(interaction**2), (modalities - 1) * (readers - 1)),
        float(np.diag(spread).mean()),
        _mean(spread[same_reader & ~same_modality]),
        _mean(spread[~same_reader & same_modality]),
        _mean(spread[~same_reader & ~same_modality]),
    )


def _mean_square(squares: float, df: int) -> float | None:
    return float(squares) / df if df else None


def _mean(covariances: NDArray[np.float64]) -> float | None:
    return float(covariances.mean()) if covariances.size else None
