"""The oracle catches each error that a loader may make, and refuses what it cannot write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from cervispine import Volume
from cervispine.exceptions import LoadError, UsageError
from cervispine.testing import (
    FAULTS,
    OracleSeries,
    check_volume,
    write_faulty_series,
    write_oracle_series,
)

TILT = Rotation.from_euler("xyz", [4, -7, 11], degrees=True)
SERIES = OracleSeries(
    shape=(5, 20, 20),
    orientation=TILT.apply([[0, 1, 0], [0, 0, -1]]).ravel(),
    slopes=(1, 0.5, 2, 1, 1),
    bits=12,
)


def volume_of(series: OracleSeries, **changes: Any) -> Volume:
    right = {"pixels": series.pixels, "affine": series.affine}
    return Volume(**{**right, **changes}, sequence="T2")


def turned(axes: tuple[int, int, int], flipped: tuple[int, ...]) -> Volume:
    """Return the right volume with its axes counted in another order and direction."""
    affine = SERIES.affine
    for axis in flipped:
        affine[:3, 3] += (SERIES.shape[axis] - 1) * affine[:3, axis]
        affine[:3, axis] *= -1
    affine = affine[:, [*axes, 3]]
    return volume_of(SERIES, pixels=np.flip(SERIES.pixels, flipped).transpose(axes), affine=affine)


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("flipped", [(), (0,), (1, 2), (0, 1, 2)])
def test_the_order_of_axes_is_free(axes: tuple[int, int, int], flipped: tuple[int, ...]) -> None:
    check_volume(turned(axes, flipped), SERIES)


def moved(by: float) -> np.ndarray:
    affine = SERIES.affine
    affine[:3, 3] += by
    return affine


def scaled(axis: int) -> np.ndarray:
    affine = SERIES.affine
    affine[:3, axis] *= 1.001
    return affine


def other_slope() -> np.ndarray:
    pixels = SERIES.pixels.copy()
    pixels[2] *= 0.5
    return pixels


def one_voxel() -> np.ndarray:
    pixels = SERIES.pixels.copy()
    pixels[3, 4, 5] += 1
    return pixels


WRONG: dict[str, tuple[Callable[[], Volume], str]] = {
    "slices flipped": (lambda: volume_of(SERIES, pixels=SERIES.pixels[::-1]), "differs by"),
    "rows flipped": (lambda: volume_of(SERIES, pixels=SERIES.pixels[:, ::-1]), "differs by"),
    "columns flipped": (lambda: volume_of(SERIES, pixels=SERIES.pixels[..., ::-1]), "differs by"),
    "rows and columns exchanged": (
        lambda: volume_of(SERIES, pixels=SERIES.pixels.transpose(0, 2, 1)),
        "differs by",
    ),
    "two slices exchanged": (
        lambda: volume_of(SERIES, pixels=SERIES.pixels[[0, 2, 1, 3, 4]]),
        "differs by",
    ),
    "shifted by a slice": (
        lambda: volume_of(SERIES, pixels=np.roll(SERIES.pixels, 1, 0)),
        "differs",
    ),
    "shifted by a column": (
        lambda: volume_of(SERIES, pixels=np.roll(SERIES.pixels, 1, 2)),
        "differs by",
    ),
    "one slope for all": (lambda: volume_of(SERIES, pixels=other_slope()), "differs by"),
    "one voxel": (lambda: volume_of(SERIES, pixels=one_voxel()), "differs by 1 "),
    "moved": (lambda: volume_of(SERIES, affine=moved(0.01)), "mm from its place"),
    "spacing of slices": (lambda: volume_of(SERIES, affine=scaled(0)), "mm from its place"),
    "spacing of rows": (lambda: volume_of(SERIES, affine=scaled(1)), "mm from its place"),
    "spacings exchanged": (
        lambda: volume_of(
            SERIES, affine=attrs.evolve(SERIES, pixel_spacing=SERIES.pixel_spacing[::-1]).affine
        ),
        "axes of the volume|mm from its place",
    ),
    "identity": (lambda: volume_of(SERIES, affine=np.eye(4)), "axes of the volume"),
    "a slice lost": (lambda: volume_of(SERIES, pixels=SERIES.pixels[:4]), "4, 20, 20"),
}


@pytest.mark.parametrize("name", WRONG)
def test_each_error_is_caught(name: str) -> None:
    make, reason = WRONG[name]
    with pytest.raises(LoadError, match=reason) as caught:
        check_volume(make(), SERIES)
    assert caught.value.code == "LOADER_CONTRACT"


@pytest.mark.parametrize(
    "wrong",
    [
        {"shape": (5, 1, 20)},
        {"orientation": (0, 1, 0)},
        {"orientation": (0, 1, 0, 0, 0.6, 0.8)},
        {"pixel_spacing": (0, 1)},
        {"gap": -1},
        {"slopes": (1, 2)},
        {"slopes": (1, 0, 1, 1, 1)},
        {"order": (0, 1, 2, 3, 3)},
        {"allocated": 12},
        {"bits": 9, "allocated": 8},
        {"bits": 8, "allocated": 16, "syntax": "1.2.840.10008.1.2.5"},
        {"values": (-1, 100)},
        {"intercepts": (0, 0, 0, 0, 1e6)},
        {"bits": 3},
    ],
    ids=str,
)
def test_what_cannot_be_written_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="an oracle's series needs"):
        OracleSeries(**wrong)


def test_planes_have_their_names() -> None:
    assert OracleSeries().plane == "sagittal"
    assert OracleSeries(orientation=(1, 0, 0, 0, 1, 0)).plane == "axial"
    assert OracleSeries(orientation=(1, 0, 0, 0, 0, -1)).plane == "coronal"
    oblique = Rotation.from_euler("y", 45, degrees=True).apply([[0, 1, 0], [0, 0, -1]])
    assert OracleSeries(orientation=oblique.ravel()).plane == "oblique"


@pytest.mark.parametrize("enhanced", [False, True])
def test_files_follow_the_order(tmp_path: Path, enhanced: bool) -> None:
    order = (3, 0, 4, 1, 2)
    paths = write_oracle_series(tmp_path, OracleSeries(order=order, enhanced=enhanced))
    if enhanced:
        (path,) = paths
        frames = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence
        positions = [frame.PlanePositionSequence[0].ImagePositionPatient[0] for frame in frames]
        # The normal runs to the right, where positions are negative.
        assert np.argsort(np.argsort(np.negative(positions))).tolist() == np.argsort(order).tolist()
    else:
        assert [path.name[:4] for path in paths] == [f"{place:04d}" for place in order]
        assert [pydicom.dcmread(path).InstanceNumber for path in paths] == [4, 1, 5, 2, 3]


def test_a_fault_that_is_none_is_refused(tmp_path: Path) -> None:
    assert len(FAULTS) > 20
    with pytest.raises(UsageError, match="a fault is one of"):
        write_faulty_series(tmp_path, OracleSeries(), "nothing")
    with pytest.raises(UsageError, match="at least 4 slices"):
        write_faulty_series(tmp_path, OracleSeries(shape=(3, 24, 20)), "slice twice")
