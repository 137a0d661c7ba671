"""Encoded pixels to stored values: one decoder a transfer syntax, always the same one.

pydicom takes whichever plugin is installed; a result must not depend on that, so the one that is
used is named here. GDCM is used for JPEG Lossless alone, which nothing else under a permissive
licence decodes, and in a process of its own, since it ends the process on some broken images.
JPEG Extended, of 12 bits, is decoded by a package under the GPL, which is the user's to install.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cervispine.exceptions import DecoderMissingError, PixelError
from cervispine.loading.codestreams import Expected, check_codestream
from cervispine.loading.elements import number_of, text_of
from cervispine.loading.isolation import decode_apart
from cervispine.loading.parsing import Parsed, decoder_of

__all__ = ["decode", "missing_decoder", "refuse_missing_decoders"]


@attrs.frozen
class _Choice:
    """A plugin of pydicom, and the package that does its work."""

    plugin: str
    package: str
    install: str = ""


_JPEG = "1.2.840.10008.1.2.4."
_GDCM = _Choice("gdcm", "python-gdcm")
_OPENJPEG = _Choice("pylibjpeg", "pylibjpeg-openjpeg", "'pylibjpeg[openjpeg]'")
_CHARLS = _Choice("pyjpegls", "pyjpegls")

#: Syntaxes whose values lie in the file as NumPy has them in memory: implicit and explicit.
LITTLE_ENDIAN = frozenset({str(ImplicitVRLittleEndian), str(ExplicitVRLittleEndian)})

#: Which plugin decodes a syntax. Syntaxes that are not here are not compressed.
DECODERS = {
    "1.2.840.10008.1.2.5": _Choice("pylibjpeg", "pylibjpeg-rle"),
    f"{_JPEG}50": _Choice("pillow", "pillow"),
    f"{_JPEG}51": _Choice("pylibjpeg", "pylibjpeg-libjpeg"),
    **dict.fromkeys((f"{_JPEG}{number}" for number in (57, 70)), _GDCM),
    **dict.fromkeys((f"{_JPEG}{number}" for number in (80, 81)), _CHARLS),
    **dict.fromkeys((f"{_JPEG}{number}" for number in (90, 91, 201, 202, 203)), _OPENJPEG),
}


def missing_decoder(transfer_syntax: str) -> str | None:
    """Return what to install to decode a syntax; None when it can be decoded already.

    Raises
    ------
    LoadError
        ``TRANSFER_SYNTAX`` when it encodes no still image.
    """
    decoder = decoder_of(transfer_syntax)
    choice = DECODERS.get(transfer_syntax)
    if choice is None or choice.plugin in decoder.available_plugins:
        return None
    return choice.install or choice.package


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


def decode(parsed: Parsed, frame: int) -> tuple[NDArray[np.integer[Any]], str]:
    """Return the stored values of one image or frame, and what decoded them.

    Parameters
    ----------
    parsed
        With its pixel data.
    frame
        Which frame, counted from 0; no other is decoded.

    Returns
    -------
    stored : (rows, columns), of an integer type
    decoder : str
        The package that decoded them, with its version.

    Raises
    ------
    PixelError
        ``PIXELS_INVALID`` when decoding fails, or would.
    """
    elements, syntax, pixels = parsed.elements, parsed.transfer_syntax, parsed.pixels
    if pixels is None:
        raise ValueError("the pixels were not read")
    rows, columns = (number_of(elements, name, int) or 0 for name in ("Rows", "Columns"))
    frames = number_of(elements, "NumberOfFrames", int) or 1
    allocated = number_of(elements, "BitsAllocated", int) or 0
    options: dict[str, Any] = {
        "rows": rows,
        "columns": columns,
        "number_of_frames": frames,
        "samples_per_pixel": 1,
        "photometric_interpretation": text_of(elements, "PhotometricInterpretation"),
        "bits_allocated": allocated,
        "bits_stored": number_of(elements, "BitsStored", int) or allocated,
        "pixel_representation": number_of(elements, "PixelRepresentation", int),
        "pixel_keyword": "PixelData",
        # Of a big-endian file, bytes are exchanged in words and left alone otherwise.
        "pixel_vr": pixels.vr,
        # pydicom would cut off what does not fit into BitsStored; here it is refused instead.
        "correct_unused_bits": False,
    }
    plain = _as_they_lie(pixels.content, str(syntax), frame, options)
    if plain is not None:
        return plain, _with_version("numpy")
    choice = DECODERS.get(str(syntax))
    made_by = _with_version(choice.package if choice else "pydicom")
    if choice is not None:
        encoded = _encoded_frame(pixels.content, syntax, frame, frames)
        expected = Expected(
            rows=rows,
            columns=columns,
            allocated=allocated,
            signed=options["pixel_representation"] == 1,
        )
        check_codestream(encoded, str(syntax), expected)
        if choice is _GDCM:
            return decode_apart(encoded, str(syntax), choice.plugin, options), made_by
    try:
        stored, _ = decoder_of(str(syntax)).as_array(
            bytes(pixels.content),
            index=frame,
            raw=True,
            decoding_plugin=choice.plugin if choice else "",
            **options,
        )
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # each decoder raises its own classes; Rust's is no Exception
        raise PixelError(
            f"the pixels cannot be decoded from {syntax.name}: {type(error).__name__}",
            advice="the file is damaged; export it again",
        ) from None
    if stored.shape != (rows, columns):
        raise PixelError("the decoded image has another size than the header says")
    return stored, made_by


def _as_they_lie(
    content: bytes | memoryview, syntax: str, frame: int, options: Mapping[str, Any]
) -> NDArray[np.integer[Any]] | None:
    """Return stored values that lie in the file as in memory; None for all others."""
    known = (
        syntax in LITTLE_ENDIAN
        and options["photometric_interpretation"] in ("MONOCHROME1", "MONOCHROME2")
        and options["pixel_representation"] in (0, 1)
        and options["bits_allocated"] in (8, 16, 32)
        and frame < options["number_of_frames"]
    )
    if not known:
        return None
    kind = "ui"[options["pixel_representation"]]
    width = options["bits_allocated"] // 8
    shape = options["rows"], options["columns"]
    count = shape[0] * shape[1]
    if len(content) < (frame + 1) * count * width:
        return None
    start = frame * count * width
    return np.frombuffer(content, f"<{kind}{width}", count, start).reshape(shape)


def _encoded_frame(content: bytes | memoryview, syntax: UID, frame: int, count: int) -> bytes:
    """Return the encoded pixels of one image or frame, as its fragments joined.

    Raises
    ------
    PixelError
        ``PIXELS_INVALID`` when the fragments tell of no such frame.
    """
    if not syntax.is_encapsulated:
        size = len(content) // count
        return bytes(content[frame * size : (frame + 1) * size])
    try:
        return bytes(get_frame(bytes(content), frame, number_of_frames=count))
    except Exception as error:  # the class depends on what is wrong with the fragments
        raise PixelError(
            f"frame {frame} cannot be found: {type(error).__name__}",
            advice="the file is damaged; export it again",
        ) from None


@functools.cache
def _with_version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return package
