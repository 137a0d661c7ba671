"""What holds for every figure of an evaluation or a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cervispine.evaluation.checking import check_bootstrap, check_confidence, choose
from cervispine.evaluation.multiplicity import CORRECTIONS, Correction

if TYPE_CHECKING:
    from cervispine.evaluation.evaluator import Evaluator

__all__ = ["Settings"]


@attrs.frozen(kw_only=True)
class Settings:
    """The parameters of an Evaluator, checked.

    The statistics take these and not the Evaluator, so that comparing files needs no
    scikit-learn: importing it takes longer than the comparison.

    Parameters
    ----------
    confidence
        Of every interval.
    resamples
        How often every bootstrap draws, at least 100 times.
    seed
        Decides what every bootstrap draws.
    correction
        For the number of tests in a family.

    Raises
    ------
    UsageError
        A value that cannot be meant.
    """

    confidence: float = 0.95
    resamples: int = 2000
    correction: Correction = "holm"
    seed: int = 0

    @classmethod
    def of(cls, evaluator: Evaluator) -> Settings:
        """Return the parameters of an Evaluator, which checks nothing when it is made."""
        return cls(
            confidence=evaluator.confidence,
            resamples=evaluator.resamples,
            correction=evaluator.correction,
            seed=evaluator.seed,
        )

    def __attrs_post_init__(self) -> None:
        check_confidence(self.confidence)
        choose(self.correction, CORRECTIONS, "correction")
        check_bootstrap(self.resamples, self.seed)
