"""How many cases a study needs, and the power that so many give.

A design says what is compared and what is assumed; ``sample_size`` finds its least number of
cases. Every test is two-sided.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import attrs
from numpy.typing import ArrayLike

from cervispine.evaluation.checking import as_truth
from cervispine.evaluation.components import Components
from cervispine.evaluation.delong import delong_covariance
from cervispine.evaluation.results import json_fields
from cervispine.exceptions import UsageError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OneAUC", "PairedAUCs", "PairedCalls", "ReaderStudy", "SampleSize", "sample_size"]

_MOST = 10_000_000


class Design(Protocol):
    """What ``sample_size`` needs of a design."""

    @property
    def unit(self) -> str:
        """What is counted."""

    @property
    def others(self) -> float:
        """Further cases (negatives) that come with each one counted."""

    @property
    def assumed(self) -> str:
        """The assumptions in words."""

    def power(self, n: float, alpha: float = 0.05) -> float:
        """Return the power of ``n`` counted cases."""


@attrs.frozen
class SampleSize:
    """The least number of cases that reaches the wanted power.

    Parameters
    ----------
    n, unit
        The number, and what it counts.
    total
        Of all cases, the negatives that come with positives included.
    power, alpha
        The power reached, and the two-sided level.
    assumed
        What was assumed, in words.
    """

    n: int
    unit: str
    total: int
    power: float
    alpha: float
    assumed: str

    def summary(self) -> str:
        """Return the result as text, the sample first."""
        return (
            f"{self.n} {self.unit}, {self.total} cases in all: power {self.power:.3f} "
            f"at two-sided level {self.alpha:g}\n  assumed: {self.assumed}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return json_fields(self)

    def to_frame(self) -> pd.DataFrame:
        """Return the fields as a table of one row."""
        import pandas as pd

        return pd.DataFrame([self.to_dict()])


@attrs.frozen
class OneAUC:
    """One area against 0.5, after Obuchowski 2004 (Radiology 230:1), as pROC.

    Assumes binormal scores. ``negatives_per_positive`` is the ratio of the classes.
    """

    auc: float
    negatives_per_positive: float = 1.0
    unit: str = attrs.field(default="positives", init=False)

    def __attrs_post_init__(self) -> None:
        _check(0.5 < self.auc < 1, "auc", "between 0.5 and 1")
        _check(0 < self.negatives_per_positive < math.inf, "negatives_per_positive", "above 0")

    @property
    def others(self) -> float:
        """Negatives to one positive."""
        return self.negatives_per_positive

    @property
    def assumed(self) -> str:
        """The assumptions in words."""
        return f"AUC {self.auc:g} against 0.5, binormal scores, {self.others:g} negatives/positive"

    def power(self, n: float, alpha: float = 0.05) -> float:
        """Return the power of ``n`` positives."""
        _check_question(n, alpha)
        return _power(self.auc - 0.5, self._variance(0.5) / n, self._variance(self.auc) / n, alpha)

    def _variance(self, auc: float) -> float:
        from scipy.special import ndtri

        square = (1.414 * float(ndtri(auc))) ** 2  # 1.414 and not sqrt(2): as published
        spread = 5 * square + 8 + (square + 8) / self.negatives_per_positive
        return 0.0099 * math.exp(-square / 2) * spread


@attrs.frozen
class PairedAUCs:
    """Two areas on the same cases, from a pilot's variances and covariance, as pROC.

    Variances and covariance are those of a pilot of ``positives`` and ``negatives`` cases
    (``delong_covariance`` gives them); they shrink as its size grows at the same ratio. Under
    the null hypothesis both areas have the first one's variance.
    """

    difference: float
    variance_first: float
    variance_second: float
    covariance: float
    positives: int
    negatives: int
    unit: str = attrs.field(default="positives", init=False)

    def __attrs_post_init__(self) -> None:
        _check(0 < abs(self.difference) < 1, "difference", "above 0 and below 1 in size")
        _check(min(self.positives, self.negatives) > 0, "positives, negatives", "above 0")
        null = 2 * (self.variance_first - self.covariance)
        spread = self.variance_first + self.variance_second - 2 * self.covariance
        _check(null > 0 and spread > 0, "covariance", "such that the difference scatters")

    @classmethod
    def from_pilot(
        cls, truth: ArrayLike, first: ArrayLike, second: ArrayLike, *, difference: float
    ) -> PairedAUCs:
        """Return the design with the variances and the covariance of a pilot's scores.

        Parameters
        ----------
        truth
            0/1, shape (cases,).
        first, second
            The two scores of the same cases, shape (cases,).
        difference
            The difference worth detecting: a matter of judgement, not the pilot's own, which is
            too uncertain to plan by.

        Raises
        ------
        EvaluationError, MismatchedCasesError
            As ``delong_covariance``.
        UsageError
            A difference of 0 or out of range; a pilot whose difference does not scatter.
        """
        labels = as_truth(truth)
        spread = delong_covariance(labels, [first, second])[1]
        return cls(
            difference=difference,
            variance_first=float(spread[0, 0]),
            variance_second=float(spread[1, 1]),
            covariance=float(spread[0, 1]),
            positives=int(labels.sum()),
            negatives=int((1 - labels).sum()),
        )

    @property
    def others(self) -> float:
        """Negatives to one positive."""
        return self.negatives / self.positives

    @property
    def assumed(self) -> str:
        """The assumptions in words."""
        return f"AUC difference {self.difference:g}, variances and class ratio as in the pilot"

    def power(self, n: float, alpha: float = 0.05) -> float:
        """Return the power of ``n`` positives."""
        _check_question(n, alpha)
        share = self.positives / n
        null = 2 * (self.variance_first - self.covariance)
        spread = self.variance_first + self.variance_second - 2 * self.covariance
        return _power(abs(self.difference), null * share, spread * share, alpha)


@attrs.frozen
class PairedCalls:
    """Sensitivities (or specificities) on the same cases: McNemar, after Connor 1987.

    ``first_only`` and ``second_only`` are the shares of cases that only the first, or only the
    second, calls rightly (Biometrics 43:207).
    """

    first_only: float
    second_only: float
    unit: str = attrs.field(default="pairs", init=False)
    others: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        inside = min(self.first_only, self.second_only) >= 0
        inside = inside and self.first_only + self.second_only <= 1
        _check(inside, "first_only, second_only", "shares that sum to at most 1")
        _check(self.first_only != self.second_only, "first_only, second_only", "unlike")

    @property
    def assumed(self) -> str:
        """The assumptions in words."""
        return f"discordant shares {self.first_only:g} and {self.second_only:g}, of one class"

    def power(self, n: float, alpha: float = 0.05) -> float:
        """Return the power of ``n`` pairs."""
        _check_question(n, alpha)
        effect = abs(self.first_only - self.second_only)
        discordant = self.first_only + self.second_only
        return _power(effect, discordant / n, (discordant - effect**2) / n, alpha)


@attrs.frozen
class ReaderStudy:
    """Two modalities read by all readers, readers and cases random, after Hillis 2011.

    ``pilot`` is ``mrmc(...).components`` of a pilot of ``pilot_cases`` cases; its error and
    covariances shrink as cases grow (Stat Med 30:1049), as in RJafroc.
    """

    difference: float
    readers: int
    pilot: Components
    pilot_cases: int
    unit: str = attrs.field(default="cases", init=False)
    others: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        _check(0 < abs(self.difference) < 1, "difference", "above 0 and below 1 in size")
        _check(self.readers >= 2, "readers", "at least 2")
        _check(self.pilot_cases > 0, "pilot_cases", "above 0")
        parts = (self.pilot.modality_by_reader, self.pilot.cov1, self.pilot.cov2, self.pilot.cov3)
        _check(None not in parts, "pilot", "of at least 2 modalities and 2 readers")

    @property
    def assumed(self) -> str:
        """The assumptions in words."""
        return f"difference {self.difference:g}, {self.readers} readers, variances as in the pilot"

    def power(self, n: float, alpha: float = 0.05) -> float:
        """Return the power of ``n`` cases."""
        from scipy.special import chdtri, fdtri

        # In scipy 1.14 scipy.special.ncfdtr is good to five digits only.
        from scipy.stats import ncf, ncx2

        _check_question(n, alpha)
        pilot, readers = self.pilot, self.readers
        share = self.pilot_cases / n
        shared = share * max((pilot.cov2 or 0.0) - (pilot.cov3 or 0.0), 0.0)
        own = max(pilot.modality_by_reader or 0.0, 0.0) + share * (
            pilot.error - (pilot.cov1 or 0.0)
        )
        spread = own + (readers - 1) * shared
        _check(spread > 0, "pilot", "of readers whose figures scatter")
        noncentrality = readers * self.difference**2 / 2 / spread
        if own == shared:  # infinite degrees of freedom of the denominator
            return float(ncx2.sf(chdtri(1, alpha), 1, noncentrality))
        df = spread**2 / ((own - shared) ** 2 / (readers - 1))
        return float(ncf.sf(float(fdtri(1, df, 1 - alpha)), 1, df, noncentrality))


def sample_size(design: Design, *, power: float = 0.8, alpha: float = 0.05) -> SampleSize:
    """Return the least number of cases with which ``design`` reaches ``power``.

    Raises
    ------
    UsageError
        Power or level out of range, or not reached by ten million cases (a reader study
        may need more readers instead).
    """
    _check_question(_MOST, alpha)
    _check(alpha < power < 1, "power", "above alpha and below 1")
    low, high = 1, 2  # neither is a study: the search never goes below 2
    while design.power(high, alpha) < power:
        low, high = high, 2 * high
        _check(high <= _MOST, "power", "lower: ten million cases do not reach it; add readers")
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if design.power(middle, alpha) >= power else (middle, high)
    total = high + math.ceil(high * design.others - 1e-9)
    reached = design.power(high, alpha)
    return SampleSize(high, design.unit, total, reached, alpha, design.assumed)


def _power(effect: float, null: float, variance: float, alpha: float) -> float:
    from scipy.special import ndtr, ndtri

    excess = effect + float(ndtri(alpha / 2)) * math.sqrt(null)
    if variance <= 0:
        return float(excess > 0)
    return float(ndtr(excess / math.sqrt(variance)))


def _check_question(n: float, alpha: float) -> None:
    _check(0 < n < math.inf, "n", "above 0")
    _check(0 < alpha < 1, "alpha", "between 0 and 1")


def _check(fine: bool, where: str, wanted: str) -> None:
    if not fine:
        raise UsageError(f"must be {wanted}", where=where)
