"""An ensemble is one scikit-learn classifier, on one validation part, and a folder of folders."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cervispine import Classifier, Cohort, Ensemble, Loader, OPLLClassifier, Preprocessor
from cervispine.classification import Epoch, explaining, load_model
from cervispine.classification.calibration import positive_probability
from cervispine.classification.inputs import validation_part
from cervispine.exceptions import LeakageError, ModelFormatError, TrainingError, UsageError


def member(small: Preprocessor, kind: type[Classifier] = OPLLClassifier, **more: Any) -> Classifier:
    parameters = {"backbone": "resnet34", "preprocessor": small, "epochs": 1, "batch_size": 8,
                  "progress": False}  # fmt: skip
    return kind(**(parameters | more))


@pytest.fixture(scope="module")
def ensemble(cohort: Cohort, small: Preprocessor) -> Ensemble:
    members = (member(small, seed=3, error_rate=0.4), member(small, seed=4, validation=0.5))
    # A seed from an array is a number too, and can be saved.
    return Ensemble(members=members, validation=0.3, seed=np.int64(1)).fit(cohort)


@pytest.fixture
def folder(ensemble: Ensemble, tmp_path: Path) -> Path:
    return ensemble.save(tmp_path / "ensemble")


def test_clone_and_parameters(small: Preprocessor) -> None:
    whole = Ensemble(members=[member(small), member(small, seed=1)], error_rate=0.2)
    twin = clone(whole)
    assert twin.get_params()["error_rate"] == 0.2
    assert [each.seed for each in twin.members] == [0, 1]
    assert twin.members[0] is not whole.members[0]
    assert "Ensemble" in repr(twin)
    with pytest.raises(NotFittedError):
        twin.save("nowhere")


def test_the_members_share_one_validation_part(
    cohort: Cohort, ensemble: Ensemble, small: Preprocessor
) -> None:
    held_out = validation_part(list(cohort), cohort.labels, 0.3, seed=1)
    patients = sorted(study.patient for study, out in zip(cohort, held_out, strict=True) if out)
    assert [each.validation for each in ensemble.members_] == [patients] * 2
    # Those it was given are as they were.
    assert [each.validation for each in ensemble.members] == [0.15, 0.5]
    assert not hasattr(ensemble.members[0], "module_")
    assert ensemble.record_["validation_patients"] == held_out.sum()
    assert ensemble.band_ is not None
    assert ensemble.band_.error_rate == 0.1
    alone = member(small, seed=3, validation=patients).fit(cohort)
    assert np.array_equal(
        alone.decision_function(cohort), ensemble.members_[0].decision_function(cohort)
    )


def test_its_logit_is_the_mean_of_theirs(cohort: Cohort, ensemble: Ensemble) -> None:
    margins = ensemble.decision_function(cohort)
    mean = np.mean([each.decision_function(cohort) for each in ensemble.members_], axis=0)
    assert margins * ensemble.temperature_ == pytest.approx(mean)
    probabilities = ensemble.predict_proba(cohort)
    assert probabilities[:, 1] == pytest.approx(positive_probability(margins))
    assert np.array_equal(ensemble.predict(cohort), probabilities[:, 1] >= ensemble.threshold_)
    assert ensemble.score(cohort, cohort.labels) >= 0


def test_it_classifies_as_one_model(cohort: Cohort, ensemble: Ensemble) -> None:
    with pytest.raises(LeakageError):
        ensemble.classify(cohort[:2])
    predictions = ensemble.classify(cohort, allow_training_patients=True)
    assert predictions.model == "resnet34 + resnet34"
    assert predictions.unlike_training is not None
    assert predictions.provenance["members"][1]["seed"] == 4
    again = pickle.loads(pickle.dumps(ensemble))
    assert np.array_equal(again.predict_proba(cohort[:3]), ensemble.predict_proba(cohort[:3]))


def test_a_saved_ensemble_reads_as_before(folder: Path, ensemble: Ensemble, cohort: Cohort) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "member-1", "member-2"
    ]  # fmt: skip
    again = load_model(folder)
    assert isinstance(again, Ensemble)
    assert np.array_equal(again.predict_proba(cohort), ensemble.predict_proba(cohort))
    assert again.band_ == ensemble.band_
    assert again.threshold_ == ensemble.threshold_
    assert again.get_params(deep=False)["seed"] == 1
    card = (folder / "README.md").read_text()
    assert card.startswith("# Ensemble of 2: resnet34 + resnet34\n")
    assert "Not a medical device" in card
    assert "member-2: resnet34, seed 4" in card
    assert isinstance(load_model(str(folder / "member-1")), OPLLClassifier)
    with pytest.raises(ModelFormatError, match=r"Ensemble\.load"):
        OPLLClassifier.load(folder)
    with pytest.raises(ModelFormatError, match="cervispine/ensemble"):
        Ensemble.load(folder / "member-1")
    with pytest.raises(ModelFormatError, match="OPLLClassifier, not a Classifier"):
        Ensemble.load(folder, kind=Classifier)
    content = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert not any(study.patient.encode() in content for study in cohort)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2}, {"format": "other"}, {"threshold": "high"}, {"temperature": 0},
        {"band": {"low": 3}}, {"parameters": {"members": []}}, {"members_sha256": []},
        {"members_sha256": ["0" * 64] * 2}, {"members_sha256": 3},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_foreign_configuration_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    with pytest.raises(ModelFormatError):
        Ensemble.load(folder)


def test_a_member_that_is_missing_or_another_is_refused(folder: Path) -> None:
    second = folder / "member-2"
    shutil.copytree(second, folder / "kept")
    shutil.rmtree(second)
    with pytest.raises(ModelFormatError, match="member-2 cannot be read"):
        Ensemble.load(folder)
    shutil.copytree(folder / "member-1", second)
    with pytest.raises(ModelFormatError, match="member-2 is damaged or of another"):
        Ensemble.load(folder)


def test_members_with_other_preprocessing_are_refused_on_loading(folder: Path) -> None:
    path = folder / "member-2" / "config.json"
    config = json.loads(path.read_text())
    config["preprocessing"]["spacing"] = 0.9
    path.write_text(json.dumps(config))
    top = json.loads((folder / "config.json").read_text())
    top["members_sha256"][1] = hashlib.sha256(path.read_bytes()).hexdigest()
    (folder / "config.json").write_text(json.dumps(top))
    with pytest.raises(ModelFormatError, match="different preprocessing"):
        Ensemble.load(folder)


def test_members_that_cannot_be_one_ensemble_are_refused(
    cohort: Cohort, small: Preprocessor
) -> None:
    one = member(small)
    for members, why in (
        ((), "at least two"),
        ((one,), "at least two"),
        ((one, "resnet50"), "at least two"),
        ((one, member(small, Classifier, seed=1)), "one class"),
        ((one, member(Preprocessor(), seed=1)), "one preprocessing"),
        ((one, member(small)), "trained alike"),
        ((one, member(small, validation=0.4, device="cpu")), "trained alike"),
        ((one, member(small, backbone="cervispine:resnet34")), "trained alike"),
        ((one, member(small, seed=1, epochs=0)), "epochs"),
    ):
        with pytest.raises(UsageError, match=why):
            Ensemble(members=members).fit(cohort)
    for name, value in (
        ("error_rate", 0.7), ("seed", -1), ("seed", 1.5), ("calibrate", "no"), ("validation", None),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=name):
            Ensemble(members=(one, member(small, seed=1)), **{name: value}).fit(cohort)


def test_nothing_to_resume_is_said(cohort: Cohort, small: Preprocessor, tmp_path: Path) -> None:
    whole = Ensemble(members=(member(small), member(small, seed=1)), validation=0.3)
    with pytest.raises(TrainingError, match="RESUME_NOTHING"):
        whole.fit(cohort, run_dir=tmp_path, resume=True)


def test_images_are_read_once_and_every_epoch_is_told(
    cohort: Cohort, small: Preprocessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    one = Loader.read

    def counting(loader: Loader, study: Any, *arguments: Any, **options: Any) -> Any:
        read.append(study.uid)
        return one(loader, study, *arguments, **options)

    monkeypatch.setattr(Loader, "read", counting)
    told: list[tuple[int, int]] = []

    def tell(number: int, epoch: Epoch) -> None:
        told.append((number, epoch.epoch))

    whole = Ensemble(members=(member(small, epochs=2), member(small, seed=1)), validation=0.3)
    whole.fit(cohort, on_epoch=tell)
    assert sorted(read) == sorted(study.uid for study in cohort)
    assert told == [(1, 1), (1, 2), (2, 1)]
    assert whole.record_["members"][0]["intake"] == whole.record_["members"][1]["intake"]


def test_its_map_is_the_mean_of_theirs(
    cohort: Cohort, ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = next(iter(cohort))
    together = ensemble.explain(study)
    maps = [each.explain(study).values for each in ensemble.members_]
    # Each on a scale of its own, on which the network's highest value is 1; onto the finer grid
    # of the series the highest comes down a little.
    shares, *_ = np.linalg.lstsq(
        np.stack(list(map(np.ravel, maps)), axis=1), together.values.ravel()
    )
    np.testing.assert_allclose(together.values, np.tensordot(shares, maps, axes=1), atol=1e-5)
    np.testing.assert_allclose(shares * [each.max() for each in maps], 0.5, rtol=0.03)
    assert together.probability == pytest.approx(ensemble.predict_proba([study])[0, 1], abs=1e-9)
    assert together.threshold == ensemble.threshold_
    assert len(together.provenance["maps"]) == 2
    # Occlusion takes from the logit, whose mean over the calibrated members decides. A few large
    # patches show that as well as hundreds of small ones.
    for name in ("PATCH", "STEP"):
        monkeypatch.setattr(explaining, name, 30.0)
    lost = ensemble.explain(study, method="occlusion").values
    assert lost.max() > 0
    theirs = [
        each.explain(study, method="occlusion").values / each.temperature_
        for each in ensemble.members_
    ]
    # What one member loses and the other gains is less than the mean of the losses.
    assert (lost <= np.mean(theirs, axis=0) + 1e-5).all()


def test_an_exported_ensemble_answers_alike(
    ensemble: Ensemble, cohort: Cohort, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    folder = ensemble.export(tmp_path / "ensemble")
    again = Ensemble.load(folder, engine="onnxruntime")
    studies = list(cohort)[:3]
    np.testing.assert_allclose(
        again.predict_proba(studies), ensemble.predict_proba(studies), atol=1e-5
    )
    assert (
        again.classify(studies, allow_training_patients=True)
        .provenance["engine"]
        .startswith("onnxruntime")
    )
    ensemble.members_[0].save(tmp_path / "single")
    with pytest.raises(UsageError, match="RUN_EXISTS"):
        ensemble.export(tmp_path / "single")
    assert not (tmp_path / "single" / "member-1").exists()
