"""One file to float32 pixels, whatever its transfer syntax."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import LoadError, PixelError
from cervispine.loading.decoders import decode, refuse_missing_decoders
from cervispine.loading.elements import Elements, number_of, text_of
from cervispine.loading.headers import HEADER_TAGS, Header, elements_of, headers_of
from cervispine.loading.limits import Limits
from cervispine.loading.parsing import Parsed, parse
from cervispine.records.identity import appearance_of

__all__ = ["Slice", "fingerprint", "fingerprint_of", "pixels_hash", "read_slices"]


@attrs.frozen(kw_only=True)
class Slice:
    """The stored values of one image or frame, their rescale, and what decoded them.

    Parameters
    ----------
    stored
        Whole numbers (rows, columns).
    mirror
        What each value is subtracted from first; None for no mirroring.
    slope, intercept
        Of the rescale.
    constant
        Whether all values are one.
    """

    header: Header
    stored: NDArray[np.integer[Any]]
    mirror: int | None
    slope: float
    intercept: float
    decoder: str
    constant: bool = False

    def write(self, pixels: NDArray[np.float32]) -> None:
        """Write the values after their rescale, float32 (rows, columns)."""
        np.copyto(pixels, self.stored, casting="unsafe")
        if self.mirror is not None:
            np.subtract(np.float32(self.mirror), pixels, out=pixels)
        if self.slope != 1:
            pixels *= np.float32(self.slope)
        if self.intercept:
            pixels += np.float32(self.intercept)


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
        As :func:`read_slices`; ``IMAGE_DEGENERATE`` for an image of one value.
    """
    parsed = parse(path, HEADER_TAGS, limits, pixels=True)
    _usable_headers(parsed, path, [frame], limits)
    decoded, _ = decode(parsed, frame or 0)
    stored, least, most = _checked(decoded, parsed.elements)
    if least == most:
        raise PixelError("all pixels have the same value", code="IMAGE_DEGENERATE")
    return fingerprint_of(stored, inverted=_is_inverted(parsed.elements))


def fingerprint_of(stored: NDArray[Any], *, inverted: bool = False) -> tuple[str, str]:
    """Return the pixel hash and the appearance of an image, (rows, columns), as it is stored.

    Whole numbers have one hash whatever type they are stored in; low values are bright where
    it is ``inverted``.
    """
    content = hashlib.sha256(f"{stored.shape}".encode())
    content.update(stored.astype("<i8" if stored.dtype.kind in "iu" else "<f8").tobytes())
    shown = stored.astype(np.float32)
    return content.hexdigest(), appearance_of(-shown if inverted else shown)


def pixels_hash(path: Path, frames: Sequence[int | None], limits: Limits) -> str:
    """Return SHA-256, in hexadecimal, of what some frames of a file are read as, after rescale.

    Raises
    ------
    LoadError, PixelError
        As :func:`read_slices`.
    """
    content = hashlib.sha256()
    for one in read_slices(path, frames, limits):
        pixels = np.empty(one.stored.shape, dtype=np.float32)
        one.write(pixels)
        content.update(f"{pixels.shape}".encode() + pixels.tobytes())
    return content.hexdigest()


def read_slices(
    path: Path, frames: Sequence[int | None], limits: Limits, *, sha256: str | None = None
) -> list[Slice]:
    """Read the headers and the pixels of a file, or of some frames of one.

    The stored values are decoded; their rescale is that of this very slice, and MONOCHROME1 is
    mirrored within the range that the file can store. What pads an image is as dark as its darkest
    pixel. Window settings are left alone: they are
    made for eyes. Real World Value maps and vendors' private slopes are left alone too: what they
    add, the normalisation of each image takes off again.

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
        ``PIXELS_INVALID`` when decoding fails, ``IMAGE_DEGENERATE`` when the rescale leaves
        nothing of an image.
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
        own = parsed.elements if elements is None else elements[header.frame or 0]
        slices.append(_slice(header, stored, decoder, parsed.elements, own))
    return slices


def _usable_headers(
    parsed: Parsed, path: Path, frames: Sequence[int | None], limits: Limits
) -> Sequence[Header]:
    """Return the headers of some frames, or refuse what a decoder must not see."""
    wanted = [frame for frame in frames if frame is not None]
    headers = headers_of(parsed, str(path), limits, only=wanted, place_only=True)
    for header in headers:
        if header.fault is not None:
            raise LoadError(header.fault.reason, code=header.fault.code)
    if [header.frame for header in headers] != list(frames):
        raise LoadError("the file has not the frames that were indexed", code="CHANGED_SINCE_INDEX")
    return headers


def _slice(
    header: Header,
    stored: NDArray[np.integer[Any]],
    decoder: str,
    elements: Elements,
    own: Elements,
) -> Slice:
    """Return a slice of an image, or of a frame, whose rescale is its ``own``."""
    stored, least, most = _checked(stored, elements)
    slope = number_of(own, "RescaleSlope", float)
    found = Slice(
        header=header,
        stored=stored,
        # The same picture stored as MONOCHROME2 has lowest + highest - value.
        mirror=sum(_range_of(elements)) if _is_inverted(elements) else None,
        slope=1.0 if slope is None else slope,
        intercept=number_of(own, "RescaleIntercept", float) or 0.0,
        decoder=decoder,
        constant=least == most,
    )
    # Neighbours among the stored values must not become one value of float32. The rescale keeps
    # their order, or turns it about, so the largest is at an end.
    ends = np.empty(2, dtype=np.float32)
    attrs.evolve(found, stored=np.array([least, most])).write(ends)
    if np.spacing(np.abs(ends).max()) > abs(found.slope):
        raise PixelError("slope and intercept swallow the image", code="IMAGE_DEGENERATE")
    return found


def _is_inverted(elements: Elements) -> bool:
    """Tell whether low values are shown bright."""
    return text_of(elements, "PhotometricInterpretation") == "MONOCHROME1"


def _checked(
    stored: NDArray[np.integer[Any]], elements: Elements
) -> tuple[NDArray[np.integer[Any]], int, int]:
    """Return the stored values with their signs, the least and the most; or refuse them."""
    lowest, highest = _range_of(elements)
    least, most = int(stored.min()), int(stored.max())
    if lowest < 0 and least >= 0 and highest < most <= highest - lowest:
        # The sign was not extended into the bits that are not used, which is allowed.
        stored = np.where(stored > highest, stored.astype(np.int64) + 2 * lowest, stored)
        least, most = int(stored.min()), int(stored.max())
    stored, least, most = _without_padding(stored, elements, least, most)
    if least < lowest or most > highest:
        raise PixelError(f"stored values outside the range {lowest} to {highest}")
    return stored, least, most


def _without_padding(
    stored: NDArray[np.integer[Any]], elements: Elements, least: int, most: int
) -> tuple[NDArray[np.integer[Any]], int, int]:
    """Make padding as dark as the darkest pixel, as air is; return the least and the most too.

    Padding lies far below an image, or above it, where it would take the whole range of the
    normalisation. A value between those of the image is no padding, whatever the header says.
    """
    first, last = (
        _padding(elements, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")
    )
    if first is None:
        return stored, least, most
    low, high = sorted((first, first if last is None else last))
    if not (low <= least <= high or low <= most <= high):
        return stored, least, most
    padded = (stored >= low) & (stored <= high)
    image = stored[~padded]
    if image.size == 0 or (image.min() < low and image.max() > high):
        return stored, least, most
    least, most = int(image.min()), int(image.max())
    return np.where(padded, most if _is_inverted(elements) else least, stored), least, most


def _padding(elements: Elements, keyword: str) -> int | None:
    """Return a padding value with the sign of the pixels, whatever sign it was written with."""
    try:
        value = number_of(elements, keyword, int)
    except LoadError:  # what is no number pads nothing
        return None
    if value is None:
        return None
    value %= 2**16
    signed = number_of(elements, "PixelRepresentation", int) == 1
    return value - 2**16 if signed and value >= 2**15 else value


def _range_of(elements: Elements) -> tuple[int, int]:
    """Return the lowest and the highest value that the file can store."""
    bits = number_of(elements, "BitsStored", int) or number_of(elements, "BitsAllocated", int) or 0
    lowest = -(2 ** (bits - 1)) if number_of(elements, "PixelRepresentation", int) == 1 else 0
    return lowest, lowest + 2**bits - 1
