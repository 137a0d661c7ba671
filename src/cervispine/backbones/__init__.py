"""A name to a network: classification backbones, found through Python's entry points.

backbone    Backbone: how a network is built, and what its author says of it
registry    which backbones are installed, and building one by name
contract    what every backbone's module must do, checked on blank images
resnet      resnet34, resnet50 and resnet101, which come through the same door

Importing this package imports neither torch nor any plug-in.
"""

from cervispine.backbones.backbone import Backbone, Build
from cervispine.backbones.registry import (
    build_backbone,
    find_backbone,
    list_backbones,
    load_backbone,
)

__all__ = [
    "Backbone",
    "Build",
    "build_backbone",
    "find_backbone",
    "list_backbones",
    "load_backbone",
]
