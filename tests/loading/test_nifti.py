"""NIfTI whose voxels say where they lie, well made and broken in every way we refuse."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import inv_ornt_aff
from numpy.typing import NDArray

from cervispine import Cohort, Preprocessor
from cervispine.exceptions import (
    AmbiguousSeriesError,
    CervispineError,
    GeometryError,
    LoaderNotFoundError,
    LoadError,
    NoImagesError,
    PixelError,
    UsageError,
)
from cervispine.loading import Limits, NiftiLoader, make_manifest

Code = Callable[[NDArray[np.float64]], NDArray[np.float64]]

#: Of a sagittal stack, RAS: slices to the right, rows to inferior, columns to posterior.
AFFINE = np.array(
    [[0.0, 0.0, 3.3, -8.0], [-0.6, 0.0, 0.0, 12.0], [0.0, -0.9, 0.0, 20.0], [0.0, 0.0, 0.0, 1.0]]
)
#: Columns, rows, slices: the order that converters of DICOM write.
SHAPE = (60, 50, 5)


def values_at(affine: NDArray[np.float64], shape: tuple[int, ...], code: Code) -> Any:
    """Return what voxels hold by where they lie, counted in LPS."""
    indices = np.indices(shape).reshape(3, -1)
    points = affine[:3, :3] @ indices + affine[:3, 3:]
    return code((np.diag([-1.0, -1, 1]) @ points).T).reshape(shape)


@pytest.fixture
def image(voxel_code: Code) -> nibabel.Nifti1Image:
    """Return a good image, for others to break."""
    values = values_at(AFFINE, SHAPE, voxel_code)
    image = nibabel.Nifti1Image(values.astype(np.float32), AFFINE)
    image.set_sform(AFFINE, code=1)
    image.set_qform(AFFINE, code=1)
    image.header.set_xyzt_units("mm")
    return image


def save(image: nibabel.Nifti1Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(image, path)
    return path


def other(image: nibabel.Nifti1Image, number: int) -> nibabel.Nifti1Image:
    """Return an image of other pixels."""
    return nibabel.Nifti1Image(image.get_fdata(dtype=np.float32) + number, None, image.header)


def fates(cohort: Cohort) -> dict[tuple[str, str], int]:
    assert cohort.intake is not None
    counts: dict[tuple[str, str], int] = {}
    for problem in cohort.intake.problems:
        key = problem.code, problem.fate
        counts[key] = counts.get(key, 0) + problem.files
    return counts


def refusal(folder: Path, **parameters: Any) -> LoadError:
    """Return the error of a folder whose only image must be refused."""
    with pytest.raises(LoadError) as caught:
        NiftiLoader(on_problem="raise", **parameters).index(folder)
    return caught.value


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_an_image_becomes_a_study(
    image: nibabel.Nifti1Image, voxel_code: Code, tmp_path: Path, suffix: str
) -> None:
    save(image, tmp_path / "sub-01" / f"sub-01_T2w{suffix}")
    (tmp_path / "sub-01" / "sub-01_T2w.json").write_text('{"EchoTime": 0.1, "RepetitionTime": 3}')
    (tmp_path / "participants.tsv").write_text("participant_id\nsub-01\n")
    cohort = NiftiLoader().index(tmp_path)
    assert cohort.patients == ("sub-01",)
    assert cohort.intake is not None
    assert (cohort.intake.found, cohort.intake.used, cohort.intake.ignored) == (3, 2, 1)
    series = cohort[0].series[0]
    assert series.shape == (5, 50, 60)
    assert (series.plane, series.sequence, series.loader) == ("sagittal", "T2", "cervispine:nifti")
    assert series.protocol["echo_time_ms"] == 100
    assert series.protocol["sequence_from"] == "TR 3000 ms, TE 100 ms"
    assert series.geometry.row_cosine == pytest.approx((0, 1, 0))
    assert series.geometry.column_cosine == pytest.approx((0, 0, -1))
    assert series.geometry.normal @ series.geometry.slice_step == pytest.approx(3.3)
    volume = NiftiLoader().read(cohort[0])
    assert volume.affine == pytest.approx(series.geometry.affine)
    lps = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    assert volume.pixels == pytest.approx(values_at(lps, series.shape, voxel_code), abs=1e-3)
    assert "5 of 5 slices" in volume.history[0]
    assert "nibabel" in volume.history[0]


@settings(max_examples=60)
@given(
    axes=st.permutations([0, 1, 2]),
    flips=st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3),
    plane=st.sampled_from(["sagittal", "coronal", "axial"]),
    angle=st.floats(-0.4, 0.4),
    kind=st.sampled_from(["<i2", ">i2", "<f4", "<u2", "<f8"]),
    slope=st.sampled_from([0.0, 1.0, 0.5]),
    version=st.sampled_from([nibabel.Nifti1Image, nibabel.Nifti2Image]),
)
def test_every_order_of_axes_puts_each_voxel_where_it_lies(
    tmp_path_factory: pytest.TempPathFactory,
    voxel_code: Code,
    axes: list[int],
    flips: list[int],
    plane: str,
    angle: float,
    kind: str,
    slope: float,
    version: type[nibabel.Nifti1Image],
) -> None:
    folder = tmp_path_factory.mktemp("turned")
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    base = turn @ np.diag([1.9, 1.3, 2.2, 1.0])
    base[:3, 3] = [-20, -30, -25]
    order = np.array([axes, flips]).T.astype(float)
    shape = tuple(int((21, 25, 23)[axis]) for axis in axes)
    affine = base @ inv_ornt_aff(order, shape)
    values = values_at(affine, shape, voxel_code)
    scale = slope or 1.0
    stored = np.round(values / scale).astype(kind)
    image = version(stored, affine)
    image.set_sform(affine, code=2)
    image.set_qform(None, code=0)
    image.header.set_xyzt_units("mm")
    path = save(image, folder / "p_T2w.nii")
    # nibabel does not write the slope it is told, nor one of zero.
    place = (112, "f") if version is nibabel.Nifti1Image else (176, "d")
    content = bytearray(path.read_bytes())
    mark = ">" if kind[0] == ">" and image.header.endianness == ">" else "<"
    struct.pack_into(f"{mark}2{place[1]}", content, place[0], slope, 0.0)
    path.write_bytes(content)

    cohort = NiftiLoader(plane=plane).index(folder)
    series = cohort[0].series[0]
    volume = NiftiLoader().read(cohort[0])
    lps = np.diag([-1.0, -1, 1, 1]) @ volume.affine
    expected = values_at(lps, volume.pixels.shape, voxel_code)
    assert np.abs(volume.pixels - expected).max() <= 0.51
    across = np.abs(series.geometry.normal).argmax()
    assert ["sagittal", "coronal", "axial"][across] == plane == series.plane
    assert series.geometry.normal @ series.geometry.slice_step > 0
    count = series.shape[0]
    part = NiftiLoader().read(cohort[0], slices=range(1, count, 3))
    assert np.array_equal(part.pixels, volume.pixels[1::3])
    assert part.affine[:, 3] == pytest.approx(volume.affine @ [1, 0, 0, 1])
    assert part.affine[:3, 0] == pytest.approx(3 * volume.affine[:3, 0])


def test_slices_that_cannot_be_meant(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    save(image, tmp_path / "p_T2w.nii")
    cohort = NiftiLoader().index(tmp_path)
    for wrong in ([5], [-1], [], [0, 1, 3], [3, 1]):
        with pytest.raises(UsageError, match="ascending"):
            NiftiLoader().read(cohort[0], slices=wrong)
    with pytest.raises(AmbiguousSeriesError):
        NiftiLoader().read(cohort[0], "T1")


def with_header(**fields: Any) -> Callable[[nibabel.Nifti1Image], None]:
    def change(image: nibabel.Nifti1Image) -> None:
        for name, value in fields.items():
            image.header[name] = value

    return change


def moved_sform(image: nibabel.Nifti1Image) -> None:
    affine = AFFINE.copy()
    affine[:3, 3] += [0, 0.5, 0]
    image.set_sform(affine, code=1)


def sheared(image: nibabel.Nifti1Image) -> None:
    affine = AFFINE.copy()
    affine[:3, 1] += 0.2 * affine[:3, 2] / 3.3
    image.set_qform(None, code=0)
    image.set_sform(affine, code=1)
    image.header["pixdim"][1:4] = np.linalg.norm(affine[:3, :3], axis=0)


def not_finite(image: nibabel.Nifti1Image) -> None:
    image.set_qform(None, code=0)
    image.header["srow_x"][2] = np.nan


def other_spacing(image: nibabel.Nifti1Image) -> None:
    image.set_qform(None, code=0)
    image.header["pixdim"][1] = 0.7


def metres(image: nibabel.Nifti1Image) -> None:
    image.header.set_xyzt_units("meter")


@pytest.mark.parametrize(
    ("change", "code", "kind"),
    [
        (with_header(qform_code=0, sform_code=0), "GEOMETRY_MISSING", GeometryError),
        (moved_sform, "GEOMETRY_INVALID", GeometryError),
        (sheared, "GEOMETRY_INVALID", GeometryError),
        (not_finite, "GEOMETRY_INVALID", GeometryError),
        (other_spacing, "GEOMETRY_INVALID", GeometryError),
        (metres, "GEOMETRY_INVALID", GeometryError),
        (with_header(xyzt_units=5), "GEOMETRY_INVALID", GeometryError),
        (with_header(quatern_b=3.0, sform_code=0), "GEOMETRY_INVALID", GeometryError),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_position_that_is_missing_or_contradictory_is_refused(
    image: nibabel.Nifti1Image,
    tmp_path: Path,
    change: Callable[[nibabel.Nifti1Image], None],
    code: str,
    kind: type[CervispineError],
) -> None:
    path = save(image, tmp_path / "p_T2w.nii")
    loaded = nibabel.load(path, mmap=False)
    change(loaded)
    # nibabel takes the slope out of the headers it has read.
    loaded.header["scl_slope"], loaded.header["scl_inter"] = 1, 0
    content = path.read_bytes()
    path.write_bytes(loaded.header.binaryblock + content[348:])
    error = refusal(tmp_path)
    assert isinstance(error, kind)
    assert error.code == code
    assert error.where == "file 1"


def test_units(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    image.header.set_xyzt_units("unknown")
    save(image, tmp_path / "unknown_T2w.nii")
    micron = AFFINE.copy()
    micron[:3] *= 1000
    small = nibabel.Nifti1Image(image.get_fdata(dtype=np.float32) + 1, micron)
    small.header.set_xyzt_units("micron")
    save(small, tmp_path / "micron_T2w.nii")
    cohort = NiftiLoader().index(tmp_path)
    assert fates(cohort) == {("UNITS_ASSUMED", "noted"): 1}
    volumes = [NiftiLoader().read(study) for study in cohort]
    assert volumes[0].affine == pytest.approx(volumes[1].affine, rel=1e-6)
    assert "taken for mm" in volumes[1].history[0]
    assert "taken for mm" not in volumes[0].history[0]


def broken(path: Path, change: Callable[[bytearray], bytes | None]) -> None:
    content = bytearray(path.read_bytes())
    changed = change(content)
    path.write_bytes(content if changed is None else changed)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda c: c[:300], "NIFTI_INVALID"),
        (lambda c: c[:-40], "NIFTI_TRUNCATED"),
        (lambda c: c + b"\0" * 16, "NIFTI_INVALID"),
        (lambda c: struct.pack_into("<f", c, 112, np.inf), "VALUE_INVALID"),
        (lambda c: struct.pack_into("<f", c, 116, np.nan), "VALUE_INVALID"),
        (lambda c: struct.pack_into("<3h", c, 42, 30000, 30000, 30000), "DECODE_BUDGET"),
        (lambda c: struct.pack_into("<h", c, 42, -60), "NIFTI_DIMENSIONS"),
        (lambda c: struct.pack_into("<h", c, 70, 1536), "NIFTI_INVALID"),
        (lambda c: struct.pack_into("<h", c, 70, 7777), "NIFTI_INVALID"),
        (lambda c: struct.pack_into("<f", c, 108, 1e30), "NIFTI_INVALID"),
        (lambda c: struct.pack_into("<f", c, 400, np.nan), "IMAGE_DEGENERATE"),
        (lambda c: struct.pack_into("4s", c, 344, b"ni1\0"), "NIFTI_INVALID"),
        (lambda c: b"<html>not found</html>", "NIFTI_INVALID"),
        (lambda c: b"\x1f\x8b rest", "NIFTI_TRUNCATED"),
        (lambda c: b"", "NIFTI_INVALID"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused(
    image: nibabel.Nifti1Image,
    tmp_path: Path,
    change: Callable[[bytearray], bytes | None],
    code: str,
) -> None:
    path = save(image, tmp_path / "p_T2w.nii")
    broken(path, change)
    assert refusal(tmp_path).code == code


def test_a_truncated_or_altered_gzip_is_refused(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    path = save(image, tmp_path / "p_T2w.nii.gz")
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:-4], whole[:-8] + b"\0" * 8):
        path.write_bytes(content)
        error = refusal(tmp_path)
        assert (error.code, type(error)) == ("NIFTI_TRUNCATED", PixelError)


def test_a_bomb_is_refused_before_it_is_inflated(
    image: nibabel.Nifti1Image, tmp_path: Path
) -> None:
    bomb = nibabel.Nifti1Image(np.zeros((200, 200, 100), np.int16), AFFINE, image.header)
    path = save(bomb, tmp_path / "p_T2w.nii.gz")
    assert path.stat().st_size * 100 < 8_000_000
    error = refusal(tmp_path)
    assert error.code == "DECODE_BUDGET"
    assert "100 times" in error.what
    # The header of a small image, in front of gigabytes: read no further than the image.
    lying = gzip.compress(image.to_bytes() + bytes(50_000_000))
    path.write_bytes(lying)
    assert refusal(tmp_path).code == "NIFTI_INVALID"


@pytest.mark.parametrize(
    "limits",
    [Limits(rows=49), Limits(columns=59), Limits(slices=4), Limits(series_bytes=50_000),
     Limits(file_bytes=1000)],
)  # fmt: skip
def test_budgets(image: nibabel.Nifti1Image, tmp_path: Path, limits: Limits) -> None:
    save(image, tmp_path / "p_T2w.nii")
    assert refusal(tmp_path, limits=limits).code == "DECODE_BUDGET"


def of_array(values: NDArray[Any], image: nibabel.Nifti1Image) -> nibabel.Nifti1Image:
    made = nibabel.Nifti1Image(values, AFFINE)
    made.header.set_xyzt_units("mm")
    return made


def test_what_is_no_image_of_one_number_a_voxel(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    rgb = np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    save(of_array(rgb, image), tmp_path / "rgb_T2w.nii")
    save(of_array(np.ones((*SHAPE, 3), np.float32), image), tmp_path / "four_T2w.nii")
    save(of_array(np.ones(SHAPE[:2], np.float32), image), tmp_path / "two_T2w.nii")
    save(of_array(np.full(SHAPE, 7, np.int16), image), tmp_path / "flat_T2w.nii")
    save(of_array(np.zeros((60, 50, 1), np.int16) + np.arange(50)[:, None].astype(np.int16), image),
         tmp_path / "one_T2w.nii")  # fmt: skip
    trailing = image.get_fdata(dtype=np.float32)[..., None]
    save(of_array(trailing, image), tmp_path / "good_T2w.nii")
    cohort = NiftiLoader().index(tmp_path)
    assert cohort.patients == ("good",)
    assert fates(cohort) == {
        ("COLOUR", "ignored"): 1,
        ("NIFTI_DIMENSIONS", "rejected"): 2,
        ("IMAGE_DEGENERATE", "rejected"): 1,
        ("SLICES_TOO_FEW", "ignored"): 1,
    }
    assert cohort.intake is not None
    assert cohort.intake.unused_patients == {"rgb", "four", "two", "flat", "one"}


def test_planes(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    axial = np.diag([0.5, 0.5, 5.0, 1.0])
    values = np.random.default_rng(0).random((60, 60, 20)).astype(np.float32)
    save(nibabel.Nifti1Image(values, axial), tmp_path / "axial_T2w.nii")
    turned = axial.copy()
    c, s = np.cos(np.deg2rad(40)), np.sin(np.deg2rad(40))
    turned[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([0.5, 0.5, 2.0])
    save(nibabel.Nifti1Image(values + 1, turned), tmp_path / "oblique_T2w.nii")
    save(image, tmp_path / "sagittal_T2w.nii")
    intake = NiftiLoader().index(tmp_path).intake
    assert intake is not None
    reasons = {problem.reason for problem in intake.problems if problem.code == "PLANE_OTHER"}
    assert reasons == {"axial, not sagittal", "oblique, not sagittal"}
    assert NiftiLoader(plane="axial").index(tmp_path).patients == ("axial",)


def test_several_sequences(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    for patient, names in {"sub-1": ("T1w", "T2w"), "sub-2": ("T2w",)}.items():
        for number, name in enumerate(names):
            picture = other(image, int(patient[-1]) * 10 + number)
            save(picture, tmp_path / patient / f"{patient}_{name}.nii")
    cohort = NiftiLoader(sequences=("T2", "T1")).index(tmp_path)
    assert cohort.patients == ("sub-1",)
    assert [series.sequence for series in cohort[0].series] == ["T2", "T1"]
    assert fates(cohort) == {("SERIES_MISSING", "rejected"): 1}
    # Without being asked for, a sequence that nothing tells is not used.
    save(other(image, 99), tmp_path / "x" / "scan.nii")
    assert fates(NiftiLoader().index(tmp_path))["SEQUENCE_OTHER", "ignored"] == 2
    assert NiftiLoader(sequences=("unknown",)).index(tmp_path).patients == ("x",)


def test_of_several_in_bids_one_is_chosen_by_rule(
    image: nibabel.Nifti1Image, tmp_path: Path
) -> None:
    longer = np.random.default_rng(0).random((60, 50, 7)).astype(np.float32)
    folder = tmp_path / "sub-1" / "anat"
    save(image, folder / "sub-1_run-1_T2w.nii")
    save(of_array(longer, image), folder / "sub-1_run-2_T2w.nii")
    save(image, folder / "sub-1_run-3_T2w.nii.gz")
    cohort = NiftiLoader().index(tmp_path)
    assert cohort[0].series[0].shape[0] == 7
    assert fates(cohort) == {("SERIES_PASSED_OVER", "ignored"): 1, ("DUPLICATE_FILE", "ignored"): 1}


def test_sessions_are_studies(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    for number in (1, 2):
        place = tmp_path / "sub-1" / f"ses-{number}"
        save(other(image, number), place / f"sub-1_ses-{number}_T2w.nii")
    cohort = NiftiLoader().index(tmp_path)
    assert cohort.patients == ("sub-1", "sub-1")
    assert len({study.uid for study in cohort}) == 2


@pytest.mark.parametrize(
    "names",
    [
        ("P1/anat/t2.nii", "P2/anat/t2.nii"),  # the folder is no patient
        ("images/P1_T2.nii", "images/P2_T2.nii"),  # nor this one
        ("P1.nii", "P1/t2.nii"),
        ("P1/anat/t2.nii", "P2/anat/t1.nii"),
    ],
)
def test_patients_that_names_do_not_tell_apart_are_refused(
    image: nibabel.Nifti1Image, tmp_path: Path, names: tuple[str, str]
) -> None:
    save(other(image, 9), tmp_path / "sub-good_T2w.nii")
    for number, name in enumerate(names):
        save(other(image, number), tmp_path / name)
    # P1.nii alone names no sequence.
    for path in tmp_path.glob("P1.nii"):
        path.with_suffix(".json").write_text('{"EchoTime": 0.1, "RepetitionTime": 3}')
    cohort = NiftiLoader().index(tmp_path)
    assert cohort.patients == ("sub-good",)
    assert set(fates(cohort)) == {("PATIENT_AMBIGUOUS", "rejected")}
    assert cohort.intake is not None
    assert cohort.intake.found == cohort.intake.used + cohort.intake.rejected


def test_one_image_of_two_patients_is_refused(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    save(image, tmp_path / "sub-1_T2w.nii")
    save(image, tmp_path / "sub-2_T2w.nii.gz")
    save(other(image, 1), tmp_path / "sub-3_T2w.nii")
    cohort = NiftiLoader().index(tmp_path)
    assert cohort.patients == ("sub-3",)
    assert fates(cohort) == {("UID_CONFLICT", "rejected"): 2}


def test_masks_derivatives_and_sidecars_are_accounted_for(
    image: nibabel.Nifti1Image, tmp_path: Path
) -> None:
    save(image, tmp_path / "sub-1" / "sub-1_T2w.nii.gz")
    save(other(image, 1), tmp_path / "sub-1" / "sub-1_T2w_seg.nii.gz")
    save(other(image, 2), tmp_path / "derivatives" / "sub-1" / "sub-1_T2w.nii.gz")
    save(other(image, 3), tmp_path / "sub-2_T2w.nii")
    save(other(image, 4), tmp_path / "sub-1" / "sub-1_mod-T2w_defacemask.nii.gz")
    save(other(image, 5), tmp_path / "sub-1" / "sub-1_part-phase_T2w.nii.gz")
    for name in ("derivatives/sub-1/sub-1_T2w", "sub-2_T2w", "dataset_description"):
        (tmp_path / f"{name}.json").write_text("{" if name == "sub-2_T2w" else "{}")
    cohort = NiftiLoader().index(tmp_path)
    assert fates(cohort) == {
        ("SEGMENTATION", "ignored"): 2,
        ("NOT_MAGNITUDE", "ignored"): 1,
        ("DERIVED", "ignored"): 2,
        ("SIDECAR_INVALID", "rejected"): 2,
        ("NOT_NIFTI", "ignored"): 1,
    }
    assert cohort.intake is not None
    assert (cohort.intake.found, cohort.intake.used) == (9, 1)


def test_nothing_usable(tmp_path: Path, image: nibabel.Nifti1Image) -> None:
    with pytest.raises(NoImagesError, match="no study of 0 files") as caught:
        NiftiLoader().index(tmp_path)
    assert caught.value.code == "NO_IMAGES"
    save(image, tmp_path / "SECRETNAME" / "SECRETNAME_T1w.nii")
    with pytest.raises(NoImagesError) as caught:
        NiftiLoader().index(tmp_path)
    assert "SECRET" not in str(caught.value)
    assert "--loader dicom" in caught.value.advice
    with pytest.raises(LoadError, match="nothing at this path"):
        NiftiLoader().index(tmp_path / "absent")


@pytest.mark.parametrize(
    "wrong", [{"plane": "oblique"}, {"sequences": "T2"}, {"on_problem": "ignore"}], ids=str
)
def test_parameters_that_cannot_be_meant(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        NiftiLoader(**wrong).index(tmp_path)


def test_what_changed_since_it_was_indexed_is_refused(
    image: nibabel.Nifti1Image, tmp_path: Path
) -> None:
    path = save(image, tmp_path / "p_T2w.nii")
    cohort = NiftiLoader().index(tmp_path)
    affine = AFFINE.copy()
    affine[2, 3] += 5
    save(nibabel.Nifti1Image(image.get_fdata(dtype=np.float32), affine), path)
    with pytest.raises(LoadError) as caught:
        NiftiLoader().read(cohort[0])
    assert caught.value.code == "CHANGED_SINCE_INDEX"
    assert caught.value.where == f"series {cohort[0].series[0].uid}"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(PixelError, match="fewer voxels"):
        NiftiLoader().read(cohort[0])
    path.unlink()
    with pytest.raises(LoadError) as caught:
        NiftiLoader().read(cohort[0])
    assert caught.value.code == "FILE_UNREADABLE"
    assert str(tmp_path) not in str(caught.value)


def test_progress_and_pickling(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    for number in range(3):
        save(other(image, number), tmp_path / f"sub-{number}_T2w.nii")
    calls: list[tuple[int, int]] = []
    cohort = NiftiLoader().index(tmp_path, progress=lambda *call: calls.append(call))
    assert calls == [(1, 3), (2, 3), (3, 3)]
    loader = pickle.loads(pickle.dumps(NiftiLoader(plane="axial")))
    assert loader.get_params()["plane"] == "axial"
    assert json.dumps(list(cohort.patients)) == '["sub-0", "sub-1", "sub-2"]'


def test_a_zip_of_bids(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    for number in range(2):
        place = tmp_path / "bids" / f"sub-{number}" / "anat"
        save(other(image, number), place / f"sub-{number}_T2w.nii.gz")
        (place / f"sub-{number}_T2w.json").write_text('{"EchoTime": 0.1, "RepetitionTime": 3}')
    shutil.make_archive(str(tmp_path / "bids"), "zip", tmp_path / "bids")
    zipped = NiftiLoader().index(tmp_path / "bids.zip")
    plain = NiftiLoader().index(tmp_path / "bids")
    assert zipped.patients == plain.patients == ("sub-0", "sub-1")
    assert zipped.intake is not None
    assert zipped.intake.found == zipped.intake.used == 4
    for one, other_one in zip(zipped, plain, strict=True):
        assert one.uid == other_one.uid
        pixels = [NiftiLoader().read(study).pixels for study in (one, other_one)]
        assert np.array_equal(*pixels)


def test_one_file_and_a_list(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    path = save(image, tmp_path / "00123_T2w.nii.gz")
    assert NiftiLoader().index(path).patients == ("00123",)
    with pytest.raises(UsageError, match="not as a list"):
        NiftiLoader().index([path])  # type: ignore[arg-type]


def test_a_manifest_is_kept_to(image: nibabel.Nifti1Image, tmp_path: Path) -> None:
    for number in range(2):
        save(other(image, number), tmp_path / f"sub-{number}_T2w.nii")
    cohort = NiftiLoader().index(tmp_path)
    manifest = make_manifest(cohort)
    kept = NiftiLoader().index(tmp_path, manifest=manifest)
    assert len(kept) == 2
    assert np.array_equal(NiftiLoader().read(kept[0]).pixels, NiftiLoader().read(cohort[0]).pixels)
    # One bit of one voxel, which no header tells of.
    path = tmp_path / "sub-0_T2w.nii"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert NiftiLoader().read(cohort[0]).pixels.shape == (5, 50, 60)
    with pytest.raises(LoadError) as caught:
        NiftiLoader().read(kept[0])
    assert caught.value.code == "HASH_MISMATCH"
    again = NiftiLoader().index(tmp_path, manifest=manifest)
    assert again.patients == ("sub-1",)


def test_preprocessing_reads_through_the_loader_that_a_series_names(
    image: nibabel.Nifti1Image, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).random((200, 200, 7)).astype(np.float32)
    save(of_array(values, image), tmp_path / "sub-0_T2w.nii")
    cohort = NiftiLoader().index(tmp_path)
    settings: dict[str, Any] = {"size": (64, 64), "spacing": 1.5}
    by_series = Preprocessor(**settings).transform(cohort)
    for named in ("nifti", NiftiLoader()):
        assert np.array_equal(by_series, Preprocessor(**settings, loader=named).transform(cohort))
    with pytest.raises(LoadError, match="NOT_DICOM"):
        Preprocessor(**settings, loader="dicom").transform(cohort)
    with pytest.raises(LoaderNotFoundError):
        Preprocessor(**settings, loader="absent").transform(cohort)


def test_a_series_is_read_under_its_own_name_only(
    image: nibabel.Nifti1Image, tmp_path: Path
) -> None:
    save(image, tmp_path / "sub-0_T2w.nii")
    (series,) = NiftiLoader().index(tmp_path)[0].series
    for arguments in ((series,), (series, "T2"), (series, None)):
        assert NiftiLoader().read(*arguments).sequence == "T2"
    with pytest.raises(AmbiguousSeriesError, match="the series is T2, and T1 was asked for"):
        NiftiLoader().read(series, "T1")
    with pytest.raises(LoadError, match="limits it was indexed with") as caught:
        NiftiLoader(limits=Limits(file_bytes=100)).read(series)
    assert caught.value.code == "DECODE_BUDGET"
