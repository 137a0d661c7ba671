"""Where a probability decides, and where it does not: the band in which CT is advised anyway.

Class-conditional (Mondrian) inductive conformal prediction with the probability itself as the
measure of conformity: Vovk, Gammerman and Shafer 2005, "Algorithmic Learning in a Random World",
section 4.5; Vovk 2012, "Conditional Validity of Inductive Conformal Predictors", PMLR 25:475.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Self

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Band", "least_patients"]


def least_patients(error_rate: float) -> int:
    """Return how many validation patients of a class it takes to rule that class out at all."""
    return math.ceil(1 / error_rate - 1e-9) - 1


@attrs.frozen(kw_only=True)
class Band:
    """The probabilities between which a model does not decide.

    A patient of the positive class has a probability below ``low``, and one of the negative class a
    probability above ``high``, with a chance of at most ``error_rate`` each, whatever the
    distribution, when validation patients and new patients are drawn alike. The chance is over
    both draws: for one given validation part it scatters about that.

    Parameters
    ----------
    low
        Below it the positive class is ruled out; 0 where nothing rules it out.
    high
        Above it the negative class is ruled out; 1 where nothing rules it out.
    error_rate
        What was asked for.
    positives, negatives
        How many validation patients of each class it rests on.
    """

    low: float
    high: float
    error_rate: float
    positives: int
    negatives: int

    @classmethod
    def of(
        cls, truth: ArrayLike, probabilities: ArrayLike, *, threshold: float, error_rate: float
    ) -> Self:
        """Decide the band on validation data.

        Parameters
        ----------
        truth
            (n,) 0 or 1.
        probabilities
            (n,) of the positive class.
        threshold
            At or above it a study is called positive. The band reaches as far as the threshold, so
            that outside of it the call is that of the side on which the probability lies. A
            threshold that keeps both errors at the rate by itself leaves no band.
        error_rate
            Share of each class that may lie on the other side of the band, in (0, 1).
        """
        truth, probabilities = np.asarray(truth), np.asarray(probabilities, dtype=np.float64)
        positive = np.sort(probabilities[truth == 1])
        negative = np.sort(probabilities[truth == 0])
        may_miss, may_overcall = (
            # The guard keeps 0.1 * 30 from being 2.
            math.floor(error_rate * (values.size + 1) + 1e-9)
            for values in (positive, negative)
        )
        low = float(positive[may_miss - 1]) if may_miss else 0.0
        high = float(negative[-may_overcall]) if may_overcall else 1.0
        return cls(
            low=min(low, threshold),
            high=max(high, threshold),
            error_rate=error_rate,
            positives=positive.size,
            negatives=negative.size,
        )

    @property
    def undecided_for_want_of_patients(self) -> tuple[str, ...]:
        """Which classes cannot be ruled out because too few of them were in the validation part."""
        least = least_patients(self.error_rate)
        counts = {"positive": self.positives, "negative": self.negatives}
        return tuple(name for name, count in counts.items() if count < least)

    def holds(self, probabilities: ArrayLike) -> NDArray[np.bool_]:
        """Return bool (n,): where neither class is ruled out."""
        values = np.asarray(probabilities, dtype=np.float64)
        return np.asarray((values >= self.low) & (values <= self.high))

    def summary(self, class_names: tuple[str, str]) -> str:
        """Return the band in a sentence, with what it lacks.

        Parameters
        ----------
        class_names
            Of the negative and the positive class.
        """
        negative, positive = class_names
        sentence = (
            f"{self.low:.4f} to {self.high:.4f}: at most {self.error_rate:.0%} of {positive} below "
            f"and of {negative} above, from {self.positives} {positive} and "
            f"{self.negatives} {negative} of the validation part"
        )
        names = {"positive": positive, "negative": negative}
        for lacking in self.undecided_for_want_of_patients:
            sentence += (
                f"; too few to rule {names[lacking]} out, which takes "
                f"{least_patients(self.error_rate)}"
            )
        return sentence

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return attrs.asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take what :meth:`to_dict` gave.

        Raises
        ------
        ValueError
            It is something else.
        """
        if set(content) != {field.name for field in attrs.fields(cls)}:
            raise ValueError("no band")
        band = cls(
            low=float(content["low"]),
            high=float(content["high"]),
            error_rate=float(content["error_rate"]),
            positives=int(content["positives"]),
            negatives=int(content["negatives"]),
        )
        if not (0 <= band.low <= band.high <= 1 and 0 < band.error_rate < 1):
            raise ValueError("no band")
        return band
