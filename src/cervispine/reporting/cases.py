"""A few instructive test cases as pictures: the surest right and the surest wrong ones."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cervispine.records import CLASSES
from cervispine.records.files import make_folder, write_bytes, write_text
from cervispine.records.tables import safe_cell

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cervispine.preprocessing import Preprocessor
    from cervispine.records import Cohort, Predictions

__all__ = ["COLUMNS", "save_cases"]

COLUMNS = ("file", "patient", "truth", "type", "call", "score")

#: Of each kind (OPLL found, OPLL missed, DSS left alone, DSS called OPLL).
EACH = 2

#: Of a picture, in pixels.
LEAST_WIDTH = 300

#: How many letters of the mark, as high as they are wide, fill a picture's width.
LETTERS = 16

#: Decides nothing: matplotlib wants sizes in inches.
DPI = 100


def save_cases(
    folder: Path,
    test: Cohort,
    predictions: Predictions,
    preprocessor: Preprocessor,
    *,
    model: str,
    mark: str = "",
) -> None:
    """Write the middle slice, as the network sees it, of the surest cases of each kind.

    Parameters
    ----------
    folder
        Gets one PNG a case and ``cases.csv``.
    test
        The studies that were read.
    predictions
        What the model says of them, in their order.
    preprocessor
        What made the images that the model saw.
    model
        Its name, which begins the names of the files.
    mark
        Is written into every picture, for instance that it is synthetic: a picture may be taken
        out of its page.
    """
    make_folder(folder)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    for truth in (1, 0):
        for call in (truth, 1 - truth):
            for rank, index in enumerate(_surest(test.labels, predictions, truth, call), start=1):
                study = test[index]
                kind = f"{CLASSES[truth]}-called-{CLASSES[call]}-{rank}"
                name = f"{model.replace(':', '-')}-{kind}.png"
                pixels = preprocessor.transform([study])[0].numpy()
                write_bytes(folder / name, _png(pixels[preprocessor.slices // 2], mark))
                row = (CLASSES[truth], safe_cell(study.attributes.get("type", "")), CLASSES[call])
                score = f"{predictions.probabilities[index]:.3f}"
                writer.writerow([name, safe_cell(study.patient), *row, score])
    write_text(folder / "cases.csv", buffer.getvalue())


def _surest(
    labels: NDArray[np.int64], predictions: Predictions, truth: int, call: int
) -> list[int]:
    among = np.flatnonzero((labels == truth) & (predictions.calls == call))
    towards_call = predictions.probabilities[among] * (1 if call else -1)
    return [int(index) for index in among[np.argsort(-towards_call, kind="stable")][:EACH]]


def _png(pixels: NDArray[np.float32], mark: str) -> bytes:
    from matplotlib.figure import Figure

    low, high = np.percentile(pixels, (0.5, 99.5))
    # Whole multiples, so that a pixel stays a square of one value and the mark can be read.
    times = -(-LEAST_WIDTH // pixels.shape[1])
    image = np.clip(pixels, low, high).repeat(times, axis=0).repeat(times, axis=1)
    rows, columns = image.shape
    figure = Figure(figsize=(columns / DPI, rows / DPI), dpi=DPI)
    figure.figimage(image, cmap="gray")
    letters = 72 / DPI * columns / LETTERS
    figure.text(
        0.5, 0.03, mark, size=letters, ha="center", color="white", backgroundcolor="#8a3b00"
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
