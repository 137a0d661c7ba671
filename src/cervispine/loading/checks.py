"""What a header says of the pixels, checked before any of them is decoded."""

from __future__ import annotations

from cervispine.exceptions import LoadError
from cervispine.loading.elements import Elements, list_of, number_of, text_of
from cervispine.loading.limits import Limits
from cervispine.loading.parsing import Parsed, decoder_of

__all__ = ["check_image", "check_rescale"]

#: What the slope of a rescale may be: no scanner comes near, and float32 holds what comes of it.
SMALLEST, LARGEST = 1e-12, 1e12


def check_image(parsed: Parsed, limits: Limits) -> None:
    """Refuse an image that is too large, not all there, or described in contradictions.

    Raises
    ------
    LoadError
        ``TRANSFER_SYNTAX``, ``DICOM_TRUNCATED``, ``DECODE_BUDGET`` or ``VALUE_INVALID``.
    """
    elements = parsed.elements
    decoder_of(str(parsed.transfer_syntax))
    if not text_of(elements, "PhotometricInterpretation"):
        raise LoadError("the file ends before its image is described", code="DICOM_TRUNCATED")
    rows, columns = (number_of(elements, name, int) or 0 for name in ("Rows", "Columns"))
    if rows > limits.rows or columns > limits.columns:
        raise LoadError(f"an image of {rows} x {columns} pixels", code="DECODE_BUDGET")
    bits = _check_bits(elements)
    frames = number_of(elements, "NumberOfFrames", int) or 1
    if parsed.transfer_syntax.is_compressed and parsed.pixel_bytes is None:
        return
    if (parsed.pixel_bytes or 0) < frames * rows * columns * (bits // 8):
        raise LoadError("fewer pixels than rows x columns", code="DICOM_TRUNCATED")


def _check_bits(elements: Elements) -> int:
    """Return BitsAllocated, or refuse bits that contradict each other (PS3.3, C.7.6.3.1)."""
    allocated = number_of(elements, "BitsAllocated", int) or 0
    stored = number_of(elements, "BitsStored", int) or allocated
    high = number_of(elements, "HighBit", int)
    if allocated not in (8, 16, 32) or not 0 < stored <= allocated:
        raise LoadError(f"{stored} bits stored in {allocated}", code="VALUE_INVALID")
    if high not in (None, stored - 1):
        raise LoadError(f"the highest of {stored} bits is said to be {high}", code="VALUE_INVALID")
    if number_of(elements, "PixelRepresentation", int) not in (None, 0, 1):
        raise LoadError("PixelRepresentation is neither 0 nor 1", code="VALUE_INVALID")
    return allocated


def check_rescale(elements: Elements) -> None:
    """Refuse a slope that float32 takes for zero or for infinite, such an intercept, or a table.

    Raises
    ------
    LoadError
        ``VALUE_INVALID``.
    """
    slope = number_of(elements, "RescaleSlope", float)
    if slope is not None and not SMALLEST <= abs(slope) <= LARGEST:
        raise LoadError("RescaleSlope is zero, or out of any range", code="VALUE_INVALID")
    if abs(number_of(elements, "RescaleIntercept", float) or 0.0) > LARGEST:
        raise LoadError("RescaleIntercept is out of any range", code="VALUE_INVALID")
    # pydicom's decoders take no notice of it: values would be wrong without a word.
    if list_of(elements, "ModalityLUTSequence"):
        raise LoadError("a table says what stored values mean", code="VALUE_INVALID")
