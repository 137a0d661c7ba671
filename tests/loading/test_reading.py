"""Reading refuses what is not as it was indexed, and what cannot be decoded or meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from cervispine.exceptions import LoadError, UsageError
from cervispine.loading import Loader


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
            if index == 4:
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
