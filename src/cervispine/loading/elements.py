"""Elements of a data set to texts, numbers and UIDs, each checked before it is believed."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from cervispine.exceptions import LoadError
from cervispine.loading.scanning import Scan

__all__ = [
    "Elements",
    "Plain",
    "list_of",
    "number_of",
    "numbers_of",
    "tags_of",
    "text_of",
    "uid_of",
]

T = TypeVar("T", int, float, str)

_UID = re.compile(r"[0-9.]{1,64}")
_PRINTABLE = re.compile(rb"[ -~]*\0*")
_WHOLE = re.compile(r"( *[+-]?[0-9]+ *)?")

#: Kinds of values that are written as text; what is printable ASCII is so in every character set.
TEXTS = ("CS", "DS", "IS", "LO", "SH", "UI")


class Elements(Protocol):
    """What has values by keyword or tag: the elements of an image, or of one of its frames."""

    def get(self, key: str | int, /) -> Any:
        """Return the value of an element, None when it is absent."""
        ...


def tags_of(*keywords: str) -> frozenset[int]:
    """Return the tags of DICOM keywords."""
    return frozenset(tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None)


class Plain:
    """The elements of an image, texts and small numbers straight from their bytes.

    pydicom makes an object of every value that it is asked for, which takes three times as long
    as reading the file. What is not plain is left to it; a test holds the two against each other.

    Parameters
    ----------
    read
        What was read, as pydicom read it or as it was scanned.
    """

    def __init__(self, read: Dataset | Scan) -> None:
        self._read = read
        # Comparing pydicom's tags takes longer than comparing integers.
        self._raw: Mapping[int, RawDataElement | DataElement] = (
            {int(element.tag): element for element in read.values()}
            if isinstance(read, Dataset)
            else read.elements
        )
        self._values: dict[int, Any] = {}

    @functools.cached_property
    def dataset(self) -> Dataset:
        """All of it as pydicom has it; making it takes a while."""
        return self._read if isinstance(self._read, Dataset) else self._read.dataset()

    def get(self, key: str | int, /) -> Any:
        """Return the value of an element, None when it is absent."""
        tag = key if isinstance(key, int) else _tag_of(key)
        if tag in self._values:
            return self._values[tag]
        raw = self._raw.get(tag)
        if raw is None:
            return None
        value = _plain(raw) if isinstance(raw, RawDataElement) else None
        if value is None:
            value = self.dataset[BaseTag(tag)].value
        self._values[tag] = value
        return value

    def unread(self, keyword: str) -> Any:
        """Return the value of an element as it lies in the file, None when it is absent.

        Bytes, or a sequence where it has no length.
        """
        return getattr(self._raw.get(_tag_of(keyword)), "value", None)


@functools.cache
def _tag_of(keyword: str) -> int:
    return int(tag_for_keyword(keyword) or 0)


@functools.cache
def _usual_vr(tag: int) -> str:
    try:
        return str(dictionary_VR(tag))
    except KeyError:  # a private element
        return ""


def _plain(raw: RawDataElement) -> str | list[str] | int | list[int] | None:
    """Return the value of an element of a common kind; None where pydicom must convert it."""
    content = raw.value
    if content is None:
        return None
    vr = raw.VR or _usual_vr(raw.tag)
    if vr == "US" and content and len(content) % 2 == 0:
        order: Literal["little", "big"] = "little" if raw.is_little_endian else "big"
        numbers = [int.from_bytes(content[i : i + 2], order) for i in range(0, len(content), 2)]
        return numbers[0] if len(numbers) == 1 else numbers
    if vr not in TEXTS or not _PRINTABLE.fullmatch(content):
        return None
    if vr == "UI" and b" " in content:
        return None
    text = content.decode("ascii").rstrip(" \0")
    if vr == "IS" and not _WHOLE.fullmatch(text):
        return None
    return [part.rstrip(" \0") for part in text.split("\\")] if "\\" in text else text


def _value(elements: Elements, keyword: str) -> Any:
    try:
        return elements.get(keyword)
    except Exception as error:  # the class depends on the VR and on what is wrong with the value
        raise LoadError(
            f"{keyword} cannot be read: {type(error).__name__}", code="VALUE_INVALID"
        ) from None


def list_of(elements: Elements, keyword: str) -> Sequence[Any]:
    """Return the values of an element, none when it is absent or empty."""
    return _list(_value(elements, keyword))


def _list(value: Any) -> Sequence[Any]:
    if value is None or value == "":
        return ()
    if isinstance(value, (str, int, float)):
        return (value,)
    return value if isinstance(value, (MultiValue, list, tuple)) else (value,)


def text_of(elements: Elements, keyword: str) -> str:
    """Return an element as text, its values joined by backslashes as in a file."""
    text = "\\".join(map(str, list_of(elements, keyword)))
    return text.strip(" \0")


def uid_of(elements: Elements, keyword: str, *, required: bool = True) -> str:
    """Return a UID.

    Raises
    ------
    LoadError
        ``VALUE_INVALID`` when it is no UID, or missing though required.
    """
    text = text_of(elements, keyword)
    if not _UID.fullmatch(text) and (text or required):
        raise LoadError(f"{keyword} is missing or no UID", code="VALUE_INVALID")
    return text


def numbers_of(elements: Elements, keyword: str) -> tuple[float, ...]:
    """Return the numbers of an element, none when it is absent or empty.

    Raises
    ------
    LoadError
        ``VALUE_INVALID`` when one is no finite number.
    """
    try:
        value = _value(elements, keyword)
        if type(value) is int:  # most of them are
            return (float(value),)
        numbers = tuple([_number(each) for each in _list(value)])
    except (TypeError, ValueError):
        raise LoadError(f"{keyword} is not a number", code="VALUE_INVALID") from None
    if not all(map(math.isfinite, numbers)):
        raise LoadError(f"{keyword} is not finite", code="VALUE_INVALID")
    return numbers


def _number(value: Any) -> float:
    # Python reads 1_0 as ten, DICOM does not; numbers of pydicom know the text they were.
    text = getattr(value, "original_string", value)
    if isinstance(text, str) and "_" in text:
        raise ValueError
    # Minus zero is zero, so that equal numbers are written alike.
    return float(value) + 0.0


def number_of(elements: Elements, keyword: str, kind: type[T]) -> T | None:
    """Return the one number of an element, None when it is absent or empty.

    Raises
    ------
    LoadError
        ``VALUE_INVALID`` when it is no finite number, not whole where ``kind`` is int, or many.
    """
    numbers = numbers_of(elements, keyword)
    if not numbers:
        return None
    if len(numbers) > 1 or kind(numbers[0]) != numbers[0]:
        raise LoadError(f"{keyword} is not one {kind.__name__}", code="VALUE_INVALID")
    return kind(numbers[0])
