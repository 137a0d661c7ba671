"""Networks start from local weights or are refused, and frozen stages stay as they were."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cervispine import Cohort, OPLLClassifier, Preprocessor
from cervispine.backbones import build_backbone, load_backbone
from cervispine.classification.parameters import plain_parameters
from cervispine.classification.weights import LocalWeights, freeze_stages, start, train_mode
from cervispine.exceptions import BackboneContractError, ModelFormatError, UsageError


def built(channels: int = 3, classes: int = 2) -> nn.Module:
    return build_backbone("resnet34", in_channels=channels, num_classes=classes, size=(64, 64))


@pytest.fixture(scope="module")
def original() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return built(classes=5)


@pytest.fixture
def written(original: nn.Module, tmp_path: Path) -> Path:
    save_file(original.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def same(network: nn.Module, original: nn.Module, *, but: tuple[str, ...] = ("fc.",)) -> bool:
    wanted = original.state_dict()
    return all(
        torch.equal(value, wanted[name])
        for name, value in network.state_dict().items()
        if not name.startswith(but) and not name.endswith("num_batches_tracked")
    )


def test_all_but_the_last_layer_is_taken(written: Path, original: nn.Module) -> None:
    weights = LocalWeights.read(written)
    assert weights.sha256 == hashlib.sha256(written.read_bytes()).hexdigest()
    network = built()
    before = network.fc.weight.clone()
    assert not same(network, original)
    weights.put_into(network)
    assert same(network, original)
    assert torch.equal(network.fc.weight, before)


@pytest.mark.parametrize("channels", [1, 5])
def test_a_grey_image_gives_what_it_gave_in_colour(
    written: Path, original: nn.Module, channels: int
) -> None:
    network = built(channels)
    LocalWeights.read(written).put_into(network)
    assert same(network, original, but=("fc.", "conv1."))
    grey = torch.rand(1, 1, 64, 64)
    expected = original.conv1(grey.expand(-1, 3, -1, -1))
    assert torch.allclose(network.conv1(grey.expand(-1, channels, -1, -1)), expected, atol=1e-4)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{name}": value for name, value in state.items()}},
    ],
    ids=["plain", "held", "prefixed"],
)
def test_what_torch_saved_is_read(
    original: nn.Module, tmp_path: Path, wrap: Callable[[Any], Any]
) -> None:
    torch.save(wrap(dict(original.state_dict())), tmp_path / "weights.pth")
    network = built()
    LocalWeights.read(tmp_path / "weights.pth").put_into(network)
    assert same(network, original)


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_no_code_of_a_file_is_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    torch.save({"fc.weight": Canary(canary)}, tmp_path / "torch.pth")
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Canary(canary)))
    (tmp_path / "pickle.safetensors").write_bytes(pickle.dumps(Canary(canary)))
    for name in ("torch.pth", "pickle.pt", "pickle.safetensors"):
        with pytest.raises(ModelFormatError, match="WEIGHTS_INVALID"):
            LocalWeights.read(tmp_path / name)
    assert not canary.exists()


def test_what_are_no_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "number.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    torch.save({}, tmp_path / "empty.pth")
    save_file({"a": torch.tensor([torch.nan])}, tmp_path / "nan.safetensors")
    for name in ("number.pth", "list.pth", "empty.pth", "nan.safetensors"):
        with pytest.raises(ModelFormatError, match="WEIGHTS_INVALID"):
            LocalWeights.read(tmp_path / name)
    with pytest.raises(UsageError, match="FILE_MISSING") as caught:
        LocalWeights.read(tmp_path / "absent.pth")
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(UsageError, match="file of weights"):
        LocalWeights.read(tmp_path / "weights.bin")


def test_what_does_not_fit_is_listed(original: nn.Module, tmp_path: Path) -> None:
    state = dict(original.state_dict())
    del state["bn1.weight"]
    state["layer9.weight"] = torch.zeros(1)
    state["layer1.0.bn1.bias"] = torch.zeros(3)
    save_file(state, tmp_path / "other.safetensors")
    with pytest.raises(ModelFormatError, match="WEIGHTS_MISMATCH") as caught:
        LocalWeights.read(tmp_path / "other.safetensors").put_into(built())
    for fault in ("bn1.weight is missing", "layer9.weight is not of this network",
                  "layer1.0.bn1.bias has shape (3,), not (64,)"):  # fmt: skip
        assert fault in str(caught.value)


def test_a_number_of_stages_or_their_names_are_frozen() -> None:
    stages = load_backbone("resnet34").stages
    assert list(stages) == ["stem", "layer1", "layer2", "layer3", "layer4"]
    network = built()
    assert freeze_stages(network, "resnet34", 2) == ["stem", "layer1"]
    # As a grid of parameters in an array hands them out.
    assert freeze_stages(built(), "resnet34", np.int64(2)) == ["stem", "layer1"]
    frozen = {
        name.split(".")[0] for name, value in network.named_parameters() if not value.requires_grad
    }
    assert frozen == {"conv1", "bn1", "layer1"}
    train_mode(network)
    assert not network.bn1.training
    assert not network.layer1[0].bn2.training
    assert network.layer2[0].bn1.training
    named = built()
    assert freeze_stages(named, "resnet34", ("layer3",)) == ["layer3"]
    assert named.conv1.weight.requires_grad
    train_mode(named)
    assert named.bn1.training


@pytest.mark.parametrize("wrong", [6, ("layer5",), ("stem", "head")])
def test_stages_that_do_not_exist_are_refused(wrong: Any) -> None:
    with pytest.raises(UsageError, match="freeze is a number up to 5"):
        freeze_stages(built(), "resnet34", wrong)


def test_a_backbone_without_stages_is_refused(install: Callable[..., None]) -> None:
    install("good")
    name = "tiny"
    network = build_backbone(name, in_channels=3, num_classes=2, size=(64, 64))
    with pytest.raises(UsageError, match="STAGES_MISSING"):
        freeze_stages(network, name, 1)


def test_a_stage_that_its_module_lacks_is_a_breach(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "cervispine.classification.weights.load_backbone",
        lambda name: type(load_backbone(name))(lambda **_: None, stages={"stem": ("nothing",)}),
    )
    with pytest.raises(BackboneContractError, match="does not have"):
        freeze_stages(built(), "resnet34", 1)


def test_a_training_keeps_what_is_frozen_and_its_statistics(
    cohort: Cohort, small: Preprocessor, written: Path, original: nn.Module, tmp_path: Path
) -> None:
    classifier = OPLLClassifier(
        backbone="resnet34", preprocessor=small, epochs=1, batch_size=8, validation=0.3,
        progress=False, pretrained=written, freeze=("stem", "layer1", "layer2"),
    ).fit(cohort)  # fmt: skip
    kept = classifier.module_.state_dict()
    for name, value in original.state_dict().items():
        if name.endswith("num_batches_tracked") or name.startswith("fc."):
            continue
        frozen = name.startswith(("conv1.", "bn1.", "layer1.", "layer2."))
        assert torch.equal(kept[name], value) == frozen, name
    sha256 = hashlib.sha256(written.read_bytes()).hexdigest()
    assert classifier.record_["pretrained_sha256"] == sha256
    folder = classifier.save(tmp_path / "model")
    assert sha256 in (folder / "README.md").read_text()
    assert "freeze" in (folder / "README.md").read_text()
    config = json.loads((folder / "config.json").read_text())
    assert config["parameters"]["pretrained"] == f"sha256:{sha256}"
    assert str(written) not in json.dumps(config)
    again = OPLLClassifier.load(folder)
    assert again.classify(cohort[:2], allow_training_patients=True).patients
    # The file is not in the folder, so it cannot be trained again as it was.
    with pytest.raises(UsageError, match="by their hash alone"):
        again.fit(cohort)
    assert plain_parameters(OPLLClassifier())["pretrained"] is None


@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        ({"freeze": 1}, "would be random"), ({"freeze": -1, "pretrained": True}, "freeze"),
        ({"freeze": "stem", "pretrained": True}, "freeze"),
        ({"freeze": (1,), "pretrained": True}, "freeze"), ({"pretrained": 3.5}, "pretrained"),
        ({"freeze": True, "pretrained": True}, "freeze"),
    ],
)  # fmt: skip
def test_parameters_that_cannot_be_meant(
    cohort: Cohort, parameters: dict[str, Any], why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        OPLLClassifier(backbone="resnet34", **parameters).fit(cohort)


def test_a_saved_model_says_which_weights_it_lacks() -> None:
    with pytest.raises(UsageError, match="by their hash alone"):
        start("sha256:0123")
