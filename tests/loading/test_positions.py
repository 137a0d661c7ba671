"""Every voxel lies where the header says, whatever the acquisition and the encoding."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cervispine.loading import Loader

NATIVE = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
)
COMPRESSED = ("1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90")

#: Rows and columns may run either way along the two axes of a sagittal slice.
SAGITTAL = [
    np.array(pair, dtype=float)
    for row, column in ((1, 2), (2, 1))
    for s in (1, -1)
    for t in (1, -1)
    for pair in [[np.eye(3)[row] * s, np.eye(3)[column] * t]]
]


def error_of(volume: Any, code: Any) -> float:
    """Return the largest difference between what voxels hold and what their places say."""
    indices = np.indices(volume.pixels.shape).reshape(3, -1)
    points = (volume.affine @ np.vstack([indices, np.ones(indices.shape[1])]))[:3].T
    return float(np.abs(volume.pixels.ravel() - code(points)).max())


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_voxels_lie_where_the_header_says(
    data: st.DataObject, Series: Any, voxel_code: Any
) -> None:
    draw = data.draw
    tilt = Rotation.from_euler("xyz", [draw(st.floats(-15, 15)) for _ in range(3)], degrees=True)
    count = draw(st.integers(2, 7))
    signed = draw(st.booleans())
    syntax = draw(st.sampled_from(NATIVE + COMPRESSED))
    slopes = draw(st.lists(st.floats(0.25, 2), min_size=count, max_size=count))
    series = Series(
        shape=(count, draw(st.integers(32, 48)), draw(st.integers(32, 48))),
        orientation=tuple(tilt.apply(draw(st.sampled_from(SAGITTAL))).ravel()),
        origin=[draw(st.floats(-60, 60)) for _ in range(3)],
        pixel_spacing=(draw(st.floats(0.3, 1.5)), draw(st.floats(0.3, 1.5))),
        gap=draw(st.floats(1, 5)),
        slopes=[round(slope, 3) for slope in slopes],
        intercept=draw(st.sampled_from([0.0, -500.0, 33.0])),
        signed=signed and syntax not in COMPRESSED,
        photometric=draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
        syntax=syntax,
    )
    names = [f"{number}.dcm" for number in draw(st.permutations(range(count)))]
    with tempfile.TemporaryDirectory() as folder:
        series.write(Path(folder), names=names)
        cohort = Loader().index(folder)
        volume = Loader().read(cohort[0])
        some = range(0, count, 2)
        part = Loader().read(cohort[0], slices=some)
    assert volume.pixels.shape == series.shape
    assert volume.pixels.dtype == np.float32
    # Stored values are whole numbers of slopes; positions carry six decimals.
    allowed = 0.51 * max(slopes) + 0.02
    assert error_of(volume, voxel_code) < allowed
    assert error_of(part, voxel_code) < allowed
    assert np.array_equal(part.pixels, volume.pixels[some])
    assert np.linalg.det(volume.affine[:3, :3]) != 0


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_names_and_folders_of_files_decide_nothing(data: st.DataObject, Series: Any) -> None:
    one = Series()
    two = Series(series="1.2.3.1.2", shape=(4, 24, 20))
    other = Series(patient="7", study="1.2.3.2", series="1.2.3.2.1", shape=(3, 24, 20))
    found = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as name:
            for series in (one, two, other):
                places = data.draw(st.permutations(range(series.shape[0])))
                depth = data.draw(st.sampled_from(["", "a", "b/c"]))
                tag = data.draw(st.sampled_from(["x", "y"])) + series.series[-3:]
                series.write(Path(name) / depth, names=[f"{tag}{place}" for place in places])
            cohort = Loader().index(name)
            found.append(
                [
                    (
                        study.patient,
                        study.uid,
                        series.uid,
                        series.shape,
                        series.geometry,
                        series.pixel_hash,
                        Loader().read(series).pixels.tobytes(),
                    )
                    for study in cohort
                    for series in study.series
                ]
                + [(p.code, p.item, p.files) for p in cohort.intake.problems]  # type: ignore[union-attr]
            )
    assert found[0] == found[1]


def test_monochrome_1_and_2_are_one_image(tmp_path: Path, Series: Any) -> None:
    volumes = []
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        folder = tmp_path / photometric
        Series(photometric=photometric, slopes=(0.5,) * 5, intercept=-20, bits=15).write(folder)
        volumes.append(Loader().read(Loader().index(folder)[0]))
    assert np.array_equal(volumes[0].pixels, volumes[1].pixels)


def test_each_slice_has_its_own_slope(tmp_path: Path, Series: Any, voxel_code: Any) -> None:
    Series(slopes=(0.1, 1, 0.5, 2, 0.25), signed=True, intercept=1400).write(tmp_path)
    volume = Loader().read(Loader().index(tmp_path)[0])
    assert error_of(volume, voxel_code) < 1.02
    assert (volume.pixels % 1 != 0).any(), "no slice decides the type of the others"
