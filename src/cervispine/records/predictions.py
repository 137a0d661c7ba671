"""What a classifier says of studies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import EvaluationError, MismatchedCasesError, UsageError
from cervispine.records.arrays import read_only_float64
from cervispine.records.files import write_text
from cervispine.records.written import csv_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BEGINNING", "Predictions", "scores_table", "table_of"]

#: The columns that tables of predictions begin with, which a comparison reads.
BEGINNING = ("patient", "model", "score", "call")

CT_ADVISED = "CT advised"
NOTHING_CALLED = "no OPLL called"


@attrs.frozen(kw_only=True, eq=False)
class Predictions:
    """Probabilities and calls for a sequence of studies, in their order.

    Parameters
    ----------
    patients
        Identifiers, as text.
    probabilities
        float64 (n,): calibrated probability of the positive class; read-only.
    threshold
        A study is called positive when its probability is at or above it. It was chosen on
        validation data and travels with the model.
    band
        The probabilities, both included, between which the model does not decide; None where it
        knows none.
    out_of_distribution
        float64 (n,), 0 to 1, or None where the model cannot tell: the share of studies like those
        of the training whose images are less strange than this one's.
    unlike_training
        For each study the reasons why it is unlike those of the training, none where it is not;
        None where the model cannot tell.
    model
        The name of the model.
    provenance
        Versions, seed and hashes of the model that made them.

    Raises
    ------
    MismatchedCasesError
        When there is not one value a patient (``LENGTHS_DIFFER``).
    EvaluationError
        A probability is missing or outside 0 to 1 (``NOT_PROBABILITIES``).
    UsageError
        The threshold is no finite number.
    """

    patients: tuple[str, ...] = attrs.field(repr=lambda ids: f"<{len(ids)} patients>")
    probabilities: NDArray[np.float64] = attrs.field(converter=read_only_float64, repr=False)
    threshold: float
    band: tuple[float, float] | None = None
    out_of_distribution: NDArray[np.float64] | None = attrs.field(
        default=None, converter=attrs.converters.optional(read_only_float64), repr=False
    )
    unlike_training: tuple[tuple[str, ...], ...] | None = attrs.field(default=None, repr=False)
    model: str
    provenance: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        one_each = (len(self.patients),)
        shapes = {
            name: None if values is None else values.shape
            for name, values in (
                ("probabilities", self.probabilities),
                ("out_of_distribution", self.out_of_distribution),
            )
        }
        if self.unlike_training is not None:
            shapes["unlike_training"] = (len(self.unlike_training),)
        for name, shape in shapes.items():
            if shape not in (None, one_each):
                raise MismatchedCasesError(
                    f"{name} of shape {shape} for {len(self)} patients",
                    where=name,
                    advice="give one value a patient, in their order",
                    code="LENGTHS_DIFFER",
                )
        # NaN is never at or above a threshold, and would read as "no OPLL called".
        wrong = ~((self.probabilities >= 0) & (self.probabilities <= 1))
        if wrong.any():
            raise EvaluationError(
                f"{wrong.sum()} of {len(self)} probabilities are missing or outside 0 to 1",
                where="probabilities",
                advice="leave out what has no probability, and say so",
                code="NOT_PROBABILITIES",
            )
        if not np.isfinite(self.threshold):
            raise UsageError(
                f"a threshold is a finite number, got {self.threshold!r}", where="threshold"
            )

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def calls(self) -> NDArray[np.int64]:
        """int64 (n,): 1 where the probability reaches the threshold."""
        return (self.probabilities >= self.threshold).astype(np.int64)

    @property
    def undecided(self) -> NDArray[np.bool_]:
        """Bool (n,): where the probability lies in the band, whatever the call."""
        low, high = (np.inf, -np.inf) if self.band is None else self.band
        return np.asarray((self.probabilities >= low) & (self.probabilities <= high))

    @property
    def unlike(self) -> NDArray[np.bool_]:
        """Bool (n,): where there is a reason to think that the model knows nothing like it."""
        reasons = self.unlike_training or ((),) * len(self)
        return np.array([bool(each) for each in reasons], dtype=bool)

    @property
    def advice(self) -> tuple[str, ...]:
        """The clinical act that would follow: an OPLL suspected, or not ruled out, asks for CT.

        It is not ruled out in the band, nor by a model that knows nothing like the study.
        """
        asks = (self.calls == 1) | self.undecided | self.unlike
        return tuple(CT_ADVISED if each else NOTHING_CALLED for each in asks)

    def summary(self) -> str:
        """Return how many were called, undecided and unlike the training part, in a sentence."""
        parts = [f"{len(self)} studies, {self.calls.sum()} called OPLL"]
        if self.band is not None:
            low, high = self.band
            parts.append(f"{self.undecided.sum()} undecided (probability {low:.3f} to {high:.3f})")
        if self.unlike_training is not None:
            parts.append(f"{self.unlike.sum()} unlike the training studies")
        said = ", ".join(parts) + f": CT advised for {self.advice.count(CT_ADVISED)}"
        if self.band is None or self.unlike_training is None:
            said += "; the model is too old to say what it does not know"
        return said

    def columns(self) -> dict[str, list[Any]]:
        """Return a table's columns, a row a study, in plain values; None where not known."""
        count = len(self)
        strange = self.out_of_distribution
        reasons = self.unlike_training
        return {
            "patient": list(self.patients),
            "model": [self.model] * count,
            "score": self.probabilities.tolist(),
            "call": self.calls.tolist(),
            "undecided": [None] * count
            if self.band is None
            else self.undecided.astype(int).tolist(),
            "out_of_distribution": [None] * count if strange is None else strange.tolist(),
            "unlike_training": [None] * count if reasons is None else list(map("; ".join, reasons)),
            "advice": list(self.advice),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return :meth:`columns` as a table, a row a study."""
        import pandas as pd

        return pd.DataFrame(self.columns())

    def to_csv(self, path: str | Path) -> None:
        """Write the scores.csv that a comparison reads, and for people what follows from it."""
        write_text(Path(path), scores_table([self]))


def scores_table(predictions: Iterable[Predictions]) -> str:
    """Return predictions as CSV, a row for each study and model.

    It begins with the columns that a comparison reads; the rest is for people.
    """
    tables = [each.columns() for each in predictions]
    return table_of(tables or [{name: [] for name in BEGINNING}])


def table_of(tables: Sequence[Mapping[str, Sequence[Any]]]) -> str:
    """Return tables of the same columns, one below the other, as CSV; None is an empty cell."""
    rows = (row for columns in tables for row in zip(*columns.values(), strict=True))
    return csv_text(tables[0], rows)
