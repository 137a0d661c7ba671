"""Encoded pixels to stored values, by the decoder of the transfer syntax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import UID

from cervispine.exceptions import DecoderMissingError, LoadError, PixelError
from cervispine.loading.codestreams import Expected, check_codestream
from cervispine.loading.elements import number_of, tags_of, text_of
from cervispine.loading.isolation import decode_apart
from cervispine.loading.parsing import PIXEL_DATA, Parsed, decoder_of

__all__ = [
    "DECODING_TAGS",
    "check_stored",
    "decode",
    "encoded_frame",
    "missing_decoder",
    "refuse_missing_decoders",
]

DECODING_TAGS = tags_of(
    "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation",
    "ModalityLUTSequence",
)  # fmt: skip

#: Which plugin decodes a syntax when several could: results must not depend on what else is
#: installed. GDCM comes last: it is needed for JPEG Lossless alone.
PLUGINS = ("pyjpegls", "pylibjpeg", "pydicom", "gdcm")

#: What to install for a family of syntaxes, by a word of the UID's name.
_PACKAGES = {
    "JPEG-LS": "pyjpegls",
    "JPEG 2000": "'pylibjpeg[openjpeg]'",
    "High-Throughput": "'pylibjpeg[openjpeg]'",
    "RLE": "pylibjpeg-rle",
    "JPEG": "python-gdcm",
}

#: Bits that a pixel may take in a file.
ALLOCATED = (8, 16, 32)


def check_stored(dataset: Dataset) -> None:
    """Refuse stored values whose meaning is unclear, or told by a table.

    pydicom takes the lowest bits whatever HighBit says, and no notice of a Modality LUT: both
    would give wrong values without a word.

    Raises
    ------
    LoadError
        ``VALUE_INVALID``.
    """
    allocated, stored, high, signed = (
        number_of(dataset, name, int)
        for name in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    )
    if allocated not in ALLOCATED:
        raise LoadError(f"BitsAllocated is not one of {ALLOCATED}", code="VALUE_INVALID")
    stored = allocated if stored is None else stored
    if not 1 <= stored <= allocated or high not in (None, stored - 1):
        raise LoadError("BitsStored and HighBit name bits that are not there", code="VALUE_INVALID")
    if signed not in (0, 1):
        raise LoadError("PixelRepresentation is neither 0 nor 1", code="VALUE_INVALID")
    if "ModalityLUTSequence" in dataset:
        raise LoadError("a table says what stored values mean", code="VALUE_INVALID")


def missing_decoder(transfer_syntax: str) -> str | None:
    """Return what to install to decode a syntax; None when it can be decoded already.

    Raises
    ------
    LoadError
        ``TRANSFER_SYNTAX`` when it encodes no still image.
    """
    decoder = decoder_of(transfer_syntax)
    if decoder.is_available:
        return None
    name = UID(transfer_syntax).name
    return next((package for word, package in _PACKAGES.items() if word in name), "pylibjpeg")


def refuse_missing_decoders(transfer_syntaxes: Iterable[tuple[str, int]]) -> None:
    """Raise one error for all the syntaxes of a cohort that cannot be decoded here.

    Parameters
    ----------
    transfer_syntaxes
        Each with the number of files it encodes.

    Raises
    ------
    DecoderMissingError
        Naming each syntax, how many files it concerns, and the command that installs all of it.
    """
    lacking = {
        syntax: (files, package)
        for syntax, files in transfer_syntaxes
        if (package := missing_decoder(syntax)) is not None
    }
    if lacking:
        listed = "; ".join(
            f"{files} files in {UID(syntax).name} ({syntax})"
            for syntax, (files, _) in sorted(lacking.items())
        )
        packages = " ".join(sorted({package for _, package in lacking.values()}))
        raise DecoderMissingError(
            f"no installed package decodes {listed}", advice=f"pip install {packages}"
        )


def encoded_frame(parsed: Parsed, frame: int) -> bytes:
    """Return the encoded pixels of one image or frame, as its fragments joined.

    Raises
    ------
    PixelError
        ``PIXELS_INVALID`` when the fragments tell of no such frame.
    """
    count = number_of(parsed.dataset, "NumberOfFrames", int) or 1
    if not parsed.transfer_syntax.is_encapsulated:
        size = len(parsed.dataset.PixelData) // count
        return bytes(parsed.dataset.PixelData[frame * size : (frame + 1) * size])
    try:
        return bytes(get_frame(parsed.dataset.PixelData, frame, number_of_frames=count))
    except Exception as error:  # the class depends on what is wrong with the fragments
        raise PixelError(
            f"frame {frame} cannot be found: {type(error).__name__}",
            advice="the file is damaged; export it again",
        ) from None


def decode(parsed: Parsed, frame: int) -> tuple[NDArray[np.integer[Any]], str]:
    """Return the stored values of one image or frame, and what decoded them.

    Raises
    ------
    PixelError
        ``PIXELS_INVALID`` when decoding fails, or would.
    """
    dataset, syntax = parsed.dataset, parsed.transfer_syntax
    decoder = decoder_of(str(syntax))
    plugin = next((name for name in PLUGINS if name in decoder.available_plugins), "")
    allocated = number_of(dataset, "BitsAllocated", int) or 0
    options: dict[str, Any] = {
        "rows": dataset.Rows,
        "columns": dataset.Columns,
        "number_of_frames": number_of(dataset, "NumberOfFrames", int) or 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": text_of(dataset, "PhotometricInterpretation"),
        "bits_allocated": allocated,
        "bits_stored": number_of(dataset, "BitsStored", int) or allocated,
        "pixel_representation": number_of(dataset, "PixelRepresentation", int),
        "pixel_keyword": "PixelData",
        # Of a big-endian file, bytes are exchanged in words and left alone otherwise.
        "pixel_vr": str(dataset[PIXEL_DATA].VR),
        # pydicom would cut off what does not fit into BitsStored; here it is refused instead.
        "correct_unused_bits": False,
    }
    if syntax.is_encapsulated:
        encoded = encoded_frame(parsed, frame)
        expected = Expected(rows=dataset.Rows, columns=dataset.Columns, allocated=allocated)
        check_codestream(encoded, str(syntax), expected)
        if plugin == "gdcm":
            return decode_apart(encoded, str(syntax), plugin, options), plugin
    try:
        stored, _ = decoder.as_array(
            dataset.PixelData, index=frame, raw=True, decoding_plugin=plugin, **options
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # each decoder raises its own classes; Rust's is no Exception
        raise PixelError(
            f"the pixels cannot be decoded from {syntax.name}: {type(error).__name__}",
            advice="the file is damaged; export it again",
        ) from None
    if stored.shape != (dataset.Rows, dataset.Columns):
        raise PixelError("the decoded image has another size than the header says")
    return stored, plugin or "numpy"
