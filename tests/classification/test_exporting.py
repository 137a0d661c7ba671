"""Engines: the same answers, the right weights, and nothing believed."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cervispine import Cohort, OPLLClassifier, Preprocessor
from cervispine.classification.engines import engine_of
from cervispine.classification.exporting import (
    EXPORT,
    NETWORK,
    OnnxNetwork,
    choose_engine,
    export_network,
)
from cervispine.classification.pooling import FEATURES, AttentionOverSlices, PooledSlices
from cervispine.exceptions import MissingExtraError, ModelFormatError, UsageError

pytest.importorskip("onnxruntime", reason="the extra onnxruntime is not installed")


@pytest.fixture(scope="module")
def exported(fitted: OPLLClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    fitted.export(folder)
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    for path in exported.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def weights_of(folder: Path) -> str:
    return json.loads((folder / "config.json").read_text())["weights_sha256"]


def rewrite(folder: Path, **changes: object) -> None:
    path = folder / EXPORT
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_export_reads_as_torch_does(
    cohort: Cohort, fitted: OPLLClassifier, exported: Path
) -> None:
    expected = fitted.predict_proba(cohort)
    for name in ("onnxruntime", "auto"):
        loaded = OPLLClassifier.load(exported, engine=name)
        assert np.abs(loaded.predict_proba(cohort) - expected).max() < 1e-5
        assert loaded.threshold_ == fitted.threshold_
        predictions = loaded.classify(cohort, allow_training_patients=True)
        assert predictions.provenance["engine"].startswith("onnxruntime ")
    plain = OPLLClassifier.load(exported).classify(cohort[:2], allow_training_patients=True)
    assert plain.provenance["engine"].startswith("torch, ")


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_every_pooling_can_be_exported(small: Preprocessor, tmp_path: Path, pooling: str) -> None:
    inner = nn.Sequential(
        nn.Conv2d(1, 4, 9, stride=8), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),
        nn.Linear(4 * 7 * 7, FEATURES if pooling == "attention" else 2),
    )  # fmt: skip
    network = (
        AttentionOverSlices(inner, slices=3)
        if pooling == "attention"
        else PooledSlices(inner, slices=3, pooling=pooling)
    )
    classifier = OPLLClassifier(pooling=pooling)
    classifier.module_, classifier.preprocessor_ = network.eval(), small
    classifier.device_ = torch.device("cpu")
    read = OnnxNetwork(export_network(classifier, tmp_path, "").read_bytes())
    images = torch.rand(5, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(read(images), network(images), atol=1e-5)


def test_an_export_says_which_weights_it_came_from(exported: Path) -> None:
    record = json.loads((exported / EXPORT).read_text())
    weights = (exported / "model.safetensors").read_bytes()
    assert record["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert record["largest_difference"] <= 1e-5


def test_a_model_that_was_not_exported(fitted: OPLLClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    with pytest.raises(ModelFormatError, match="EXPORT_MISSING"):
        OPLLClassifier.load(tmp_path, engine="onnxruntime")
    assert engine_of(OPLLClassifier.load(tmp_path, engine="auto")).name.startswith("torch")
    with pytest.raises(UsageError, match="engine is one of"):
        OPLLClassifier.load(tmp_path, engine="tensorrt")


def test_a_folder_of_another_model_is_not_exported_into(
    fitted: OPLLClassifier, folder: Path
) -> None:
    other = copy.deepcopy(fitted)
    with torch.no_grad():
        next(other.module_.parameters()).add_(1)
    with pytest.raises(UsageError, match="RUN_EXISTS"):
        other.export(folder)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda folder: (folder / NETWORK).write_bytes(b"onnx"), "hash differs"),
        (lambda folder: (folder / NETWORK).unlink(), "cannot be read"),
        (lambda folder: (folder / NETWORK).write_bytes(bytes(300_000_000)), "larger than"),
        (lambda folder: (folder / EXPORT).write_text("{"), "cannot be read"),
        (lambda folder: (folder / EXPORT).write_text("[" * 10_000), "cannot be read"),
        (lambda folder: (folder / EXPORT).write_text("[]"), "does not say"),
        (lambda folder: rewrite(folder, version=9), "does not say"),
        (lambda folder: rewrite(folder, weights_sha256="0" * 64), "other weights"),
    ],
    ids=["hash", "missing", "large", "json", "deep", "list", "version", "weights"],
)
def test_a_damaged_or_foreign_export_is_refused(
    fitted: OPLLClassifier, folder: Path, damage: object, reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    damage(folder)  # type: ignore[operator]
    with pytest.raises(ModelFormatError, match=reason):
        choose_engine(fitted, folder, "onnxruntime", weights_of(folder))
    with caplog.at_level(logging.WARNING, "cervispine.inference"):
        assert choose_engine(fitted, folder, "auto", weights_of(folder)) is None
    assert "reading with torch" in caplog.text
    assert str(folder) not in caplog.text


@pytest.mark.parametrize("content", [b"not a network", b""])
def test_a_file_that_is_no_network_is_refused_whatever_its_hash(
    fitted: OPLLClassifier, folder: Path, content: bytes
) -> None:
    (folder / NETWORK).write_bytes(content)
    rewrite(folder, network_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelFormatError, match="no network of these images"):
        choose_engine(fitted, folder, "onnxruntime", weights_of(folder))


def test_a_network_that_answers_otherwise_is_refused_whatever_its_hash(
    fitted: OPLLClassifier, folder: Path
) -> None:
    import onnx

    network = onnx.load(folder / NETWORK)
    (bias,) = (each for each in network.graph.initializer if each.name == "fc.bias")
    moved = onnx.numpy_helper.to_array(bias) + np.float32([0, 1e-3])
    bias.CopyFrom(onnx.numpy_helper.from_array(moved, bias.name))
    content = network.SerializeToString()
    (folder / NETWORK).write_bytes(content)
    rewrite(folder, network_sha256=hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelFormatError, match="EXPORT_DIFFERS"):
        choose_engine(fitted, folder, "onnxruntime", weights_of(folder))


def test_a_network_that_cannot_be_written_is_refused(
    fitted: OPLLClassifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("an operator that ONNX does not have")

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(ModelFormatError, match="EXPORT_IMPOSSIBLE"):
        fitted.export(tmp_path)


def test_without_the_extra_the_error_names_it(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtraError, match=r"cervispine\[onnxruntime\]"):
        OPLLClassifier.load(exported, engine="onnxruntime")
    assert engine_of(OPLLClassifier.load(exported, engine="auto")).name.startswith("torch")


def test_on_another_device_auto_is_torch(fitted: OPLLClassifier, folder: Path) -> None:
    elsewhere = copy.copy(fitted)
    elsewhere.device_ = torch.device("meta")
    assert choose_engine(elsewhere, folder, "auto", weights_of(folder)) is None
    with pytest.raises(UsageError, match="reads on the CPU"):
        choose_engine(elsewhere, folder, "onnxruntime", weights_of(folder))


def test_weights_that_change_are_seen(cohort: Cohort, fitted: OPLLClassifier) -> None:
    classifier = copy.deepcopy(fitted)
    before = classifier.decision_function(cohort[:2])
    with torch.no_grad():
        list(classifier.module_.parameters())[-1].add_(torch.tensor([0.0, 1.0]))
    after = classifier.decision_function(cohort[:2])
    assert after == pytest.approx(before + 1 / classifier.temperature_, abs=1e-4)


def test_pickles_hold_no_engine(cohort: Cohort, exported: Path) -> None:
    loaded = OPLLClassifier.load(exported, engine="onnxruntime")
    again = pickle.loads(pickle.dumps(loaded))
    assert not hasattr(again, "engine_")
    assert np.abs(again.predict_proba(cohort[:2]) - loaded.predict_proba(cohort[:2])).max() < 1e-5
