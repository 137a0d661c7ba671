"""Bytes to the elements of a header: bounded, silent, and with one kind of failure.

A header that is plain is scanned; any other is pydicom's. That raises ten classes of exception for
a broken file, returns without a word when a header ends in the middle of a value, and quotes
values in its warnings. Everything that reads a file does so through here, and within
``quiet_pydicom``, which plug-ins find here too.
"""

from __future__ import annotations

import functools
import hashlib
import io
import os
import zlib
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import attrs
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.tag import BaseTag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from cervispine.exceptions import LoadError
from cervispine.loading.elements import Plain, tags_of, text_of
from cervispine.loading.limits import Limits
from cervispine.loading.quiet import quiet_pydicom
from cervispine.loading.scanning import PIXEL_DATA, UNDEFINED, scan

__all__ = ["Parsed", "Pixels", "decoder_of", "parse", "quiet_pydicom"]

PREAMBLE, MAGIC = 128, b"DICM"

#: How an element of the file meta begins, the tags of those that are looked at, and the first tag
#: behind it.
META_GROUP = b"\x02\0"
META_TAGS = tags_of("MediaStorageSOPClassUID", "TransferSyntaxUID")
AFTER_META = 0x00030000

#: How many bytes of a file are read to find its pixels: most headers are shorter than the first,
#: and what is longer than the last is pydicom's to read.
HEADS = (2**14, 2**20)


@attrs.frozen
class Pixels:
    """Encoded pixel data, and the kind of value that they are written as."""

    content: bytes | memoryview
    vr: str


@attrs.frozen(kw_only=True)
class Parsed:
    """What was read of one file.

    Parameters
    ----------
    elements
        The values of the elements asked for.
    transfer_syntax
        How the file is encoded.
    pixel_bytes
        How many bytes of encoded pixel data the file says it holds; None for compressed data,
        whose length is not written.
    private
        Whether private elements stand before the pixel data. They are never read.
    truncated
        Whether the file ends before its pixels do; it tells its series all the same.
    pixels
        The pixel data, where they were asked for.
    sha256, size
        Of the whole file, where they were asked for: hexadecimal, bytes.
    """

    elements: Plain
    transfer_syntax: UID
    pixel_bytes: int | None
    private: bool = False
    truncated: bool = False
    pixels: Pixels | None = None
    sha256: str = ""
    size: int = 0

    @property
    def dataset(self) -> Dataset:
        """The elements as pydicom has them; making it takes a while."""
        return self.elements.dataset


def parse(
    path: str | Path,
    tags: frozenset[int],
    limits: Limits,
    *,
    pixels: bool = False,
    sha256: str | None = None,
) -> Parsed:
    """Read the named elements of a file that holds pixel data.

    Parameters
    ----------
    path
        The file.
    tags
        Of the elements wanted.
    limits
        How large the file may be, and become.
    pixels
        Also read the encoded pixel data.
    sha256
        What the whole file must hash to, with ``pixels`` alone: the very bytes that are parsed are
        those that were hashed. Empty where the hash is only asked for, None where it is not.

    Raises
    ------
    LoadError
        ``HASH_MISMATCH``, ``FILE_UNREADABLE``, ``NOT_DICOM``, ``META_MISSING``,
        ``TRANSFER_SYNTAX``, ``DECODE_BUDGET``, ``DICOM_TRUNCATED`` or ``DICOM_INVALID``.
    """
    try:
        with io.FileIO(path) as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limits.file_bytes:
                raise LoadError(f"the file has {size} bytes", code="DECODE_BUDGET")
            if not pixels:
                return _parse_header(stream, size, tags, limits)
            content = stream.readall()
        digest = "" if sha256 is None else hashlib.sha256(content).hexdigest()
        if sha256 and digest != sha256:
            raise LoadError(
                "the file is not the one of the manifest",
                advice="restore it from where it came",
                code="HASH_MISMATCH",
            )
        size = len(content)
        parsed = _scan(content, size, tags, pixels=True) or _parse(
            io.BytesIO(content), size, tags, limits, pixels=True
        )
        return attrs.evolve(parsed, sha256=digest, size=size) if digest else parsed
    except LoadError:
        raise
    except Exception as error:
        # pydicom raises OSError too, of items that are none; only the system's has a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise LoadError(
                f"the file cannot be read: {type(error).__name__}", code="FILE_UNREADABLE"
            ) from None
        # The text of pydicom's exceptions may quote a value; their class cannot.
        raise LoadError(
            f"the header cannot be parsed: {type(error).__name__}", code="DICOM_INVALID"
        ) from None


def _parse_header(stream: io.FileIO, size: int, tags: frozenset[int], limits: Limits) -> Parsed:
    """Read no more of a file than its header, as long as that is plain."""
    content = b""
    for head in HEADS:
        content += stream.read(head - len(content))
        if parsed := _scan(content, size, tags, pixels=False):
            return parsed
        if len(content) < head or not _is_dicom(content):
            break
    stream.seek(0)
    # pydicom asks for its position several times an element, and a file has to ask the system.
    whole = io.BytesIO(content) if len(content) == size else io.BufferedReader(stream)
    return _parse(whole, size, tags, limits, pixels=False)


@functools.lru_cache(maxsize=256)
def _uid(text: object) -> UID:
    # The same few stand in all files, and pydicom checks each letter of each.
    return UID(str(text))


def decoder_of(transfer_syntax: str) -> Decoder:
    """Return pydicom's decoder of a syntax, which may still lack the package that does the work.

    Raises
    ------
    LoadError
        ``TRANSFER_SYNTAX`` when the syntax encodes no still image.
    """
    try:
        return get_decoder(_uid(transfer_syntax))
    except NotImplementedError:
        raise LoadError("the file encodes no still image", code="TRANSFER_SYNTAX") from None


def _scan(content: bytes, size: int, tags: frozenset[int], *, pixels: bool) -> Parsed | None:
    """Return what the beginning of a file says, None where pydicom is to read it.

    Whatever is wrong with a file is pydicom's to find: so there is one place where it is told.
    """
    if not _is_dicom(content):
        return None
    start = PREAMBLE + len(MAGIC)
    if not content.startswith(META_GROUP, start):
        return None
    meta = scan(content, start, META_TAGS, implicit=False, until=AFTER_META)
    syntax = _syntax_of(Plain(meta)) if meta else None
    if meta is None or syntax is None or not syntax.is_little_endian or syntax.is_deflated:
        return None
    header = scan(content, meta.at, tags, implicit=syntax.is_implicit_VR, until=PIXEL_DATA)
    if header is None or header.tag != PIXEL_DATA or header.vr not in ("OB", "OW", None):
        return None
    length = None if header.length == UNDEFINED else header.length
    if size - header.value_at < (length or 0) or (pixels and length is None):
        return None
    return Parsed(
        elements=Plain(header),
        transfer_syntax=syntax,
        pixel_bytes=length,
        private=header.private,
        # Without kinds of values, pixels are words (PS3.5, A.1).
        pixels=Pixels(memoryview(content)[header.value_at :][:length], header.vr or "OW")
        if pixels
        else None,
    )


def _syntax_of(meta: Plain) -> UID | None:
    """Return the transfer syntax that the file meta names; None when it names no standard one."""
    syntax = _uid(text_of(meta, "TransferSyntaxUID"))
    return syntax if syntax.is_transfer_syntax and not syntax.is_private else None


def _parse(
    stream: BinaryIO, size: int, tags: frozenset[int], limits: Limits, *, pixels: bool
) -> Parsed:
    _check_start(stream)
    meta = Plain(
        read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    )
    if meta.get("TransferSyntaxUID") is None:
        raise LoadError("the file does not say how it is encoded", code="TRANSFER_SYNTAX")
    syntax = _syntax_of(meta)
    if syntax is None:
        raise LoadError("the file is encoded in no standard way", code="TRANSFER_SYNTAX")
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = _inflate(stream.read(), limits.inflation * size)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)

    if pixels:
        tags |= {PIXEL_DATA}
    dataset, length, start, private = _read(stream, syntax, tags, past_pixels=pixels)
    elements = Plain(dataset)
    if length is None:
        # A file of a class of images that has no pixels was cut off, wherever that was.
        image = _uid(text_of(meta, "MediaStorageSOPClassUID"))
        truncated = image.name.endswith("Image Storage") or "Rows" in dataset
        if truncated and (pixels or "SeriesInstanceUID" not in dataset):
            raise LoadError("the file ends before its pixel data", code="DICOM_TRUNCATED")
        return Parsed(
            elements=elements,
            transfer_syntax=syntax,
            pixel_bytes=None,
            private=private,
            truncated=truncated,
        )
    # What stands behind the pixels in a broken file can take their place.
    if pixels and not isinstance(dataset.get("PixelData"), bytes):
        raise LoadError("the file has no pixel data", code="DICOM_TRUNCATED")
    undefined = length == UNDEFINED
    there = len(dataset.PixelData) if pixels else size - start
    truncated = not undefined and there < length
    if truncated and (pixels or "SeriesInstanceUID" not in dataset):
        raise LoadError("the file ends inside its pixel data", code="DICOM_TRUNCATED")
    return Parsed(
        elements=elements,
        transfer_syntax=syntax,
        pixel_bytes=None if undefined else length,
        private=private,
        truncated=truncated,
        pixels=Pixels(dataset.PixelData, str(dataset[PIXEL_DATA].VR)) if pixels else None,
    )


class _Read(NamedTuple):
    """Elements; the length that the pixel data claim, None without any, and where they begin."""

    dataset: Dataset
    length: int | None
    start: int
    private: bool


def _read(stream: BinaryIO, syntax: UID, tags: frozenset[int], *, past_pixels: bool) -> _Read:
    length: int | None = None
    start = 0
    private = False

    def at_pixels(tag: BaseTag, _vr: str | None, element_length: int) -> bool:
        nonlocal length, start, private
        # The group is odd; pydicom's own look at it, and its comparison of tags, are slow.
        private = private or bool(tag & 0x10000)
        if length is None and int.__eq__(tag, PIXEL_DATA):
            length, start = element_length, stream.tell()
            return not past_pixels
        return False

    dataset = read_dataset(
        stream,
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=at_pixels,
        specific_tags=cast("list[BaseTag | int]", [BaseTag(tag) for tag in sorted(tags)]),
    )
    return _Read(dataset, length, start, private)


def _is_dicom(start: bytes) -> bool:
    return start.startswith(MAGIC, PREAMBLE)


def _check_start(stream: BinaryIO) -> None:
    """Leave the stream at the file meta, or say why there is none."""
    start = stream.read(PREAMBLE + len(MAGIC))
    if _is_dicom(start):
        return
    # A data set usually opens with group 0008; without preamble and file meta its encoding
    # would have to be guessed.
    if start[:2] in (b"\x08\x00", b"\x02\x00") and start[3:4] == b"\x00":
        raise LoadError("DICOM without preamble and file meta", code="META_MISSING")
    raise LoadError("not a DICOM file", code="NOT_DICOM")


def _inflate(deflated: bytes, allowed: int) -> io.BytesIO:
    """Inflate a deflated data set, stopping as soon as it is larger than allowed."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    content = inflater.decompress(deflated, allowed)
    if inflater.unconsumed_tail:
        raise LoadError(f"it inflates to more than {allowed} bytes", code="DECODE_BUDGET")
    if not inflater.eof:
        raise LoadError("the deflated data end too early", code="DICOM_TRUNCATED")
    return io.BytesIO(content)
