"""Bytes to a pydicom Dataset: bounded, silent, and with one kind of failure.

pydicom raises ten classes of exception for a broken file, returns without a word when a header
ends in the middle of a value, and quotes values in its warnings. Everything that reads a file
does so through here.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import logging
import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

import attrs
from pydicom import Dataset
from pydicom.filereader import read_dataset
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from cervispine.exceptions import LoadError
from cervispine.loading.elements import Plain
from cervispine.loading.limits import Limits

__all__ = ["Parsed", "decoder_of", "parse", "quiet_pydicom"]

PIXEL_DATA = Tag("PixelData")
PREAMBLE = 128

#: Most headers are shorter.
HEAD = 2**16


@attrs.frozen
class Parsed:
    """What was read of one file.

    Parameters
    ----------
    dataset
        The elements asked for.
    transfer_syntax
        How the file is encoded.
    pixel_bytes
        How many bytes of encoded pixel data the file says it holds; None for compressed data,
        whose length is not written.
    private
        Whether private elements stand before the pixel data. They are never read.
    sha256, size
        Of the whole file, where its pixels were read: hexadecimal, bytes.
    elements
        The values of the data set.
    """

    dataset: Dataset
    transfer_syntax: UID
    pixel_bytes: int | None
    private: bool = False
    sha256: str = ""
    size: int = 0
    elements: Plain = attrs.field(init=False)

    @elements.default
    def _plain(self) -> Plain:
        return Plain(self.dataset)


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's warnings and log lines in: they quote values, and values name patients."""
    logger = logging.getLogger("pydicom")
    disabled = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = disabled


def parse(
    path: Path,
    keywords: Sequence[int],
    limits: Limits,
    *,
    pixels: bool = False,
    sha256: str = "",
) -> Parsed:
    """Read the named elements of a file that holds pixel data.

    Parameters
    ----------
    path
        The file.
    keywords
        Tags of the elements wanted.
    limits
        How large the file may be, and become.
    pixels
        Also read the encoded pixel data.
    sha256
        What the whole file must hash to, with ``pixels`` alone: the very bytes that are parsed are
        those that were hashed.

    Raises
    ------
    LoadError
        ``HASH_MISMATCH``, ``FILE_UNREADABLE``, ``NOT_DICOM``, ``META_MISSING``,
        ``TRANSFER_SYNTAX``, ``DECODE_BUDGET``, ``DICOM_TRUNCATED`` or ``DICOM_INVALID``.
    """
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > limits.file_bytes:
                raise LoadError(f"the file has {size} bytes", code="DECODE_BUDGET")
            if not pixels:
                return _parse(stream, size, list(keywords), limits, pixels=False)
            content = stream.read()
        digest = hashlib.sha256(content).hexdigest()
        if sha256 and digest != sha256:
            raise LoadError(
                "the file is not the one of the manifest",
                advice="restore it from where it came",
                code="HASH_MISMATCH",
            )
        parsed = _parse(io.BytesIO(content), len(content), list(keywords), limits, pixels=True)
        return attrs.evolve(parsed, sha256=digest, size=len(content))
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


def _parse(stream: BinaryIO, size: int, tags: list[int], limits: Limits, *, pixels: bool) -> Parsed:
    _check_start(stream)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag.group != 2)
    if "TransferSyntaxUID" not in meta:
        raise LoadError("the file does not say how it is encoded", code="TRANSFER_SYNTAX")
    syntax = _uid(Plain(meta).get("TransferSyntaxUID"))
    if not syntax.is_transfer_syntax or syntax.is_private:
        raise LoadError("the file is encoded in no standard way", code="TRANSFER_SYNTAX")
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = _inflate(stream.read(), limits.inflation * size)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)

    if pixels:
        read = _read(stream, syntax, [*tags, PIXEL_DATA], past_pixels=True)
    else:
        read = _read_before_pixels(stream, syntax, tags)
    dataset, length = read.dataset, read.length
    if length is None:
        # A file of a class of images that has no pixels was cut off, wherever that was.
        image = _uid(Plain(meta).get("MediaStorageSOPClassUID") or "")
        if image.name.endswith("Image Storage") or "Rows" in dataset:
            raise LoadError("the file ends before its pixel data", code="DICOM_TRUNCATED")
        return Parsed(dataset, syntax, None, read.private)
    # What stands behind the pixels in a broken file can take their place.
    if pixels and not isinstance(dataset.get("PixelData"), bytes):
        raise LoadError("the file has no pixel data", code="DICOM_TRUNCATED")
    undefined = length == 0xFFFFFFFF
    if not undefined and not pixels and size - read.end < length:
        raise LoadError("the file ends inside its pixel data", code="DICOM_TRUNCATED")
    if not undefined and pixels and len(dataset.PixelData) < length:
        raise LoadError("the file ends inside its pixel data", code="DICOM_TRUNCATED")
    return Parsed(dataset, syntax, None if undefined else length, read.private)


class _Read(NamedTuple):
    """Elements; the length that the pixel data claim, None without any; where reading ended."""

    dataset: Dataset
    length: int | None
    end: int
    private: bool


def _read_before_pixels(stream: BinaryIO, syntax: UID, tags: list[int]) -> _Read:
    """Read the elements before the pixels, from memory where there are as few as usual.

    pydicom asks for its position several times an element, and a file has to ask the operating
    system.
    """
    start = stream.tell()
    stream.seek(0)
    head = io.BytesIO(stream.read(HEAD))
    head.seek(start)
    try:
        read = _read(head, syntax, tags)
        if read.length is not None:
            return read
    except Exception:  # noqa: S110  a long header is cut off, a broken one will say so again
        pass
    stream.seek(start)
    return _read(stream, syntax, tags)


def _read(stream: BinaryIO, syntax: UID, tags: list[int], *, past_pixels: bool = False) -> _Read:
    length: int | None = None
    private = False

    def at_pixels(tag: BaseTag, _vr: str | None, element_length: int) -> bool:
        nonlocal length, private
        # The group is odd; pydicom's own look at it, and its comparison of tags, are slow.
        private = private or bool(tag & 0x10000)
        if length is None and int.__eq__(tag, PIXEL_DATA):
            length = element_length
            return not past_pixels
        return False

    dataset = read_dataset(
        stream,
        syntax.is_implicit_VR,
        syntax.is_little_endian,
        stop_when=at_pixels,
        specific_tags=cast("list[BaseTag | int]", [BaseTag(tag) for tag in tags]),
    )
    return _Read(dataset, length, stream.tell(), private)


def _check_start(stream: BinaryIO) -> None:
    """Leave the stream at the file meta, or say why there is none."""
    start = stream.read(PREAMBLE + 4)
    if start[PREAMBLE:] == b"DICM":
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
