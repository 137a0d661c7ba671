"""The head of a compressed image against what the file says, before a decoder sees it.

Decoders are native code and trust the image's own head: one that asks for 65535 x 65535 pixels
gets the memory, and one whose size contradicts the file's is written past the end of a buffer.
So the few values of a head that decide are read here, and must be those of the file.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Iterator

import attrs
from pydicom.uid import (
    HTJ2K,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from cervispine.exceptions import PixelError

__all__ = ["Expected", "check_codestream"]

#: JPEG 2000 in all its forms; High-Throughput JPEG 2000 has the same head.
JPEG_2000 = frozenset({*JPEG2000TransferSyntaxes, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL})

#: Markers of JPEG (ITU-T T.81, B.1.1.3) and JPEG-LS (T.87): start and end of an image, its
#: scans, tables of Huffman codes, and the heads of frames.
SOI, EOI, SOS, DHT = 0xD8, 0xD9, 0xDA, 0xC4
JPEG_HEADS = frozenset(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}
JPEG_LS_HEADS = frozenset({0xF7})

#: What ends a scan: a marker that is no restart. In the data of JPEG a zero follows each 0xFF, in
#: those of JPEG-LS a byte under 0x80.
_AFTER_SCAN = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")

#: An image of a file may be cut into tiles; each costs a decoder memory before it is read.
MOST_TILES = 1024

#: Quality layers, each of which costs a decoder memory for each block; scanners write one.
MOST_LAYERS = 64


@attrs.frozen(kw_only=True)
class Expected:
    """What a file says of each of its images.

    Parameters
    ----------
    rows, columns
        The size of an image.
    allocated
        Bits for each pixel: 8, 16 or 32.
    signed
        Whether they have a sign; JPEG 2000 says so as well.
    """

    rows: int
    columns: int
    allocated: int
    signed: bool = False


def check_codestream(encoded: bytes, syntax: str, expected: Expected) -> None:
    """Refuse a compressed image whose head contradicts the file that holds it.

    Parameters
    ----------
    encoded
        One image, as its fragments joined.
    syntax
        UID of the transfer syntax; others than JPEG, JPEG-LS, JPEG 2000 and RLE pass.
    expected
        What the file says.

    Raises
    ------
    PixelError
        ``PIXELS_INVALID``.
    """
    try:
        if syntax == RLELossless:
            _check_rle(encoded, expected)
        elif syntax in JPEG_2000:
            _check_jpeg_2000(encoded, expected)
        elif syntax in JPEGLSTransferSyntaxes:
            _check_jpeg(encoded, expected, JPEG_LS_HEADS)
        elif syntax in JPEGTransferSyntaxes:
            _check_jpeg(encoded, expected, JPEG_HEADS)
    except (struct.error, IndexError):
        raise _refusal("its head ends too early") from None


def _refusal(reason: str) -> PixelError:
    return PixelError(
        f"the compressed image contradicts the file: {reason}",
        advice="the file is damaged; export it again",
    )


def _check(expected: Expected, rows: int, columns: int, samples: int, bits: int) -> None:
    if (rows, columns) != (expected.rows, expected.columns):
        raise _refusal(f"{rows} x {columns} pixels, not {expected.rows} x {expected.columns}")
    if samples != 1:
        raise _refusal(f"{samples} samples for each pixel, not 1")
    if not 2 <= bits <= expected.allocated:
        raise _refusal(f"{bits} bits for each pixel, where {expected.allocated} are allocated")


def _check_rle(encoded: bytes, expected: Expected) -> None:
    """Check the 64 bytes that say where each segment begins (PS3.5, G.5)."""
    count, *offsets = struct.unpack_from("<16I", encoded)
    if count != expected.allocated // 8:
        raise _refusal(f"{count} segments where {expected.allocated} bits are allocated")
    starts = [*offsets[:count], len(encoded)]
    if starts[0] != 64 or any(one >= other for one, other in itertools.pairwise(starts)):
        raise _refusal("its segments lie where there are none")


def _check_jpeg_2000(encoded: bytes, expected: Expected) -> None:
    """Check the segments SIZ and COD (ITU-T T.800, A.5.1 and A.6.1)."""
    if encoded[:4] != b"\xff\x4f\xff\x51":
        raise _refusal("it does not begin as JPEG 2000")
    (right, bottom, left, top, *tiles, samples, depth) = struct.unpack_from(">8IHB", encoded, 8)
    _check(expected, bottom - top, right - left, samples, (depth & 0x7F) + 1)
    if bool(depth & 0x80) != expected.signed:
        raise _refusal("one has a sign, the other has none")
    width, height, tile_left, tile_top = tiles
    if not width or not height or tile_left > left or tile_top > top:
        raise _refusal("its tiles do not cover it")
    count = -(-(right - tile_left) // width) * -(-(bottom - tile_top) // height)
    if count > MOST_TILES:
        raise _refusal(f"{count} tiles")
    place = 4 + struct.unpack_from(">H", encoded, 4)[0]
    while encoded[place : place + 2] != b"\xff\x90":
        marker, length = struct.unpack_from(">HH", encoded, place)
        if marker >> 8 != 0xFF or length < 2:
            raise _refusal("its head is no row of segments")
        if marker == 0xFF52 and struct.unpack_from(">H", encoded, place + 6)[0] > MOST_LAYERS:
            raise _refusal("more quality layers than any scanner writes")
        place += 2 + length


def _check_jpeg(encoded: bytes, expected: Expected, heads: frozenset[int]) -> None:
    """Check the head of the frame, and that there is one, with one scan of one component."""
    found = scans = 0
    for marker, content in _segments(encoded):
        if marker in JPEG_HEADS | JPEG_LS_HEADS:
            if marker not in heads:
                raise _refusal("it is encoded in another way than the file says")
            bits, rows, columns, samples = struct.unpack_from(">BHHB", content)
            _check(expected, rows, columns, samples, bits)
            found += 1
        elif marker == DHT:
            _check_huffman(content)
        elif marker == SOS:
            scans += 1
            if content[0] != 1 or not found:
                raise _refusal("a scan of other components than the image has")
    if found != 1 or not scans:
        raise _refusal(f"{found} heads and {scans} scans")


def _segments(encoded: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the marker and the content of each segment up to the end of the image."""
    if encoded[:3] != b"\xff\xd8\xff":
        raise _refusal("it does not begin as JPEG")
    place = 2
    while True:
        if encoded[place] != 0xFF:
            raise _refusal("its head is no row of segments")
        while encoded[place] == 0xFF:
            place += 1
        marker = encoded[place]
        place += 1
        if marker == EOI:
            return
        (length,) = struct.unpack_from(">H", encoded, place)
        if length < 2 or place + length > len(encoded):
            raise _refusal("a segment ends beyond its end")
        yield marker, encoded[place + 2 : place + length]
        place += length
        if marker == SOS:
            found = _AFTER_SCAN.search(encoded, place)
            if found is None:
                raise _refusal("it ends too early")
            place = found.start()


def _check_huffman(content: bytes) -> None:
    """Check that tables of Huffman codes are as long as they say, and can be codes (B.2.4.2)."""
    place = 0
    while place < len(content):
        counts = content[place + 1 : place + 17]
        if content[place] & 0xF > 3 or content[place] >> 4 > 1 or len(counts) != 16:
            raise _refusal("a table of codes that is none")
        room = sum(count << (16 - length) for length, count in enumerate(counts, start=1))
        if room >= 1 << 16 or not 0 < sum(counts) <= 256:
            raise _refusal("a table with more codes than there are")
        place += 17 + sum(counts)
    if place != len(content):
        raise _refusal("a table of codes that ends too early")
