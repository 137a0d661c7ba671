"""resnet34, resnet50 and resnet101 from torchvision, for any number of channels and classes.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", CVPR 2016, Table 1; the
three depths are those of Qu et al. 2024.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from types import ModuleType
from typing import cast
from urllib.error import URLError

import torch
from torch import nn

from cervispine.backbones.backbone import Backbone
from cervispine.exceptions import BackboneLoadError

__all__ = ["resnet34", "resnet50", "resnet101"]

#: Gain of each residual branch of an untrained network, where torchvision has 1. At 1 the deep
#: networks start far from the identity and learn slowly from a few hundred patients. Goyal et al.
#: 2017 (arXiv 1706.02677, section 5.1) start at 0, but Adam moves a gain by about one learning
#: rate a step, so that in a short training the branches would stay shut.
BRANCH_GAIN = 0.2


def build_resnet(
    depth: int, *, in_channels: int, num_classes: int, pretrained: bool = False
) -> nn.Module:
    """Build a residual network whose first and last layers fit the task.

    Without pretrained weights each residual branch starts at a fifth of torchvision's gain
    (:data:`BRANCH_GAIN`), which deep networks need to learn within a short training.

    Parameters
    ----------
    depth
        34, 50 or 101.
    in_channels
        Channels of the images. For other than three, the pretrained first layer is averaged
        over its red, green and blue weights and scaled by ``3 / in_channels``: a grey image
        repeated in every channel then gives what it gave the original network.
    num_classes
        Columns of the logits.
    pretrained
        Whether to start from torchvision's ImageNet weights, downloaded once into torch's cache.

    Raises
    ------
    BackboneLoadError
        When torchvision does not import (``TORCHVISION_BROKEN``), or the weights cannot be
        downloaded (``WEIGHTS_UNAVAILABLE``).
    """
    models = _torchvision_models()
    name = f"resnet{depth}"
    try:
        network = models.get_model(name, weights="DEFAULT" if pretrained else None)
    except (URLError, OSError) as error:
        raise BackboneLoadError(
            f"the pretrained weights of {name} cannot be downloaded: {error}",
            advice="connect once so that torch keeps them in its cache, or use pretrained=False",
            code="WEIGHTS_UNAVAILABLE",
        ) from error
    if in_channels != 3:
        network.conv1 = _first_layer(network.conv1, in_channels, pretrained=pretrained)
    network.fc = nn.Linear(network.fc.in_features, num_classes)
    if not pretrained:
        _soften_branches(network)
    return cast("nn.Module", network)


def _first_layer(original: nn.Conv2d, in_channels: int, *, pretrained: bool) -> nn.Conv2d:
    layer = nn.Conv2d(
        in_channels, original.out_channels, kernel_size=7, stride=2, padding=3, bias=False
    )
    if pretrained:
        with torch.no_grad():
            grey = original.weight.sum(dim=1, keepdim=True) / in_channels
            layer.weight.copy_(grey.expand_as(layer.weight))
    else:
        # The initialisation torchvision gives every convolution of a ResNet.
        nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer


def _soften_branches(network: nn.Module) -> None:
    resnet = _torchvision_models().resnet
    for block in network.modules():
        if isinstance(block, resnet.BasicBlock):
            nn.init.constant_(block.bn2.weight, BRANCH_GAIN)
        elif isinstance(block, resnet.Bottleneck):
            nn.init.constant_(block.bn3.weight, BRANCH_GAIN)


def _torchvision_models() -> ModuleType:
    try:
        return import_module("torchvision.models")
    except (ImportError, RuntimeError, OSError) as error:
        raise BackboneLoadError(
            f"torchvision does not import: {type(error).__name__}: {error}",
            where=f"torch {torch.__version__}",
            advice="torch and torchvision must be built for each other: "
            "install both together, from the same index",
            code="TORCHVISION_BROKEN",
        ) from error


def _backbone(depth: int, weights: str, map_layer: str) -> Backbone:
    return Backbone(
        partial(build_resnet, depth),
        description=f"ResNet with {depth} layers (He et al. 2016), as torchvision defines it",
        licence="BSD-3-Clause",
        weights_origin=f"torchvision, trained on ImageNet-1k ({weights})",
        weights_licence="BSD-3-Clause as published by torchvision; "
        "the terms of the ImageNet images may bind their use too",
        map_layer=map_layer,
        stages={"stem": ("conv1", "bn1"), **{f"layer{n}": (f"layer{n}",) for n in range(1, 5)}},
    )


# The layers are those whose maps meet the plaques of phantoms best (docs, heat maps).
resnet34 = _backbone(34, "IMAGENET1K_V1", "layer2")
resnet50 = _backbone(50, "IMAGENET1K_V2", "layer3")
resnet101 = _backbone(101, "IMAGENET1K_V2", "layer3")
