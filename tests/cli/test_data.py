"""``phantom`` and ``index``: what they print, and how they end on bad input."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom

from cervispine.phantom import PhantomCohort

Run = Callable[..., tuple[int, str, str]]


def test_index_says_what_is_there(run: Run, phantom: PhantomCohort) -> None:
    code, out, _ = run("index", phantom.dicom, "--labels", phantom.labels, "--strict")
    assert code == 0
    assert "24 studies of 24 patients (10 OPLL, 14 DSS)" in out
    assert "files found" in out


def test_strict_ends_with_1_when_files_were_rejected(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(phantom.dicom, data)
    broken = next(path for path in sorted(data.rglob("*.dcm")))
    broken.write_bytes(broken.read_bytes()[:-1000])
    code, out, err = run("index", data, "--strict")
    assert code == 1
    assert "rejected" in err
    assert "1 rejected" in out
    assert run("index", data)[0] == 0


def test_a_labelled_patient_whose_study_is_refused_is_counted(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    folder = tmp_path / "dicom"
    shutil.copytree(phantom.dicom, folder)
    study = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    by_position = sorted(
        (path for path in study.rglob("*.dcm")),
        key=lambda path: float(pydicom.dcmread(path).ImagePositionPatient[0]),
    )
    by_position[len(by_position) // 2].write_bytes(b"cut off")
    code, out, _ = run("index", folder, "--labels", phantom.labels)
    assert code == 0
    assert "PATIENTS_UNUSED" in out
    assert study.name not in out
    shutil.rmtree(study)
    code, out, err = run("index", folder, "--labels", phantom.labels)
    assert (code, "[LABELS_UNMATCHED]" in err) == (3, True)
    assert "files found" in out


def test_a_folder_that_cannot_be_written_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, err = run("phantom", tmp_path / "file" / "below", "--patients", 4)
    assert (code, "[OUTPUT_UNWRITABLE]" in err) == (5, True)


def test_a_saved_index_serves_every_command(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    saved = tmp_path / "saved"
    first = run("index", phantom.dicom, "--saved", saved)
    assert first[0] == 0
    assert saved.stat().st_size > 10_000
    assert run("index", phantom.dicom, "--saved", saved)[1] == first[1]
    code, _, err = run("index", phantom.dicom, "--saved", phantom.labels)
    assert (code, "[SAVED_INDEX_INVALID]" in err) == (3, True)


def test_index_takes_a_zip(run: Run, phantom: PhantomCohort, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "export"), "zip", phantom.dicom)
    code, out, _ = run("index", tmp_path / "export.zip", "--labels", phantom.labels)
    assert code == 0
    assert "24 studies of 24 patients (10 OPLL, 14 DSS)" in out
    code, _, err = run("index", tmp_path / "export.zip", "--saved", tmp_path / "export.zip")
    assert (code, "among the files" in err) == (2, True)
