"""The command line: what it prints, what it writes, and how it ends on bad input."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from cervispine import Cohort, OPLLClassifier, Preprocessor
from cervispine.cli import main
from cervispine.phantom import PhantomCohort

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cervispine", *map(str, arguments)])
        # The command line shows warnings in its own way, and other tests must not inherit it.
        monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_help_teaches(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for word in ("experiment", "phantom", "index", "train", "predict", "compare", "doctor"):
        assert word in out
    assert "not a medical device" in out


def test_version(run: Run) -> None:
    assert run("--version")[:2] == (0, "cervispine 0.1.0\n")


def test_index_says_what_is_there(run: Run, phantom: PhantomCohort) -> None:
    code, out, _ = run("index", phantom.dicom, "--labels", phantom.labels, "--strict")
    assert code == 0
    assert "24 studies of 24 patients (10 OPLL, 14 DSS)" in out
    assert "files found" in out


def test_backbones_and_doctor(run: Run) -> None:
    code, out, _ = run("backbones")
    assert code == 0
    assert "cervispine:resnet101" in out
    code, out, _ = run("doctor")
    assert code == 0
    assert "JPEG 2000" in out


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
    code, out, _ = run("predict", tmp_path / "model", phantom.dicom, "--out", scores)
    assert code == 0
    assert "24 studies" in out
    with scores.open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["patient"] for row in rows] == list(cohort.patients)

    code, out, _ = run(
        "compare", "--truth", phantom.labels, "--scores", scores,
        "--readers", phantom.readers, "--out", tmp_path / "comparison",
    )  # fmt: skip
    assert code == 0
    assert out.startswith("24 patients: 10 positive, 14 negative")
    saved = json.loads((tmp_path / "comparison" / "comparison.json").read_text())
    assert saved["schema"] == "cervispine/comparison"


def test_compare_needs_no_torch_and_imports_nothing_slow(
    phantom: PhantomCohort, tmp_path: Path, cohort: Cohort
) -> None:
    scores = tmp_path / "scores.csv"
    rows = [f"{name},any,{0.1 + 0.8 * label}" for name, label in zip(
        cohort.patients, cohort.labels, strict=True)]  # fmt: skip
    rows[0] = f"{cohort.patients[0]},any,0.55"
    scores.write_text("\n".join(["patient,model,score", *rows]))
    arguments = [
        "compare", "--truth", phantom.labels, "--scores", scores, "--readers", phantom.readers,
        "--threshold", "0.5", "--out", tmp_path / "out",
    ]  # fmt: skip
    code = (
        "import sys\n"
        "class NoTorch:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'torch': raise ImportError('torch is not here')\n"
        "sys.meta_path.insert(0, NoTorch())\n"
        "from cervispine.cli import main\n"
        f"sys.argv = {['cervispine', *map(str, arguments)]}\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    slow = {'pandas', 'sklearn', 'scipy.optimize', 'scipy.stats', 'statsmodels'}\n"
        "    assert not slow & set(sys.modules), slow & set(sys.modules)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert result.returncode == 0, result.stderr
    figures = {path.stem for path in (tmp_path / "out" / "figures").glob("*.svg")}
    assert figures == {"roc", "differences", "calibration", "decision"}
    for name in ("T1", "T2", "T3", "T4"):
        assert (tmp_path / "out" / "tables" / f"{name}.csv").is_file()
        assert "\\toprule" in (tmp_path / "out" / "tables" / f"{name}.tex").read_text()


@pytest.fixture
def labels(phantom: PhantomCohort, tmp_path: Path) -> Callable[[Callable[[str], str]], Path]:
    def edited(edit: Callable[[str], str]) -> Path:
        path = tmp_path / "labels.csv"
        path.write_text(edit(phantom.labels.read_text()))
        return path

    return edited


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


def test_one_class_is_refused(
    run: Run, phantom: PhantomCohort, labels: Callable[[Callable[[str], str]], Path], tmp_path: Path
) -> None:
    path = labels(lambda text: text.replace(",OPLL,", ",DSS,"))
    code, _, err = run("experiment", phantom.dicom, "--labels", path, "--out", tmp_path / "run")
    assert (code, "[SPLIT_IMPOSSIBLE]" in err) == (2, True)


def test_a_folder_that_cannot_be_written_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, err = run("phantom", tmp_path / "file" / "below", "--patients", 4)
    assert (code, "[OUTPUT_UNWRITABLE]" in err) == (5, True)


def test_wrong_usage_ends_with_2(run: Run) -> None:
    assert run("experiment", "--nonsense")[0] == 2
    assert run("nonsense")[0] == 2
    assert run("phantom")[0] == 2


def test_interruption_ends_with_130(
    run: Run, monkeypatch: pytest.MonkeyPatch, phantom: PhantomCohort
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cervispine.loading.Loader.index", interrupted)
    code, _, err = run("index", phantom.dicom)
    assert (code, "interrupted" in err) == (130, True)
