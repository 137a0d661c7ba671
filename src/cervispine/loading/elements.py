"""Elements of a data set to texts, numbers and UIDs, each checked before it is believed."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeVar

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue

from cervispine.exceptions import LoadError

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
    """What has values by keyword: a pydicom Dataset, or one frame of a multi-frame image."""

    def get(self, keyword: str, /) -> Any:
        """Return the value of an element, None when it is absent."""
        ...


def tags_of(*keywords: str) -> tuple[int, ...]:
    """Return the tags of DICOM keywords."""
    return tuple(tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None)


class Plain:
    """The elements of an image, texts and small numbers straight from their bytes.

    pydicom makes an object of every value that it is asked for, which takes three times as long
    as reading the file. What is not plain is left to it; a test holds the two against each other.

    Parameters
    ----------
    dataset
        As it was read: what was asked for already is an object already.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        # Comparing pydicom's tags takes longer than comparing integers.
        self._raw = {int(element.tag): element for element in dataset.values()}
        self._values: dict[str, Any] = {}

    def get(self, keyword: str | int, /) -> Any:
        """Return the value of an element, or the element of a tag; None when it is absent."""
        if isinstance(keyword, int):
            return self._dataset.get(keyword) if int(keyword) in self._raw else None
        if keyword not in self._values:
            raw = self._raw.get(_tag_of(keyword))
            value = _plain(raw) if isinstance(raw, RawDataElement) else None
            if value is None and raw is not None:
                value = self._dataset.get(keyword)
            self._values[keyword] = value
        return self._values[keyword]


@functools.cache
def _tag_of(keyword: str) -> int:
    return int(tag_for_keyword(keyword) or 0)


@functools.cache
def _usual_vr(tag: int) -> str:
    return str(dictionary_VR(tag))


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
    value = _value(elements, keyword)
    if value is None or value == "":
        return ()
    return value if isinstance(value, (MultiValue, list, tuple)) else (value,)


def text_of(elements: Elements, keyword: str) -> str:
    """Return an element as text, its values joined by backslashes as in a file."""
    values = list_of(elements, keyword)
    text = str(values[0]) if len(values) == 1 else "\\".join(map(str, values))
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
        values = list_of(elements, keyword)
        # Python reads 1_0 as ten, DICOM does not.
        if any(isinstance(value, str) and "_" in value for value in values):
            raise ValueError
        numbers = tuple(map(float, values))
    except (TypeError, ValueError):
        raise LoadError(f"{keyword} is not a number", code="VALUE_INVALID") from None
    if not all(map(math.isfinite, numbers)):
        raise LoadError(f"{keyword} is not finite", code="VALUE_INVALID")
    return numbers


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
