"""Files among good ones that lie, nest, point elsewhere or pretend: each has its one answer.

Every exhibit lies beside a good series, which must be read all the same; the account must name its
code; and no page, table or message may carry what a browser, a spreadsheet or a terminal would run.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.encaps import encapsulate, generate_frames
from pydicom.tag import Tag

from cervispine.exceptions import CervispineError
from cervispine.loading import Loader
from cervispine.reporting import save_intake
from cervispine.testing import OracleSeries, check_volume, write_oracle_series

GOOD = OracleSeries(patient="good", study="1.2.3.99", series="1.2.3.99.1")
#: What the attacks are made of.
EVIL = OracleSeries(shape=(4, 40, 36), bits=12, patient="evil")

#: Control and format characters, which command terminals and turn text around.
UNSEEN = {"Cc", "Cf"}

SYNTAXES = {
    "explicit": "1.2.840.10008.1.2.1",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}

Make = Callable[[Path], object]


def codes_of(place: Any) -> dict[str, str]:
    """Take everything in and write all that is written of it; return the codes and their fates."""
    cohort = Loader().index(place.incoming)
    assert cohort.intake is not None
    found = {problem.code: problem.fate for problem in cohort.intake.problems}
    assert "good" in cohort.patients
    for study in cohort:
        written = GOOD if study.patient == "good" else EVIL
        try:
            check_volume(Loader().read(study), written)
        except CervispineError as error:
            found[error.code] = study.patient
    assert "good" not in found.values()
    save_intake(cohort, place.target)
    page = (place.target / "intake.html").read_text()
    table = (place.target / "rejected.csv").read_text()
    assert "<script" not in page
    told = cohort.intake.summary() + "".join(f"{p.item} {p.reason}" for p in cohort.intake.problems)
    for text in (page, table, told):
        assert not [each for each in text if unicodedata.category(each) in UNSEEN and each != "\n"]
    return found


def raw(content: bytes, name: str = "IM1") -> Make:
    return lambda folder: (folder / name).write_bytes(content)


def series(
    change: Callable[[Dataset], object] | None = None, *, syntax: str = "explicit", **fields: Any
) -> Make:
    """Return what writes a series whose every slice was changed."""

    def make(folder: Path) -> None:
        written = attrs.evolve(EVIL, syntax=SYNTAXES[syntax], **fields)
        write_oracle_series(folder, written, change=lambda _, dataset: change and change(dataset))

    return make


def with_values(**values: Any) -> Make:
    """Return what writes a series of which elements hold such text, whatever their kind allows."""

    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            tag = Tag(keyword)
            number = isinstance(value, int)
            content = (
                struct.pack("<H", value) if number else f"{value}{' ' * (len(value) % 2)}".encode()
            )
            vr = dictionary_VR(tag)
            dataset._dict[tag] = RawDataElement(tag, vr, len(content), content, 0, False, True)

    return series(change)


def edited(change: Callable[[bytes], bytes], *, syntax: str = "explicit", **fields: Any) -> Make:
    """Return what writes a series and changes the bytes of each file."""

    def make(folder: Path) -> None:
        series(syntax=syntax, **fields)(folder)
        for path in folder.iterdir():
            path.write_bytes(change(path.read_bytes()))

    return make


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new)

    return change


def element(tag: tuple[int, int], vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """Return an element in explicit little endian, with a length that may lie."""
    size = len(value) if length is None else length
    head = struct.pack("<HH", *tag) + vr
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT")
    return head + (struct.pack("<HL", 0, size) if long else struct.pack("<H", size)) + value


def pixels(content: bytes) -> int:
    """Return where the element of the pixel data begins."""
    return content.rindex(b"\xe0\x7f\x10\x00")


def before_pixels(extra: bytes) -> Callable[[bytes], bytes]:
    """Put bytes of header in front of the pixel data."""

    def change(content: bytes) -> bytes:
        place = pixels(content)
        return content[:place] + extra + content[place:]

    return change


def before_patient(extra: bytes) -> Callable[[bytes], bytes]:
    """Put bytes of header in front of the identifier of the patient."""

    def change(content: bytes) -> bytes:
        place = content.index(b"\x10\x00\x20\x00LO")
        return content[:place] + extra + content[place:]

    return change


ITEM, ITEM_END, SEQUENCE_END = (
    b"\xfe\xff" + end for end in (b"\x00\xe0", b"\x0d\xe0", b"\xdd\xe0")
)
UNDEFINED = b"\xff\xff\xff\xff"


def nested(depth: int) -> bytes:
    """Return a sequence in a sequence in a sequence, none of which says how long it is."""
    opened = (b"\x40\x00\x75\x02SQ\0\0" + UNDEFINED + ITEM + UNDEFINED) * depth
    return opened + (ITEM_END + bytes(4) + SEQUENCE_END + bytes(4)) * depth


def encoded(change: Callable[[bytes], bytes], syntax: str) -> Make:
    """Return what writes a series whose compressed images were changed, and put back as such."""

    def make(folder: Path) -> None:
        series(syntax=syntax)(folder)
        for path in folder.iterdir():
            dataset = pydicom.dcmread(path)
            (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
            dataset.PixelData = encapsulate([change(frame)])
            dataset.save_as(path)

    return make


def at(place: int, value: bytes, after: bytes = b"") -> Callable[[bytes], bytes]:
    """Return what writes bytes at a place, counted from a marker."""

    def change(content: bytes) -> bytes:
        start = (content.index(after) if after else 0) + place
        return content[:start] + value + content[start + len(value) :]

    return change


def preamble(start: bytes) -> Make:
    return edited(lambda content: start + content[len(start) :])


BIG = struct.pack(">H", 65535)

#: Each attack, and the code of the answer; "used" where nothing is wrong with the image itself.
FILES: dict[str, tuple[Make, str]] = {
    # Kinds of files that lie in such folders.
    "empty file": (raw(b""), "NOT_DICOM"),
    "text": (raw(b"patient,label\n1,OPLL\n", "IM1.dcm"), "NOT_DICOM"),
    "page of an error": (raw(b"<html><script>alert(1)</script></html>"), "NOT_DICOM"),
    "Finder's": (raw(b"\0\0\0\1Bud1" + bytes(200), ".DS_Store"), "NOT_DICOM"),
    "Explorer's": (raw(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "Thumbs.db"), "NOT_DICOM"),
    "PDF": (raw(b"%PDF-1.7\n" + bytes(300)), "NOT_DICOM"),
    "PNG": (raw(b"\x89PNG\r\n\x1a\n" + bytes(300)), "NOT_DICOM"),
    "program": (raw(b"\x7fELF\2\1\1" + bytes(300)), "NOT_DICOM"),
    "archive by another name": (raw(b"PK\3\4" + bytes(300), "IM1.dcm"), "NOT_DICOM"),
    "archive among files": (raw(b"PK\3\4" + bytes(300), "more.zip"), "ARCHIVE_NESTED"),
    "preamble and no more": (raw(bytes(128) + b"DICM"), "TRANSFER_SYNTAX"),
    "half a preamble": (raw(bytes(128) + b"DIC"), "NOT_DICOM"),
    # A program or a picture in the preamble (CVE-2019-11687): an image all the same, and not run.
    "preamble of a program": (preamble(b"MZ\x90\0"), "used"),
    "preamble of a picture": (preamble(b"II*\0"), "used"),
    "preamble of a page": (preamble(b"<script>alert(1)</script>"), "used"),
    # File meta information.
    "meta that says it never ends": (edited(at(140, b"\xff\xff\xff\x7f")), "used"),
    "meta without syntax": (
        edited(replaced(b"\2\0\x10\0UI", b"\2\0\x1f\0UI")), "TRANSFER_SYNTAX"),
    "a syntax that is none": (
        edited(replaced(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0")), "TRANSFER_SYNTAX"),
    "a syntax that is a path": (
        edited(replaced(b"1.2.840.10008.1.2.1\0", b"../../../../secret\0\0")), "TRANSFER_SYNTAX"),
    "another byte order than said": (
        edited(replaced(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.2\0")), "DICOM_TRUNCATED"),
    # Structure.
    "sequences ten thousand deep": (edited(before_pixels(nested(10_000))), "DICOM_INVALID"),
    "an element of four gigabytes": (
        edited(before_pixels(element((0x60, 1), b"OB", b"", 0xFFFFFFF0))), "DICOM_TRUNCATED"),
    "a text of four gigabytes": (
        edited(before_pixels(element((0x60, 1), b"UT", b"", 0xFFFFFFF0))), "DICOM_TRUNCATED"),
    "a sequence without an end": (
        edited(before_pixels(element((0x60, 1), b"SQ", ITEM + UNDEFINED, 0xFFFFFFFF))),
        "DICOM_INVALID"),
    "a million empty items": (
        edited(before_pixels(element((0x60, 1), b"SQ", (ITEM + bytes(4)) * 1_000_000))),
        "used"),
    # Kinds of values that are none, of elements that nothing but the look at identity reads.
    "an empty element of an unknown kind": (
        edited(before_patient(element((0x8, 0x50), b"\x53\xd9", b""))), "used"),
    "an element of an unknown kind": (
        edited(before_patient(element((0x8, 0x50), b"ZZ", b"1234"))), "used"),
    # Identifiers that lead elsewhere, or are run where they are shown.
    "a study that is a path": (with_values(StudyInstanceUID="../../../secret"), "VALUE_INVALID"),
    "a series that is a path": (with_values(SeriesInstanceUID="/etc/passwd"), "VALUE_INVALID"),
    "a series that is a page": (
        with_values(SeriesInstanceUID="<script>alert(1)</script>"), "VALUE_INVALID"),
    "a series that is a formula": (
        with_values(SeriesInstanceUID="=cmd|'/C calc'!A0"), "VALUE_INVALID"),
    "a series that commands a terminal": (
        with_values(SeriesInstanceUID="1.2\x1b]0;evil\x07\x1b[2J"), "VALUE_INVALID"),
    "a series as long as a book": (with_values(SeriesInstanceUID="1." * 50_000), "VALUE_INVALID"),
    "a patient that is a path": (with_values(PatientID="../../../secret"), "used"),
    "a patient that is a page": (with_values(PatientID="<script>alert(1)</script>"), "used"),
    "a patient that commands a terminal": (with_values(PatientID="\x1b[2J\x1b]0;evil\x07"), "used"),
    "a maker that is a page": (with_values(Manufacturer="<script>alert(1)</script>"), "used"),
    "a description that is a page": (
        with_values(SeriesDescription="<script>alert(1)</script>"), "used"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", FILES)
def test_files(untouched: Any, name: str) -> None:
    check(untouched, *FILES[name])


def check(place: Any, make: Make, code: str) -> None:
    write_oracle_series(place.incoming / "good", GOOD)
    attack = place.incoming / "attack"
    attack.mkdir()
    make(attack)
    found = codes_of(place)
    if code == "used":
        assert set(found.values()) <= {"noted"}, found
    else:
        assert code in found, found


NUMBERS, SIZES = "VALUE_INVALID", "GEOMETRY_INVALID"

#: Values of the header that no image can have, and the code of each answer.
VALUES: list[tuple[str, str | int, str]] = [
    *(("RescaleSlope", slope, NUMBERS)
      for slope in ("1e400", "nan", "inf", "0", "1,5", "0x10", "1_0", "1e-400", "--1")),
    *(("RescaleIntercept", intercept, NUMBERS) for intercept in ("1e400", "nan", "-inf", "1e39")),
    *(("ImagePositionPatient", position, NUMBERS)
      for position in ("nan\\0\\0", "1e400\\0\\0", "a\\b\\c")),
    ("ImagePositionPatient", "0\\0", SIZES),
    ("ImagePositionPatient", "0\\0\\0\\0", SIZES),
    ("ImagePositionPatient", "", "GEOMETRY_MISSING"),
    ("ImageOrientationPatient", "", "GEOMETRY_MISSING"),
    *(("ImageOrientationPatient", cosines, SIZES)
      for cosines in ("0\\0\\0\\0\\0\\0", "1\\0\\0\\1\\0\\0", "2\\0\\0\\0\\2\\0", "1\\0\\0")),
    *(("PixelSpacing", spacing, SIZES)
      for spacing in ("0\\1", "-1\\1", "1e30\\1e30", "1e-30\\1", "1", "1\\1\\1")),
    ("PixelSpacing", "nan\\1", NUMBERS),
    ("PixelSpacing", "", "GEOMETRY_MISSING"),
    ("NumberOfFrames", "-1", "PIXELS_INVALID"),
    ("NumberOfFrames", "99999999999", "MULTIFRAME_UNSUPPORTED"),
    ("NumberOfFrames", "1e9", "MULTIFRAME_UNSUPPORTED"),
    ("NumberOfFrames", "2.5", NUMBERS),
    ("Rows", 0, NUMBERS),
    ("Rows", 65535, "DECODE_BUDGET"),
    *(("BitsAllocated", bits, NUMBERS) for bits in (0, 1, 7, 12, 64)),
    *(("BitsStored", bits, NUMBERS) for bits in (0, 1, 17)),
    *(("HighBit", bit, NUMBERS) for bit in (0, 15, 99)),
    *(("PixelRepresentation", sign, NUMBERS) for sign in (2, 255)),
    *(("SamplesPerPixel", samples, "COLOUR") for samples in (0, 2, 3, 65535)),
    *(("PhotometricInterpretation", kind, "COLOUR")
      for kind in ("PALETTE COLOR", "RGB", "YBR_FULL", "<script>")),
    ("PhotometricInterpretation", "", "DICOM_TRUNCATED"),
    *(("PatientID", nobody, "PATIENT_ID_MISSING") for nobody in ("", " ", "\0\0")),
    *(("SOPClassUID", kind, "NOT_MR_IMAGE") for kind in ("1.2.3", "1.2.840.10008.5.1.4.1.1.7")),
    ("ImageType", "ORIGINAL\\PRIMARY\\M\\MOSAIC", "MOSAIC"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("keyword", "value", "code"), VALUES)
def test_values(untouched: Any, keyword: str, value: str | int, code: str) -> None:
    check(untouched, with_values(**{keyword: value}), code)


#: Compressed images whose head asks for other memory than the file says, or whose data leave it.
STREAMS: dict[str, tuple[Make, str]] = {
    "RLE of no segments": (encoded(at(0, bytes(4)), "RLE"), "PIXELS_INVALID"),
    "RLE of a thousand segments": (
        encoded(at(0, struct.pack("<L", 1000)), "RLE"), "PIXELS_INVALID"),
    "RLE that begins beyond its end": (
        encoded(at(4, struct.pack("<L", 2**31)), "RLE"), "PIXELS_INVALID"),
    "RLE whose segments go backwards": (
        encoded(at(8, struct.pack("<L", 3)), "RLE"), "PIXELS_INVALID"),
    "RLE that unpacks to more": (
        encoded(lambda frame: frame[:64] + b"\x81\x07" * 5000, "RLE"), "PIXELS_INVALID"),
    "RLE that unpacks to less": (encoded(lambda frame: frame[:80], "RLE"), "PIXELS_INVALID"),
    "JPEG-LS of eight gigabytes": (
        encoded(at(5, BIG * 2, b"\xff\xf7"), "JPEG-LS"), "PIXELS_INVALID"),
    "JPEG-LS of three colours": (encoded(at(9, b"\3", b"\xff\xf7"), "JPEG-LS"), "PIXELS_INVALID"),
    "JPEG-LS without a scan": (
        encoded(lambda frame: frame[:25] + b"\xff\xd9", "JPEG-LS"), "PIXELS_INVALID"),
    "JPEG-LS that is a program": (encoded(lambda _: b"\x7fELF" * 100, "JPEG-LS"), "PIXELS_INVALID"),
    "JPEG 2000 of sixteen exabytes": (
        encoded(at(6, b"\xff" * 8, b"\xff\x51"), "JPEG 2000"), "PIXELS_INVALID"),
    "JPEG 2000 of a billion tiles": (
        encoded(at(22, struct.pack(">LL", 1, 1), b"\xff\x51"), "JPEG 2000"), "PIXELS_INVALID"),
    "JPEG 2000 of 16,384 components": (
        encoded(at(38, struct.pack(">H", 16384), b"\xff\x51"), "JPEG 2000"), "PIXELS_INVALID"),
    "JPEG 2000 of 65,535 layers": (encoded(at(6, BIG, b"\xff\x52"), "JPEG 2000"), "PIXELS_INVALID"),
    "JPEG 2000 of the other sign": (
        encoded(at(40, b"\x8b", b"\xff\x51"), "JPEG 2000"), "PIXELS_INVALID"),
    "no fragments": (
        edited(lambda c: c[: pixels(c) + 12] + SEQUENCE_END + bytes(4), syntax="RLE"),
        "PIXELS_INVALID"),
    "a fragment of four gigabytes": (
        edited(lambda c: c[: pixels(c) + 20] + ITEM + b"\xf0\xff\xff\xff" + bytes(90),
               syntax="RLE"),
        "DICOM_TRUNCATED"),
    "native pixels said to be compressed": (
        edited(replaced(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0")), "PIXELS_INVALID"),
    "compressed pixels said to be native": (
        edited(replaced(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0"), syntax="RLE"),
        "DICOM_TRUNCATED"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", STREAMS)
def test_streams(untouched: Any, name: str) -> None:
    check(untouched, *STREAMS[name])
