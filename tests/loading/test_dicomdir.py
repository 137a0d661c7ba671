"""A DICOMDIR: what it lists is indexed, what it lacks is said, a damaged one is done without."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet

from cervispine import Cohort
from cervispine.exceptions import NoDicomError
from cervispine.loading import Loader
from cervispine.records import Problem


@pytest.fixture
def disc(tmp_path: Path, Series: Any) -> Path:
    """Return the folder of a file-set that pydicom made of two series."""
    fileset = FileSet()
    for number in range(2):
        series = Series(patient=f"P{number}", study=f"1.2.{number}", series=f"1.2.{number}.1")
        for path in series.write(tmp_path / "made" / str(number)):
            dataset = pydicom.dcmread(path)
            dataset.StudyDate, dataset.StudyTime, dataset.StudyID = "20200101", "120000", "1"
            dataset.SeriesNumber, dataset.PatientName = number + 1, ""
            fileset.add(dataset)
    fileset.write(tmp_path / "disc")
    return tmp_path / "disc"


def problems(cohort: Cohort) -> dict[str, Problem]:
    assert cohort.intake is not None
    return {problem.code: problem for problem in cohort.intake.problems}


def edit(disc: Path, change: Any) -> None:
    dataset = pydicom.dcmread(disc / "DICOMDIR")
    change(dataset)
    dataset.save_as(disc / "DICOMDIR")


def image_records(dataset: Any) -> list[Any]:
    return [record for record in dataset.DirectoryRecordSequence if "ReferencedFileID" in record]


def test_what_it_lists_is_indexed(disc: Path) -> None:
    listed = Loader().index(disc / "DICOMDIR")
    folder = Loader().index(disc)
    assert listed.studies == folder.studies
    assert len(listed) == 2
    assert problems(listed) == {}
    assert listed.intake.found == 10  # type: ignore[union-attr]
    # In a folder it is one more file that is no image.
    assert problems(folder)["NOT_MR_IMAGE"].fate == "ignored"
    assert folder.intake.found == 11  # type: ignore[union-attr]


def test_files_that_are_missing_or_not_listed(disc: Path, Series: Any) -> None:
    Series(patient="beside", study="1.2.7", series="1.2.7.1").write(disc / "beside")
    gone = image_records(pydicom.dcmread(disc / "DICOMDIR"))[0]
    disc.joinpath(*gone.ReferencedFileID).unlink()
    cohort = Loader().index(disc / "DICOMDIR")
    found = problems(cohort)
    assert (found["REFERENCE_MISSING"].fate, found["REFERENCE_MISSING"].files) == ("rejected", 1)
    assert (found["DICOMDIR_UNLISTED"].fate, found["DICOMDIR_UNLISTED"].files) == ("noted", 5)
    assert "beside" not in cohort.patients
    assert cohort.intake.found == 10  # type: ignore[union-attr]


def test_order_and_doubles_and_records_out_of_use_do_not_matter(disc: Path) -> None:
    whole = Loader().index(disc / "DICOMDIR")

    def shuffle(dataset: Any) -> None:
        records = list(dataset.DirectoryRecordSequence)
        order = np.random.default_rng(0).permutation(len(records))
        dataset.DirectoryRecordSequence = [records[i] for i in order] + records[-1:]

    edit(disc, shuffle)
    assert Loader().index(disc / "DICOMDIR").studies == whole.studies

    def retire(dataset: Any) -> None:
        for record in image_records(dataset):
            record.RecordInUseFlag = 0xFFFF if record.ReferencedSOPInstanceUIDInFile in kept else 0

    kept = {f"1.2.1.1.{number}" for number in range(1, 6)}
    edit(disc, retire)
    assert Loader().index(disc / "DICOMDIR").patients == ("P1",)


def test_discs_mounted_in_lower_case(disc: Path) -> None:
    whole = Loader().index(disc / "DICOMDIR")
    for path in sorted(disc.rglob("*"), reverse=True):
        if path.name != "DICOMDIR":
            path.rename(path.with_name(path.name.lower() + (";1" if path.is_file() else "")))
    (disc / "DICOMDIR").rename(disc / "dicomdir;1")
    lower = Loader().index(disc / "dicomdir;1")
    assert lower.patients == whole.patients
    assert problems(lower) == {}


@pytest.mark.filterwarnings("ignore:The value length")
def test_a_whole_path_in_one_value(disc: Path) -> None:
    def join(dataset: Any) -> None:
        for record in image_records(dataset):
            record.ReferencedFileID = "/".join(record.ReferencedFileID)

    edit(disc, join)
    assert len(Loader().index(disc / "DICOMDIR")) == 2


def without_offset(dataset: Any) -> None:
    dataset.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity = 0


def without_records(dataset: Any) -> None:
    dataset.DirectoryRecordSequence = []


@pytest.mark.parametrize("change", [without_offset, without_records])
def test_one_that_says_too_little_is_done_without(disc: Path, change: Any) -> None:
    edit(disc, change)
    cohort = Loader().index(disc / "DICOMDIR")
    assert len(cohort) == 2
    assert problems(cohort)["DICOMDIR_DAMAGED"].fate == "noted"
    assert cohort.intake.found == 11  # type: ignore[union-attr]


@pytest.mark.parametrize("keep", [0, 100, 200, 700, 1500])
def test_a_truncated_one_is_done_without(disc: Path, keep: int) -> None:
    path = disc / "DICOMDIR"
    path.write_bytes(path.read_bytes()[:keep])
    cohort = Loader().index(path)
    assert len(cohort) == 2
    assert "DICOMDIR_DAMAGED" in problems(cohort)


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-nooffset", "DICOMDIR-bigEnd"])
def test_those_of_pydicom(name: str, tmp_path: Path) -> None:
    source = Path(str(get_testdata_file(name)))
    shutil.copytree(source.parent, tmp_path / "disc")
    shutil.copyfile(source, tmp_path / "disc" / "DICOMDIR")
    with pytest.raises(NoDicomError, match="no study of 31 files") as caught:
        Loader().index(tmp_path / "disc" / "DICOMDIR")  # none of them is a sagittal T2 stack
    assert "DICOMDIR_DAMAGED" not in caught.value.what
