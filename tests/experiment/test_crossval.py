"""Cross-validation: who is tested by whom, what is written, resumed and refused."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cervispine import Cohort, OPLLClassifier, Preprocessor
from cervispine.exceptions import BackboneError, UsageError
from cervispine.experiment import PRESETS, CrossValidation, cross_validate
from cervispine.experiment.tuning import plain_grid, read_grid
from cervispine.phantom import PhantomCohort


@pytest.fixture(autouse=True, scope="module")
def tiny(
    write_distribution: Callable[[str, Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Make the quick preset tiny, and install a tiny backbone."""
    preset = attrs.evolve(
        PRESETS["quick"],
        phantom={"n_opll": 10, "n_dss": 14, "difficulty": 0.1},
        preprocessor={"size": (64, 64), "spacing": 1.8},
        classifier={"epochs": 2, "batch_size": 8},
    )
    site = tmp_path_factory.mktemp("plugins") / "good"
    write_distribution("good", site)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "quick", preset)
        patch.syspath_prepend(str(site))
        yield


def run(phantom: PhantomCohort, out: Path, **more: object) -> CrossValidation:
    parameters = {
        "data": phantom.dicom, "labels": phantom.labels, "backbone": "tiny", "folds": 3,
        "progress": False,
    }  # fmt: skip
    return cross_validate(out=out, **(parameters | more))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def finished(phantom: PhantomCohort, tmp_path_factory: pytest.TempPathFactory) -> CrossValidation:
    return run(phantom, tmp_path_factory.mktemp("runs") / "run", repeats=2)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_patient_is_tested_once_a_repeat_by_a_model_that_never_saw_it(
    finished: CrossValidation, cohort: Cohort
) -> None:
    for repeat in (1, 2):
        folds = [fold for fold in finished.folds if fold.repeat == repeat]
        tested = [patient for fold in folds for patient in fold.predictions.patients]
        assert sorted(tested) == list(cohort.patients)
        for fold in folds:
            name = f"repeat-{repeat}-fold-{fold.fold}"
            model = OPLLClassifier.load(finished.folder / "models" / name)
            held = cohort.where(lambda each, fold=fold: each.patient in fold.predictions.patients)
            # The model knows its training patients, and would refuse them.
            assert model.classify(held).provenance["compared_with_training"] == "images"
            assert len(model.trained_on_.images) == 24 - len(held)


def test_the_figures_are_those_of_the_scores(finished: CrossValidation) -> None:
    written = json.loads((finished.folder / "cross-validation.json").read_text())
    scores = rows(finished.folder / "predictions.csv")
    assert len(scores) == 48
    means, pooled = [], []
    for repeat in (1, 2):
        folds = [fold for fold in finished.folds if fold.repeat == repeat]
        own = [roc_auc_score(fold.truth, fold.predictions.probabilities) for fold in folds]
        means.append(sum(own) / 3)
        truth = [int(label) for fold in folds for label in fold.truth]
        pooled.append(
            roc_auc_score(truth, [p for fold in folds for p in fold.predictions.probabilities])
        )
    assert written["averaged"]["value"] == pytest.approx(sum(means) / 2)
    assert written["pooled"]["value"] == pytest.approx(sum(pooled) / 2)
    assert "2 repeats" in written["averaged"]["method"]
    assert {row["model"] for row in scores} == {"tiny 1", "tiny 2"}
    text = (finished.folder / "cross-validation.txt").read_text()
    assert text.splitlines()[1].startswith("24 patients: 10 OPLL, 14 DSS; 3 folds, 2 repeats, tiny")
    manifest = json.loads((finished.folder / "manifest.json").read_text())
    assert manifest["state"] == "finished"
    intake = manifest["intake"]
    assert intake["found"] == intake["used"] + intake["rejected"] + intake["ignored"]


def test_the_files_are_those_of_the_reference(finished: CrossValidation) -> None:
    reference = Path(__file__).resolve().parents[2] / "docs" / "reference" / "file-formats.md"
    table = reference.read_text().split("### The cross-validation folder\n")[1].split("\n#")[0]
    for path in finished.folder.iterdir():
        assert f"`{path.name}" in table, path.name


def test_an_interrupted_run_goes_on_with_the_same_result(
    finished: CrossValidation, phantom: PhantomCohort, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    fit, fits = OPLLClassifier.fit, []

    def interrupted(self: OPLLClassifier, *given: object, **more: object) -> OPLLClassifier:
        fits.append(self)
        if len(fits) == 3:
            raise KeyboardInterrupt
        return fit(self, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(OPLLClassifier, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(phantom, tmp_path, repeats=2)
    with pytest.raises(UsageError) as refusal:
        run(phantom, tmp_path, resume=True)
    assert refusal.value.code == "RESUME_MISMATCH"
    run(phantom, tmp_path, repeats=2, resume=True)
    assert len(fits) == 7  # of six folds, one twice
    for name in ("predictions.csv", "cross-validation.json"):
        assert (tmp_path / name).read_bytes() == (finished.folder / name).read_bytes()
    assert not list(tmp_path.rglob("*.unfinished"))


def test_each_fold_chooses_on_its_own_training_patients(
    phantom: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, seen = OPLLClassifier.fit, []

    def note(self: OPLLClassifier, X: Cohort, *given: object, **more: object) -> OPLLClassifier:
        seen.append({study.patient for study in X})
        if len(seen) == 9:
            raise KeyboardInterrupt
        return fit(self, X, *given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(OPLLClassifier, "fit", note)
    grid = {"epochs": [1, 2], "pooling": ["mean"]}
    with pytest.raises(KeyboardInterrupt):
        run(phantom, tmp_path, grid=grid)
    result = run(phantom, tmp_path, grid=grid, resume=True)
    assert len(seen) == 22  # three folds of 2 x 3 inner trainings and one more, and one twice
    del seen[8]
    for number, fold in enumerate(result.folds):
        for patients in seen[7 * number : 7 * number + 7]:
            assert not patients & set(fold.predictions.patients)
        assert len(fold.inner_areas) == 2
        best = [1, 2][fold.inner_areas.index(max(fold.inner_areas))]
        assert fold.parameters == {"epochs": best, "pooling": "mean"}


def test_images_are_prepared_once(
    phantom: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, prepared = Preprocessor._prepare_study, []

    def note(self: Preprocessor, study: object) -> object:
        prepared.append(study)
        return prepare(self, study)  # type: ignore[arg-type]

    monkeypatch.setattr(Preprocessor, "_prepare_study", note)
    run(phantom, tmp_path, folds=2)
    assert len(prepared) == 24


def test_without_data_it_runs_on_phantoms_and_says_so(
    phantom: PhantomCohort, tmp_path: Path
) -> None:
    result = run(phantom, tmp_path, data=None, labels=None, folds=2)
    assert result.synthetic
    assert result.summary().startswith("Synthetic phantoms")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["phantom"]["n_opll"] > 0


@pytest.mark.parametrize(
    ("wrong", "kind", "code"),
    [
        ({"labels": None}, UsageError, "LABELS_MISSING"),
        ({"data": None}, UsageError, "USAGE"),
        ({"folds": 1}, UsageError, "USAGE"),
        ({"repeats": 0}, UsageError, "USAGE"),
        ({"folds": 20}, UsageError, "SPLIT_IMPOSSIBLE"),
        ({"inner_folds": 9, "grid": {"epochs": [1, 2]}}, UsageError, "SPLIT_IMPOSSIBLE"),
        ({"stratify": ["hospital"]}, UsageError, "USAGE"),
        ({"grid": {"epochs": [0, 1]}}, UsageError, "USAGE"),
        ({"grid": {"nonsense": [1]}}, UsageError, "USAGE"),
        ({"grid": {"seed": [0, 1]}}, UsageError, "USAGE"),
        ({"grid": {"validation": [0.1, 0.2]}}, UsageError, "USAGE"),
        ({"grid": {"epochs": []}}, UsageError, "USAGE"),
        ({"grid": {"epochs": 3}}, UsageError, "USAGE"),
        ({"grid": {"backbone": ["tiny", "none"]}}, BackboneError, "BACKBONE_NOT_FOUND"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_before_any_training(
    phantom: PhantomCohort, tmp_path: Path, wrong: dict[str, object], kind: type[Exception],
    code: str,
) -> None:  # fmt: skip
    with pytest.raises(kind) as refusal:
        run(phantom, tmp_path / "run", **wrong)
    assert refusal.value.code == code  # type: ignore[attr-defined]
    assert not (tmp_path / "run" / "models").exists()
    shutil.rmtree(tmp_path / "run", ignore_errors=True)


def test_a_grid_of_arrays_is_one_of_numbers() -> None:
    grid = plain_grid({"epochs": np.array([1, 2]), "learning_rate": (np.float64(0.1),)})
    assert json.dumps(grid) == '{"epochs": [1, 2], "learning_rate": [0.1]}'


def test_a_grid_is_read_as_it_is_written() -> None:
    assert read_grid(["learning_rate=0.01,1e-3", "pooling=mean,max", "class_weight=null"]) == {
        "learning_rate": [0.01, 0.001], "pooling": ["mean", "max"], "class_weight": [None],
    }  # fmt: skip
    for wrong in (["epochs"], ["seed=1"], ["epochs=1,"], ["epochs=1", "epochs=2"], ["size=64"]):
        with pytest.raises(UsageError, match="a grid is"):
            read_grid(wrong)
