"""A copied image is known again, however it was encoded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from pydicom import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from cervispine import Loader, Phantom
from cervispine.exceptions import LoadError, NoDicomError
from cervispine.loading.headers import HEADER_TAGS
from cervispine.loading.limits import Limits
from cervispine.loading.parsing import parse
from cervispine.loading.pixels import fingerprint


def prints(folder: Path, series: Any, **options: Any) -> tuple[str, str]:
    series.write(folder, **options)
    (one,) = Loader().index(folder)[0].series
    return one.pixel_hash, one.appearance


@pytest.mark.parametrize(
    "changes",
    [
        {"syntax": ImplicitVRLittleEndian},
        {"syntax": RLELossless},
        {"syntax": JPEGLSLossless},
        {"bits": 12},
        {"signed": True},
        {"elements": {"RescaleSlope": 2.5, "RescaleIntercept": -7, "WindowWidth": 5}},
    ],
    ids=str,
)
def test_a_copy_in_another_encoding_has_the_same_hash(
    tmp_path: Path, Series: Any, changes: dict[str, Any]
) -> None:
    values = (0, 2000)
    first = prints(tmp_path / "one", Series(values=values))
    assert prints(tmp_path / "other", Series(values=values, **changes)) == first
    assert len(first[0]) == 64
    assert len(first[1]) == 128


def test_one_other_value_gives_another_hash(tmp_path: Path, Series: Any) -> None:
    def change(_: int, dataset: Dataset) -> None:
        dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]

    first, second = (
        prints(tmp_path / str(change), Series(), change=change) for change in (None, change)
    )
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_the_same_picture_shown_by_the_other_convention_looks_the_same(
    tmp_path: Path, Series: Any
) -> None:
    first = prints(tmp_path / "two", Series(photometric="MONOCHROME2"))
    second = prints(tmp_path / "one", Series(photometric="MONOCHROME1"))
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_files_of_one_image_in_many_encodings_have_one_hash() -> None:
    names = "", "_bigendian", "_implicit", "_jp2klossless", "_jpeg_ls_lossless", "_RLE"
    paths = [Path(pydicom.data.get_testdata_file(f"MR_small{name}.dcm")) for name in names]
    assert len({fingerprint(path, None, Limits()) for path in paths}) == 1


def test_a_deflated_copy_has_the_same_hash(tmp_path: Path) -> None:
    original = Path(pydicom.data.get_testdata_file("MR_small.dcm"))
    dataset = pydicom.dcmread(original)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "deflated.dcm")
    deflated = fingerprint(tmp_path / "deflated.dcm", None, Limits())
    assert deflated == fingerprint(original, None, Limits())


def test_a_middle_slice_that_cannot_be_decoded_is_refused_at_once(
    tmp_path: Path, Series: Any
) -> None:
    def change(index: int, dataset: Dataset) -> None:
        if index == 2:
            dataset.PixelData = b"\7\0" * 480

    Series().write(tmp_path, change=change)
    with pytest.raises(NoDicomError, match=r"rejected\s+IMAGE_DEGENERATE\s+5 files"):
        Loader().index(tmp_path)


def test_phantoms_of_different_patients_raise_no_alarm(tmp_path: Path) -> None:
    for difficulty in (0.0, 1.0):
        written = Phantom(n_opll=8, n_dss=8, difficulty=difficulty, seed=11).write(
            tmp_path / str(difficulty)
        )
        assert Loader().index(written.dicom).near_duplicates() == ()


@pytest.mark.parametrize("keyword", ["Rows", "PhotometricInterpretation"])
def test_a_header_that_lacks_what_decoding_needs_is_refused(
    tmp_path: Path, Series: Any, keyword: str
) -> None:
    path = Series(shape=(1, 24, 20)).write(tmp_path, change=lambda _, each: delattr(each, keyword))
    with pytest.raises(LoadError):
        fingerprint(path[0], None, Limits())


def test_text_in_the_place_of_the_pixels_is_refused(tmp_path: Path, Series: Any) -> None:
    (path,) = Series(shape=(1, 24, 20)).write(tmp_path)
    content = path.read_bytes()
    pixels = b"\xe0\x7f\x10\x00OW"
    assert content.count(pixels) == 1
    path.write_bytes(content.replace(pixels, pixels[:4] + b"UT"))
    with pytest.raises(LoadError, match="DICOM_TRUNCATED"):
        parse(path, HEADER_TAGS, Limits(), pixels=True)
