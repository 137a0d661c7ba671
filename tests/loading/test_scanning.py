"""A scan finds what pydicom finds, or leaves the file to it."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, generate_uid

from cervispine.exceptions import LoadError
from cervispine.loading.headers import INDEX_TAGS
from cervispine.loading.limits import Limits
from cervispine.loading.parsing import Parsed, _parse, _scan, parse, quiet_pydicom
from cervispine.loading.scanning import PIXEL_DATA

SHIPPED = sorted(
    path
    for path in (Path(pydicom.data.__file__).parent / "test_files").rglob("*")
    if path.is_file() and path.stat().st_size < 200_000
)


def scanned(content: bytes, *, pixels: bool) -> Parsed | None:
    with quiet_pydicom():
        return _scan(content, len(content), INDEX_TAGS, pixels=pixels)


def by_pydicom(content: bytes, *, pixels: bool) -> Parsed:
    with quiet_pydicom():
        return _parse(io.BytesIO(content), len(content), INDEX_TAGS, Limits(), pixels=pixels)


def told(parsed: Parsed) -> dict[int, Any]:
    """Return the elements as they lie in the file; pixels are compared apart."""
    return {tag: raw for tag, raw in parsed.elements._raw.items() if tag != PIXEL_DATA}


def assert_same(content: bytes) -> bool:
    """Compare the two readings of a file; return whether there were two."""
    for pixels in (False, True):
        mine = scanned(content, pixels=pixels)
        if mine is None:
            continue
        theirs = by_pydicom(content, pixels=pixels)
        assert told(mine) == told(theirs)
        assert mine.dataset.original_character_set == theirs.dataset.original_character_set
        assert mine.transfer_syntax == theirs.transfer_syntax
        assert mine.pixel_bytes == theirs.pixel_bytes
        if not pixels:  # of a whole file, pydicom also reads what stands behind the pixels
            assert mine.private == theirs.private
        else:
            assert mine.pixels is not None
            assert theirs.pixels is not None
            assert bytes(mine.pixels.content) == bytes(theirs.pixels.content)
            assert mine.pixels.vr == theirs.pixels.vr
    return scanned(content, pixels=False) is not None


def image(syntax: str = ExplicitVRLittleEndian, **elements: Any) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["scan"])
    values = {"SOPClassUID": MRImageStorage, "PatientID": "one", "Rows": 2, "Columns": 2}
    values |= {"BitsAllocated": 16, "PixelData": bytes(range(8)), **elements}
    for name, value in values.items():
        setattr(dataset, name, value)
    return dataset


def written(dataset: Dataset) -> bytes:
    stream = DicomBytesIO()
    dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def nested(depth: int) -> Dataset:
    item = Dataset()
    item.CodeValue = "1"
    if depth:
        item.PurposeOfReferenceCodeSequence = [nested(depth - 1), Dataset()]
        item["PurposeOfReferenceCodeSequence"].is_undefined_length = True
    item.is_undefined_length_sequence_item = depth != 1
    return item


def test_files_that_pydicom_ships() -> None:
    by_two = [assert_same(path.read_bytes()) for path in SHIPPED]
    # The others hold no pixels, or are big endian, deflated or broken.
    assert sum(by_two) >= 70


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("depth", [0, 1, 3, 20])
def test_sequences_without_a_length(syntax: str, depth: int) -> None:
    dataset = image(syntax, ReferencedImageSequence=[nested(depth)])
    dataset["ReferencedImageSequence"].is_undefined_length = True
    assert assert_same(written(dataset)) is (depth < 20)


def test_a_sequence_that_is_wanted() -> None:
    dataset = image(SharedFunctionalGroupsSequence=[nested(0)])
    assert assert_same(written(dataset))
    # Without a length, what is in it is not to be passed over.
    dataset["SharedFunctionalGroupsSequence"].is_undefined_length = True
    assert not assert_same(written(dataset))


@pytest.mark.parametrize(
    ("names", "plain"),
    [
        ("ISO_IR 100", True),
        (["", "ISO 2022 IR 87"], True),
        ("ISO_IR 192", True),
        ("ISO-IR 100", False),
        ("nonsense", False),
    ],
    ids=str,
)
def test_character_sets(names: Any, plain: bool) -> None:
    content = written(image(SpecificCharacterSet="ISO_IR 100", PatientID="M\xfcller"))
    if names != "ISO_IR 100":
        with quiet_pydicom():
            content = written(image(SpecificCharacterSet=names, PatientID="Yamada"))
    assert assert_same(content) is plain


def test_what_is_not_plain_is_left_to_pydicom() -> None:
    content = written(image())
    assert assert_same(content)
    rows = content.index(b"\x28\0\x10\0US")
    swapped = bytearray(content)
    # Columns before Rows; a kind that does not exist; an encoding that changes.
    swapped[rows : rows + 10], swapped[rows + 10 : rows + 20] = (
        swapped[rows + 10 : rows + 20],
        swapped[rows : rows + 10],
    )
    for broken in (
        bytes(swapped),
        content.replace(b"US\x02\0\x02\0", b"ZZ\x02\0\x02\0"),
        content.replace(b"US\x02\0\x02\0", b"\x02\0\0\0\x02\0"),
    ):
        assert broken != content
        assert scanned(broken, pixels=False) is None


def test_a_long_header_is_read_to_its_pixels(tmp_path: Path) -> None:
    for length in (10, 20_000, 2_000_000):
        path = tmp_path / "long.dcm"
        path.write_bytes(written(image(TextValue="x" * length, RescaleSlope=2)))
        parsed = parse(path, INDEX_TAGS, Limits())
        assert float(parsed.elements.get("RescaleSlope")) == 2
        assert parsed.pixel_bytes == 8


@settings(max_examples=150)
@given(st.integers(0, 2**32), st.sampled_from(range(len(SHIPPED))))
def test_broken_files_are_read_alike(seed: int, which: int) -> None:
    content = bytearray(SHIPPED[which].read_bytes())
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(128, min(len(content), 4000))
        kind = chance.randrange(3)
        if kind == 0:
            content[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            content[place : place + 2] = chance.randbytes(2)
        else:
            del content[place : place + chance.randrange(1, 9)]
    try:
        assert_same(bytes(content))
    except (LoadError, ValueError, OSError, EOFError) as error:
        pytest.fail(f"read by a scan, refused by pydicom: {error}")
