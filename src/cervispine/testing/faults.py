"""What may be wrong with a series: each fault, and the codes by which our loader refuses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np
from pydicom import Dataset

from cervispine.exceptions import UsageError
from cervispine.testing.oracle import OracleSeries
from cervispine.testing.writing import write_oracle_series

__all__ = ["FAULTS", "SeriesFault", "write_faulty_series"]

Change = Callable[[OracleSeries, Dataset], object]


@attrs.frozen(kw_only=True)
class SeriesFault:
    """Something wrong with one slice of a series, or with each of them.

    Parameters
    ----------
    codes
        The codes that may say so: of the refusal by ``index``, or of the error of ``read``.
    change
        What is done to the data set of a slice.
    every
        Whether every slice has the fault.
    """

    codes: frozenset[str]
    change: Change = attrs.field(repr=False)
    every: bool = False


def write_faulty_series(
    folder: str | Path, series: OracleSeries, fault: str, *, at: int = 1
) -> list[Path]:
    """Write a series with one thing wrong, of which no volume may come.

    Parameters
    ----------
    folder
        Where to.
    series
        At least 4 slices, each a file of its own.
    fault
        A name of :data:`FAULTS`, or "slice missing".
    at
        The slice that has it, neither the first nor the last along the normal.

    Returns
    -------
    list of Path

    Raises
    ------
    UsageError
        When the fault has no such name, or the series cannot have it.
    """
    if fault not in FAULTS:
        raise UsageError(f"a fault is one of {', '.join(FAULTS)}, not {fault!r}")
    if series.enhanced or series.shape[0] < 4 or not 0 < at < series.shape[0] - 1:
        raise UsageError("a faulty series has at least 4 slices in files, and its fault inside")
    wrong = FAULTS[fault]

    def change(index: int, dataset: Dataset) -> None:
        if wrong.every or index == at:
            wrong.change(series, dataset)

    paths = write_oracle_series(folder, series, change=change)
    if fault == "slice missing":
        paths.pop(at).unlink()
    return paths


def _set(**elements: Any) -> Change:
    def change(_: OracleSeries, dataset: Dataset) -> None:
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)

    return change


def _without(keyword: str) -> Change:
    return lambda _, dataset: delattr(dataset, keyword)


def _moved(*, along: float = 0.0, aside: float = 0.0) -> Change:
    """Move a slice by parts of the gap: along the normal, and along a row."""

    def change(series: OracleSeries, dataset: Dataset) -> None:
        step = along * series.normal + aside * np.asarray(series.orientation[:3])
        position = np.asarray(dataset.ImagePositionPatient, dtype=float) + series.gap * step
        dataset.ImagePositionPatient = [f"{value:.8f}" for value in position]

    return change


def _turned(series: OracleSeries, dataset: Dataset) -> None:
    """Turn a slice in its own plane by two degrees."""
    row, column = np.reshape(series.orientation, (2, 3))
    sine, cosine = np.sin(np.deg2rad(2)), np.cos(np.deg2rad(2))
    turned = np.concatenate([cosine * row + sine * column, cosine * column - sine * row])
    dataset.ImageOrientationPatient = [f"{value:.10f}" for value in turned]


def _mirrored(series: OracleSeries, dataset: Dataset) -> None:
    """Let the rows run the other way, as one slice in a hundred did in three hospitals."""
    opposite = [*np.negative(series.orientation[:3]), *series.orientation[3:]]
    dataset.ImageOrientationPatient = [f"{value:.10f}" for value in opposite]


def _sheared(series: OracleSeries, dataset: Dataset) -> None:
    position = np.asarray(dataset.ImagePositionPatient, dtype=float)
    along = (position - series.origin) @ series.normal
    position += 0.3 * along * np.asarray(series.orientation[:3])
    dataset.ImagePositionPatient = [f"{value:.8f}" for value in position]


def _resized(series: OracleSeries, dataset: Dataset) -> None:
    """Exchange rows and columns, of which the number of bytes does not tell."""
    dataset.Rows, dataset.Columns = series.shape[1] * series.shape[2], 1


def _spaced(series: OracleSeries, dataset: Dataset) -> None:
    dataset.PixelSpacing = [f"{1.1 * value:.8f}" for value in series.pixel_spacing]


def _not_square(series: OracleSeries, dataset: Dataset) -> None:
    row, column = np.reshape(series.orientation, (2, 3))
    dataset.ImageOrientationPatient = [f"{v:.8f}" for v in (*row, *(0.6 * row + 0.8 * column))]


def _out_of_range(_: OracleSeries, dataset: Dataset) -> None:
    """Say that fewer bits are stored than are."""
    kind = f"<{'i' if dataset.PixelRepresentation else 'u'}{dataset.BitsAllocated // 8}"
    largest = int(np.abs(np.frombuffer(dataset.PixelData, kind).astype(int)).max())
    dataset.BitsStored = largest.bit_length() - 1
    dataset.HighBit = dataset.BitsStored - 1


def _constant(_: OracleSeries, dataset: Dataset) -> None:
    dataset.PixelData = bytes(len(dataset.PixelData))


def _cut(_: OracleSeries, dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2 // 2 * 2]


def _with_table(_: OracleSeries, dataset: Dataset) -> None:
    """Let a table, not slope and intercept, say what stored values mean."""
    table = Dataset()
    table.LUTDescriptor = [2, 0, 16]
    table.LUTData = b"\0\0\1\0"
    table.ModalityLUTType = "US"
    dataset.ModalityLUTSequence = [table]


def _fault(change: Change, *codes: str, every: bool = False) -> SeriesFault:
    return SeriesFault(codes=frozenset(codes), change=change, every=every)


#: Each fault by its name.
FAULTS: Mapping[str, SeriesFault] = MappingProxyType(
    {
        "slice missing": _fault(lambda *_: None, "SPACING_IRREGULAR"),
        "slice twice": _fault(_moved(along=1), "SLICE_DUPLICATE"),
        "slice displaced": _fault(_moved(along=0.3), "SPACING_IRREGULAR"),
        "slice aside": _fault(_moved(aside=0.3), "GEOMETRY_INVALID"),
        "slice turned": _fault(_turned, "SERIES_MIXED"),
        "slice mirrored": _fault(_mirrored, "SERIES_MIXED"),
        "slice of another size": _fault(_resized, "SERIES_MIXED"),
        "slice of another spacing": _fault(_spaced, "SERIES_MIXED"),
        "slice of another echo": _fault(_set(EchoTime=80), "SERIES_MIXED"),
        "slice of another patient": _fault(_set(PatientID="other"), "UID_CONFLICT"),
        "slice of another study": _fault(_set(StudyInstanceUID="1.2.3.4.5"), "UID_CONFLICT"),
        "sheared": _fault(_sheared, "GEOMETRY_INVALID", every=True),
        "not square": _fault(_not_square, "GEOMETRY_INVALID", every=True),
        "position missing": _fault(_without("ImagePositionPatient"), "GEOMETRY_MISSING"),
        "orientation missing": _fault(_without("ImageOrientationPatient"), "GEOMETRY_MISSING"),
        "spacing missing": _fault(_without("PixelSpacing"), "GEOMETRY_MISSING"),
        "spacing zero": _fault(_set(PixelSpacing=[0, 1]), "GEOMETRY_INVALID"),
        "slope zero": _fault(_set(RescaleSlope=0), "VALUE_INVALID"),
        "table of values": _fault(_with_table, "VALUE_INVALID"),
        "bits elsewhere": _fault(_set(HighBit=15, BitsStored=12), "VALUE_INVALID"),
        "bits out of range": _fault(_out_of_range, "PIXELS_INVALID"),
        "sign unknown": _fault(_set(PixelRepresentation=2), "VALUE_INVALID"),
        "constant": _fault(_constant, "IMAGE_DEGENERATE"),
        "pixels cut": _fault(_cut, "DICOM_TRUNCATED"),
    }
)
