"""The Obuchowski-Rockette analysis where every reader read in every modality."""

from __future__ import annotations

import math

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.checking import Scores
from cervispine.evaluation.components import Components, Effect, components_of
from cervispine.evaluation.results import Difference, Estimate

__all__ = ["Factorial"]

# Figures nearer than this are equal, and a variance that is a smaller share of a single
# figure's is what rounding leaves of none.
_ZERO, _ZERO_SHARE = 1e-12, 1e-12


@attrs.frozen(eq=False)
class Factorial:
    """The figures of a reader study and what follows from them.

    Parameters
    ----------
    figures
        Shape (modalities, readers).
    spread
        Their covariance over cases, in that order.
    components
        The components of variance of both.
    readers, cases
        Which of them are random.
    n
        The number of cases.
    confidence
        Of the two-sided intervals.
    name
        Measure and covariance, in words.
    """

    figures: Scores
    spread: Scores
    components: Components
    readers: Effect
    cases: Effect
    n: int
    confidence: float
    name: str

    @property
    def method(self) -> str:
        """The analysis, in words."""
        if self.readers == self.cases == "random":
            return f"{self.name}; Obuchowski-Rockette, Hillis degrees of freedom"
        return (
            f"{self.name}; Obuchowski-Rockette, "
            f"{'readers' if self.readers == 'fixed' else 'cases'} fixed"
        )

    @property
    def scope(self) -> str:
        """For which readers and cases it holds, in words."""
        people = self.figures.shape[1]
        fixed = "this one reader only" if people == 1 else f"these {people} readers only"
        readers = fixed if self.readers == "fixed" else "readers like these"
        return f"{readers}, {'these cases only' if self.cases == 'fixed' else 'cases like these'}"

    def test(self) -> tuple[float | None, tuple[float, float] | None, float | None]:
        """F of the hypothesis that all modalities are alike, its df and p."""
        from scipy.special import chdtrc, fdtrc

        between = self.components.ms_modality
        if between is None:
            return None, None, None
        term = self.components.error_term(self.readers, self.cases)
        if term.variance == 0:
            return None, None, 1.0 if np.ptp(self.figures.mean(axis=1)) < _ZERO else None
        f, numerator = between / term.variance, self.components.modalities - 1
        p_value = fdtrc(numerator, term.df, f)
        if np.isinf(term.df):
            p_value = chdtrc(numerator, numerator * f)
        return f, (float(numerator), term.df), float(p_value)

    def mean(self, modality: int) -> Estimate:
        """Return the mean of the readers in one modality."""
        people = self.figures.shape[1]
        places = self._places(modality)
        alone = components_of(self.figures[[modality]], self.spread[np.ix_(places, places)])
        term = alone.error_term(self.readers, self.cases)
        value = float(self.figures[modality].mean())
        half = self._half(term.variance / people, term.df)
        return self._estimate(value, half, "mean of the readers")

    def figure(self, modality: int, reader: int) -> Estimate:
        """Return one reader's figure in one modality."""
        place = self._places(modality)[reader]
        half = self._half(float(self.spread[place, place]), np.inf)
        return self._estimate(float(self.figures[modality, reader]), half, "normal, over cases")

    def difference(self, first: int, second: int) -> Difference:
        """Return the difference of the readers' means in two modalities."""
        term = self.components.error_term(self.readers, self.cases)
        means = self.figures.mean(axis=1)
        value = float(means[first] - means[second])
        variance = 2 * term.variance / self.figures.shape[1]
        return self._difference(value, variance, term.df, self.method, self.scope)

    def reader_difference(self, reader: int, first: int, second: int) -> Difference:
        """Return the difference of one reader's figures in two modalities."""
        one, other = self._places(first)[reader], self._places(second)[reader]
        variance = float(
            self.spread[one, one] + self.spread[other, other] - 2 * self.spread[one, other]
        )
        value = float(self.figures[first, reader] - self.figures[second, reader])
        method = f"{self.name}; paired, this reader"
        return self._difference(
            value, variance, np.inf, method, "this reader only, cases like these"
        )

    def _places(self, modality: int) -> NDArray[np.int64]:
        people = self.figures.shape[1]
        return np.arange(modality * people, (modality + 1) * people)

    def _half(self, variance: float, df: float) -> float | None:
        """Half the width of the interval; None where nothing scatters."""
        from scipy.special import stdtrit

        if variance <= _ZERO_SHARE * self.components.error:
            return None
        quantile = float(stdtrit(df, (1 + self.confidence) / 2))
        return quantile * math.sqrt(variance)

    def _estimate(self, value: float, half: float | None, method: str) -> Estimate:
        if half is None:
            return Estimate(value, None, None, method, self.n, "nothing scatters: no interval")
        return Estimate(value, max(0.0, value - half), min(1.0, value + half), method, self.n)

    def _difference(
        self, value: float, variance: float, df: float, method: str, scope: str
    ) -> Difference:
        from scipy.special import stdtr

        if self.components.modalities > 2:
            method += "; not corrected for the number of differences"
        half = self._half(variance, df)
        if half is None:
            p_value = 1.0 if abs(value) < _ZERO else None
            note = "nothing scatters: the difference has no interval"
            return Difference(value, None, None, None, None, p_value, method, scope, self.n, note)
        statistic = value / math.sqrt(variance)
        low, high = max(-1.0, value - half), min(1.0, value + half)
        p_value = float(2 * stdtr(df, -abs(statistic)))
        degrees = None if np.isinf(df) else df
        return Difference(value, low, high, statistic, degrees, p_value, method, scope, self.n)
