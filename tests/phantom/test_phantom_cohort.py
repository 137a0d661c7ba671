"""What is written: right geometry, no label in any header, the same for any number of jobs."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from pathlib import Path

import attrs
import highdicom
import numpy as np
import pydicom
import pytest
import SimpleITK

from cervispine.exceptions import ResourceError, UsageError
from cervispine.phantom import (
    PatientSpecification,
    Phantom,
    PhantomCohort,
    ProtocolRanges,
    from_json,
    render,
)

SMALL = ProtocolRanges(matrices=(128,), slices=(5, 7))
PHANTOM = Phantom(
    n_opll=3, n_dss=4, seed=11, sequences=("T2", "T1"), protocols=SMALL, jobs=1, difficulty=0.2
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> PhantomCohort:
    return PHANTOM.write(tmp_path_factory.mktemp("cohort") / "new")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_layout(written: PhantomCohort) -> None:
    labels = rows_of(written.labels)
    assert list(labels[0]) == ["patient", "label", "type", "site", "age", "sex"]
    assert sorted(row["label"] for row in labels) == ["DSS"] * 4 + ["OPLL"] * 3
    assert all(bool(row["type"]) == (row["label"] == "OPLL") for row in labels)
    readers = rows_of(written.readers)
    assert len(readers) == 7 * 3
    assert {row["reader"] for row in readers} == {f"simulated-surgeon-{n}" for n in (1, 2, 3)}
    assert json.loads((written.folder / "phantom.json").read_text())["synthetic"] is True
    assert "synthetic" in (written.folder / "README.txt").read_text()
    for row in labels:
        assert sorted(p.name for p in (written.dicom / row["patient"]).iterdir()) == ["T1", "T2"]
    assert not list(written.folder.glob(".writing-*"))


def test_the_truth_tells_specification_and_masks(written: PhantomCohort) -> None:
    for name, patient in zip(PHANTOM.names(), PHANTOM.specifications(), strict=True):
        truth = json.loads((written.truth / f"{name}.json").read_text())
        kept = from_json(PatientSpecification, json.dumps(truth["specification"]))
        assert kept == patient
        assert (truth["thickness_mm"] > 0) == (patient.label == "OPLL")
        masks = np.load(written.truth / f"{name}.npz")
        rendering = render(patient)
        np.testing.assert_array_equal(masks["plaque"], rendering.plaque)
        np.testing.assert_array_equal(masks["cord"], rendering.cord)


@pytest.mark.parametrize("number", range(7))
def test_geometry_by_three_libraries(written: PhantomCohort, number: int) -> None:
    name, patient = PHANTOM.names()[number], PHANTOM.specifications()[number]
    rendering = render(patient)
    files = sorted((written.dicom / name / "T2").glob("*.dcm"))
    datasets = [pydicom.dcmread(file) for file in files]

    # highdicom: index (slice, row, column) to patient coordinates, slices the other way round.
    volume = highdicom.get_volume_from_series(datasets).flip_spatial(0)
    np.testing.assert_allclose(volume.affine, rendering.affine, atol=1e-5)
    np.testing.assert_array_equal(volume.array, rendering.pixels)

    # SimpleITK: index (column, row, slice).
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(written.dicom / name / "T2")))
    image = reader.Execute()
    slices, rows, columns = rendering.pixels.shape
    for place in ((0, 0, 0), (slices - 1, rows - 1, 3), (1, 5, columns - 1)):
        point = (rendering.affine @ [*place, 1])[:3]
        index = image.TransformPhysicalPointToIndex(point.tolist())
        np.testing.assert_allclose(image.TransformIndexToPhysicalPoint(index), point, atol=1e-4)
        assert image[index] == rendering.pixels[place]

    # pydicom: each file's own position.
    for dataset in datasets:
        position = np.array(dataset.ImagePositionPatient, float)
        number_of = np.linalg.solve(rendering.affine, [*position, 1])[0]
        assert abs(number_of - round(number_of)) < 1e-5
        np.testing.assert_array_equal(dataset.pixel_array, rendering.pixels[round(number_of)])


def test_instance_numbers_do_not_always_follow_positions() -> None:
    orders = {
        each.protocol.instance_order for each in Phantom(n_opll=15, n_dss=15).specifications()
    }
    assert orders == {"ascending", "descending", "interleaved"}


def test_every_file_says_that_it_is_synthetic(written: PhantomCohort) -> None:
    for file in written.dicom.rglob("*.dcm"):
        dataset = pydicom.dcmread(file, stop_before_pixels=True)
        assert str(dataset.PatientName).startswith("SYNTHETIC^")
        assert dataset.PatientIdentityRemoved == "YES"
        for keyword in ("Manufacturer", "InstitutionName", "SeriesDescription", "ImageComments"):
            assert "SYNTHETIC" in dataset[keyword].value, keyword
        assert dataset.BitsStored == 12
        assert dataset.ScanningSequence == "SE"
        assert (dataset.EchoTime < 20) == (file.parent.name == "T1")


def test_headers_do_not_depend_on_the_label(tmp_path: Path) -> None:
    """Two cohorts of one seed with all labels turned round have the same headers."""
    headers = []
    for n_opll in (0, 4):
        phantom = Phantom(n_opll=n_opll, n_dss=4 - n_opll, seed=3, protocols=SMALL, jobs=1)
        cohort = phantom.write(tmp_path / str(n_opll))
        content = {}
        for file in sorted(cohort.dicom.rglob("*.dcm")):
            dataset = pydicom.dcmread(file, stop_before_pixels=True)
            # The window follows the pixels, as on any scanner.
            del dataset.WindowCenter, dataset.WindowWidth
            content[str(file.relative_to(cohort.dicom))] = dataset.to_json()
        headers.append(content)
    assert headers[0] == headers[1]


def test_order_does_not_tell_the_class() -> None:
    labels = [each.label for each in Phantom(n_opll=20, n_dss=20).specifications()]
    assert "OPLL" in labels[20:]
    assert "DSS" in labels[:20]


@pytest.mark.slow
def test_jobs_do_not_change_the_result(written: PhantomCohort, tmp_path: Path) -> None:
    again = attrs.evolve(PHANTOM, jobs=2).write(tmp_path / "again")
    assert hashes(again.folder) == hashes(written.folder)


def test_writing_resumes(written: PhantomCohort, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(written.folder, copy)
    (copy / "truth" / "P0003.json").unlink()
    shutil.rmtree(copy / "dicom" / "P0003" / "T2")
    kept = (copy / "truth" / "P0001.json").stat().st_mtime_ns
    seen: list[tuple[int, int]] = []
    PHANTOM.write(copy, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(7, 7)]
    assert (copy / "truth" / "P0001.json").stat().st_mtime_ns == kept
    assert hashes(copy) == hashes(written.folder)


def test_a_folder_of_other_settings_is_refused(written: PhantomCohort) -> None:
    before = hashes(written.folder)
    with pytest.raises(UsageError, match="OUTPUT_TAKEN"):
        attrs.evolve(PHANTOM, seed=12).write(written.folder)
    assert hashes(written.folder) == before


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="OUTPUT_TAKEN"):
        PHANTOM.write(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_unwritable_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="OUTPUT_UNWRITABLE"):
        PHANTOM.write(tmp_path / "file" / "cohort")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ResourceError, match="OUTPUT_UNWRITABLE"):
        PHANTOM.write(tmp_path / "cohort")


@pytest.mark.parametrize(
    "wrong",
    [
        {"n_opll": -1},
        {"n_opll": 0, "n_dss": 0},
        {"seed": -1},
        {"jobs": 0},
        {"n_readers": 0},
        {"sequences": ()},
        {"sequences": ("T2", "T2")},
        {"sequences": ("STIR",)},
        {"difficulty": 1.5},
        {"mimic_rate": -0.5},
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Phantom(**wrong)  # type: ignore[arg-type]
