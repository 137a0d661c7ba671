"""Files broken in the ways in which disks, networks, converters and attackers break them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType

import attrs
import numpy as np

__all__ = ["MUTATORS", "mutate"]

Mutator = Callable[[bytes, np.random.Generator], bytes]

PREAMBLE = 132

#: VRs whose length takes four bytes after two that are reserved (PS3.5, 7.1.2).
LONG = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"UC", b"UN", b"UR", b"UT"})
SHORT = frozenset(
    {
        b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT",
        b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
    }
)  # fmt: skip

LENGTHS = (0, 1, 2, 7, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)

#: What a value may be instead: of text, of two bytes.
TEXTS = (
    b"", b"0", b"-1", b"1", b"1e400", b"1e-400", b"1e30", b"NaN", b"inf", b"1,5", b"0x10",
    b"99999999999999999999", b"1\\2\\3\\4\\5\\6\\7", b"\\\\\\", b"..\\..\\x", b"1.2..3", b"\x00",
    b"\xff\xfe\xff", b"\x1b$B\x1b(B", b"ISO_IR 192", b"RGB", b"MONOCHROME1", b"9" * 200,
)  # fmt: skip
NUMBERS = (0, 1, 2, 7, 8, 12, 15, 16, 17, 32, 64, 255, 256, 4096, 4097, 0x7FFF, 0x8000, 0xFFFF)


@attrs.frozen
class _Element:
    """Where an element begins, its value begins, and its value ends; VR is empty when implicit."""

    start: int
    value: int
    end: int
    vr: bytes


def mutate(
    content: bytes, generator: np.random.Generator, *, mutator: str | None = None
) -> tuple[str, bytes]:
    """Return the name of a mutator and what it made of a file.

    Parameters
    ----------
    content
        A DICOM file.
    generator
        Decides everything.
    mutator
        A name of :data:`MUTATORS`; drawn when None.
    """
    name = str(generator.choice(list(MUTATORS))) if mutator is None else mutator
    return name, MUTATORS[name](content, generator)


def _some(generator: np.random.Generator, most: int) -> int:
    """Return a number from 1 on, small ones more often."""
    return int(min(most, generator.geometric(0.4)))


def _place(content: bytes, generator: np.random.Generator) -> int:
    return int(generator.integers(len(content)))


def _block(content: bytes, generator: np.random.Generator) -> tuple[int, int]:
    start = _place(content, generator)
    return start, min(len(content), start + int(2 ** generator.uniform(0, 12)))


def _bit_flip(content: bytes, generator: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(_some(generator, 8)):
        changed[_place(content, generator)] ^= 1 << int(generator.integers(8))
    return bytes(changed)


def _header_bytes(content: bytes, generator: np.random.Generator) -> bytes:
    """Change bytes before the pixel data, or the head of a compressed image."""
    changed = bytearray(content)
    pixels = max(content.rfind(b"\xe0\x7f\x10\x00"), content.rfind(b"\x7f\xe0\x00\x10"))
    end = min(len(content), pixels + 200 if pixels > 0 else 2000)
    for _ in range(_some(generator, 8)):
        changed[int(generator.integers(min(128, end - 1), end))] = int(generator.integers(256))
    return bytes(changed)


def _truncate(content: bytes, generator: np.random.Generator) -> bytes:
    return content[: _place(content, generator)]


def _splice(content: bytes, generator: np.random.Generator) -> bytes:
    start, end = _block(content, generator)
    place = _place(content, generator)
    return content[:place] + content[start:end] + content[place + end - start :]


def _zero_block(content: bytes, generator: np.random.Generator) -> bytes:
    start, end = _block(content, generator)
    return content[:start] + bytes(end - start) + content[end:]


def _duplicated_block(content: bytes, generator: np.random.Generator) -> bytes:
    start, end = _block(content, generator)
    return content[:end] + content[start:end] + content[end:]


def _lost_block(content: bytes, generator: np.random.Generator) -> bytes:
    start, end = _block(content, generator)
    return content[:start] + content[end:]


def _length_field(content: bytes, generator: np.random.Generator) -> bytes:
    elements = _elements(content)
    if not elements:
        return _bit_flip(content, generator)
    element = elements[int(generator.integers(len(elements)))]
    width = 2 if element.vr in SHORT else 4
    if generator.random() < 0.5:
        length = int(generator.choice(LENGTHS))
    else:
        length = element.end - element.value + int(generator.integers(-9, 10))
    packed = struct.pack("<I", length & 0xFFFFFFFF)[:width]
    return content[: element.value - width] + packed + content[element.value :]


def _swapped_elements(content: bytes, generator: np.random.Generator) -> bytes:
    elements = _elements(content)
    if len(elements) < 2:
        return _bit_flip(content, generator)
    one, other = sorted(generator.choice(len(elements), 2, replace=False))
    first, second = elements[one], elements[other]
    return (
        content[: first.start]
        + content[second.start : second.end]
        + content[first.end : second.start]
        + content[first.start : first.end]
        + content[second.end :]
    )


def _nasty_value(content: bytes, generator: np.random.Generator) -> bytes:
    """Give an element another value, with the length that it has then."""
    elements = [element for element in _elements(content) if element.vr in SHORT]
    if not elements:
        return _bit_flip(content, generator)
    element = elements[int(generator.integers(len(elements)))]
    if element.vr == b"US":
        value = struct.pack("<H", int(generator.choice(NUMBERS)))
    else:
        value = TEXTS[int(generator.integers(len(TEXTS)))]
    value += b" " * (len(value) % 2)
    length = struct.pack("<H", len(value))
    return content[: element.value - 2] + length + value + content[element.end :]


def _elements(content: bytes) -> list[_Element]:
    """Return the outermost elements of little-endian data, as far as they can be followed."""
    elements: list[_Element] = []
    place = PREAMBLE
    while place + 12 <= len(content):
        vr = content[place + 4 : place + 6]
        if vr in LONG:
            value, length = place + 12, struct.unpack_from("<I", content, place + 8)[0]
        elif vr in SHORT:
            value, length = place + 8, struct.unpack_from("<H", content, place + 6)[0]
        else:
            vr = b""
            value, length = place + 8, struct.unpack_from("<I", content, place + 4)[0]
        # What has no length is taken to its end: pixel data, and sequences before them.
        end = value + length if length != 0xFFFFFFFF else len(content)
        if end > len(content):
            break
        elements.append(_Element(place, value, end, vr))
        place = end
    return elements


#: Each mutator by its name.
MUTATORS: Mapping[str, Mutator] = MappingProxyType(
    {
        "bit flip": _bit_flip,
        "header bytes": _header_bytes,
        "truncate": _truncate,
        "splice": _splice,
        "zero block": _zero_block,
        "duplicated block": _duplicated_block,
        "lost block": _lost_block,
        "length field": _length_field,
        "swapped elements": _swapped_elements,
        "nasty value": _nasty_value,
    }
)
