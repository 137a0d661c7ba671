"""Elements of a data set to texts, numbers and UIDs, each checked before it is believed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from pydicom.datadict import tag_for_keyword
from pydicom.multival import MultiValue

from cervispine.exceptions import LoadError

__all__ = ["Elements", "list_of", "number_of", "numbers_of", "tags_of", "text_of", "uid_of"]

T = TypeVar("T", int, float, str)

_UID = re.compile(r"[0-9.]{1,64}")


class Elements(Protocol):
    """What has values by keyword: a pydicom Dataset, or one frame of a multi-frame image."""

    def get(self, keyword: str, /) -> Any:
        """Return the value of an element, None when it is absent."""
        ...


def tags_of(*keywords: str) -> tuple[int, ...]:
    """Return the tags of DICOM keywords."""
    return tuple(tag for keyword in keywords if (tag := tag_for_keyword(keyword)) is not None)


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
    return "\\".join(str(value) for value in list_of(elements, keyword)).strip(" \0")


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
        numbers = tuple(float(value) for value in list_of(elements, keyword))
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
