"""One file to a Header: the few values that decide, each checked before it is believed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import attrs
from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue

from cervispine.exceptions import GeometryError, LoadError
from cervispine.loading.geometry import check_cosines
from cervispine.loading.limits import Limits
from cervispine.loading.parsing import Parsed, decoder_of, parse
from cervispine.records import Problem

__all__ = ["Fault", "Header", "header_of", "number_of", "read_header", "tags_of"]

T = TypeVar("T", int, float, str)

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
#: Enhanced MR and legacy converted enhanced MR: many frames in one file.
MR_MULTIFRAME = ("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")

#: Vendors by a word of Manufacturer. The free text itself is not kept: it may say anything.
MANUFACTURERS = (
    "siemens", "philips", "ge", "canon", "toshiba", "hitachi", "fujifilm",
    "uih", "united imaging", "mindray", "neusoft", "esaote", "cervispine",
)  # fmt: skip

_UID = re.compile(r"[0-9.]{1,64}")


def tags_of(*keywords: str) -> tuple[int, ...]:
    """Return the tags of DICOM keywords."""
    return tuple(tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None)


#: Sorted as in a file; Specific Character Set comes with them.
HEADER_TAGS = tags_of(
    "ImageType", "SOPClassUID", "SOPInstanceUID", "Manufacturer", "SeriesDescription",
    "PatientID", "ScanningSequence", "SliceThickness", "RepetitionTime", "EchoTime",
    "InversionTime", "MagneticFieldStrength", "EchoTrainLength", "StudyInstanceUID",
    "SeriesInstanceUID", "AcquisitionNumber", "ImagePositionPatient", "ImageOrientationPatient",
    "FrameOfReferenceUID", "SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames",
    "Rows", "Columns", "PixelSpacing", "BitsAllocated", "BurnedInAnnotation",
)  # fmt: skip


@attrs.frozen
class Fault:
    """Why something is refused."""

    code: str
    reason: str


@attrs.frozen(kw_only=True)
class Header:
    """What one file says of one slice; ``fault`` is why it cannot be used, if it cannot.

    A file with a fault still tells its series, so that the series is refused as a whole instead
    of being read with a hole. ``position``, ``orientation`` and ``pixel_spacing`` are empty where
    they are missing or wrong.
    """

    number: int
    path: Path
    patient: str = attrs.field(repr=False)
    study_uid: str
    series_uid: str
    instance_uid: str
    frame_of_reference_uid: str
    transfer_syntax: str
    rows: int
    columns: int
    position: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    pixel_spacing: tuple[float, ...] = ()
    acquisition_number: int | None = None
    repetition_time: float | None = None
    echo_time: float | None = None
    inversion_time: float | None = None
    scanning_sequence: tuple[str, ...] = ()
    description: str = attrs.field(default="", repr=False)
    protocol: dict[str, float | str] = attrs.field(factory=dict)
    burned_in: bool = False
    fault: Fault | None = None


def read_header(path: Path, number: int, limits: Limits) -> Header | Problem:
    """Read the values of one file that decide, without its pixels.

    Parameters
    ----------
    path
        The file.
    number
        Its place in the sorted list of files, counted from 1, by which reports name it.
    limits
        Budgets that no file may pass.

    Returns
    -------
    Header or Problem
        A Problem when the file is no MR slice, or does not even tell its series.
    """
    try:
        parsed = parse(path, HEADER_TAGS, limits)
        other = _not_a_slice(parsed.dataset)
        if other is None:
            return header_of(parsed, path, number, limits)
        fault, fate = other, "rejected" if other.code == "MULTIFRAME_UNSUPPORTED" else "ignored"
    except LoadError as error:
        fault, fate = Fault(error.code, error.what), "rejected"
        if error.code == "NOT_DICOM":
            fate = "ignored"
    return Problem(
        code=fault.code,
        reason=fault.reason,
        item=f"file {number}",
        fate="ignored" if fate == "ignored" else "rejected",
    )


def _not_a_slice(dataset: Dataset) -> Fault | None:
    """Say why an object was never meant to be a slice of a volume, if it was not."""
    sop_class = _text(dataset, "SOPClassUID")
    if sop_class in MR_MULTIFRAME or (number_of(dataset, "NumberOfFrames", int) or 1) > 1:
        return Fault("MULTIFRAME_UNSUPPORTED", "many frames in one file are not read yet")
    if sop_class != MR_IMAGE:
        return Fault("NOT_MR_IMAGE", "DICOM, but not an MR image")
    photometric = _text(dataset, "PhotometricInterpretation")
    many_samples = number_of(dataset, "SamplesPerPixel", int) not in (1, None)
    if many_samples or (photometric and not photometric.startswith("MONOCHROME")):
        return Fault("COLOUR", "a colour image")
    image_type = [str(value).upper() for value in _list(dataset, "ImageType")]
    if "MOSAIC" in image_type:
        return Fault("MOSAIC", "many slices tiled into one image")
    if {"LOCALIZER", "SCOUT"} & set(image_type):
        return Fault("LOCALIZER", "a localizer")
    if "DERIVED" in image_type[:1] or "SECONDARY" in image_type[1:2]:
        return Fault("DERIVED", "computed from other images, or captured from a screen")
    return None


def header_of(parsed: Parsed, path: Path, number: int, limits: Limits) -> Header:
    """Check the values of an MR slice one by one.

    Raises
    ------
    LoadError
        ``VALUE_INVALID`` when the file does not tell its study, series, identity or size.
    """
    dataset = parsed.dataset
    sizes = {name: number_of(dataset, name, int) for name in ("Rows", "Columns", "BitsAllocated")}
    if not all(sizes.values()):
        raise LoadError("the image has no size", code="VALUE_INVALID")
    rows, columns, bits = (value or 0 for value in sizes.values())
    known = Header(
        number=number,
        path=path,
        patient=_text(dataset, "PatientID"),
        study_uid=_uid(dataset, "StudyInstanceUID"),
        series_uid=_uid(dataset, "SeriesInstanceUID"),
        instance_uid=_uid(dataset, "SOPInstanceUID"),
        frame_of_reference_uid=_uid(dataset, "FrameOfReferenceUID", required=False),
        transfer_syntax=str(parsed.transfer_syntax),
        rows=rows,
        columns=columns,
    )
    try:
        decoder_of(known.transfer_syntax)
        if not _text(dataset, "PhotometricInterpretation"):
            raise LoadError("the file ends before its image is described", code="DICOM_TRUNCATED")
        if rows > limits.rows or columns > limits.columns:
            raise LoadError(f"an image of {rows} x {columns} pixels", code="DECODE_BUDGET")
        compressed = parsed.transfer_syntax.is_compressed and parsed.pixel_bytes is None
        if not compressed and (parsed.pixel_bytes or 0) < rows * columns * bits // 8:
            raise LoadError("fewer pixels than rows x columns", code="DICOM_TRUNCATED")
        if not known.patient:
            raise LoadError("the patient has no identifier", code="PATIENT_ID_MISSING")
        return attrs.evolve(known, **_geometry(dataset), **_acquisition(dataset))
    except LoadError as error:
        return attrs.evolve(known, fault=Fault(error.code, error.what))


def _geometry(dataset: Dataset) -> dict[str, Any]:
    wanted = {
        "position": ("ImagePositionPatient", 3),
        "orientation": ("ImageOrientationPatient", 6),
        "pixel_spacing": ("PixelSpacing", 2),
    }
    values: dict[str, tuple[float, ...]] = {}
    for name, (keyword, count) in wanted.items():
        values[name] = _numbers(dataset, keyword)
        if not values[name]:
            raise GeometryError(f"{keyword} is missing", code="GEOMETRY_MISSING")
        if len(values[name]) != count:
            raise GeometryError(f"{keyword} has {len(values[name])} values, not {count}")
    if min(values["pixel_spacing"]) <= 0:
        raise GeometryError("PixelSpacing is not positive")
    check_cosines(values["orientation"])
    return values


def _acquisition(dataset: Dataset) -> dict[str, Any]:
    """Return what describes the acquisition, for grouping and for the series' protocol."""
    protocol: dict[str, float | str] = {"manufacturer": _manufacturer(dataset)}
    for name, keyword in {
        "repetition_time_ms": "RepetitionTime",
        "echo_time_ms": "EchoTime",
        "inversion_time_ms": "InversionTime",
        "field_strength_t": "MagneticFieldStrength",
        "slice_thickness_mm": "SliceThickness",
        "echo_train_length": "EchoTrainLength",
    }.items():
        value = number_of(dataset, keyword, float)
        if value is not None:
            protocol[name] = value
    return {
        "acquisition_number": number_of(dataset, "AcquisitionNumber", int),
        "repetition_time": protocol.get("repetition_time_ms"),
        "echo_time": protocol.get("echo_time_ms"),
        "inversion_time": protocol.get("inversion_time_ms"),
        "scanning_sequence": tuple(str(value) for value in _list(dataset, "ScanningSequence")),
        "description": _text(dataset, "SeriesDescription"),
        "protocol": protocol,
        "burned_in": _text(dataset, "BurnedInAnnotation").upper() == "YES",
    }


def _manufacturer(dataset: Dataset) -> str:
    words = _text(dataset, "Manufacturer").lower()
    return next((name for name in MANUFACTURERS if re.search(rf"\b{name}\b", words)), "other")


def _value(dataset: Dataset, keyword: str) -> Any:
    try:
        return dataset.get(keyword)
    except Exception as error:  # the class depends on the VR and on what is wrong with the value
        raise LoadError(
            f"{keyword} cannot be read: {type(error).__name__}", code="VALUE_INVALID"
        ) from None


def _list(dataset: Dataset, keyword: str) -> Sequence[Any]:
    value = _value(dataset, keyword)
    if value is None or value == "":
        return ()
    return value if isinstance(value, (MultiValue, list, tuple)) else (value,)


def _text(dataset: Dataset, keyword: str) -> str:
    return "\\".join(str(value) for value in _list(dataset, keyword)).strip(" \0")


def _uid(dataset: Dataset, keyword: str, *, required: bool = True) -> str:
    text = _text(dataset, keyword)
    if not _UID.fullmatch(text) and (text or required):
        raise LoadError(f"{keyword} is missing or no UID", code="VALUE_INVALID")
    return text


def _numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(value) for value in _list(dataset, keyword))
    except (TypeError, ValueError):
        raise LoadError(f"{keyword} is not a number", code="VALUE_INVALID") from None
    if not all(map(math.isfinite, numbers)):
        raise LoadError(f"{keyword} is not finite", code="VALUE_INVALID")
    return numbers


def number_of(dataset: Dataset, keyword: str, kind: type[T]) -> T | None:
    """Return the one number of an element, None when it is absent or empty.

    Raises
    ------
    LoadError
        ``VALUE_INVALID`` when it is no finite number, not whole where ``kind`` is int, or many.
    """
    numbers = _numbers(dataset, keyword)
    if not numbers:
        return None
    if len(numbers) > 1 or kind(numbers[0]) != numbers[0]:
        raise LoadError(f"{keyword} is not one {kind.__name__}", code="VALUE_INVALID")
    return kind(numbers[0])
