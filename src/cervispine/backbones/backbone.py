"""Backbone: how a network is built, and what its author says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import attrs

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Backbone", "Build"]


class Build(Protocol):
    """What a plug-in writes: a callable that returns a fresh network.

    The network maps float32 images ``(n, in_channels, rows, columns)``, for any number of rows
    and columns from 64 up, to float32 logits ``(n, num_classes)``. Its weights are initialised
    from torch's global random generator, which the caller seeds; ``pretrained`` asks for weights
    from elsewhere instead.
    """

    def __call__(
        self, *, in_channels: int, num_classes: int, pretrained: bool = False
    ) -> nn.Module:
        """Return a fresh network, on the CPU."""
        ...


@attrs.frozen
class Backbone:
    """How a network is built, and what its author says of it.

    An entry point of the group ``cervispine.backbones`` names either a bare `Build` callable or
    one of these.

    Parameters
    ----------
    build
        Returns a fresh network.
    description
        One line for people.
    licence
        SPDX expression of the code that defines the network.
    weights_origin
        Where the weights of ``pretrained=True`` come from; empty when there are none.
    weights_licence
        The terms those weights are under.
    map_layer
        Dotted path, inside the module, of the layer whose activations a class-activation map
        is drawn from, for example "layer3"; empty when the author names none.
    stages
        Name to dotted paths inside the module, from the input on: what `freeze` of a classifier
        can keep as it is, with all that comes before it; empty when the author names none.
    """

    build: Build = attrs.field(validator=attrs.validators.is_callable())
    description: str = attrs.field(default="", kw_only=True)
    licence: str = attrs.field(default="", kw_only=True)
    weights_origin: str = attrs.field(default="", kw_only=True)
    weights_licence: str = attrs.field(default="", kw_only=True)
    map_layer: str = attrs.field(default="", kw_only=True)
    stages: Mapping[str, tuple[str, ...]] = attrs.field(factory=dict, kw_only=True, hash=False)
