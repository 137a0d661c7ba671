"""A whole backbone plug-in: one convolution, one pooling, one linear layer."""

from torch import nn

from cervispine.backbones import Backbone


def build(*, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
    if pretrained:
        raise ValueError("tiny has no pretrained weights")
    return nn.Sequential(
        nn.Conv2d(in_channels, 4, kernel_size=3, stride=2),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, num_classes),
    )


backbone = Backbone(build, description="the smallest network", licence="MIT", map_layer="0")
