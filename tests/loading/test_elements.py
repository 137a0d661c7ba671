"""Values straight from their bytes are those that pydicom makes of them, or both refuse."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag

from cervispine.exceptions import LoadError
from cervispine.loading.elements import Plain, list_of, number_of, numbers_of, text_of, uid_of
from cervispine.loading.parsing import quiet_pydicom

#: One element of each kind that a header is read from.
KEYWORDS = (
    "ImageType", "SOPInstanceUID", "PatientID", "EchoTime", "EchoTrainLength", "Rows",
    "AcquisitionMatrix", "ImagePositionPatient", "DiffusionBValue", "StackID", "ScanOptions",
)  # fmt: skip
VRS = (None, "CS", "UI", "LO", "SH", "DS", "IS", "US", "FD", "UN", "SS", "OB", "LT")

texts = st.text(alphabet="0123456789.+-eE \\ABX_\0", max_size=24).map(str.encode)
numbers = st.lists(
    st.one_of(st.integers(-10, 70000), st.floats()).map(str), min_size=1, max_size=4
).map(lambda parts: "\\".join(parts).encode())
words = st.lists(st.integers(0, 65535), max_size=4).map(lambda n: struct.pack(f"<{len(n)}H", *n))
contents = st.one_of(texts, numbers, words, st.binary(max_size=16), st.just(b"caf\xe9 \x1b$B"))


def dataset(keyword: str, vr: str | None, content: bytes, little: bool) -> Dataset:
    made = Dataset()
    tag = Tag(keyword)
    made[tag] = RawDataElement(tag, vr, len(content), content, 0, vr is None, little)
    return made


def outcome(read: Any, elements: Any, keyword: str) -> Any:
    try:
        value = read(elements, keyword)
    except LoadError as error:
        return error.code
    return [str(each) for each in value] if read is list_of else value


READERS = (
    text_of,
    numbers_of,
    uid_of,
    lambda elements, keyword: number_of(elements, keyword, int),
    lambda elements, keyword: number_of(elements, keyword, float),
)


@settings(max_examples=600)
@given(st.sampled_from(KEYWORDS), st.sampled_from(VRS), contents, st.booleans())
@example("EchoTime", None, b"0_0", False)
@example("EchoTrainLength", "IS", b"1_0", True)
@example("EchoTrainLength", "IS", b"1_0\\2", True)
def test_plain_values_are_those_of_pydicom(
    keyword: str, vr: str | None, content: bytes, little: bool
) -> None:
    with quiet_pydicom():
        for read in READERS:
            expected = outcome(read, dataset(keyword, vr, content, little), keyword)
            plain = Plain(dataset(keyword, vr, content, little))
            assert outcome(read, plain, keyword) == expected
            assert outcome(read, plain, keyword) == expected  # asked twice, answered from memory


def test_an_element_is_found_by_its_tag() -> None:
    private = dataset("Rows", "US", b"\x05\0", True)
    block = private.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0A, "US", 35)
    assert Plain(private).get(0x0019100A) == 35
    assert Plain(private).get(0x00191099) is None


def test_what_is_absent_is_none() -> None:
    plain = Plain(Dataset())
    assert plain.get("Rows") is None
    assert plain.get(Tag("Rows")) is None
    with pytest.raises(LoadError, match="missing"):
        uid_of(plain, "StudyInstanceUID")


def test_minus_zero_is_zero() -> None:
    plain = Plain(dataset("ImagePositionPatient", "DS", b"-0\\-0.0\\0", True))
    assert [str(number) for number in numbers_of(plain, "ImagePositionPatient")] == ["0.0"] * 3
