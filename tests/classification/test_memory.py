"""A model knows the patients it was fitted on, and tells nobody who they are."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from cervispine import Cohort, OPLLClassifier, Preprocessor
from cervispine.classification.memory import TrainedOn
from cervispine.exceptions import LeakageError, ModelFormatError, ProvenanceWarning
from cervispine.records import Key

KEY, OTHER = Key(bytes(32)), Key(bytes([1]) * 32)


@pytest.fixture
def strangers(cohort: Cohort) -> Cohort:
    """The patients of the cohort with images that nobody has seen."""
    return Cohort(
        attrs.evolve(
            study,
            series=tuple(
                attrs.evolve(series, pixel_hash=series.pixel_hash[::-1]) for series in study.series
            ),
        )
        for study in cohort
    )


def test_those_it_was_fitted_on_are_refused_by_name_of_study(
    cohort: Cohort, fitted: OPLLClassifier
) -> None:
    with pytest.raises(LeakageError, match="fitted on 24 of these 24") as caught:
        fitted.classify(cohort)
    assert caught.value.code == "LEAKAGE_TRAINING"
    assert f"study {cohort[0].uid}" in caught.value.what
    assert not any(patient in str(caught.value) for patient in cohort.patients)
    predictions = fitted.classify(cohort, allow_training_patients=True)
    assert predictions.provenance["compared_with_training"] == "nothing"


def test_one_among_many_is_enough(
    cohort: Cohort, strangers: Cohort, fitted: OPLLClassifier
) -> None:
    with pytest.raises(LeakageError, match="1 of these 24"):
        fitted.classify([*strangers[:23], cohort[23]])
    predictions = fitted.classify(strangers)
    assert predictions.provenance["compared_with_training"] == "images"


def test_scikit_learns_own_methods_read_whatever_they_are_given(
    cohort: Cohort, fitted: OPLLClassifier, small: Preprocessor
) -> None:
    assert fitted.predict(cohort).shape == (len(cohort),)
    assert 0 <= fitted.score(cohort, cohort.labels) <= 1
    quick = OPLLClassifier(
        backbone="resnet34", preprocessor=small, epochs=1, validation=0.4, progress=False
    )
    assert not hasattr(clone(fitted), "trained_on_")
    probabilities = cross_val_predict(
        quick, np.array(list(cohort), dtype=object), cohort.labels, groups=cohort.patients,
        cv=StratifiedGroupKFold(2), method="predict_proba",
    )  # fmt: skip
    assert probabilities.shape == (len(cohort), 2)


def test_patients_are_known_with_the_key_of_the_training_alone(
    cohort: Cohort, strangers: Cohort
) -> None:
    memory = TrainedOn.of(cohort, KEY)
    with pytest.raises(LeakageError, match="24 of these 24"):
        memory.refuse(strangers, KEY)
    with pytest.warns(ProvenanceWarning, match="with another key"):
        assert memory.refuse(strangers, OTHER) == "images"
    assert memory.refuse(strangers, None) == "images"
    with pytest.warns(ProvenanceWarning, match="without a key"):
        assert TrainedOn.of(cohort, None).refuse(strangers, KEY) == "images"
    others = [attrs.evolve(study, patient=f"x{study.patient}") for study in strangers]
    assert memory.refuse(others, KEY) == "images and patients"
    bare = [attrs.evolve(study, series=()) for study in others]
    assert memory.refuse(bare, None) == "nothing"


def test_a_saved_model_still_knows_and_holds_no_identifier(
    cohort: Cohort, strangers: Cohort, fitted: OPLLClassifier, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "model")
    loaded = OPLLClassifier.load(tmp_path / "model", device="cpu")
    assert loaded.trained_on_ == fitted.trained_on_
    assert pickle.loads(pickle.dumps(fitted)).trained_on_ == fitted.trained_on_
    with pytest.raises(LeakageError):
        loaded.classify(cohort)
    assert len(loaded.classify(strangers)) == len(strangers)
    content = (tmp_path / "model" / "trained_on.json").read_text()
    assert not any(study.series[0].pixel_hash in content for study in cohort)
    with_key = json.dumps(TrainedOn.of(cohort, KEY).to_dict())
    assert not any(patient in with_key for patient in cohort.patients)


def test_the_same_training_is_remembered_the_same_and_two_cannot_be_joined(cohort: Cohort) -> None:
    assert TrainedOn.of(cohort, KEY) == TrainedOn.of(reversed(list(cohort)), KEY)
    one, other = TrainedOn.of(cohort, None), TrainedOn.of(cohort[1:], None)
    assert not one.images & other.images
    assert TrainedOn.from_dict(one.to_dict()) == one


@pytest.mark.parametrize("damage", ["absent", "stripped", "foreign", "unsaid"])
def test_a_memory_that_was_tampered_with_is_refused(
    fitted: OPLLClassifier, tmp_path: Path, damage: str
) -> None:
    folder = fitted.save(tmp_path / "model")
    path, config = folder / "trained_on.json", folder / "config.json"
    if damage == "absent":
        path.unlink()
    elif damage == "stripped":
        path.write_text(json.dumps({**json.loads(path.read_text()), "images": []}))
    elif damage == "foreign":
        path.write_text('{"salt": 1}')
    else:
        said = json.loads(config.read_text())
        del said["trained_on_sha256"]
        config.write_text(json.dumps(said))
    with pytest.raises(ModelFormatError):
        OPLLClassifier.load(folder, device="cpu")


@pytest.mark.parametrize(
    "change", [{"salt": 1}, {"images": ["x" * 33]}, {"patients": [None]}, {"images": 5}]
)
def test_what_is_no_memory_is_refused(cohort: Cohort, change: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        TrainedOn.from_dict({**TrainedOn.of(cohort, KEY).to_dict(), **change})
