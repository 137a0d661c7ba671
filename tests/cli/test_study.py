"""``experiment``, ``train`` and ``predict``: what they write, and how they end on bad input."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from cervispine import OPLLClassifier, Preprocessor
from cervispine.experiment import PRESETS
from cervispine.phantom import PhantomCohort

Run = Callable[..., tuple[int, str, str]]


def test_train_and_predict(run: Run, phantom: PhantomCohort, tmp_path: Path) -> None:
    # The command trains at full size; a model saved by the library serves the same predict.
    from cervispine import Loader

    cohort = Loader().index(phantom.dicom).with_labels(phantom.labels)
    small = Preprocessor(size=(64, 64), spacing=1.8)
    OPLLClassifier(
        backbone="resnet34", preprocessor=small, epochs=1, validation=0.3, progress=False
    ).fit(cohort).save(tmp_path / "model")
    code, _, err = run(
        "train", phantom.dicom, "--labels", phantom.labels, "--out", tmp_path / "model"
    )
    assert (code, "RUN_EXISTS" in err) == (2, True)
    scores = tmp_path / "scores.csv"
    code, _, err = run("predict", tmp_path / "model", phantom.dicom, "--out", scores)
    assert (code, "LEAKAGE_TRAINING" in err, scores.exists()) == (3, True, False)
    # That nothing can be written there is found before anything is read.
    (tmp_path / "file").touch()
    code, out, err = run("predict", "nowhere", "nothing", "--out", tmp_path / "file" / "scores.csv")
    assert (code, "OUTPUT_UNWRITABLE" in err) == (5, True)
    # Nor is a table of the user's written over, nor a key made that knows nobody.
    truth = tmp_path / "labels.csv"
    truth.write_bytes(phantom.labels.read_bytes())
    for taken in (truth, tmp_path):
        code, _, err = run("predict", "nowhere", "nothing", "--out", taken)
        assert (code, "OUTPUT_TAKEN" in err) == (2, True)
    assert truth.read_bytes() == phantom.labels.read_bytes()
    absent = ("--key", tmp_path / "mistyped.key")
    for command in ("predict", "infer", "explain"):
        code, _, err = run(
            command, tmp_path / "model", phantom.dicom, "--out", tmp_path / "new", *absent
        )
        assert (code, "KEY_MISSING" in err, absent[1].exists()) == (2, True, False)
    code, out, _ = run(
        "predict", tmp_path / "model", phantom.dicom, "--out", scores, "--allow-training-patients"
    )
    assert code == 0
    assert "24 studies" in out
    assert "compared with those the model was trained on: nothing" in out
    with scores.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["patient"] for row in rows] == list(cohort.patients)

    pytest.importorskip("onnxruntime", reason="the extra onnxruntime is not installed")
    faster = ("predict", tmp_path / "model", phantom.dicom, "--allow-training-patients")
    faster = (*faster, "--engine", "onnxruntime", "--out", tmp_path / "again.csv")
    code, _, err = run(*faster)
    assert (code, "EXPORT_MISSING" in err) == (4, True)
    assert run("export", tmp_path / "model")[0] == 0
    assert run(*faster)[0] == 0
    with (tmp_path / "again.csv").open() as stream:
        again = [float(row["score"]) for row in csv.DictReader(stream)]
    assert again == pytest.approx([float(row["score"]) for row in rows], abs=1e-5)

    code, out, _ = run(
        "compare", "--truth", phantom.labels, "--scores", scores,
        "--readers", phantom.readers, "--out", tmp_path / "comparison",
    )  # fmt: skip
    assert code == 0
    assert out.startswith("24 patients: 10 positive, 14 negative")
    saved = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert saved["schema"] == "cervispine/comparison"


def test_train_takes_images_and_training_from_a_preset(
    run: Run, phantom: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = attrs.evolve(
        PRESETS["quick"],
        preprocessor={"size": (64, 64), "spacing": 2.0},
        classifier={"epochs": 2, "batch_size": 7, "learning_rate": 0.002},
    )
    monkeypatch.setitem(PRESETS, "quick", small)
    command = ("train", phantom.dicom, "--labels", phantom.labels, "--backbone", "resnet34")
    # A name that is none is refused before anything is read.
    code, _, err = run(*command[:1], "nowhere", *command[2:], "--preset", "huge", "--out", tmp_path)
    assert (code, "the presets are quick, paper" in err) == (2, True)
    assert run(*command, "--preset", "quick", "--out", tmp_path / "two")[0] == 0
    assert run(*command, "--preset", "quick", "--epochs", "1", "--out", tmp_path / "one")[0] == 0
    for name, epochs in (("two", 2), ("one", 1)):
        model = OPLLClassifier.load(tmp_path / name)
        assert (model.batch_size, model.learning_rate) == (7, 0.002)
        assert model.preprocessor_.size == (64, 64)
        assert len(model.history_) == epochs


@pytest.mark.parametrize(
    ("edit", "code"),
    [
        (lambda text: text.replace(",OPLL,", ",opll,"), "LABELS_INVALID"),
        (lambda text: text.replace("patient,", "id,", 1), "LABELS_COLUMNS"),
        (lambda text: "\n".join(text.splitlines()[:-1]), "LABELS_UNMATCHED"),
        (lambda text: text + text.splitlines()[-1] + "\n", "LABELS_INVALID"),
        (lambda text: "", "LABELS_COLUMNS"),
        (lambda text: text.splitlines()[0], "LABELS_ROWS"),
    ],
    ids=["vocabulary", "column", "missing", "twice", "empty", "header-only"],
)
def test_labels_with_faults_are_refused(
    run: Run, phantom: PhantomCohort, labels: Callable[[Callable[[str], str]], Path],
    tmp_path: Path, edit: Callable[[str], str], code: str,
) -> None:  # fmt: skip
    ended, _, err = run(
        "experiment", phantom.dicom, "--labels", labels(edit), "--out", tmp_path / "run"
    )
    assert ended == 3
    assert f"[{code}]" in err
    for line in phantom.labels.read_text().splitlines()[1:]:
        assert line.split(",")[0] not in err


def test_data_that_cannot_be_used_are_refused(
    run: Run, phantom: PhantomCohort, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert run("index", empty)[0] == 3
    assert run("index", tmp_path / "absent")[0] in (2, 3)
    code, _, err = run("experiment", phantom.dicom, "--out", tmp_path / "run")
    assert (code, "[LABELS_MISSING]" in err) == (2, True)
    code, _, err = run("experiment", "--preset", "huge", "--out", tmp_path / "run")
    assert (code, "[USAGE]" in err) == (2, True)
    code, _, err = run("experiment", "--backbones", "resnet43", "--out", tmp_path / "run")
    assert (code, "[BACKBONE_NOT_FOUND]" in err) == (4, True)
    code, _, err = run("predict", empty, phantom.dicom, "--out", tmp_path / "scores.csv")
    assert (code, "[MODEL_FORMAT]" in err) == (4, True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("command", ["experiment", "crossval"])
def test_a_column_that_is_not_there_is_told_before_headers_are_read(
    run: Run, phantom: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def read(*_: object, **__: object) -> None:
        raise AssertionError("headers were read")

    monkeypatch.setattr("cervispine.loading.Loader.index", read)
    code, _, err = run(
        command, phantom.dicom, "--labels", phantom.labels, "--stratify", "label,siet",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert (code, "no column siet" in err) == (2, True)


def test_one_class_is_refused(
    run: Run, phantom: PhantomCohort, labels: Callable[[Callable[[str], str]], Path], tmp_path: Path
) -> None:
    path = labels(lambda text: text.replace(",DSS,", ",OPLL,"))
    code, _, err = run("experiment", phantom.dicom, "--labels", path, "--out", tmp_path / "run")
    assert (code, "[SINGLE_CLASS]" in err) == (3, True)
