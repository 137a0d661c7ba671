"""Where the cells of a layer lie in the image."""

from __future__ import annotations

import weakref

import attrs
import torch
from torch import nn

from cervispine.exceptions import BackboneContractError
from cervispine.preprocessing.resampling import Axis

__all__ = ["NO_MAPS", "Cells", "cells_of"]

#: Sides of the images by which cells are placed; the short one is the least a backbone takes.
LONG, SHORT = 1024, 64

#: Standard deviations of their noise, tried in turn: a network may be blind to faint images.
SCALES = (1.0, 10.0, 100.0)

NO_MAPS = "map_layer names a layer with activations (n, channels, rows, columns)"


@attrs.frozen
class Cells:
    """Where the cells of a layer lie along one axis of the image, in pixels.

    Parameters
    ----------
    start
        Centre of what the first cell sees; 0 is the centre of the first pixel.
    step
        From one cell to the next.
    """

    start: float
    step: float

    def samples(self, count: int) -> Axis:
        """Return where each of ``count`` pixels lies among the cells."""
        return Axis(count=count, start=-self.start / self.step, step=1 / self.step)


#: Found once for each layer: it takes about a second.
_PLACED: weakref.WeakKeyDictionary[nn.Module, tuple[Cells, Cells]] = weakref.WeakKeyDictionary()


def cells_of(network: nn.Module, layer: nn.Module, *, channels: int) -> tuple[Cells, Cells]:
    """Find where the cells of a layer lie, by where their gradients come from.

    Stretching a layer's map over the whole image, as is common, is wrong by up to half a cell:
    the first cell of a ResNet is centred on the first pixel of the image, not on the 16th. The
    centre of gravity of the squared gradient of cells far from any edge says where they lie, in
    any network.

    Parameters
    ----------
    network
        In evaluation mode; maps float32 (n, channels, rows, columns), of any size.
    layer
        Of the network.
    channels
        Of the images.

    Returns
    -------
    Cells, Cells
        Along rows and along columns.

    Raises
    ------
    BackboneContractError
        When the layer's activations are no maps that grow with the image, or no gradient passes.
    """
    if layer not in _PLACED:
        _PLACED[layer] = (_along(0, network, layer, channels), _along(1, network, layer, channels))
    return _PLACED[layer]


def _along(axis: int, network: nn.Module, layer: nn.Module, channels: int) -> Cells:
    device = next((weights.device for weights in network.parameters()), torch.device("cpu"))

    def run(length: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        shape = (length, SHORT) if axis == 0 else (SHORT, length)
        noise = torch.randn(1, channels, *shape, generator=torch.Generator().manual_seed(0))
        images = (scale * noise).to(device).requires_grad_()
        kept: list[torch.Tensor] = []
        handle = layer.register_forward_hook(lambda _, __, output: kept.append(output))
        try:
            network(images)
        finally:
            handle.remove()
        return images, kept[-1]

    _, longer = run(2 * LONG, 1.0)
    for scale in SCALES:
        images, maps = run(LONG, scale)
        gained = longer.shape[2 + axis] - maps.shape[2 + axis] if maps.ndim == 4 else 0
        if gained <= 0:
            raise BackboneContractError(
                "the activations of the backbone's map_layer are no maps of the image",
                advice=f"{NO_MAPS}; occlusion needs none",
            )
        step = LONG / gained
        middle = maps.shape[2 + axis] // 2
        strength = maps.select(2 + axis, middle).square().sum()
        gradient = torch.autograd.grad(strength, images)[0].square().sum(dim=(0, 1, 3 - axis))
        if gradient.any():
            places = torch.arange(LONG, device=device)
            centre = float((gradient * places).sum() / gradient.sum())
            return Cells(start=centre - step * middle, step=step)
    raise BackboneContractError(
        "no gradient passes from the backbone's map_layer to the image",
        advice="occlusion needs none",
    )
