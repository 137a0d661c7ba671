"""A model folder is read back as it was, and anything else is refused without running it."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from sklearn.base import clone

from cervispine import Classifier, Cohort, Loader, OPLLClassifier, Preprocessor, Volume
from cervispine.classification import Ensemble
from cervispine.classification.parameters import fingerprint
from cervispine.exceptions import (
    BackboneNotFoundError,
    DataWarning,
    LoaderNotFoundError,
    ModelFormatError,
    ProvenanceWarning,
    UsageError,
)
from cervispine.loading import registry


@pytest.fixture
def folder(fitted: OPLLClassifier, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model")


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def replace_weights(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    edit_config(folder, weights_sha256=hashlib.sha256(content).hexdigest())


def test_a_saved_model_reads_as_before(
    folder: Path, fitted: OPLLClassifier, cohort: Cohort
) -> None:
    again = OPLLClassifier.load(folder)
    assert np.array_equal(again.predict_proba(cohort), fitted.predict_proba(cohort))
    assert again.threshold_ == fitted.threshold_
    assert again.band_ == fitted.band_
    assert again.offset_ == fitted.offset_
    assert again.history_ == fitted.history_
    assert again.get_params()["learning_rate"] == fitted.learning_rate
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "config.json", "domain.json", "history.csv", "model.safetensors",
        "trained_on.json", "training.json",
    ]  # fmt: skip


def test_the_card_says_what_it_is_for(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert "Not a medical device" in card
    assert "resnet34 from cervispine" in card
    assert "too few to rule OPLL out, which takes 9" in card


def test_no_patient_is_named_in_a_model(folder: Path, cohort: Cohort) -> None:
    content = b"".join(path.read_bytes() for path in folder.iterdir())
    for study in cohort:
        assert study.patient.encode() not in content
        assert study.uid.encode() not in content


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def not_finite(content: bytes) -> bytes:
    weights = load(content)
    next(weight for weight in weights.values() if weight.is_floating_point()).fill_(torch.nan)
    return save(weights)


def fewer(content: bytes) -> bytes:
    weights = load(content)
    weights.popitem()
    return save(weights)


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("damage", [cut, not_finite, fewer, lambda _: b"", lambda _: b"{}" * 50])
def test_damaged_weights_are_refused(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    replace_weights(folder, damage((folder / "model.safetensors").read_bytes()))
    with pytest.raises(ModelFormatError):
        OPLLClassifier.load(folder)


def test_weights_of_another_model_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(save({"a": torch.zeros(1)}))
    with pytest.raises(ModelFormatError, match="hash"):
        OPLLClassifier.load(folder)


def test_a_pickle_is_never_opened(folder: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    replace_weights(folder, pickle.dumps(Canary(canary)))
    with pytest.raises(ModelFormatError, match="safetensors"):
        OPLLClassifier.load(folder)
    assert not canary.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "other"}, {"version": 4}, {"class": "Classifier"}, {"class_names": ["A", "B"]},
        {"parameters": {"backbones": "x"}}, {"threshold": "high"}, {"temperature": float("nan")},
        {"temperature": 0.0}, {"temperature": -1.0}, {"offset": float("inf")}, {"offset": None},
        {"preprocessing": {"nonsense": 1}}, {"record": 3}, {"band": {"low": 2}},
        {"parameters": {"batch_size": 0}}, {"parameters": {"backbone": 3}}, {"preprocessing": []},
        {"record": {"backbone": "resnet34"}},
        {"record": {"backbone": 3, "backbone_distribution": "", "backbone_version": ""}},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_foreign_configuration_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    edit_config(folder, **changes)
    with pytest.raises(ModelFormatError):
        OPLLClassifier.load(folder)


def test_a_model_of_version_1_knows_neither_band_nor_domain(folder: Path, cohort: Cohort) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"version": 1}
    del config["band"], config["parameters"]["error_rate"], config["domain_sha256"]
    del config["offset"]
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "domain.json").unlink()
    old = OPLLClassifier.load(folder)
    assert (old.band_, old.domain_) == (None, None)
    predictions = old.classify(cohort, allow_training_patients=True)
    assert not predictions.undecided.any()
    assert predictions.out_of_distribution is None
    assert "too old to say" in predictions.summary()
    # Saved again it is a model of this version, and still has none.
    again = OPLLClassifier.load(old.save(folder / "again"))
    assert (again.band_, again.domain_) == (None, None)


def test_a_model_of_version_2_has_no_offset(
    folder: Path, fitted: OPLLClassifier, cohort: Cohort
) -> None:
    config = json.loads((folder / "config.json").read_text()) | {"version": 2}
    del config["offset"]
    (folder / "config.json").write_text(json.dumps(config))
    old = OPLLClassifier.load(folder)
    assert old.offset_ == 0 != fitted.offset_
    margins = fitted.decision_function(cohort) - fitted.offset_ / fitted.temperature_
    assert old.decision_function(cohort) == pytest.approx(margins)


@pytest.mark.parametrize("key", ["band", "domain_sha256", "offset"])
def test_a_model_of_this_version_without_one_of_them_is_damaged(folder: Path, key: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config[key]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelFormatError, match=key):
        OPLLClassifier.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"centre": [float("nan")] * 14}, {"centre": [0.0]}, {"precision": [[1.0]]},
        {"scale": [0.0] * 14}, {"studies": 1}, {"scatter": -1}, {"protocols": {"T2": {}}},
        {"protocols": 3}, {"typical": "far"},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_a_foreign_domain_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    domain = json.loads((folder / "domain.json").read_text()) | changes
    content = json.dumps(domain).encode()
    (folder / "domain.json").write_bytes(content)
    with pytest.raises(ModelFormatError, match="hash"):
        OPLLClassifier.load(folder)
    edit_config(folder, domain_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelFormatError, match=r"domain\.json"):
        OPLLClassifier.load(folder)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "training.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelFormatError, match=name):
        OPLLClassifier.load(folder)


def test_a_model_is_loaded_as_what_it_is(folder: Path) -> None:
    with pytest.raises(ModelFormatError, match="OPLLClassifier, not a Classifier"):
        Classifier.load(folder)


def test_a_backbone_of_another_version_is_told(folder: Path) -> None:
    record = json.loads((folder / "config.json").read_text())["record"]
    edit_config(folder, record=record | {"backbone_version": "0.0.1"})
    with pytest.warns(ProvenanceWarning, match=r"0\.0\.1"):
        OPLLClassifier.load(folder)


def test_a_backbone_that_is_not_installed_is_told(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    made_with = {"backbone_distribution": "spine-convnext", "backbone_version": "0.1.0"}
    edit_config(folder, record=config["record"] | {"backbone": "convnext_tiny"} | made_with)
    with pytest.raises(BackboneNotFoundError, match="convnext_tiny") as caught:
        OPLLClassifier.load(folder)
    assert "spine-convnext 0.1.0: install it" in caught.value.advice


def test_what_is_saved_is_what_was_fitted(
    fitted: OPLLClassifier, cohort: Cohort, tmp_path: Path
) -> None:
    changed = copy.copy(fitted)
    changed.set_params(pooling="max", backbone="resnet50", seed=7)
    assert changed.name == "resnet34"
    again = OPLLClassifier.load(changed.save(tmp_path))
    assert (again.pooling, again.backbone, again.seed) == ("channels", "resnet34", 0)
    assert np.array_equal(again.predict_proba(cohort), fitted.predict_proba(cohort))


class Inverted(Loader):
    """A loader that no distribution declares."""

    def read(self, study: Any, sequence: str = "T2", **options: Any) -> Volume:
        volume = super().read(study, sequence, **options)
        return volume.with_step("inverted", pixels=volume.pixels.max() - volume.pixels)


@pytest.fixture
def tiny(install: Callable[..., None], small: Preprocessor) -> Callable[..., OPLLClassifier]:
    """Return what makes a classifier of the smallest network, whose images a loader reads."""
    install("good", "loader_bright")
    for kept in (registry.made_once, registry._with_version):
        kept.cache_clear()

    def make(loader: Any, **more: Any) -> OPLLClassifier:
        preprocessor = clone(small).set_params(loader=loader)
        return OPLLClassifier(
            backbone="tiny", preprocessor=preprocessor, epochs=1, validation=0.3, progress=False,
            **more,
        )  # fmt: skip

    return make


def test_the_loader_that_was_named_comes_back(
    tiny: Callable[..., OPLLClassifier], cohort: Cohort, tmp_path: Path
) -> None:
    model = tiny("bright").fit(cohort)
    assert model.record_["loaders"] == ["bright-loader:bright 1.0"]
    again = OPLLClassifier.load(model.save(tmp_path))
    assert again.preprocessor_.loader == "bright-loader:bright"
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProvenanceWarning)
        again.classify(cohort, allow_training_patients=True)
    assert np.array_equal(again.predict_proba(cohort), model.predict_proba(cohort))
    saved = json.loads((tmp_path / "config.json").read_text())["preprocessing"]
    edit_config(tmp_path, preprocessing=saved | {"loader": "bright-loader:bright 0.9"})
    with pytest.warns(ProvenanceWarning, match=r"bright 0\.9; others .* by bright-loader:bright 1"):
        OPLLClassifier.load(tmp_path)
    edit_config(tmp_path, preprocessing=saved | {"loader": "lab-loader:lab 1.2"})
    with pytest.raises(LoaderNotFoundError) as refusal:
        OPLLClassifier.load(tmp_path)
    assert refusal.value.advice == "the model was made with lab-loader:lab 1.2: install it"


def test_a_loader_that_was_an_object_is_asked_for(
    tiny: Callable[..., OPLLClassifier], cohort: Cohort, tmp_path: Path
) -> None:
    model = tiny(Inverted()).fit(cohort)
    (loader,) = model.record_["loaders"]
    assert loader.split()[0] == f"{__name__}.Inverted"
    model.save(tmp_path)
    with pytest.warns(ProvenanceWarning, match="by the loader that each series names"):
        again = OPLLClassifier.load(tmp_path)
    with (
        pytest.warns(ProvenanceWarning, match="these are read by cervispine:dicom"),
        pytest.warns(DataWarning, match="UNLIKE_TRAINING"),
    ):
        again.classify(cohort, allow_training_patients=True)
    again.preprocessor_.loader = Inverted()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProvenanceWarning)
        again.classify(cohort, allow_training_patients=True)
    assert np.array_equal(again.predict_proba(cohort), model.predict_proba(cohort))


def test_parameters_of_a_loader_are_told_when_they_are_lost(
    tiny: Callable[..., OPLLClassifier], cohort: Cohort, tmp_path: Path
) -> None:
    bright = registry.load_loader("bright")
    tiny(bright(power=3.0)).fit(cohort).save(tmp_path)  # type: ignore[call-arg]
    with pytest.warns(ProvenanceWarning, match="give it again"):
        again = OPLLClassifier.load(tmp_path)
    assert again.preprocessor_.loader == "bright-loader:bright"


def test_members_and_resumed_trainings_have_one_loader(
    tiny: Callable[..., OPLLClassifier], cohort: Cohort
) -> None:
    with pytest.raises(UsageError, match="one preprocessing"):
        Ensemble(members=[tiny("dicom"), tiny(Inverted(), seed=1)]).fit(cohort)
    held_out = np.arange(len(cohort)) % 3 == 0
    prints = {
        fingerprint(each, cohort, cohort.labels, held_out, each.preprocessor, False, torch.float32)
        for each in (tiny("dicom"), tiny("bright"), tiny(Inverted()), tiny(None))
    }
    assert len(prints) == 4


def test_the_history_is_a_table_too(fitted: OPLLClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    head, *rows = (tmp_path / "history.csv").read_text().splitlines()
    assert head == "epoch,training_loss,loss,auc,learning_rate"
    for row, epoch in zip(rows, fitted.history_, strict=True):
        assert [float(cell) for cell in row.split(",")] == pytest.approx(list(epoch.values()))
