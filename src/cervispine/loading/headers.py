"""One file to Headers, one a slice: the few values that decide, each checked first."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import attrs

from cervispine.exceptions import GeometryError, LoadError
from cervispine.loading.checks import check_image, check_rescale
from cervispine.loading.elements import (
    Elements,
    list_of,
    number_of,
    numbers_of,
    tags_of,
    text_of,
    uid_of,
)
from cervispine.loading.frames import FRAME_TAGS, frames_of
from cervispine.loading.geometry import check_cosines
from cervispine.loading.kinds import (
    CUT_OFF,
    KIND_TAGS,
    MR_MULTIFRAME,
    NOTES,
    Fault,
    fault_of_kind,
    foreign,
    is_lossy,
    is_processed,
    words_of,
)
from cervispine.loading.limits import Limits
from cervispine.loading.parsing import Parsed, parse
from cervispine.loading.privacy import IDENTITY_TAGS, identity_of
from cervispine.loading.regions import region_of
from cervispine.loading.weighting import weighting
from cervispine.records import Problem

__all__ = [
    "HEADER_TAGS",
    "Fault",
    "Header",
    "elements_of",
    "headers_of",
    "manufacturer_of",
    "read_headers",
]

#: Vendors by a word of Manufacturer. The free text itself is not kept: it may say anything.
MANUFACTURERS = (
    "siemens", "philips", "ge", "canon", "toshiba", "hitachi", "fujifilm",
    "uih", "united imaging", "mindray", "neusoft", "esaote", "cervispine",
)  # fmt: skip

#: Specific Character Set comes with them.
HEADER_TAGS = FRAME_TAGS.union(
    KIND_TAGS,
    tags_of(
        "SOPInstanceUID", "PatientID", "ScanningSequence", "ScanOptions", "MRAcquisitionType",
        "SliceThickness", "RepetitionTime", "EchoTime", "InversionTime", "MagneticFieldStrength",
        "EchoTrainLength", "TriggerTime", "DiffusionBValue", "StudyInstanceUID",
        "SeriesInstanceUID", "AcquisitionNumber", "ImagePositionPatient",
        "ImageOrientationPatient", "FrameOfReferenceUID", "TemporalPositionIdentifier",
        "PixelSpacing", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
        "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "BurnedInAnnotation",
        "BodyPartExamined", "ProtocolName", "PixelPaddingValue", "PixelPaddingRangeLimit",
    ),
)  # fmt: skip
INDEX_TAGS = HEADER_TAGS | IDENTITY_TAGS

#: Numbers by which acquisitions under one series UID differ, in the order in which they are tried.
MARKS = {
    "acquisition": "AcquisitionNumber",
    "temporal position": "TemporalPositionIdentifier",
    "trigger time": "TriggerTime",
    "b-value": "DiffusionBValue",
}


#: Between which sizes pixels are those of an image of a patient, mm.
PIXEL_SIZES = (0.001, 100.0)

T = TypeVar("T", bound=Hashable)


def _tuple(values: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(values)


@functools.lru_cache(maxsize=1024)
def _one(value: T) -> T:
    """Return the first of equal values: slices of a series share what they have in common."""
    return value


@functools.lru_cache(maxsize=1024)
def _one_dict(*items: tuple[str, float | str]) -> dict[str, Any]:
    return dict(items)


@attrs.frozen(kw_only=True)
class Header:
    """What a file says of one slice; ``fault`` is why it cannot be used, if it cannot.

    A slice with a fault still tells its series, so that the series is refused as a whole instead
    of being read with a hole. ``position``, ``orientation`` and ``pixel_spacing`` are empty where
    they are missing or wrong.

    Parameters
    ----------
    path
        The file.
    frame
        Which image of a multi-frame file, counted from 0; None for a file of one image.
    sequence, sequence_from
        What :func:`~cervispine.loading.weighting.weighting` says. The description that it may
        have used is not kept: it may name a patient.
    region
        What :func:`~cervispine.loading.regions.region_of` says.
    part
        What tells images of one acquisition apart that are never one stack: the stack of a
        multi-frame image, a part of Dixon's.
    marks
        Numbers that tell apart acquisitions under one series UID.
    fat_suppressed, processed, corrected
        Whether fat is suppressed; the image is derived or secondary; its distortion corrected.
    notes
        Codes of what is to be known though the slice is used.
    identity
        What :func:`~cervispine.loading.privacy.identity_of` says of the file.
    """

    path: str
    frame: int | None = None
    patient: str = attrs.field(repr=False)
    study_uid: str
    series_uid: str
    instance_uid: str
    frame_of_reference_uid: str
    transfer_syntax: str
    rows: int
    columns: int
    position: tuple[float, ...] = attrs.field(default=(), converter=_tuple)
    orientation: tuple[float, ...] = attrs.field(default=(), converter=_tuple)
    pixel_spacing: tuple[float, ...] = attrs.field(default=(), converter=_tuple)
    echo_time: float | None = None
    sequence: str = "unknown"
    sequence_from: str = ""
    region: str = "unknown"
    part: str = ""
    marks: dict[str, float] = attrs.field(factory=dict)
    fat_suppressed: bool = False
    processed: bool = False
    corrected: bool = False
    protocol: dict[str, float | str] = attrs.field(factory=dict)
    notes: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    identity: tuple[str, ...] = attrs.field(default=(), converter=_tuple)
    fault: Fault | None = None


def read_headers(path: str, limits: Limits) -> tuple[Header, ...] | Problem:
    """Read the values of one file that decide, without its pixels.

    Parameters
    ----------
    path
        The file.
    limits
        Budgets that no file may pass.

    Returns
    -------
    tuple of Header, or Problem
        One header a slice; a Problem, without an item, when the file is no MR image in grey, or
        does not even tell its series.
    """
    try:
        parsed = parse(path, INDEX_TAGS, limits)
        fault = foreign(parsed.elements)
        if fault is None:
            return headers_of(parsed, path, limits)
    except LoadError as error:
        fault = Fault(error.code, error.what, ignored=error.code == "NOT_DICOM")
    return Problem(
        code=fault.code, reason=fault.reason, fate="ignored" if fault.ignored else "rejected"
    )


def elements_of(parsed: Parsed) -> Sequence[Elements] | None:
    """Return the frames of a multi-frame image; None for an image that is one.

    Raises
    ------
    LoadError
        ``MULTIFRAME_UNSUPPORTED`` for many frames in a class of images that has no place to say
        where each lies; see also :func:`~cervispine.loading.frames.frames_of`.
    """
    elements = parsed.elements
    if text_of(elements, "SOPClassUID") in MR_MULTIFRAME:
        return frames_of(parsed.dataset)
    if (number_of(elements, "NumberOfFrames", int) or 1) > 1:
        raise LoadError(
            "many frames in one file, of a class of images that has no functional groups",
            code="MULTIFRAME_UNSUPPORTED",
        )
    return None


def headers_of(
    parsed: Parsed,
    path: str,
    limits: Limits,
    *,
    only: Sequence[int] | None = None,
    place_only: bool = False,
) -> tuple[Header, ...]:
    """Check the values of an MR image one by one.

    Parameters
    ----------
    parsed, path, limits
        As for :func:`read_headers`.
    only
        Which frames of a multi-frame image; all when None.
    place_only
        Leave out what decides whether a slice is wanted, and who the patient is, and tell only
        which slice it is: that is enough to read what was indexed.

    Raises
    ------
    LoadError
        ``VALUE_INVALID`` when the file does not tell its study, series, identity or size.
    """
    common = _common(parsed, path, () if place_only else _one(identity_of(parsed)))
    if parsed.truncated:
        return (_cut_off(common, parsed.elements),)
    try:
        frames = elements_of(parsed)
        check_image(parsed, limits)
    except LoadError as error:
        return (attrs.evolve(common, fault=Fault(error.code, error.what)),)
    if frames is None:
        return (_slice(common, parsed.elements, place_only=place_only),)
    return tuple(
        _slice(attrs.evolve(common, frame=index), frames[index], place_only=place_only)
        for index in (range(len(frames)) if only is None else only)
        if index < len(frames)
    )


def _common(parsed: Parsed, path: str, identity: tuple[str, ...]) -> Header:
    elements = parsed.elements
    rows, columns = (number_of(elements, name, int) or 0 for name in ("Rows", "Columns"))
    sized = rows > 0 and columns > 0 and number_of(elements, "BitsAllocated", int)
    if not sized and not parsed.truncated:
        raise LoadError("the image has no size", code="VALUE_INVALID")
    return Header(
        path=path,
        identity=identity,
        # Of all slices of a series, one text is kept.
        patient=sys.intern(text_of(elements, "PatientID")),
        study_uid=sys.intern(uid_of(elements, "StudyInstanceUID")),
        series_uid=sys.intern(uid_of(elements, "SeriesInstanceUID")),
        instance_uid=uid_of(elements, "SOPInstanceUID"),
        frame_of_reference_uid=sys.intern(uid_of(elements, "FrameOfReferenceUID", required=False)),
        transfer_syntax=sys.intern(str(parsed.transfer_syntax)),
        rows=rows,
        columns=columns,
    )


def _cut_off(header: Header, elements: Elements) -> Header:
    """Return the header of a slice whose file ends too early; without it its series has a hole."""
    try:
        fault = fault_of_kind(elements, lossy=is_lossy(elements, header.transfer_syntax))
    except LoadError:
        fault = None
    return attrs.evolve(header, fault=fault or CUT_OFF)


def _slice(header: Header, elements: Elements, *, place_only: bool) -> Header:
    """Return the header of one slice, with its own values or with its fault."""
    try:
        if place_only:
            check_rescale(elements)
            return attrs.evolve(header, **_geometry(elements))
        lossy = is_lossy(elements, header.transfer_syntax)
        fault = fault_of_kind(elements, lossy=lossy)
        if fault is not None:
            return attrs.evolve(header, fault=fault)
        if not header.patient:
            raise LoadError("the patient has no identifier", code="PATIENT_ID_MISSING")
        check_rescale(elements)
        return attrs.evolve(
            header,
            **_geometry(elements),
            **_acquisition(elements),
            **_standing(elements, lossy=lossy),
        )
    except LoadError as error:
        return attrs.evolve(header, fault=Fault(error.code, error.what))


def _geometry(elements: Elements) -> dict[str, Any]:
    wanted = {
        "position": ("ImagePositionPatient", 3),
        "orientation": ("ImageOrientationPatient", 6),
        "pixel_spacing": ("PixelSpacing", 2),
    }
    values: dict[str, tuple[float, ...]] = {}
    for name, (keyword, count) in wanted.items():
        values[name] = numbers_of(elements, keyword)
        if not values[name]:
            raise GeometryError(f"{keyword} is missing", code="GEOMETRY_MISSING")
        if len(values[name]) != count:
            raise GeometryError(f"{keyword} has {len(values[name])} values, not {count}")
    low, high = PIXEL_SIZES
    if not all(low <= size <= high for size in values["pixel_spacing"]):
        raise GeometryError(f"PixelSpacing is not from {low:g} to {high:g} mm")
    check_cosines(values["orientation"])
    return {
        "position": tuple(map(_one, values["position"])),
        "orientation": _one(values["orientation"]),
        "pixel_spacing": _one(values["pixel_spacing"]),
    }


def _acquisition(elements: Elements) -> dict[str, Any]:
    """Return what describes the acquisition, for grouping and for the series' protocol."""
    protocol: dict[str, float | str] = {
        "manufacturer": manufacturer_of(text_of(elements, "Manufacturer"))
    }
    for name, keyword in {
        "repetition_time_ms": "RepetitionTime",
        "echo_time_ms": "EchoTime",
        "inversion_time_ms": "InversionTime",
        "field_strength_t": "MagneticFieldStrength",
        "slice_thickness_mm": "SliceThickness",
        "echo_train_length": "EchoTrainLength",
    }.items():
        value = number_of(elements, keyword, float)
        if value is not None:
            protocol[name] = value
    marks = {name: number_of(elements, keyword, float) for name, keyword in MARKS.items()}
    found = weighting(
        scanning_sequence=tuple(str(value) for value in list_of(elements, "ScanningSequence")),
        repetition_time=number_of(elements, "RepetitionTime", float),
        echo_time=number_of(elements, "EchoTime", float),
        inversion_time=number_of(elements, "InversionTime", float),
        description=text_of(elements, "SeriesDescription"),
        echo_train=number_of(elements, "EchoTrainLength", float),
        b_value=marks["b-value"],
        scan_options=_scan_options(elements),
        image_words=words_of(elements),
    )
    return {
        "echo_time": protocol.get("echo_time_ms"),
        "sequence": found.sequence,
        "sequence_from": sys.intern(found.reason),
        "fat_suppressed": found.fat_suppressed,
        "region": region_of(
            f"{text_of(elements, 'SeriesDescription')} {text_of(elements, 'ProtocolName')}",
            text_of(elements, "BodyPartExamined"),
        ),
        "part": text_of(elements, "StackID"),
        "marks": _one_dict(*((mark, value) for mark, value in marks.items() if value is not None)),
        "protocol": _one_dict(*protocol.items()),
    }


def _scan_options(elements: Elements) -> list[str]:
    """Return ScanOptions, with what stands in its place in an enhanced image."""
    options = [str(value).upper() for value in list_of(elements, "ScanOptions")]
    suppressed = text_of(elements, "SpectrallySelectedSuppression")
    return [*options, "FS"] if suppressed in ("FAT", "FAT_AND_WATER") else options


def _standing(elements: Elements, *, lossy: bool) -> dict[str, Any]:
    """Return what speaks for or against a slice where another one is there as well."""
    processed = is_processed(elements)
    burned_in = text_of(elements, "BurnedInAnnotation").upper() == "YES"
    notes = zip(NOTES, (burned_in, lossy, processed), strict=True)
    return {
        "processed": processed,
        "corrected": bool({"DIS2D", "DIS3D"} & set(words_of(elements))),
        "notes": tuple(note.code for note, holds in notes if holds),
    }


def manufacturer_of(words: str) -> str:
    """Return the vendor that a free text names, "other" when it names none we know."""
    words = words.lower()
    return next((name for name in MANUFACTURERS if re.search(rf"\b{name}\b", words)), "other")
