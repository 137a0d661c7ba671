"""``explain``: what it writes, and how it ends on bad input."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from cervispine import Cohort, OPLLClassifier, Preprocessor
from cervispine.phantom import PhantomCohort

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def model(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    classifier = OPLLClassifier(
        backbone="resnet34", preprocessor=Preprocessor(size=(64, 64), spacing=1.8), epochs=1,
        validation=0.5, progress=False, augment=False,
    )  # fmt: skip
    # One study of each class in either part: what it learns is of no matter here.
    studies = [*cohort.where(lambda study: study.label == 0)[:3]]
    studies += cohort.where(lambda study: study.label == 1)[:3]
    return classifier.fit(studies).save(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def strangers(cohort: Cohort) -> list[str]:
    """Patients that the model was not fitted on."""
    known = {
        study.patient for label in (0, 1) for study in [s for s in cohort if s.label == label][:3]
    }
    return [patient for patient in cohort.patients if patient not in known]


def test_maps_arrays_and_peaks_are_written(
    run: Run, model: Path, phantom: PhantomCohort, cohort: Cohort, strangers: list[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    chosen = strangers[:2]
    out = tmp_path / "maps"
    code, printed, _ = run(
        "explain", model, phantom.dicom, "--out", out, "--patients", ",".join(chosen)
    )
    assert (code, printed.splitlines()[0]) == (0, f"2 studies, by grad-cam: {out}")
    assert sorted(path.name for path in out.iterdir()) == [
        "0001.npz", "0001.png", "0002.npz", "0002.png", "peaks.csv",
    ]  # fmt: skip
    with (out / "peaks.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["patient"] for row in rows] == [name for name in chosen for _ in range(3)]
    studies = {study.patient: study for study in cohort}
    classifier = OPLLClassifier.load(model)
    for row in rows:
        study = studies[row["patient"]]
        assert (row["study"], row["series"]) == (study.uid, study.series[0].uid)
        assert float(row["probability"]) == pytest.approx(
            classifier.predict_proba([study])[0, 1], abs=1e-4
        )
        with np.load(out / f"{row['file']}.npz") as saved:
            plane = saved["values"][int(row["slice"])]
            affine = saved["affine"]
        assert plane.max() == pytest.approx(float(row["value"]), rel=1e-4)
        if plane.max() > 0:
            index = (int(row["slice"]), int(row["row"]), int(row["column"]))
            assert plane[index[1:]] == plane.max()
            told = [float(row[name]) for name in ("left_mm", "posterior_mm", "superior_mm")]
            np.testing.assert_allclose(told, (affine @ (*index, 1))[:3], atol=0.01)


def test_results_as_dicom_lie_beside_the_pictures(
    run: Run, model: Path, phantom: PhantomCohort, cohort: Cohort, strangers: list[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    pytest.importorskip("highdicom")
    arguments = ("explain", model, phantom.dicom, "--patients", strangers[0], "--dicom", "--out")
    code, out, err = run(*arguments, tmp_path / "maps")
    assert (code, "name the patient" in out) == (0, True)
    results = sorted((tmp_path / "maps" / "0001").iterdir())
    assert [path.name for path in results] == ["capture.dcm", "map.dcm", "report.dcm"]
    (study,) = cohort.where(lambda study: study.patient == strangers[0])
    for path in results:
        assert pydicom.dcmread(path).StudyInstanceUID == study.uid
    assert strangers[0] not in out + err.replace(str(tmp_path), "")
    monkeypatch.setitem(sys.modules, "highdicom", None)
    code, _, err = run(*arguments, tmp_path / "none")
    assert (code, "EXTRA_MISSING" in err, (tmp_path / "none").exists()) == (2, True, False)


def test_maps_of_two_explanations_never_lie_in_one_folder(
    run: Run, model: Path, phantom: PhantomCohort, strangers: list[str], tmp_path: Path
) -> None:
    arguments = ("explain", model, phantom.dicom, "--out", tmp_path / "maps", "--patients")
    assert run(*arguments, strangers[0])[0] == 0
    before = {path: path.read_bytes() for path in (tmp_path / "maps").iterdir()}
    code, _, err = run(*arguments, strangers[1])
    assert (code, "OUTPUT_TAKEN" in err) == (2, True)
    assert {path: path.read_bytes() for path in (tmp_path / "maps").iterdir()} == before


def test_a_study_that_cannot_be_read_does_not_end_the_others(
    run: Run, model: Path, phantom: PhantomCohort, cohort: Cohort, strangers: list[str],
    tmp_path: Path,
) -> None:  # fmt: skip
    two = cohort.where(lambda study: study.patient in strangers[:2])
    for number, study in enumerate(two):
        # The first has two slices left, less than the model wants.
        files = study.series[0].files
        for path in files[:2] if number == 0 else files:
            (tmp_path / "images").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "images" / f"{number}-{path.name}")
    arguments = (model, tmp_path / "images", "--out")
    code, out, err = run("explain", *arguments, tmp_path / "maps")
    assert (code, "1 studies, by grad-cam" in out) == (0, True)
    assert f"study {two[0].uid}: [SLICES_TOO_FEW]" in out
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == [
        "0002.npz", "0002.png", "peaks.csv",
    ]  # fmt: skip
    assert run("explain", *arguments, tmp_path / "strictly", "--strict")[0] == 1
    code, _, err = run("predict", *arguments, tmp_path / "scores.csv")
    assert (code, f"study {two[0].uid}: 2 slices in T2" in err) == (3, True)
    assert "cervispine infer" in err
    run("infer", *arguments, tmp_path / "run", "--workers", "0")
    assert len((tmp_path / "run" / "predictions.csv").read_text().splitlines()) == 2


def test_a_study_unlike_the_training_is_told(
    run: Run, model: Path, phantom: PhantomCohort, strangers: list[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(
        "cervispine.classification.domain.Domain.reasons",
        lambda _, studies, *__: (("a field strength never seen",),) * len(studies),
    )
    _, _, err = run(
        "explain", model, phantom.dicom, "--out", tmp_path / "maps", "--patients", strangers[0]
    )
    assert "note: [UNLIKE_TRAINING] 1 of 1 studies" in err
    assert "a field strength never seen" in err


def test_what_cannot_be_explained_is_refused(
    run: Run, model: Path, phantom: PhantomCohort, strangers: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "maps"
    code, _, err = run("explain", model, phantom.dicom, "--out", out)
    assert (code, "LEAKAGE_TRAINING" in err, out.exists()) == (3, True, False)
    code, _, err = run("explain", model, phantom.dicom, "--out", out, "--patients", "P9999,P0001")
    assert (code, "1 of the 2 patients" in err, "P9999" in err) == (2, True, False)
    code, _, err = run(
        "explain", model, phantom.dicom, "--out", out, "--method", "lime",
        "--patients", strangers[0],
    )  # fmt: skip
    assert (code, "grad-cam, occlusion" in err, out.exists()) == (2, True, False)
    code, _, err = run("explain", model, phantom.dicom, "--out", out, "--patients", " ,")
    assert (code, "no patient is named" in err, out.exists()) == (2, True, False)
    code, _, err = run("explain", tmp_path, phantom.dicom, "--out", out)
    assert (code, "MODEL_FORMAT" in err) == (4, True)
    (tmp_path / "models").mkdir()
    _, _, err = run("explain", tmp_path, phantom.dicom, "--out", out)
    assert "the folder of a run: its models lie in" in err
