"""Entry points that name a function in place of a network, a number, and nothing."""

from typing import Any

NUMBER = 3


def build(*, in_channels: int, num_classes: int, pretrained: bool = False) -> Any:
    return lambda images: images.mean(dim=(2, 3))[:, :num_classes]
