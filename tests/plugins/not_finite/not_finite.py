"""Divides by the norm of the image, which a blank image does not have."""

from torch import Tensor, nn


class Normalised(nn.Module):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(in_channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head((images / images.norm()).mean(dim=(2, 3)))


def build(*, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
    return Normalised(in_channels, num_classes)
