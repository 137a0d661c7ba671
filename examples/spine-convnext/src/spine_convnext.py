"""ConvNeXt-T of torchvision as a backbone for cervispine."""

from torch import nn
from torchvision.models import convnext_tiny


def build(*, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
    network = convnext_tiny(weights="DEFAULT" if pretrained else None)
    network.features[0][0] = nn.Conv2d(in_channels, 96, kernel_size=4, stride=4)
    network.classifier[2] = nn.Linear(768, num_classes)
    return network
