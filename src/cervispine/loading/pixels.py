"""One file to float32 pixels, whatever its transfer syntax."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from cervispine.exceptions import LoadError, PixelError
from cervispine.loading.decoders import decode, refuse_missing_decoders
from cervispine.loading.elements import Elements, number_of
from cervispine.loading.headers import HEADER_TAGS, Header, elements_of, headers_of
from cervispine.loading.limits import Limits
from cervispine.loading.parsing import Parsed, parse
from cervispine.records.identity import appearance_of

__all__ = ["Slice", "fingerprint", "fingerprint_of", "read_slices"]


@attrs.frozen(kw_only=True)
class Slice:
    """The pixels of one image or frame after its rescale, and what they were made with."""

    header: Header
    pixels: NDArray[np.float32]
    decoder: str


def fingerprint(path: Path, frame: int | None, limits: Limits) -> tuple[str, str]:
    """Return what tells one image from others, whatever its header says.

    Both are of the decoded values, so that a copy in another transfer syntax, or with another
    BitsStored, is known again.

    Parameters
    ----------
    path, frame
        The file, and which of its frames; None for a file of one image.
    limits
        How large it may be.

    Returns
    -------
    pixel_hash : str
        SHA-256 of the stored values, in hexadecimal.
    appearance : str
        See :func:`~cervispine.records.identity.appearance_of`.

    Raises
    ------
    LoadError, PixelError
        As :func:`read_slices`.
    """
    parsed = parse(path, HEADER_TAGS, limits, pixels=True)
    _usable_headers(parsed, path, [frame], limits)
    decoded, _ = decode(parsed, frame or 0)
    stored = _checked(decoded, parsed.dataset)
    # MONOCHROME1 shows low values bright.
    return fingerprint_of(
        stored, inverted=parsed.dataset.PhotometricInterpretation == "MONOCHROME1"
    )


def fingerprint_of(stored: NDArray[Any], *, inverted: bool = False) -> tuple[str, str]:
    """Return the pixel hash and the appearance of an image, (rows, columns), as it is stored.

    Whole numbers have one hash whatever type they are stored in; low values are bright where
    it is ``inverted``.
    """
    content = hashlib.sha256(f"{stored.shape}".encode())
    content.update(stored.astype("<i8" if stored.dtype.kind in "iu" else "<f8").tobytes())
    shown = stored.astype(np.float32)
    return content.hexdigest(), appearance_of(-shown if inverted else shown)


def read_slices(
    path: Path, frames: Sequence[int | None], limits: Limits, *, sha256: str = ""
) -> list[Slice]:
    """Read the headers and the pixels of a file, or of some frames of one.

    The stored values are decoded, rescaled in float32 with the slope and intercept of this very
    slice, and, for MONOCHROME1, mirrored within the range that the file can store. Window
    settings are left alone: they are made for eyes. Real World Value maps and vendors' private
    slopes are left alone too: what they add, the normalisation of each image takes off again.

    Parameters
    ----------
    path
        The file.
    frames
        Which frames; ``[None]`` for a file of one image. No other is decoded.
    limits
        How large it may be.
    sha256
        What it must hash to, where a manifest is in force.

    Raises
    ------
    LoadError
        As :func:`~cervispine.loading.parsing.parse`, and as the header's fault;
        ``CHANGED_SINCE_INDEX`` when the file has no such frame.
    PixelError
        ``PIXELS_INVALID`` when decoding fails, ``IMAGE_DEGENERATE`` for a constant image.
    DecoderMissingError
        When no installed package decodes the file.
    """
    parsed = parse(path, HEADER_TAGS, limits, pixels=True, sha256=sha256)
    headers = _usable_headers(parsed, path, frames, limits)
    refuse_missing_decoders([(str(parsed.transfer_syntax), 1)])
    elements = elements_of(parsed)
    slices = []
    for header in headers:
        stored, decoder = decode(parsed, header.frame or 0)
        own = parsed.dataset if elements is None else elements[header.frame or 0]
        pixels = _rescale(stored, parsed.dataset, own)
        slices.append(Slice(header=header, pixels=pixels, decoder=decoder))
    return slices


def _usable_headers(
    parsed: Parsed, path: Path, frames: Sequence[int | None], limits: Limits
) -> Sequence[Header]:
    """Return the headers of some frames, or refuse what a decoder must not see."""
    wanted = [frame for frame in frames if frame is not None]
    headers = headers_of(parsed, path, limits, only=wanted, place_only=True)
    for header in headers:
        if header.fault is not None:
            raise LoadError(header.fault.reason, code=header.fault.code)
    if [header.frame for header in headers] != list(frames):
        raise LoadError("the file has not the frames that were indexed", code="CHANGED_SINCE_INDEX")
    return headers


def _rescale(
    stored: NDArray[np.integer[Any]], dataset: Dataset, own: Elements
) -> NDArray[np.float32]:
    stored = _checked(stored, dataset)
    slope = number_of(own, "RescaleSlope", float)
    intercept = number_of(own, "RescaleIntercept", float) or 0.0
    values = stored.astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        # The same picture stored as MONOCHROME2 has lowest + highest - value.
        values = np.float32(sum(_range_of(dataset))) - values
    if slope is not None and slope != 1:
        values *= np.float32(slope)
    if intercept:
        values += np.float32(intercept)
    # Neighbours among the stored values must not become one value of float32.
    if np.spacing(np.abs(values).max()) > abs(1.0 if slope is None else slope):
        raise PixelError("slope and intercept swallow the image", code="IMAGE_DEGENERATE")
    return values


def _checked(stored: NDArray[np.integer[Any]], dataset: Dataset) -> NDArray[np.integer[Any]]:
    """Return the stored values with their signs, or refuse those that cannot be right."""
    lowest, highest = _range_of(dataset)
    if lowest < 0 and stored.min() >= 0 and highest < stored.max() <= highest - lowest:
        # The sign was not extended into the bits that are not used, which is allowed.
        stored = np.where(stored > highest, stored.astype(np.int64) + 2 * lowest, stored)
    least, most = int(stored.min()), int(stored.max())
    if least < lowest or most > highest:
        raise PixelError(f"stored values outside the range {lowest} to {highest}")
    if least == most:
        raise PixelError("all pixels have the same value", code="IMAGE_DEGENERATE")
    return stored


def _range_of(dataset: Dataset) -> tuple[int, int]:
    """Return the lowest and the highest value that the file can store."""
    bits = number_of(dataset, "BitsStored", int) or number_of(dataset, "BitsAllocated", int) or 0
    lowest = -(2 ** (bits - 1)) if number_of(dataset, "PixelRepresentation", int) == 1 else 0
    return lowest, lowest + 2**bits - 1
