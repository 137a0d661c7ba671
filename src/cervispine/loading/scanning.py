"""The elements of a header in one walk through its bytes, where all of it is as the standard says.

pydicom asks several questions of every element of a file, of which most are of no interest here.
This walk asks where the next one begins. Whatever is not plain (a VR that does not exist, an order
that is not ascending, an encoding that changes on the way) is left to pydicom, which knows what
broken files mean; a test holds the two against each other.
"""

from __future__ import annotations

import re
from struct import Struct, error
from typing import cast

import attrs
from pydicom import Dataset
from pydicom.charset import convert_encodings, default_encoding, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement, empty_value_for_VR
from pydicom.tag import BaseTag
from pydicom.valuerep import EXPLICIT_VR_LENGTH_32, VR

__all__ = ["Scan", "scan"]

CHARACTER_SET, PIXEL_DATA = 0x00080005, 0x7FE00010
ITEM, SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
ITEM_END = bytes.fromhex("feff0de000000000")
UNDEFINED = 0xFFFFFFFF

#: How deep sequences without a length may lie in each other.
DEEPEST = 16

_explicit = Struct("<HH2sH").unpack_from
_implicit = Struct("<HHI").unpack_from
_length = Struct("<I").unpack_from

#: Kinds of values as they are written, with the bytes before a value of each.
_KINDS = {vr.encode(): (str(vr), 12 if vr in EXPLICIT_VR_LENGTH_32 else 8) for vr in VR}
_NO_KIND = ("", 0)
_LETTERS = re.compile(rb"[A-Z]{2}")

#: What pydicom has in place of an empty value.
_EMPTY = cast(
    "dict[str | None, bytes | None]",
    {vr: empty_value_for_VR(vr, raw=True) for vr in (*map(str, VR), None)},
)

#: Names of character sets, of which none is to be guessed.
_CHARACTER_SETS = frozenset(name.encode() for name in python_encoding)


@attrs.frozen
class Scan:
    """What stands before an element.

    Parameters
    ----------
    elements
        Those wanted, by tag.
    implicit
        Whether kinds of values are left out.
    at, value_at
        Where the element begins at which the walk ended, and its value.
    tag, vr, length
        Of that element; the vr is None where kinds of values are left out, and the empty text
        where it is none that exists.
    private
        Whether private elements stand before it.
    """

    elements: dict[int, RawDataElement]
    implicit: bool
    at: int
    value_at: int
    tag: int
    vr: str | None
    length: int
    private: bool

    def dataset(self) -> Dataset:
        """Return the elements as pydicom has them."""
        dataset = Dataset({element.tag: element for element in self.elements.values()})
        given = self.elements.get(CHARACTER_SET)
        names = [name.decode("ascii") for name in _names(given.value)] if given else []
        encoding = convert_encodings(names) if given else default_encoding
        dataset.set_original_encoding(self.implicit, True, encoding)
        return dataset


def scan(
    content: bytes, position: int, wanted: frozenset[int], *, implicit: bool, until: int
) -> Scan | None:
    """Walk from element to element up to a tag.

    Parameters
    ----------
    content
        Of a file, in little endian.
    position
        Where its first element begins.
    wanted
        Tags of the elements to return.
    implicit
        Whether kinds of values are left out.
    until
        The tag at which, or after which, to end; what stands there need not be plain.

    Returns
    -------
    Scan, or None
        None where the elements are not plain, or the bytes end before the tag.
    """
    try:
        return _scan(content, position, wanted, implicit=implicit, until=until)
    except error:
        return None


def _scan(
    content: bytes, position: int, wanted: frozenset[int], *, implicit: bool, until: int
) -> Scan | None:
    elements: dict[int, RawDataElement] = {}
    last = -1
    private = False
    if implicit and _LETTERS.match(content, position + 4):
        return None  # kinds of values where there should be none
    while True:
        at = position
        tag, vr, length, position = _head(content, at, implicit)
        private = private or bool(tag & 0x10000)
        if tag >= until:
            return Scan(elements, implicit, at, position, tag, vr, length, private)
        if tag <= last or vr == "":
            return None
        last = tag
        if length == UNDEFINED:
            if tag in wanted or not _is_sequence(tag, vr):
                return None
            position = _end_of_sequence(content, position, implicit, depth=0)
            if not position:
                return None
        else:
            if tag in wanted or tag == CHARACTER_SET:
                value = content[position : position + length] if length else _EMPTY[vr]
                if tag == CHARACTER_SET and not _is_known(vr, value):
                    return None
                elements[tag] = RawDataElement(
                    BaseTag(tag), vr, length, value, position, implicit, True
                )
            position += length


def _is_known(vr: str | None, value: bytes | None) -> bool:
    return vr in ("CS", None) and _CHARACTER_SETS.issuperset(_names(value))


def _names(value: bytes | None) -> list[bytes]:
    return [name.strip() for name in (value or b"").split(b"\\")]


def _head(content: bytes, position: int, implicit: bool) -> tuple[int, str | None, int, int]:
    """Return tag, kind and length of an element, and where its value begins.

    The kind is the empty text where it is none that exists.
    """
    if implicit:
        group, number, length = _implicit(content, position)
        vr, size = None, 8
    else:
        group, number, name, length = _explicit(content, position)
        vr, size = _KINDS.get(name, _NO_KIND)
        if size == 12:
            (length,) = _length(content, position + 8)
    return group << 16 | number, vr, length, position + size


def _is_sequence(tag: int, vr: str | None) -> bool:
    """Tell whether an element without a length is a sequence, or pydicom will take it for one.

    One of the kind UN is too, but the kinds of values are left out in it.
    """
    if vr is not None:
        return vr == "SQ"
    try:
        return dictionary_VR(tag) == "SQ"
    except KeyError:
        return True


def _end_of_sequence(content: bytes, position: int, implicit: bool, *, depth: int) -> int:
    """Return where a sequence without a length ends, 0 where it is not plain."""
    while position:
        group, number, length = _implicit(content, position)
        tag = group << 16 | number
        position += 8
        if tag == SEQUENCE_END and length == 0:
            return position
        if tag != ITEM or depth == DEEPEST:
            return 0
        if length == UNDEFINED:
            position = _end_of_item(content, position, implicit, depth=depth)
        else:
            position += length
    return 0


def _end_of_item(content: bytes, position: int, implicit: bool, *, depth: int) -> int:
    """Return where an item without a length ends, 0 where it is not plain."""
    last = -1
    while position:
        if content[position : position + 8] == ITEM_END:
            return position + 8
        tag, vr, length, position = _head(content, position, implicit)
        if tag <= last or tag == CHARACTER_SET or tag >= ITEM or vr == "":
            return 0
        last = tag
        if length != UNDEFINED:
            position += length
        elif _is_sequence(tag, vr):
            position = _end_of_sequence(content, position, implicit, depth=depth + 1)
        else:
            return 0
    return 0
