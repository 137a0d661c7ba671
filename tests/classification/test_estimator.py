"""What scikit-learn expects of a classifier, and what this one promises beyond."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline

from cervispine import Cohort, Loader, OPLLClassifier, Preprocessor
from cervispine.classification import Ensemble, Epoch, estimator, state
from cervispine.classification.inputs import validation_part
from cervispine.classification.parameters import fingerprint, plain_parameters
from cervispine.classification.training import margins_of
from cervispine.exceptions import (
    BackboneContractError,
    BackboneNotFoundError,
    LabelError,
    LeakageError,
    LoaderNotFoundError,
    ProvenanceWarning,
    TrainingError,
    UsageError,
)
from cervispine.phantom import PhantomCohort
from cervispine.records.files import make_folder


def quick(small: Preprocessor, **more: object) -> OPLLClassifier:
    parameters: dict[str, object] = {
        "backbone": "resnet34", "preprocessor": small, "epochs": 1, "batch_size": 8,
        "validation": 0.3, "progress": False,
    }  # fmt: skip
    return OPLLClassifier(**(parameters | more))  # type: ignore[arg-type]


def test_clone_and_parameters(small: Preprocessor) -> None:
    classifier = quick(small, learning_rate=0.5)
    twin = clone(classifier)
    assert twin is not classifier
    assert twin.learning_rate == 0.5
    assert twin.get_params()["preprocessor__spacing"] == small.spacing
    twin.set_params(preprocessor__spacing=1.0, epochs=7)
    assert (twin.preprocessor.spacing, twin.epochs) == (1.0, 7)
    assert classifier.preprocessor.spacing == small.spacing
    assert "resnet34" in repr(classifier)
    assert hash(classifier) == hash(classifier)


def test_unfitted_says_so(cohort: Cohort, small: Preprocessor) -> None:
    classifier = quick(small)
    assert [name for name in vars(classifier) if name.endswith("_")] == []
    for act in (classifier.predict, classifier.predict_proba, classifier.classify):
        with pytest.raises(NotFittedError):
            act(cohort)
    with pytest.raises(NotFittedError):
        classifier.save("nowhere")


def test_fit_leaves_the_parameters_alone(cohort: Cohort, fitted: OPLLClassifier) -> None:
    assert fitted.get_params(deep=False)["epochs"] == 2
    assert fitted.classes_.tolist() == [0, 1]
    assert len(fitted.history_) == 2
    assert isinstance(fitted.module_, torch.nn.Module)
    assert 0 <= fitted.threshold_ <= 1
    record = fitted.record_
    assert record["training_patients"] + record["validation_patients"] == len(cohort)
    classes = record["training"]["classes"]
    assert fitted.offset_ == pytest.approx(np.log(classes["OPLL"] / classes["DSS"]))
    images = fitted.preprocessor_.transform(cohort)
    margins = margins_of(fitted.module_, images, fitted.device_, 8)
    expected = (margins + fitted.offset_) / fitted.temperature_
    assert fitted.decision_function(cohort) == pytest.approx(expected, abs=1e-4)


def test_predictions_agree_with_each_other(cohort: Cohort, fitted: OPLLClassifier) -> None:
    probabilities = fitted.predict_proba(cohort)
    assert probabilities.shape == (len(cohort), 2)
    assert probabilities.sum(axis=1) == pytest.approx(1)
    margins = fitted.decision_function(cohort)
    assert np.array_equal(np.argsort(margins), np.argsort(probabilities[:, 1]))
    calls = fitted.predict(cohort)
    assert np.array_equal(calls, probabilities[:, 1] >= fitted.threshold_)
    assert fitted.score(cohort, cohort.labels) == (calls == cohort.labels).mean()
    predictions = fitted.classify(cohort, allow_training_patients=True)
    assert predictions.patients == cohort.patients
    assert np.array_equal(predictions.calls, calls)
    assert predictions.provenance["seed"] == 0
    # Reading one study alone gives what reading all together gives.
    alone = fitted.predict_proba(cohort[:1])
    assert alone[0, 1] == pytest.approx(probabilities[0, 1], abs=1e-5)


def test_images_of_another_loader_than_the_training_ones_are_told_of(
    cohort: Cohort, fitted: OPLLClassifier
) -> None:
    (loader,) = fitted.record_["loaders"]
    assert loader.startswith("cervispine:dicom ")
    studies = [
        attrs.evolve(
            study,
            series=tuple(attrs.evolve(s, loader="lab-loader:lab") for s in study.series),
        )
        for study in cohort[:1]
    ]
    with (
        pytest.warns(ProvenanceWarning, match="these are read by lab-loader:lab"),
        pytest.raises(LoaderNotFoundError),
    ):
        fitted.classify(studies, allow_training_patients=True)
    # The preprocessor's own loader reads them whatever they name.
    reading = copy.copy(fitted)
    reading.preprocessor_ = clone(fitted.preprocessor_).set_params(loader="dicom")
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProvenanceWarning)
        reading.classify(studies, allow_training_patients=True)


def test_same_seed_same_weights_whatever_the_order_of_studies(
    cohort: Cohort, small: Preprocessor
) -> None:
    torch.manual_seed(3)
    first = quick(small).fit(cohort)
    torch.manual_seed(4)
    second = quick(small).fit(list(cohort))
    other = quick(small, seed=1).fit(cohort)
    assert np.array_equal(first.decision_function(cohort), second.decision_function(cohort))
    assert not np.array_equal(first.decision_function(cohort), other.decision_function(cohort))


def test_y_overrules_the_labels_of_studies(cohort: Cohort, small: Preprocessor) -> None:
    swapped = quick(small).fit(cohort, 1 - cohort.labels)
    assert swapped.record_["positive"] == int((cohort.labels == 0).sum())


def test_validation_patients_can_be_named(cohort: Cohort, small: Preprocessor) -> None:
    _, held_out = cohort.split(8, seed=3)
    classifier = quick(small, validation=held_out.patients).fit(cohort)
    assert classifier.record_["validation_patients"] == 8
    assert "validation" not in plain_parameters(classifier)


def test_pickling_keeps_the_predictions(cohort: Cohort, fitted: OPLLClassifier) -> None:
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(cohort[:4]), fitted.predict_proba(cohort[:4]))


@pytest.mark.slow
def test_inside_scikit_learn(cohort: Cohort, small: Preprocessor) -> None:
    folds = StratifiedGroupKFold(2, shuffle=True, random_state=0)
    groups = cohort.patients
    probabilities = cross_val_predict(
        quick(small), cohort, cohort.labels, groups=groups, cv=folds, method="predict_proba"
    )
    assert probabilities.shape == (len(cohort), 2)
    search = GridSearchCV(
        Pipeline([("classifier", quick(small))]),
        {"classifier__learning_rate": [1e-3, 1e-4]},
        cv=folds,
        scoring="roc_auc",
        error_score="raise",
    ).fit(cohort, cohort.labels, groups=groups)
    assert search.best_params_["classifier__learning_rate"] in (1e-3, 1e-4)
    assert len(search.predict(cohort)) == len(cohort)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_slices_can_be_pooled(cohort: Cohort, small: Preprocessor, pooling: str) -> None:
    classifier = quick(small, pooling=pooling).fit(cohort)
    assert classifier.predict_proba(cohort[:2]).shape == (2, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pooling": "median"}, {"epochs": 0}, {"batch_size": 0}, {"patience": 0},
        {"validation": 1.5}, {"class_weight": "heavy"}, {"precision": "float8"},
        {"device": "cuda:99"}, {"seed": -1}, {"seed": 2**63}, {"epochs": 1.5}, {"epochs": True},
        {"learning_rate": -1e-3}, {"learning_rate": float("nan")}, {"weight_decay": "0.1"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_parameters_that_cannot_be_meant(
    cohort: Cohort, small: Preprocessor, wrong: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        quick(small, **wrong).fit(cohort)


class Untouchable(Preprocessor):
    """Fails the test when images are read."""

    def transform(self, *_: object, **__: object) -> torch.Tensor:
        raise AssertionError("images were read")


def test_an_unknown_backbone_is_found_before_any_image_is_read(cohort: Cohort) -> None:
    with pytest.raises(BackboneNotFoundError, match="resnet34"):
        quick(Untouchable(), backbone="resnet43").fit(cohort)


@pytest.mark.parametrize(
    "parameters",
    [
        {"validation": None}, {"validation": "0001"}, {"validation": 1}, {"validation": 0.0},
        {"backbone": None}, {"device": None}, {"precision": None}, {"preprocessor": 3},
        {"augment": "no"}, {"calibrate": "no"}, {"learning_rate": 0}, {"seed": 1.5},
    ],
    ids=str,
)  # fmt: skip
def test_parameters_that_cannot_be_meant_are_refused_before_any_image_is_read(
    cohort: Cohort, parameters: dict[str, Any]
) -> None:
    with pytest.raises(UsageError, match=next(iter(parameters))) as refusal:
        quick(**({"small": Untouchable()} | parameters)).fit(cohort)
    assert refusal.value.code == "USAGE"
    assert "0001" not in refusal.value.what


def test_a_key_that_is_none_is_refused_before_any_image_is_read(cohort: Cohort) -> None:
    with pytest.raises(UsageError, match="key is a Key or None, not str"):
        quick(Untouchable()).fit(cohort, key="secret.key")  # type: ignore[arg-type]


def test_who_validates_is_not_printed(cohort: Cohort, small: Preprocessor) -> None:
    named = quick(small, validation=list(cohort.patients[:3]))
    whole = Ensemble(members=[named, quick(small)], validation=cohort.patients[:4])
    for model, count in ((named, 3), (whole, 4)):
        for text in (repr(model), model._repr_html_()):
            assert f"{count} patients" in text
            assert not any(patient in text for patient in cohort.patients)
    assert named.validation == list(cohort.patients[:3])


def test_the_record_counts_the_truth_that_was_trained_on(
    cohort: Cohort, small: Preprocessor, install: Callable[..., None]
) -> None:
    install("good")
    model = quick(small, backbone="tiny").fit(cohort, 1 - cohort.labels)
    counted = [model.record_[part]["classes"]["OPLL"] for part in ("training", "validation")]
    assert sum(counted) == int((1 - cohort.labels).sum())


def test_what_is_not_a_cohort_is_refused(cohort: Cohort, small: Preprocessor) -> None:
    with pytest.raises(UsageError, match="ndarray"):
        quick(small).fit([np.zeros((3, 3))])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="empty"):
        quick(small).fit([])
    with pytest.raises(LabelError, match="one 0 or 1"):
        quick(small).fit(cohort, np.arange(len(cohort)))
    with pytest.raises(LabelError, match="one 0 or 1"):
        quick(small).fit(cohort, [0, 1])


def test_missing_labels_and_missing_classes_are_refused(
    phantom: PhantomCohort, cohort: Cohort, small: Preprocessor
) -> None:
    with pytest.raises(LabelError, match="LABELS_MISSING"):
        quick(small).fit(Loader().index(phantom.dicom))
    with pytest.raises(LabelError, match="SINGLE_CLASS"):
        quick(small).fit(cohort.where(lambda study: study.label == 1))
    positive = [study for study in cohort if study.label == 1]
    negative = next(study for study in cohort if study.label == 0)
    with pytest.raises(TrainingError, match="TOO_FEW_PATIENTS"):
        quick(small).fit([*positive, negative])
    with pytest.raises(TrainingError, match="TOO_FEW_PATIENTS"):
        quick(small, validation=(negative.patient,)).fit(cohort)


def test_patients_named_for_validation_must_be_there(cohort: Cohort, small: Preprocessor) -> None:
    names = (*cohort[:8].patients, "CANARY")
    with pytest.raises(UsageError, match="1 of the 9 patients") as caught:
        quick(small, validation=names).fit(cohort)
    assert "CANARY" not in str(caught.value)


def test_a_resumed_training_keeps_its_validation_part(cohort: Cohort, small: Preprocessor) -> None:
    # What was trained on must not validate: so the part is of what must not change.
    def fingerprint_with(seed: int) -> str:
        _, held_out = cohort.split(8, seed=seed)
        classifier = quick(small, validation=held_out.patients)
        mask = validation_part(list(cohort), cohort.labels, held_out.patients, seed=0)
        return fingerprint(classifier, list(cohort), cohort.labels, mask, small, False, precision)

    precision = torch.float32
    before = fingerprint_with(3)
    assert before == fingerprint_with(3) != fingerprint_with(4)
    # Nor may it go on in another precision, which "auto" chooses for the machine.
    precision = torch.bfloat16
    assert fingerprint_with(3) != before


def test_numbers_of_numpy_are_numbers(cohort: Cohort, small: Preprocessor, tmp_path: Path) -> None:
    numbers = {
        "epochs": np.int64(1),
        "validation": np.float32(0.3),
        "learning_rate": np.float64(0.1),
    }
    classifier = quick(small, **numbers).fit(cohort)
    again = OPLLClassifier.load(classifier.save(tmp_path / "model"))
    assert (again.epochs, type(again.validation)) == (1, float)


def test_weights_that_diverge_end_it(cohort: Cohort, small: Preprocessor) -> None:
    with pytest.raises(TrainingError, match="LOSS_NOT_FINITE"):
        quick(small, learning_rate=1e12, batch_size=32, validation=0.5).fit(cohort)


@pytest.mark.parametrize("method", ["classify", "predict", "predict_proba", "decision_function"])
def test_a_network_that_gives_no_number_calls_nobody_negative(
    cohort: Cohort, fitted: OPLLClassifier, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(estimator, "margins_of", lambda *_: np.array([1.0, np.nan, np.inf]))
    more = {"allow_training_patients": True} if method == "classify" else {}
    with pytest.raises(
        BackboneContractError, match="resnet34 gave no finite answer for 2 of 3"
    ) as (refusal):
        getattr(fitted, method)(cohort[:3], **more)
    assert refusal.value.code == "OUTPUT_NOT_FINITE"
    assert refusal.value.where == "studies 2, 3, counted from 1"


def test_a_training_does_not_begin_in_the_folder_of_another(
    cohort: Cohort, small: Preprocessor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "CHECKPOINT_SECONDS", 0.0)

    def interrupt(epoch: Epoch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(small).fit(cohort, run_dir=tmp_path, on_epoch=interrupt)
    left = sorted(tmp_path.iterdir())
    for model in (
        quick(small, learning_rate=1e-4),
        Ensemble(members=[quick(small), quick(small, seed=1)]),
    ):
        if isinstance(model, Ensemble):
            left = [path.rename(make_folder(tmp_path / "member-2") / path.name) for path in left]
        with pytest.raises(UsageError, match="checkpoints of a training") as refusal:
            model.fit(cohort, run_dir=tmp_path)
        assert refusal.value.code == "RUN_EXISTS"
        assert all(path.is_file() for path in left)


def test_nothing_is_read_of_nothing(fitted: OPLLClassifier) -> None:
    predictions = fitted.classify([])
    assert len(predictions) == len(fitted.predict([])) == 0
    assert predictions.summary().startswith("0 studies")


def test_a_loaded_model_is_trained_anew_on_the_same_images(
    fitted: OPLLClassifier, tmp_path: Path
) -> None:
    again = clone(OPLLClassifier.load(fitted.save(tmp_path / "model")))
    assert again.preprocessor is not None
    assert again.preprocessor.settings() == fitted.preprocessor_.settings()


def test_named_validation_patients_must_not_leak(cohort: Cohort, small: Preprocessor) -> None:
    # The same examination under another patient's name.
    twins = [attrs.evolve(study, patient=f"{study.patient}-again") for study in cohort]
    names = tuple(study.patient for study in twins)
    with pytest.raises(LeakageError, match="study UID"):
        quick(small, validation=names).fit([*cohort, *twins])
