"""The test cases from which there is most to learn, as pictures."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from cervispine.records import CLASSES, Study
from cervispine.records.files import make_folder, write_bytes, write_text
from cervispine.records.written import csv_text
from cervispine.reporting.figures import MARK_COLOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cervispine.evaluation import ReaderTable
    from cervispine.preprocessing import Preprocessor
    from cervispine.records import Cohort, Predictions

__all__ = ["COLUMNS", "KINDS", "Case", "choose_cases", "save_cases"]

COLUMNS = (
    "file", "patient", "kind", "truth", "type", "call", "score", "threshold", "models", "readers"
)  # fmt: skip

#: The kinds of case, the most instructive first, with how many of each are taken.
KINDS = {
    "missed": 3,
    "false alarm": 3,
    "found where most readers erred": 2,
    "right, and nearly not": 2,
    "surely found": 2,
    "surely left alone": 2,
}

#: Of a picture, in pixels.
LEAST_WIDTH = 300

#: How many letters of the mark, as high as they are wide, fill a picture's width.
LETTERS = 16

#: Decides nothing: matplotlib wants sizes in inches.
DPI = 100


@attrs.frozen(kw_only=True)
class Case:
    """A test case that is worth looking at.

    Parameters
    ----------
    name
        Of its picture, without an ending; it names nobody.
    kind
        One of ``KINDS``.
    study
        What was read.
    call, score, threshold
        What the model says of it, and where it begins to call.
    models
        What each model says, in words.
    readers
        How many readers called it OPLL, in words; empty where nobody did so.
    """

    name: str
    kind: str
    study: Study = attrs.field(repr=False)
    call: int
    score: float
    threshold: float
    models: str
    readers: str = ""


def choose_cases(
    test: Cohort, predictions: Mapping[str, Predictions], readers: ReaderTable | None = None
) -> list[Case]:
    """Return the cases of the last model from which there is most to learn, the best first.

    First its surest errors; then what it found where most readers erred, and what it only just
    got right; last, for comparison, its surest right calls. No case stands there twice.

    Parameters
    ----------
    test
        The studies that were read.
    predictions
        What each model says of them, in their order; the last is looked at.
    readers
        What readers said of the same patients.
    """
    model, last = list(predictions.items())[-1]
    truth, score = test.labels, last.probabilities
    margin = np.where(last.calls == 1, score - last.threshold, last.threshold - score)
    right = last.calls == truth
    calls = {} if readers is None else readers.calls(test.patients)
    erred = np.zeros(len(test))
    for each in calls.values():
        erred += each != truth
    # For each kind: which cases are of it, and what is greatest in the one to be shown first.
    orders: dict[str, tuple[NDArray[np.bool_], NDArray[Any]]] = {
        "missed": (~right & (truth == 1), margin),
        "false alarm": (~right & (truth == 0), margin),
        "found where most readers erred": (right & (2 * erred > len(calls)), erred + margin),
        "right, and nearly not": (right, -margin),
        "surely found": (right & (truth == 1), margin),
        "surely left alone": (right & (truth == 0), margin),
    }
    taken: set[int] = set()
    cases = []
    for kind, (among, order) in orders.items():
        ranked = [int(i) for i in np.argsort(-order, kind="stable") if among[i] and i not in taken]
        for rank, index in enumerate(ranked[: KINDS[kind]], start=1):
            taken.add(index)
            said = [f"{name} {each.probabilities[index]:.2f}" for name, each in predictions.items()]
            positive = sum(int(each[index]) for each in calls.values())
            cases.append(
                Case(
                    name=f"{_plain(model)}-{_plain(kind)}-{rank}",
                    kind=kind,
                    study=test[index],
                    call=int(last.calls[index]),
                    score=float(score[index]),
                    threshold=float(last.threshold),
                    models=", ".join(said),
                    readers=f"{positive} of {len(calls)} called OPLL" if calls else "",
                )
            )
    return cases


def save_cases(
    folder: Path, cases: Iterable[Case], preprocessor: Preprocessor, *, mark: str = ""
) -> None:
    """Write the middle slice of each case as the network sees it, and ``cases.csv``.

    Parameters
    ----------
    folder
        Gets one PNG a case, by its name.
    cases
        As :func:`choose_cases` returns them.
    preprocessor
        What made the images that the model saw.
    mark
        Is written into every picture, for instance that it is synthetic: a picture may be taken
        out of its page.

    Raises
    ------
    LoadError
        When a study cannot be read any more.
    ResourceError
        When the folder cannot be written.
    """
    make_folder(folder)
    for case in cases:
        pixels = preprocessor.transform([case.study])[0].numpy()
        write_bytes(folder / f"{case.name}.png", _png(pixels[preprocessor.slices // 2], mark))
    write_text(folder / "cases.csv", csv_text(COLUMNS, map(_cells, cases)))


def _plain(name: str) -> str:
    """Return a name as a file may be called everywhere."""
    return re.sub(r"[^\w.]+", "-", name)


def _cells(case: Case) -> Sequence[str]:
    truth = case.study.label
    assert truth is not None
    return (
        f"{case.name}.png",
        case.study.patient,
        case.kind,
        CLASSES[truth],
        str(case.study.attributes.get("type") or ""),
        CLASSES[case.call],
        f"{case.score:.3f}",
        f"{case.threshold:.3f}",
        case.models,
        case.readers,
    )


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
        0.5, 0.03, mark, size=letters, ha="center", color="white", backgroundcolor=MARK_COLOUR
    )
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
