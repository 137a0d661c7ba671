"""What a classifier says of studies."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import MismatchedCasesError
from cervispine.records.files import write_text
from cervispine.records.tables import safe_cell

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Predictions", "scores_table"]

ADVICE = {1: "CT advised", 0: "no OPLL called"}


def _float64_vector(values: NDArray[Any]) -> NDArray[np.float64]:
    vector = np.array(values, dtype=np.float64)
    vector.flags.writeable = False
    return vector


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
    model
        The name of the model.
    provenance
        Versions, seed and hashes of the model that made them.

    Raises
    ------
    MismatchedCasesError
        When there is not one probability a patient (``LENGTHS_DIFFER``).
    """

    patients: tuple[str, ...] = attrs.field(repr=lambda ids: f"<{len(ids)} patients>")
    probabilities: NDArray[np.float64] = attrs.field(converter=_float64_vector, repr=False)
    threshold: float
    model: str
    provenance: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        if self.probabilities.shape != (len(self.patients),):
            raise MismatchedCasesError(
                f"probabilities of shape {self.probabilities.shape} for {len(self)} patients",
                where="probabilities",
                advice="give one number a patient, in their order",
                code="LENGTHS_DIFFER",
            )

    def __len__(self) -> int:
        return len(self.patients)

    @property
    def calls(self) -> NDArray[np.int64]:
        """int64 (n,): 1 where the probability reaches the threshold."""
        return (self.probabilities >= self.threshold).astype(np.int64)

    @property
    def advice(self) -> tuple[str, ...]:
        """The clinical act that would follow: an OPLL suspected on MRI is confirmed by CT."""
        return tuple(ADVICE[int(call)] for call in self.calls)

    def to_frame(self) -> pd.DataFrame:
        """Return columns patient, model, score, call and advice, a row a study."""
        import pandas as pd

        return pd.DataFrame(
            {
                "patient": self.patients,
                "model": self.model,
                "score": self.probabilities,
                "call": self.calls,
                "advice": self.advice,
            }
        )

    def to_csv(self, path: str | Path) -> None:
        """Write ``patient,model,score,call``: the scores.csv that a comparison reads."""
        write_text(Path(path), scores_table([self]))


def scores_table(predictions: Iterable[Predictions]) -> str:
    """Return ``patient,model,score,call`` as CSV, a row for each study and model."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["patient", "model", "score", "call"])
    for each in predictions:
        model = safe_cell(each.model)
        for patient, score, call in zip(each.patients, each.probabilities, each.calls, strict=True):
            # repr of a float reads back as the same float.
            writer.writerow([safe_cell(patient), model, repr(float(score)), int(call)])
    return buffer.getvalue()
