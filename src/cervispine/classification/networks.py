"""The network of a classifier: its backbone, and how slices become a patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from cervispine.backbones import build_backbone
from cervispine.classification.pooling import FEATURES, AttentionOverSlices, PooledSlices
from cervispine.classification.weights import LocalWeights, freeze_stages
from cervispine.preprocessing import Preprocessor

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier

__all__ = ["build_network"]


def build_network(
    classifier: Classifier, preprocessor: Preprocessor, weights: LocalWeights | bool = False
) -> nn.Module:
    """Build the network from the seed alone, whatever was drawn before.

    Parameters
    ----------
    classifier
        Names the backbone, the pooling, the seed and what is frozen of weights that are given.
    preprocessor
        Decides the channels and the size of the images.
    weights
        What to start from: True for the backbone's own, False for random ones.

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
            pretrained=weights is True,
            size=preprocessor.size,
        )
        if isinstance(weights, LocalWeights):
            weights.put_into(network)
        if weights and classifier.freeze:
            freeze_stages(network, classifier.backbone, classifier.freeze)
        if attention:
            return AttentionOverSlices(network, slices=slices)
    if side_by_side:
        return network
    return PooledSlices(network, slices=slices, pooling=classifier.pooling)
