"""infer_archive in one process: what is written, counted, found again and refused."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import pytest

from cervispine import Cohort, Loader, OPLLClassifier
from cervispine.archive import ArchiveRun, infer_archive, work, workers
from cervispine.classification import estimator
from cervispine.exceptions import PixelError, ResourceError, UsageError
from cervispine.loading import registry
from cervispine.phantom import PhantomCohort


def infer(model: Path, archive: PhantomCohort | Path, out: Path, **more: object) -> ArchiveRun:
    data = archive if isinstance(archive, Path) else archive.dicom
    parameters = {"workers": 0, "progress": False} | more
    return infer_archive(model, data, out=out, **parameters)  # type: ignore[arg-type]


def results(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("results/*/*")}


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every reading of an image an error."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("an image was read")

    monkeypatch.setattr(OPLLClassifier, "classify", refuse)


def test_the_predictions_are_those_of_the_model(
    model: Path, archive: PhantomCohort, tmp_path: Path
) -> None:
    run = infer(model, archive, tmp_path)
    cohort = Loader().index(archive.dicom)
    classifier = OPLLClassifier.load(model)
    alone = [float(classifier.predict_proba([study])[0, 1]) for study in cohort]
    written = rows(tmp_path / "predictions.csv")
    assert [row["patient"] for row in written] == list(cohort.patients)
    assert [row["study"] for row in written] == [study.uid for study in cohort]
    assert [float(row["score"]) for row in written] == alone
    assert [int(row["call"]) for row in written] == run.predictions.calls.tolist()
    said = [classifier.classify([study]) for study in cohort]
    assert [float(row["out_of_distribution"]) for row in written] == [
        float(each.out_of_distribution[0]) for each in said if each.out_of_distribution is not None
    ]
    assert [row["advice"] for row in written] == [each.advice[0] for each in said]
    assert [row["undecided"] for row in written] == [str(int(each.undecided[0])) for each in said]
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["state"] == "finished"
    assert manifest["studies"] == {"found": 7, "done": 7, "quarantined": 0, "rejected": 0}
    assert cohort.intake is not None
    assert manifest["files"]["found"] == manifest["files"]["done"] == cohort.intake.found
    assert len(results(tmp_path)) == 7
    assert not any((tmp_path / "attempts").iterdir())


def test_the_same_call_again_reads_nothing(
    model: Path, archive: PhantomCohort, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    infer(model, archive, tmp_path)
    before = results(tmp_path), (tmp_path / "predictions.csv").read_bytes()
    request.getfixturevalue("no_reading")
    infer(model, archive, tmp_path)
    # Nor does an archive that was copied: it is known by its bytes once they are hashed.
    copy = tmp_path / "copy"
    shutil.copytree(archive.dicom, copy, copy_function=shutil.copyfile)
    infer(model, copy, tmp_path)
    (tmp_path / "known.txt").write_text("torn")
    infer(model, archive, tmp_path)
    assert (results(tmp_path), (tmp_path / "predictions.csv").read_bytes()) == before


def test_a_damaged_result_is_made_anew(model: Path, archive: PhantomCohort, tmp_path: Path) -> None:
    infer(model, archive, tmp_path)
    before = results(tmp_path)
    paths = sorted(tmp_path.glob("results/*/*"))
    paths[0].write_bytes(paths[0].read_bytes()[:40])
    paths[1].write_bytes(paths[2].read_bytes())
    paths[3].unlink()
    infer(model, archive, tmp_path)
    assert results(tmp_path) == before


@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    signal_sent: signal.Signals,
) -> None:  # fmt: skip
    whole = infer(model, archive, tmp_path / "whole")
    read = work.read_studies

    def interrupted(reading: work.Reading, studies: list[work.Stamped]) -> list[tuple[str, str]]:
        if len(results(tmp_path / "run")) == 3:
            signal.raise_signal(signal_sent)
        return read(reading, studies)

    monkeypatch.setattr(workers, "read_studies", interrupted)
    with pytest.raises(KeyboardInterrupt):
        infer(model, archive, tmp_path / "run")
    assert len(results(tmp_path / "run")) == 4
    assert not (tmp_path / "run" / "predictions.csv").exists()
    monkeypatch.setattr(workers, "read_studies", read)
    run = infer(model, archive, tmp_path / "run")
    assert results(run.folder) == results(whole.folder)
    for name in ("predictions.csv", "rejected.csv", "quarantined.csv", "manifest.json"):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_a_failure_is_set_aside_and_tried_again_when_asked(
    model: Path, archive: PhantomCohort, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    uid = Loader().index(archive.dicom)[2].uid
    monkeypatch.setenv("FATAL", f"{uid}=fail")
    with pytest.warns(UserWarning, match="read by"):
        run = infer(model, archive, tmp_path, loader="fatal")
    [failed] = run.account.quarantined
    assert failed.code == "INTERNAL"
    assert "header" not in failed.reason
    assert run.account.to_dict()["studies"] == {
        "found": 7, "done": 6, "quarantined": 1, "rejected": 0,
    }  # fmt: skip
    assert rows(tmp_path / "quarantined.csv")[0]["item"] == failed.item
    monkeypatch.delenv("FATAL")
    with pytest.warns(UserWarning, match="read by"):
        again = infer(model, archive, tmp_path, loader="fatal")
    assert len(again.account.quarantined) == 1
    with pytest.warns(UserWarning, match="read by"):
        healed = infer(model, archive, tmp_path, loader="fatal", retry=True)
    assert healed.account.done == 7


def test_what_another_version_of_a_loader_read_is_read_anew(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1", "2"):
        monkeypatch.setattr(registry, "_with_version", lambda name, v=version: f"{name} {v}")
        with pytest.warns(UserWarning, match="read by"):
            infer(model, archive, tmp_path, loader="fatal")
    assert len(results(tmp_path)) == 2 * 7


def test_what_content_refuses_is_rejected_for_good(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify = OPLLClassifier.classify
    uid = Loader().index(archive.dicom)[0].uid

    def refuse(self: OPLLClassifier, X: list, **more: object) -> object:
        if X[0].uid == uid:
            raise PixelError("the image is constant", code="IMAGE_DEGENERATE")
        return classify(self, X, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(OPLLClassifier, "classify", refuse)
    run = infer(model, archive, tmp_path)
    monkeypatch.undo()
    again = infer(model, archive, tmp_path, retry=True)
    for each in (run, again):
        assert [problem.code for problem in each.account.rejected] == ["IMAGE_DEGENERATE"]
        assert each.account.done == 6
        counts = each.account.to_dict()["files"]
        assert counts["rejected"] > 0
        assert counts["found"] == counts["done"] + counts["rejected"] + counts["ignored"]
    assert rows(tmp_path / "rejected.csv")[-1]["code"] == "IMAGE_DEGENERATE"


def test_a_study_of_which_the_network_makes_no_number_is_set_aside(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    margins_of, calls = estimator.margins_of, iter(range(99))

    def no_number(*given: Any) -> Any:
        return margins_of(*given) * (np.nan if next(calls) == 2 else 1.0)

    monkeypatch.setattr(estimator, "margins_of", no_number)
    run = infer(model, archive, tmp_path)
    assert [failed.code for failed in run.account.quarantined] == ["OUTPUT_NOT_FINITE"]
    assert run.account.done == len(run.predictions) == 6
    assert np.isfinite([float(row["score"]) for row in rows(tmp_path / "predictions.csv")]).all()
    monkeypatch.undo()
    assert infer(model, archive, tmp_path, retry=True).account.done == 7


def test_a_file_that_is_gone_is_set_aside(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(archive.dicom, copy)
    read = work.read_studies

    def remove(reading: work.Reading, studies: list[work.Stamped]) -> list[tuple[str, str]]:
        if not results(tmp_path / "run"):
            studies[0][1].series[0].files[0].unlink()
        return read(reading, studies)

    monkeypatch.setattr(workers, "read_studies", remove)
    run = infer(model, copy, tmp_path / "run")
    assert "FILE_UNREADABLE" in {problem.code for problem in run.account.quarantined}


def test_training_patients_are_rejected(model: Path, cohort: Cohort, tmp_path: Path) -> None:
    data = cohort[0].series[0].files[0].parent
    run = infer(model, data, tmp_path)
    assert [problem.code for problem in run.account.rejected] == ["LEAKAGE_TRAINING"]
    assert infer(model, data, tmp_path, allow_training_patients=True).account.done == 1
    assert infer(model, data, tmp_path).account.done == 0


def test_a_folder_is_of_one_model_and_one_process(
    model: Path, archive: PhantomCohort, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    infer(model, archive, out)
    with filelock.FileLock(out / ".lock"), pytest.raises(UsageError) as refusal:
        infer(model, archive, out)
    assert refusal.value.code == "RUN_LOCKED"
    other = tmp_path / "other"
    shutil.copytree(model, other)
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(config | {"threshold": 0.9}))
    with pytest.raises(UsageError) as refusal:
        infer(other, archive, out)
    assert refusal.value.code == "RESUME_MISMATCH"


def test_results_that_cannot_be_written_end_the_run(
    model: Path, archive: PhantomCohort, tmp_path: Path
) -> None:
    (tmp_path / "results").mkdir()
    for number in range(256):
        (tmp_path / "results" / f"{number:02x}").touch()
    with pytest.raises(ResourceError) as refusal:
        infer(model, archive, tmp_path)
    assert refusal.value.code == "OUTPUT_UNWRITABLE"


@pytest.mark.parametrize("wrong", [{"workers": -1}, {"threads": 0}, {"tries": 0}, {"timeout": 0}])
def test_what_cannot_be_meant_is_refused(
    model: Path, archive: PhantomCohort, tmp_path: Path, wrong: dict[str, int]
) -> None:
    with pytest.raises(UsageError):
        infer(model, archive, tmp_path, **wrong)
