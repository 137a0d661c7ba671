"""The three ResNets: first and last layer, initialisation, pretrained weights, and no network."""

from __future__ import annotations

import sys
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torchvision import models

from cervispine.backbones import build_backbone, load_backbone
from cervispine.backbones.resnet import BRANCH_GAIN
from cervispine.exceptions import BackboneLoadError

#: Parameters with 3 channels and 1000 classes, in He et al. 2016 and torchvision's tables.
PARAMETERS = {"resnet34": 21_797_672, "resnet50": 25_557_032, "resnet101": 44_549_160}


@pytest.mark.parametrize("name", PARAMETERS)
def test_number_of_parameters(name: str) -> None:
    module = build_backbone(name, in_channels=3, num_classes=1000, size=(64, 64))
    assert sum(parameter.numel() for parameter in module.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_map_layer_exists_and_is_said_by_whom(name: str) -> None:
    backbone = load_backbone(name)
    module = backbone.build(in_channels=1, num_classes=2)
    assert isinstance(module.get_submodule(backbone.map_layer), nn.Sequential)
    assert backbone.licence == "BSD-3-Clause"
    assert "ImageNet" in backbone.weights_origin
    assert "ImageNet" in backbone.weights_licence


@pytest.mark.slow
@pytest.mark.parametrize("name", PARAMETERS)
def test_full_size(name: str) -> None:
    module = build_backbone(name, in_channels=3, num_classes=2, size=(224, 224))
    loss = module(torch.zeros(2, 3, 224, 224)).sum()
    loss.backward()
    assert module.conv1.weight.grad is not None


def test_first_layer_starts_as_torchvision_starts_it() -> None:
    torch.manual_seed(0)
    weight = build_backbone("resnet34", in_channels=6, num_classes=2, size=(64, 64)).conv1.weight
    # He initialisation over the fan-out: 64 channels of 7 x 7.
    assert weight.shape == (64, 6, 7, 7)
    assert weight.std().item() == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.02)


@pytest.mark.parametrize(
    ("name", "blocks"), [("resnet34", 16), ("resnet50", 16), ("resnet101", 33)]
)
def test_branches_start_soft(name: str, blocks: int) -> None:
    network = load_backbone(name).build(in_channels=3, num_classes=2)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    soft = [norm for norm in norms if torch.all(norm.weight == BRANCH_GAIN)]
    assert len(soft) == blocks
    assert all(torch.all(norm.weight == 1) for norm in norms if norm not in soft)


@pytest.mark.parametrize("in_channels", [1, 3, 6])
def test_pretrained_first_layer_keeps_what_a_grey_image_gives(
    monkeypatch: pytest.MonkeyPatch, in_channels: int
) -> None:
    torch.manual_seed(0)
    original = models.resnet34(num_classes=1000)
    asked = []

    def get_model(name: str, *, weights: str | None) -> nn.Module:
        asked.append((name, weights))
        return original

    grey = torch.randn(1, 1, 64, 64)
    expected = original.conv1(grey.expand(-1, 3, -1, -1))
    monkeypatch.setattr(models, "get_model", get_model)
    module = build_backbone(
        "resnet34", in_channels=in_channels, num_classes=2, pretrained=True, size=(64, 64)
    )
    assert asked == [("resnet34", "DEFAULT")]
    given = module.conv1(grey.expand(-1, in_channels, -1, -1))
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-5)


def test_weights_that_cannot_be_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: object, **keywords: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr("torch.hub.load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(BackboneLoadError, match="no network") as caught:
        build_backbone("resnet34", in_channels=3, num_classes=2, pretrained=True)
    assert caught.value.code == "WEIGHTS_UNAVAILABLE"
    assert "pretrained=False" in caught.value.advice


def test_a_torchvision_built_for_another_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mismatched:
        """A finder in whose hands torchvision fails as with a torch from another index."""

        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            if name.startswith("torchvision"):
                raise RuntimeError("operator torchvision::nms does not exist")

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Mismatched(), *sys.meta_path])
    with pytest.raises(BackboneLoadError, match="nms does not exist") as caught:
        build_backbone("resnet34", in_channels=1, num_classes=2)
    assert caught.value.code == "TORCHVISION_BROKEN"
    assert "from the same index" in caught.value.advice
