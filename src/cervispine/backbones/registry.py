"""Which backbones are installed, and building one by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cervispine.backbones.backbone import Backbone
from cervispine.backbones.contract import call_build, check_module
from cervispine.exceptions import (
    BackboneAmbiguousError,
    BackboneContractError,
    BackboneLoadError,
    BackboneNotFoundError,
    UsageError,
)
from cervispine.plugins import InstalledPlugin, PluginGroup

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build_backbone", "find_backbone", "list_backbones", "load_backbone"]

BACKBONES = PluginGroup(
    kind="backbone",
    name="cervispine.backbones",
    not_found=BackboneNotFoundError,
    ambiguous=BackboneAmbiguousError,
    unloadable=BackboneLoadError,
)


def list_backbones() -> tuple[InstalledPlugin, ...]:
    """Return every installed backbone, in the order of their names, importing none.

    Raises
    ------
    UsageError
        When the environment variable ``CERVISPINE_PLUGINS`` is neither "on" nor "off".
    """
    return BACKBONES.installed()


def find_backbone(name: str) -> InstalledPlugin:
    """Return the one backbone installed under a name, without importing it.

    Parameters
    ----------
    name
        ``name``, or ``distribution:name`` where two distributions use the same one.

    Raises
    ------
    BackboneNotFoundError
        When none has the name (``BACKBONE_NOT_FOUND``), or several (``BACKBONE_AMBIGUOUS``).
    """
    return BACKBONES.find(name)


def load_backbone(name: str) -> Backbone:
    """Import one backbone.

    Parameters
    ----------
    name
        As for `find_backbone`.

    Raises
    ------
    BackboneNotFoundError
        When none has the name, or several.
    BackboneLoadError
        When importing it fails in any way, naming distribution, version and object; the original
        error is its cause. Only a keyboard interrupt passes, since it is the user's.
    BackboneContractError
        When the entry point names neither a callable nor a `Backbone`.
    """
    installed = find_backbone(name)
    target = BACKBONES.load(installed)
    if isinstance(target, Backbone):
        return target
    if not callable(target):
        raise BackboneContractError(
            f"the entry point names a {type(target).__name__} "
            "where a callable or a Backbone is expected",
            where=str(installed),
        )
    return Backbone(target)


def build_backbone(
    name: str,
    *,
    in_channels: int,
    num_classes: int,
    pretrained: bool = False,
    size: tuple[int, int] = (224, 224),
) -> nn.Module:
    """Build a network by name, and check it on two blank images.

    Initial weights come from torch's global random generator: seed it first, inside
    ``torch.random.fork_rng()`` where the caller's own state must survive.

    Parameters
    ----------
    name
        As for `find_backbone`.
    in_channels
        Channels of the images, at least 1.
    num_classes
        Columns of the logits, at least 2.
    pretrained
        Whether to start from the backbone's own weights instead of random ones.
    size
        Rows and columns of the blank images: the size the network is going to see.

    Returns
    -------
    torch.nn.Module
        On the CPU, in training mode.

    Raises
    ------
    UsageError
        When a number is out of range.
    BackboneNotFoundError, BackboneLoadError
        As for `load_backbone`; also when ``build`` itself fails.
    BackboneContractError
        When the module does not give finite float32 logits of shape ``(2, num_classes)``.
    """
    for parameter, value, least in (
        ("in_channels", in_channels, 1),
        ("num_classes", num_classes, 2),
        ("size", min(size), 64),
    ):
        if value < least:
            raise UsageError(f"{parameter} must be at least {least}, got {value}")
    installed = find_backbone(name)
    backbone = load_backbone(name)
    module = call_build(
        backbone.build,
        in_channels=in_channels,
        num_classes=num_classes,
        pretrained=pretrained,
        where=str(installed),
    )
    checked = check_module(
        module, in_channels=in_channels, num_classes=num_classes, size=size, where=str(installed)
    )
    return checked.train()
