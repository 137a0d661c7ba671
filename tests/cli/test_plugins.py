"""``backbones``, ``loaders`` and ``doctor``; ``--loader`` of the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cervispine.loading import Loader
from cervispine.phantom import PhantomCohort

Run = Callable[..., tuple[int, str, str]]


def test_backbones_and_doctor(run: Run) -> None:
    code, out, _ = run("backbones")
    assert code == 0
    assert "cervispine:resnet101" in out
    code, out, _ = run("doctor")
    assert code == 0
    assert "JPEG 2000" in out
    assert "loader nifti" in out


@pytest.fixture(scope="module")
def bids(phantom: PhantomCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the phantom cohort as NIfTI, with labels.csv for it."""
    folder = tmp_path_factory.mktemp("nifti")
    labels = ["patient,label"]
    for study in Loader().index(phantom.dicom).with_labels(phantom.labels):
        volume = Loader().read(study)
        image = nibabel.Nifti1Image(volume.pixels, np.diag([-1.0, -1, 1, 1]) @ volume.affine)
        image.header.set_xyzt_units("mm")
        patient = f"sub-{study.patient}"
        nibabel.save(image, folder / f"{patient}_T2w.nii.gz")
        labels.append(f"{patient},{'OPLL' if study.label else 'DSS'}")
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")
    return folder


def test_loaders(run: Run, bids: Path) -> None:
    code, out, _ = run("loaders")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()][:2] == [
        "cervispine:dicom",
        "cervispine:nifti",
    ]
    code, out, _ = run("loaders", "--check", str(bids))
    assert code == 0
    assert "nothing of its kind here: NO_DICOM" in out.splitlines()[0]
    assert out.splitlines()[1].endswith(" ok")
    code, out, _ = run("loaders", "dicom", "--check", str(bids))
    assert code == 3
    assert "NO_DICOM" in out
    code, _, err = run("loaders", "absent")
    assert code == 3
    assert "LOADER_NOT_FOUND" in err


def test_nifti_is_indexed_where_it_is_asked_for(run: Run, bids: Path) -> None:
    code, _, err = run("index", str(bids))
    assert code == 3
    assert "--loader nifti" in err
    labels = str(bids / "labels.csv")
    code, out, _ = run("index", str(bids), "--loader", "nifti", "--labels", labels)
    assert code == 0
    assert "24 studies of 24 patients" in out
    code, _, err = run("index", str(bids), "--loader", "nifti", "--saved", str(bids / "index"))
    assert code == 2
    assert "takes no saved" in err
    code, _, err = run("index", str(bids), "--loader", "nfti")
    assert code == 3
    assert "did you mean 'nifti'" in err


def test_a_model_is_trained_and_read_on_nifti(run: Run, bids: Path, tmp_path: Path) -> None:
    model, scores = str(tmp_path / "model"), tmp_path / "scores.csv"
    given = ("--loader", "nifti", "--labels", str(bids / "labels.csv"))
    code, _, err = run(
        "train", str(bids), *given, "--out", model, "--backbone", "resnet34", "--epochs", "1",
        "--cache", str(tmp_path / "cache"),
    )  # fmt: skip
    assert code == 0, err
    assert list((tmp_path / "cache").glob("*.npy"))
    assert (tmp_path / "model" / "history.png").read_bytes().startswith(b"\x89PNG")
    assert "cervispine:nifti" in (tmp_path / "model" / "README.md").read_text()
    code, _, err = run(
        "predict", model, str(bids), "--loader", "nifti", "--out", str(scores),
        "--allow-training-patients",
    )  # fmt: skip
    assert code == 0, err
    assert len(scores.read_text().splitlines()) == 25
