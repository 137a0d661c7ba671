"""What a model says of a case, for the aided arm: a probability, and a heat map if there is one."""

from __future__ import annotations

import io
from collections.abc import Collection
from pathlib import Path

import attrs

from cervispine.evaluation import read_scores
from cervispine.exceptions import DataError, LabelError, UsageError
from cervispine.records.tables import read_table

__all__ = ["Aid", "read_aids"]

#: The table of ``cervispine explain``: which picture is whose.
PEAKS = "peaks.csv"

#: Of a heat map, in pixels.
LARGEST_SIDE = 4096
_LARGEST_FILE = 16 * 2**20


@attrs.frozen(kw_only=True)
class Aid:
    """What a model says of a case.

    Parameters
    ----------
    probability
        As in scores.csv.
    advice
        1 where the model calls OPLL; None where scores.csv has no calls.
    heatmap
        PNG, or None.
    """

    probability: float
    advice: int | None
    heatmap: bytes | None = attrs.field(repr=False)


def read_aids(
    patients: Collection[str],
    scores: Path,
    *,
    model: str | None = None,
    heatmaps: Path | None = None,
) -> dict[str, Aid]:
    """Read what a model says of every patient who is read with its aid.

    Parameters
    ----------
    patients
        Who needs it.
    scores
        scores.csv.
    model
        Which of its models; needed where it has several.
    heatmaps
        A folder with a PNG for each patient: what ``cervispine explain`` wrote, whose ``peaks.csv``
        says which is whose, or files named ``PATIENT.png``.

    Raises
    ------
    LabelError
        As :func:`~cervispine.evaluation.read_scores`; ``SCORES_UNMATCHED`` where a patient has no
        score.
    UsageError
        Several models and none named; scores that are no probabilities.
    DataError
        ``HEATMAP_MISSING``, ``HEATMAP_INVALID``.
    """
    by_model, thresholds = read_scores(scores)
    if model is None and len(by_model) > 1:
        raise UsageError(
            f"several models: {', '.join(by_model)}", where="--scores", advice="--model"
        )
    name = next(iter(by_model)) if model is None else model
    if name not in by_model:
        raise UsageError(f"no scores of {name}; there are {', '.join(by_model)}", where="--model")
    values = by_model[name]
    if missing := sum(patient not in values for patient in patients):
        raise LabelError(
            f"{missing} of {len(patients)} patients to read have no score of {name}",
            where=scores.name,
            advice="score every patient that is read in the aided arm",
            code="SCORES_UNMATCHED",
        )
    if not all(0 <= values[patient] <= 1 for patient in patients):
        raise UsageError(
            "readers are shown probabilities, and a score is not between 0 and 1",
            where=scores.name,
            advice="give calibrated probabilities, as `cervispine predict` does",
            code="NOT_PROBABILITIES",
        )
    threshold = thresholds.get(name)
    pictures = {} if heatmaps is None else _read_heatmaps(heatmaps, patients)
    return {
        patient: Aid(
            probability=values[patient],
            advice=None if threshold is None else int(values[patient] >= threshold.value),
            heatmap=pictures.get(patient),
        )
        for patient in patients
    }


def _read_heatmaps(folder: Path, patients: Collection[str]) -> dict[str, bytes]:
    # The folder is listed and its names are compared: no identifier becomes a path.
    try:
        found = {path.stem: path for path in folder.iterdir() if path.suffix.lower() == ".png"}
    except OSError as error:
        raise UsageError(
            f"the folder cannot be read: {type(error).__name__}",
            where="--heatmaps",
            code="FILE_MISSING",
        ) from None
    files = found
    if (folder / PEAKS).is_file():
        rows = read_table(folder / PEAKS, required=("file", "patient"), code="PEAKS").rows
        files = {row["patient"]: found[row["file"]] for row in rows if row["file"] in found}
    if missing := sum(patient not in files for patient in patients):
        raise DataError(
            f"{missing} of {len(patients)} patients to read have no heat map",
            where="--heatmaps",
            advice="`cervispine explain` makes them; without them probabilities alone are shown",
            code="HEATMAP_MISSING",
        )
    return {patient: _clean(files[patient], number) for number, patient in enumerate(patients, 1)}


def _clean(path: Path, number: int) -> bytes:
    """Return the picture alone: what else a PNG holds may name somebody."""
    from PIL import Image

    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise ValueError
        with Image.open(path, formats=["PNG"]) as picture:
            if max(picture.size) > LARGEST_SIDE:
                raise ValueError
            bare = Image.frombytes("RGBA", picture.size, picture.convert("RGBA").tobytes())
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise DataError(
            f"heat map {number} is no PNG of at most {LARGEST_SIDE} pixels a side",
            where="--heatmaps",
            code="HEATMAP_INVALID",
        ) from None
    buffer = io.BytesIO()
    bare.save(buffer, "PNG")
    return buffer.getvalue()
