"""The loader against an archive of phantoms: the contract, what is fetched, and what goes wrong."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from cervispine_dicomweb import DicomwebLoader
from service import serving

from cervispine import Loader, Phantom, Preprocessor
from cervispine.exceptions import LoadError, NoImagesError, UsageError
from cervispine.testing import check_loader


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of three phantoms, one of them with an axial series as well."""
    folder = tmp_path_factory.mktemp("archive")
    dicom = Phantom(n_opll=1, n_dss=2, difficulty=0.1, seed=3, jobs=1).write(folder).dicom
    for number, path in enumerate(sorted(dicom.rglob("*.dcm"))[:4]):
        dataset = pydicom.dcmread(path)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.SeriesInstanceUID += ".9"
        dataset.SOPInstanceUID += ".9"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(path.with_name(f"axial{number}.dcm"))
    return dicom


@pytest.fixture
def archive(files: Path) -> Iterator[Any]:
    with serving(files) as server:
        yield server


@pytest.fixture
def loader(tmp_path: Path) -> DicomwebLoader:
    return DicomwebLoader(folder=tmp_path / "fetched")


def fetched(archive: Any) -> int:
    return sum("/instances/" in path for path, _ in archive.requests)


def test_the_contract(archive: Any, loader: DicomwebLoader) -> None:
    assert len(check_loader(loader, archive.url)) == 3


def test_images_are_those_of_the_folder(archive: Any, loader: DicomwebLoader, files: Path) -> None:
    cohort, local = loader.index(archive.url), Loader().index(files)
    assert [study.uid for study in cohort] == [study.uid for study in local]
    assert cohort.intake is not None
    assert local.intake is not None
    assert (cohort.intake.found, cohort.intake.used) == (local.intake.found, local.intake.used)
    assert [(p.code, p.files) for p in cohort.intake.problems] == [("PLANE_OTHER", 4)]
    # Only what may be wanted is fetched, and only once.
    assert fetched(archive) == cohort.intake.used
    loader.index(archive.url)
    assert fetched(archive) == cohort.intake.used
    one, other = loader.read(cohort[1]), Loader().read(local[1])
    assert np.array_equal(one.pixels, other.pixels)
    assert np.array_equal(one.affine, other.affine)
    # The series name the loader of DICOM: from here on all is as with a folder.
    assert Preprocessor(size=(64, 64), spacing=2.0).transform(cohort).shape == (3, 3, 64, 64)


def test_a_query_is_in_the_url(archive: Any, loader: DicomwebLoader) -> None:
    patient = Loader().index(Path(archive.files[0].filename).parent)[0].patient
    assert loader.index(f"{archive.url}/?PatientID={patient}").patients == (patient,)
    with pytest.raises(NoImagesError, match="nothing of what is wanted"):
        loader.index(f"{archive.url}?PatientID=nobody")


@pytest.mark.parametrize("page", [0, 1, 2, 5])
def test_pages_of_an_answer_end_whatever_the_archive_makes_of_an_offset(
    archive: Any, loader: DicomwebLoader, page: int
) -> None:
    archive.page = page
    assert len(loader.index(archive.url)) == 3
    assert sum("/studies?" in path for path, _ in archive.requests) <= 4


def test_names_on_disk_are_hashes_and_private(archive: Any, loader: DicomwebLoader) -> None:
    loader.index(archive.url)
    folders = list(Path(loader.folder or "").iterdir())
    assert len(folders) == 3
    for folder in folders:
        assert folder.stat().st_mode & 0o077 == 0
        assert all(len(path.stem) == 32 and path.suffix == ".dcm" for path in folder.iterdir())


def test_a_series_with_a_file_that_is_lost_is_rejected_as_a_whole(
    archive: Any, loader: DicomwebLoader
) -> None:
    whole = loader.index(archive.url)
    shutil.rmtree(loader.folder or "")
    lost = archive.files[-1]
    archive.lost.add(lost.SOPInstanceUID)
    cohort = loader.index(archive.url)
    assert lost.StudyInstanceUID not in {study.uid for study in cohort}
    assert len(cohort) == 2
    assert cohort.intake is not None
    assert whole.intake is not None
    (problem,) = [each for each in cohort.intake.problems if each.fate == "rejected"]
    assert problem.code == "DICOMWEB_FAILED"
    assert problem.reason == "files cannot be fetched: HTTPError 404"
    assert problem.files == whole.intake.used - cohort.intake.used


def test_another_file_than_was_asked_for_is_refused(archive: Any, loader: DicomwebLoader) -> None:
    archive.swapped[archive.files[-1].SOPInstanceUID] = Path(archive.files[-2].filename)
    intake = loader.index(archive.url).intake
    assert intake is not None
    assert "the archive sent another file" in {problem.reason for problem in intake.problems}


def test_what_the_archive_no_longer_has_is_removed(archive: Any, loader: DicomwebLoader) -> None:
    loader.index(archive.url)
    del archive.files[-1]
    cohort = loader.index(archive.url)
    assert cohort.intake is not None
    assert cohort.intake.found == len(archive.files)


def test_an_archive_that_is_not_there(loader: DicomwebLoader) -> None:
    loader.timeout = 0.5
    with pytest.raises(LoadError) as caught:
        loader.index("http://127.0.0.1:9/dicom-web?PatientID=SECRET")
    assert caught.value.code == "DICOMWEB_FAILED"
    assert "SECRET" not in str(caught.value)


def test_a_token_is_sent_and_never_shown(
    archive: Any, loader: DicomwebLoader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DICOMWEB_TOKEN", "hush")
    loader.index(archive.url)
    assert {token for _, token in archive.requests} == {"Bearer hush"}
    assert "hush" not in repr(DicomwebLoader(token="hush"))
    with pytest.raises(UsageError, match="without encryption"):
        loader.index("http://archive.example/dicom-web")


@pytest.mark.parametrize(
    "source", ["a/folder", "ftp://archive/dicom-web", "https://me:secret@archive/dicom-web"]
)
def test_what_is_no_address_is_refused(loader: DicomwebLoader, source: str) -> None:
    with pytest.raises(UsageError) as caught:
        loader.index(source)
    assert "secret" not in str(caught.value)


def test_a_folder_that_ends_with_the_process(archive: Any, monkeypatch: Any) -> None:
    monkeypatch.delenv("DICOMWEB_FOLDER", raising=False)
    loader = DicomwebLoader()
    loader.index(archive.url)
    assert "cervispine-dicomweb-" in str(loader.folder)
