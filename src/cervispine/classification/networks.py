"""The network of a classifier: its backbone, and how slices become a patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from cervispine.backbones import build_backbone
from cervispine.classification.pooling import FEATURES, AttentionOverSlices, PooledSlices
from cervispine.preprocessing import Preprocessor

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier

__all__ = ["build_network"]


def build_network(
    classifier: Classifier, preprocessor: Preprocessor, *, pretrained: bool
) -> nn.Module:
    """Build the network from the seed alone, whatever was drawn before.

    Parameters
    ----------
    classifier
        Names the backbone, the pooling and the seed.
    preprocessor
        Decides the channels and the size of the images.
    pretrained
        Start from the backbone's own weights.

    Returns
    -------
    nn.Module
        float32 (n, channels, rows, columns) to logits (n, 2).
    """
    sequences, slices = len(preprocessor.sequences), preprocessor.slices
    side_by_side = classifier.pooling == "channels"
    attention = classifier.pooling == "attention"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(classifier.seed)
        network = build_backbone(
            classifier.backbone,
            in_channels=sequences * slices if side_by_side else sequences,
            num_classes=FEATURES if attention else 2,
            pretrained=pretrained,
            size=preprocessor.size,
        )
        if attention:
            return AttentionOverSlices(network, slices=slices)
    if side_by_side:
        return network
    return PooledSlices(network, slices=slices, pooling=classifier.pooling)
