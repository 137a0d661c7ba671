"""Reading refuses what is not as it was indexed, and what cannot be decoded or meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from cervispine.exceptions import AmbiguousSeriesError, LoadError, PixelError, UsageError
from cervispine.loading import Limits, Loader


@pytest.mark.parametrize(
    "wrong",
    [
        {"plane": "sideways"},
        {"sequences": "T2"},
        {"sequences": ()},
        {"sequences": ("T3",)},
        {"sequences": ("T2", "T2")},
        {"on_problem": "ignore"},
        {"spacing_tolerance": -1},
    ],
    ids=str,
)
def test_parameters_that_cannot_be_meant(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Loader(**wrong).index(tmp_path)


def test_read_refuses_what_changed_since(tmp_path: Path, Series: Any) -> None:
    paths = Series().write(tmp_path)
    study = Loader().index(tmp_path)[0]
    content = paths[1].read_bytes()
    for position in (0, 3):
        paths[1].write_bytes(paths[position].read_bytes())
        with pytest.raises(LoadError) as caught:
            Loader().read(study)
        assert caught.value.code == "CHANGED_SINCE_INDEX"
    paths[1].write_bytes(content[:-10])
    with pytest.raises(LoadError) as caught:
        Loader().read(study)
    assert caught.value.code == "DICOM_TRUNCATED"
    assert "slice 1 of series 1.2.3.1.1" in str(caught.value)
    paths[1].unlink()
    with pytest.raises(LoadError) as caught:
        Loader().read(study)
    assert caught.value.code == "FILE_UNREADABLE"


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"PixelData": b"\7\0" * 480}, "IMAGE_DEGENERATE"),
        ({"RescaleIntercept": 1e11}, "IMAGE_DEGENERATE"),
        ({"BitsStored": 9, "HighBit": 8}, "PIXELS_INVALID"),
    ],
)
def test_read_refuses_pixels(
    tmp_path: Path, Series: Any, elements: dict[str, Any], code: str
) -> None:
    def change(index: int, dataset: Dataset) -> None:
        for name, value in elements.items():
            if index == 3:
                setattr(dataset, name, value)

    Series().write(tmp_path, change=change)
    study = Loader().index(tmp_path)[0]
    assert Loader().read(study, slices=[0, 1]).pixels.shape[0] == 2
    with pytest.raises(LoadError) as caught:
        Loader().read(study)
    assert caught.value.code == code


def test_read_refuses_damaged_compressed_pixels(tmp_path: Path, Series: Any) -> None:
    paths = Series(syntax="1.2.840.10008.1.2.4.80", shape=(3, 32, 32)).write(tmp_path)
    study = Loader().index(tmp_path)[0]
    content = bytearray(paths[0].read_bytes())
    start = content.index(b"\xff\xda") + 20
    content[start : start + 16] = b"\x7f" * 16
    paths[0].write_bytes(bytes(content))
    with pytest.raises(LoadError) as caught:
        Loader().read(study)
    assert caught.value.code == "PIXELS_INVALID"


@pytest.mark.parametrize("slices", [[], [1, 0], [0, 5], [-1, 0], [0, 1, 3], [0, 0]], ids=str)
def test_read_refuses_other_than_even_slices(
    tmp_path: Path, Series: Any, slices: list[int]
) -> None:
    Series().write(tmp_path)
    study = Loader().index(tmp_path)[0]
    with pytest.raises(UsageError):
        Loader().read(study, slices=slices)


def uneven(index: int, dataset: Dataset) -> None:
    """Move one slice by a third of the gap."""
    if index == 2:
        dataset.ImagePositionPatient[0] += 1.1


@pytest.mark.parametrize("saved", [False, True])
def test_any_loader_reads_what_one_with_a_wider_tolerance_indexed(
    tmp_path: Path, Series: Any, saved: bool
) -> None:
    paths = Series().write(tmp_path / "data", change=uneven)
    wide = Loader(spacing_tolerance=0.45)
    options = {"saved": tmp_path / "saved"} if saved else {}
    for _ in range(2):
        study = wide.index(tmp_path / "data", **options)[0]
    volume = Loader().read(study)
    np.testing.assert_array_equal(volume.pixels, wide.read(study).pixels)
    np.testing.assert_array_equal(Loader().read(study, slices=[2]).pixels[0], volume.pixels[2])
    # Neighbours that changed places are told, however wide the tolerance.
    contents = [path.read_bytes() for path in paths]
    for path, content in zip(paths[2:4], contents[3:1:-1], strict=True):
        path.write_bytes(content)
    for loader in (Loader(), wide):
        with pytest.raises(LoadError) as caught:
            loader.read(study)
        assert caught.value.code == "CHANGED_SINCE_INDEX"


def test_positions_are_kept_only_of_uneven_stacks(tmp_path: Path, Series: Any) -> None:
    Series().write(tmp_path / "even")
    assert Loader().index(tmp_path / "even")[0].series[0].positions == ()
    Series().write(tmp_path / "uneven", change=uneven)
    series = Loader(spacing_tolerance=0.45).index(tmp_path / "uneven")[0].series[0]
    assert len(series.positions) == len(series.files)
    with pytest.raises(ValueError, match="2 positions for 5 slices"):
        attrs.evolve(series, positions=series.positions[:2])


def test_a_budget_that_the_index_did_not_have_says_what_to_do(tmp_path: Path, Series: Any) -> None:
    Series().write(tmp_path)
    study = Loader().index(tmp_path)[0]
    with pytest.raises(LoadError) as caught:
        Loader(limits=Limits(file_bytes=100)).read(study)
    assert caught.value.code == "DECODE_BUDGET"
    assert "limits it was indexed with: Preprocessor(loader=" in caught.value.advice


def test_a_series_is_read_under_its_own_name_only(tmp_path: Path, Series: Any) -> None:
    Series().write(tmp_path)
    study = Loader().index(tmp_path)[0]
    (series,) = study.series
    for arguments in ((study,), (study, "T2"), (series,), (series, "T2"), (series, None)):
        assert Loader().read(*arguments, slices=[0]).sequence == "T2"
    for held in (study, series):
        with pytest.raises(AmbiguousSeriesError) as caught:
            Loader().read(held, "T1")
        assert caught.value.code == "SERIES_MISSING"
    t1 = attrs.evolve(series, sequence="T1")
    assert Loader().read(t1, slices=[0]).sequence == "T1"
    with pytest.raises(AmbiguousSeriesError, match="the series is T1, and T2 was asked for"):
        Loader().read(t1, "T2")


def test_a_stack_may_end_in_slices_of_one_value(tmp_path: Path, Series: Any) -> None:
    def change(index: int, dataset: Dataset) -> None:
        if index in (0, 6):
            dataset.PixelData = bytes(len(dataset.PixelData))

    Series(shape=(7, 24, 20)).write(tmp_path, change=change)
    study = Loader().index(tmp_path)[0]
    volume = Loader().read(study)
    assert volume.history[0].endswith("2 slices at the ends hold one value only")
    assert [int(np.ptp(image) == 0) for image in volume.pixels] == [1, 0, 0, 0, 0, 0, 1]
    assert "one value" not in Loader().read(study, slices=[2, 3, 4]).history[0]
    with pytest.raises(PixelError) as caught:
        Loader().read(study, slices=[6])
    assert caught.value.code == "IMAGE_DEGENERATE"
    assert caught.value.where.startswith("slice 6 of series")


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("padding", "limit", "signed", "photometric"),
    [
        (-32768, None, True, "MONOCHROME2"),
        (-32768, -32760, True, "MONOCHROME2"),
        (0, None, False, "MONOCHROME2"),
        (65535, None, False, "MONOCHROME2"),
        (65535, None, False, "MONOCHROME1"),
    ],
)
def test_padding_is_as_dark_as_the_darkest_pixel(
    tmp_path: Path, Series: Any, padding: int, limit: int | None, signed: bool, photometric: str,
    implicit: bool,
) -> None:  # fmt: skip
    kind = "<i2" if signed else "<u2"

    def change(index: int, dataset: Dataset) -> None:
        stored = np.random.default_rng(index).integers(100, 1000, (24, 20)).astype(kind)
        stored[:6] = padding
        stored[5] = padding if limit is None else limit
        dataset.PixelData = stored.tobytes()
        dataset.PixelPaddingValue = padding
        if limit is not None:
            dataset.PixelPaddingRangeLimit = limit

    syntax = str(ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian)
    series = Series(signed=signed, photometric=photometric, syntax=syntax)
    series.write(tmp_path, change=change)
    pixels = Loader().read(Loader().index(tmp_path)[0]).pixels
    for image in pixels:
        assert np.all(image[:6] == image[6:].min())
        assert np.ptp(image) < 900


def test_a_value_among_those_of_the_image_is_no_padding(tmp_path: Path, Series: Any) -> None:
    def change(index: int, dataset: Dataset) -> None:
        dataset.PixelPaddingValue = int(np.median(np.frombuffer(dataset.PixelData, "<u2")))

    series = Series()
    series.write(tmp_path, change=change)
    np.testing.assert_array_equal(Loader().read(Loader().index(tmp_path)[0]).pixels, series.pixels)
