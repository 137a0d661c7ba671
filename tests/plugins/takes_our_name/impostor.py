"""Uses the name of a built-in backbone."""

from torch import nn


def build(*, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(16 * in_channels, num_classes)
    )
