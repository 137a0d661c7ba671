"""``phantom`` and ``index``: what they print, and how they end on bad input."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

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
    # A series of which a slice is cut off is refused as a whole.
    slices = len(list(broken.parent.glob("*.dcm")))
    assert f"{slices} rejected" in out
    assert run("index", data)[0] == 0


@pytest.mark.parametrize("command", ["index", "train", "experiment", "crossval"])
def test_a_faulty_table_is_refused_before_thousands_of_headers_are_read(
    run: Run, tmp_path: Path, phantom: PhantomCohort, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("headers were read")

    monkeypatch.setattr("cervispine.loading.Loader.index", read)
    labels = tmp_path / "labels.csv"
    labels.write_text("patient,label\nP1,yes\n")
    out = () if command == "index" else ("--out", tmp_path / "out")
    code, _, err = run(command, phantom.dicom, "--labels", labels, *out)
    assert (code, "LABELS_INVALID" in err) == (3, True)
    if command == "experiment":
        readers = tmp_path / "readers.csv"
        readers.write_text("patient,reader,call\nP1,a,maybe\n")
        tables = ("--labels", phantom.labels, "--readers", readers)
        code, _, err = run(command, phantom.dicom, *tables, *out)
        assert (code, "READERS_INVALID" in err) == (3, True)


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


def test_index_writes_a_page_and_a_manifest_that_verifies(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(phantom.dicom, data)
    code, said, _ = run("index", data, "--labels", phantom.labels, "--out", out)
    assert code == 0
    assert f"The page is {out / 'intake.html'}" in said
    manifest = out / "data-manifest.json"
    assert run("index", data, "--verify", manifest, "--strict")[0] == 0
    path = sorted(data.rglob("*.dcm"))[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    code, said, err = run("index", data, "--verify", manifest, "--strict")
    assert (code, "HASH_MISMATCH" in said, "rejected" in err) == (1, True, True)
    shutil.rmtree(next(each for each in sorted(data.iterdir(), reverse=True) if each.is_dir()))
    code, said, err = run("index", data, "--verify", manifest)
    assert (code, "MANIFEST_MISSING" in said) == (0, True)
    code, _, err = run("index", data, "--verify", phantom.labels)
    assert (code, "[MANIFEST_INVALID]" in err) == (3, True)
    code, _, err = run("index", data, "--verify", tmp_path / "absent")
    assert (code, "[FILE_MISSING]" in err) == (2, True)


def test_where_nothing_is_usable_the_account_is_written_all_the_same(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    for number, path in enumerate(sorted(phantom.dicom.rglob("*.dcm"))[:12]):
        dataset = pydicom.dcmread(path)
        del dataset.ImagePositionPatient
        (tmp_path / "data").mkdir(exist_ok=True)
        dataset.save_as(tmp_path / "data" / f"{number}.dcm")
    (tmp_path / "data" / "notes.txt").write_text("no image")
    code, out, err = run("index", tmp_path / "data", "--out", tmp_path / "out")
    assert (code, "[NO_DICOM]" in err) == (3, True)
    assert "intake.html" in out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"intake.html", "rejected.csv"}
    rows = (tmp_path / "out" / "rejected.csv").read_text().splitlines()
    assert sum("GEOMETRY_MISSING" in row for row in rows) >= 1
    assert sum("NOT_DICOM" in row for row in rows) == 1
    page = (tmp_path / "out" / "intake.html").read_text()
    assert "None of these files can be used" in page
    assert "13</b> files found" in page
    assert "data-manifest.json" not in page
    # A folder that is not there has no account.
    assert run("index", tmp_path / "absent", "--out", tmp_path / "none")[0] == 3
    assert not (tmp_path / "none").exists()


def test_what_is_missing_from_a_manifest_is_strictly_a_rejection(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(phantom.dicom, data)
    run("index", data, "--out", out)
    shutil.rmtree(next(each for each in sorted(data.iterdir()) if each.is_dir()))
    code, _, err = run("index", data, "--verify", out / "data-manifest.json", "--strict")
    assert (code, "0 files were rejected, for 1 reasons" in err) == (1, True)


def test_the_page_is_not_put_among_the_data(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    for out in (phantom.dicom, phantom.dicom / "page"):
        code, _, err = run("index", phantom.dicom, "--out", out)
        assert (code, "[USAGE]" in err) == (2, True)
    assert not (phantom.dicom / "intake.html").exists()


def test_index_names_pairs_that_look_alike(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(phantom.dicom, data)
    first = pydicom.dcmread(min(data.rglob("*.dcm")))
    # The same examination a little brighter, and under identifiers of its own.
    for number, path in enumerate(sorted(phantom.dicom.rglob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        if dataset.SeriesInstanceUID != first.SeriesInstanceUID:
            continue
        dataset.PixelData = (dataset.pixel_array + 1).astype("<u2").tobytes()
        dataset.PatientID = "canary"
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            setattr(dataset, name, f"{getattr(dataset, name)[:50]}.9")
        dataset.SOPInstanceUID = f"1.2.3.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(data / f"again{number}.dcm")
    code, out, err = run("index", data)
    assert code == 0
    assert "25 studies" in out
    assert "NEAR_DUPLICATE           1 pairs of studies look alike:" in out
    assert f"study {first.StudyInstanceUID}" in out
    assert "canary" not in out + err


def test_the_page_shows_what_another_loader_reads(run: Run, tmp_path: Path) -> None:
    # Slices to the left, rows to the feet, columns to the back; RAS, as NIfTI counts.
    affine = np.array([[-3.3, 0, 0, 8], [0, 0, -0.6, 12], [0, -0.9, 0, 20], [0, 0, 0, 1.0]])
    for number in range(2):
        values = np.random.default_rng(number).random((5, 50, 60), dtype=np.float32)
        image = nibabel.Nifti1Image(values, affine)
        image.set_sform(affine, code=1)
        folder = tmp_path / "data" / f"sub-{number}" / "anat"
        folder.mkdir(parents=True)
        nibabel.save(image, folder / f"sub-{number}_T2w.nii.gz")
    code, _, _ = run("index", tmp_path / "data", "--loader", "nifti", "--out", tmp_path / "out")
    page = (tmp_path / "out" / "intake.html").read_text()
    assert code == 0
    assert page.count("data:image/jpeg") == 2
    assert "NOT_" not in page
