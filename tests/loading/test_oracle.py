"""Every voxel lies where the header says and holds what it says, or the series is refused.

Hypothesis draws the series; `benchmarks/intake_campaign.py --series` draws ten thousand more.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cervispine import Volume
from cervispine.exceptions import LoadError, NoDicomError
from cervispine.loading import Loader
from cervispine.testing import (
    FAULTS,
    OracleSeries,
    check_volume,
    write_faulty_series,
    write_oracle_series,
)

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big-endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}

NATIVE = [SYNTAXES[name] for name in ("implicit", "explicit", "big-endian", "deflated")]

#: Rows and columns may run along any two axes of the patient, either way.
AXES = [
    np.array([np.eye(3)[row] * s, np.eye(3)[column] * t])
    for row in range(3)
    for column in range(3)
    for s in (1, -1)
    for t in (1, -1)
    if row != column
]


@st.composite
def orientations(draw: st.DrawFn, tilt: float = 16.0) -> tuple[float, ...]:
    """Three turns of at most 16 degrees stay within 30 of the plane."""
    turns = [draw(st.floats(-tilt, tilt)) for _ in range(3)]
    turned = Rotation.from_euler("xyz", turns, degrees=True).apply(draw(st.sampled_from(AXES)))
    return tuple(turned.ravel().tolist())


@st.composite
def oracles(draw: st.DrawFn, least: int = 2, **fixed: Any) -> OracleSeries:
    count = draw(st.integers(least, 7))
    allocated = draw(st.sampled_from([8, 16, 16, 16]))
    bits = draw(st.integers(9 if allocated == 16 else 8, allocated))
    scale = draw(st.sampled_from([0.01, 1.0, 30.0]))
    factors = draw(st.lists(st.floats(0.5, 2), min_size=count, max_size=count))
    intercept = draw(st.floats(-1000, 1000))
    drawn = {
        "shape": (count, draw(st.integers(32, 40)), draw(st.integers(32, 40))),
        "orientation": draw(orientations()),
        "origin": tuple(draw(st.floats(-200, 200)) for _ in range(3)),
        "pixel_spacing": (draw(st.floats(0.2, 2)), draw(st.floats(0.2, 2))),
        "gap": draw(st.floats(0.5, 8)),
        "slopes": draw(st.sampled_from([(), tuple(scale * factor for factor in factors)])),
        "intercepts": draw(st.sampled_from([(), (intercept,) * count])),
        "signed": draw(st.booleans()),
        "bits": bits,
        "allocated": allocated,
        "photometric": draw(st.sampled_from(["MONOCHROME1", "MONOCHROME2"])),
        "syntax": draw(st.sampled_from(sorted(SYNTAXES.values()))),
        "enhanced": draw(st.booleans()),
        "order": tuple(draw(st.permutations(range(count)))),
    }
    return OracleSeries(**{**drawn, **fixed})


def read(folder: str | Path, series: OracleSeries) -> Volume:
    loader = Loader(plane=series.plane, on_problem="raise")
    (study,) = loader.index(folder)
    return loader.read(study)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(series=oracles())
def test_voxels_lie_where_the_header_says(series: OracleSeries) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_oracle_series(folder, series)
        loader = Loader(plane=series.plane, on_problem="raise")
        (study,) = loader.index(folder)
        volume = loader.read(study)
        some = range(0, series.shape[0], 2)
        part = loader.read(study, slices=some)
    check_volume(volume, series)
    # A Loader also promises the order of the axes: along the normal, down, along the rows.
    assert volume.pixels.dtype == np.float32
    assert np.allclose(volume.affine, series.affine, rtol=0, atol=1e-6)
    assert np.array_equal(part.pixels, volume.pixels[some])
    corners = part.affine @ [0, 0, 0, 1], part.affine @ [len(some) - 1, 0, 0, 1]
    for corner, index in zip(corners, (some[0], some[-1]), strict=True):
        assert np.allclose(corner[:3], series.corner(index), rtol=0, atol=1e-6)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    # Encoders refuse, or mend, some of the faults.
    series=st.sampled_from(NATIVE).flatmap(
        lambda syntax: oracles(least=4, enhanced=False, syntax=syntax)
    ),
    data=st.data(),
)
def test_a_fault_is_refused_with_its_code(series: OracleSeries, data: st.DataObject) -> None:
    fault = data.draw(st.sampled_from(sorted(FAULTS)))
    at = data.draw(st.integers(1, series.shape[0] - 2))
    with tempfile.TemporaryDirectory() as folder:
        write_faulty_series(folder, series, fault, at=at)
        with pytest.raises(LoadError) as caught:
            read(folder, series)
    assert caught.value.code in FAULTS[fault].codes, fault


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_refused_with_its_code(tmp_path: Path, fault: str) -> None:
    series = OracleSeries(bits=14)
    write_faulty_series(tmp_path, series, fault)
    with pytest.raises(LoadError) as caught:
        read(tmp_path, series)
    assert caught.value.code in FAULTS[fault].codes


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(one=oracles(enhanced=False), other=oracles(enhanced=False))
def test_two_stacks_under_one_uid_are_never_one(one: OracleSeries, other: OracleSeries) -> None:
    """Where two acquisitions share a series UID, what is read is one of them, whole."""

    def renamed(index: int, dataset: pydicom.Dataset) -> None:
        dataset.SOPInstanceUID = f"1.2.3.77.{index + 1}"

    with tempfile.TemporaryDirectory() as folder:
        write_oracle_series(f"{folder}/one", one)
        write_oracle_series(f"{folder}/other", other, change=renamed)
        loader = Loader(plane=one.plane)
        try:
            (study,) = loader.index(folder)
        except NoDicomError:
            return
        volume = loader.read(study)
    written = [each for each in (one, other) if each.shape == volume.pixels.shape]
    refusals = []
    for each in written:
        try:
            check_volume(volume, each)
        except LoadError as refusal:
            refusals.append(str(refusal))
    assert len(refusals) < len(written), refusals


@settings(max_examples=15, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_names_and_folders_of_files_decide_nothing(data: st.DataObject) -> None:
    one = OracleSeries()
    two = OracleSeries(series="1.2.3.1.2", shape=(4, 24, 20))
    other = OracleSeries(patient="7", study="1.2.3.2", series="1.2.3.2.1", shape=(3, 24, 20))
    found = []
    for _ in range(2):
        with tempfile.TemporaryDirectory() as name:
            for series in (one, two, other):
                places = data.draw(st.permutations(range(series.shape[0])))
                depth = data.draw(st.sampled_from(["", "a", "b/c"]))
                tag = data.draw(st.sampled_from(["x", "y"])) + series.series[-3:]
                names = [f"{tag}{place}" for place in places]
                write_oracle_series(Path(name) / depth, attrs.evolve(series, names=names))
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


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(series=oracles(enhanced=False, photometric="MONOCHROME2", slopes=(), intercepts=()))
def test_simpleitk_and_highdicom_agree(series: OracleSeries) -> None:
    """Slice order, affine and values, where all three take a series at all.

    ITK rescales with one slope for all slices and knows no sign of unused bits, and neither
    inverts MONOCHROME1; of the rest each must say the same.
    """
    sitk = pytest.importorskip("SimpleITK")
    highdicom = pytest.importorskip("highdicom")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_oracle_series(folder, series)
        ours = read(folder, series)
        theirs = highdicom.get_volume_from_series([pydicom.dcmread(path) for path in paths])
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(folder)
        itk = sitk.ReadImage(names) if series.syntax != SYNTAXES["big-endian"] else None
    check_volume(ours, series)
    high = Volume(pixels=theirs.array.astype(np.float32), affine=theirs.affine, sequence="T2")
    check_volume(high, series)
    if itk is not None:
        # ITK counts columns first, and its direction has a column for each axis.
        affine = np.eye(4)
        steps = np.reshape(itk.GetDirection(), (3, 3)) * itk.GetSpacing()
        affine[:3, :3] = steps[:, ::-1]
        affine[:3, 3] = itk.GetOrigin()
        pixels = sitk.GetArrayFromImage(itk).astype(np.float32)
        check_volume(Volume(pixels=pixels, affine=affine, sequence="T2"), series)


def test_monochrome_1_and_2_are_one_image(tmp_path: Path) -> None:
    volumes = []
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        folder = tmp_path / photometric
        series = OracleSeries(
            photometric=photometric, slopes=(0.5,) * 5, intercepts=(-20,) * 5, bits=15
        )
        write_oracle_series(folder, series)
        volumes.append(read(folder, series))
    assert np.array_equal(volumes[0].pixels, volumes[1].pixels)


def test_no_slice_decides_the_type_of_the_others(tmp_path: Path) -> None:
    series = OracleSeries(slopes=(1, 0.1, 0.5, 2, 0.25), signed=True, intercepts=(1400,) * 5)
    write_oracle_series(tmp_path, series)
    volume = read(tmp_path, series)
    check_volume(volume, series)
    assert (volume.pixels % 1 != 0).any()
    assert (volume.pixels[0] % 1 == 0).all()


def test_bytes_of_a_big_endian_file_are_not_exchanged(tmp_path: Path) -> None:
    series = OracleSeries(bits=8, allocated=8, syntax=SYNTAXES["big-endian"])
    write_oracle_series(tmp_path, series)
    check_volume(read(tmp_path, series), series)
