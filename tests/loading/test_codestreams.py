"""Compressed images whose own head contradicts the file are refused before a decoder sees them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import get_frame

from cervispine.exceptions import PixelError
from cervispine.loading import isolation
from cervispine.loading.codestreams import Expected, check_codestream
from cervispine.loading.isolation import decode_apart

RLE, JPEG_LS, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
EXPECTED = Expected(rows=40, columns=36, allocated=16)


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory, Series: Any) -> dict[str, bytes]:
    found = {}
    for syntax in (RLE, JPEG_LS, JPEG_2000):
        folder = tmp_path_factory.mktemp("streams")
        dataset = pydicom.dcmread(Series(shape=(2, 40, 36), syntax=syntax).write(folder)[0])
        found[syntax] = get_frame(dataset.PixelData, 0, number_of_frames=1)
    return found


def test_what_encoders_write_passes(streams: dict[str, bytes]) -> None:
    for syntax, encoded in streams.items():
        check_codestream(encoded, syntax, EXPECTED)


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, JPEG_2000])
@pytest.mark.parametrize(
    "other",
    [
        Expected(rows=36, columns=40, allocated=16),
        Expected(rows=40, columns=37, allocated=16),
        Expected(rows=40, columns=36, allocated=8),
    ],
    ids=str,
)
def test_another_size_is_refused(streams: dict[str, bytes], syntax: str, other: Expected) -> None:
    if syntax == RLE and other.allocated == 16:
        pytest.skip("the head of RLE does not tell the size")
    with pytest.raises(PixelError, match="contradicts the file") as caught:
        check_codestream(streams[syntax], syntax, other)
    assert caught.value.code == "PIXELS_INVALID"


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, JPEG_2000])
def test_every_cut_is_refused_or_leaves_the_head_whole(
    streams: dict[str, bytes], syntax: str
) -> None:
    encoded = streams[syntax]
    for length in range(60):
        with pytest.raises(PixelError):
            check_codestream(encoded[:length], syntax, EXPECTED)


def changed(encoded: bytes, marker: bytes, at: int, value: bytes) -> bytes:
    place = encoded.index(marker) + at
    return encoded[:place] + value + encoded[place + len(value) :]


SIZ, COD, SOF = b"\xff\x51", b"\xff\x52", b"\xff\xf7"


@pytest.mark.parametrize(
    ("syntax", "marker", "at", "value", "reason"),
    [
        (JPEG_2000, SIZ, 6, struct.pack(">I", 0xFFFFFFFF), "pixels, not"),
        (JPEG_2000, SIZ, 22, struct.pack(">II", 1, 1), "1440 tiles"),
        (JPEG_2000, SIZ, 22, struct.pack(">II", 0, 0), "do not cover"),
        (JPEG_2000, SIZ, 38, struct.pack(">H", 3), "3 samples"),
        (JPEG_2000, SIZ, 40, b"\x25", "38 bits"),
        (JPEG_2000, SIZ, 40, b"\x8f", "one has a sign"),
        (JPEG_2000, COD, 6, struct.pack(">H", 0xFFFF), "quality layers"),
        (JPEG_LS, SOF, 5, struct.pack(">HH", 65535, 65535), "65535 x 65535 pixels"),
        (JPEG_LS, SOF, 4, b"\x11", "17 bits"),
        (JPEG_LS, SOF, 1, b"\xc3", "another way"),
        (JPEG_LS, SOF, 2, struct.pack(">H", 0xFFFF), "beyond its end"),
        (JPEG_LS, b"\xff\xda", 4, b"\x03", "other components"),
        (RLE, b"", 0, struct.pack("<I", 15), "15 segments"),
        (RLE, b"", 4, struct.pack("<I", 0), "where there are none"),
        (RLE, b"", 8, struct.pack("<I", 0xFFFFFF), "where there are none"),
    ],
)
def test_each_contradiction_is_refused(
    streams: dict[str, bytes], syntax: str, marker: bytes, at: int, value: bytes, reason: str
) -> None:
    with pytest.raises(PixelError, match=reason):
        check_codestream(changed(streams[syntax], marker, at, value), syntax, EXPECTED)


def jpeg_lossless(table: bytes, scans: int = 1) -> bytes:
    """Return the head of a JPEG Lossless image of 40 x 36, with a table of codes and no data."""
    frame = struct.pack(">BHHBBBB", 16, 40, 36, 1, 1, 0x11, 0)
    scan = bytes([1, 1, 0, 1, 0, 0])

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    return (
        b"\xff\xd8"
        + segment(0xC3, frame)
        + segment(0xC4, table)
        + scans * (segment(0xDA, scan) + b"\x12\xff\x00\x34")
        + b"\xff\xd9"
    )


def table(counts: list[int], head: int = 0) -> bytes:
    return bytes([head, *counts, *[0] * (16 - len(counts))]) + bytes(range(sum(counts)))


def test_tables_of_codes_are_checked() -> None:
    check_codestream(jpeg_lossless(table([0, 2, 3])), JPEG_LOSSLESS, EXPECTED)
    for wrong, reason in {
        table([2, 1]): "more codes than there are",
        table([]): "more codes than there are",
        table([0, 2], head=0x27): "that is none",
        table([0, 2])[:-1]: "ends too early",
    }.items():
        with pytest.raises(PixelError, match=reason):
            check_codestream(jpeg_lossless(wrong), JPEG_LOSSLESS, EXPECTED)
    with pytest.raises(PixelError, match="1 heads and 0 scans"):
        check_codestream(jpeg_lossless(table([0, 2]), scans=0), JPEG_LOSSLESS, EXPECTED)


# --------------------------------------------------------------- a process of its own


OPTIONS = {
    "rows": 40, "columns": 36, "samples_per_pixel": 1, "photometric_interpretation": "MONOCHROME2",
    "bits_allocated": 16, "bits_stored": 16, "pixel_representation": 0,
    "pixel_keyword": "PixelData", "pixel_vr": "OB", "correct_unused_bits": False,
}  # fmt: skip


def test_a_process_apart_decodes_the_same(streams: dict[str, bytes], Series: Any) -> None:
    expected = Series(shape=(2, 40, 36)).stored[0]
    for _ in range(2):
        decoded = decode_apart(streams[JPEG_LS], JPEG_LS, "pyjpegls", OPTIONS)
        assert np.array_equal(decoded, expected)


def test_a_failure_apart_is_an_error_here(streams: dict[str, bytes]) -> None:
    broken = streams[JPEG_LS][:100] + bytes(20) + streams[JPEG_LS][120:]
    with pytest.raises(PixelError, match="cannot be decoded"):
        decode_apart(broken, JPEG_LS, "pyjpegls", OPTIONS)
    decode_apart(streams[JPEG_LS], JPEG_LS, "pyjpegls", OPTIONS)


@pytest.mark.parametrize(
    "child", ["import os; os.abort()", "import time; time.sleep(60)"], ids=["dies", "hangs"]
)
def test_a_decoder_that_dies_or_hangs_costs_one_image(
    streams: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, child: str
) -> None:
    script = tmp_path / "child.py"
    script.write_text(child)
    isolation._stop()
    monkeypatch.setattr(isolation, "CHILD", script)
    monkeypatch.setattr(isolation, "PATIENCE", 1.0)
    with pytest.raises(PixelError, match="the decoder died of the image") as caught:
        decode_apart(streams[JPEG_LS], JPEG_LS, "pyjpegls", OPTIONS)
    assert caught.value.code == "PIXELS_INVALID"
    monkeypatch.undo()
    decode_apart(streams[JPEG_LS], JPEG_LS, "pyjpegls", OPTIONS)
