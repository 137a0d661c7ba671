"""Changes to training images that leave the diagnosis alone, drawn anew for each patient."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["augment"]

#: Rotation in the sagittal plane, degrees either way: how a neck lies.
ROTATION = 10.0
#: Magnification, as a fraction either way: how large a patient is.
SCALE = 0.1
#: Shift, as a fraction of the image either way: where the crop fell.
SHIFT = 0.06
#: Exponent of the intensities, from 1/GAMMA to GAMMA, evenly in its logarithm.
GAMMA = 1.4
#: Factor on the contrast about the mean, as a fraction either way.
CONTRAST = 0.15
#: Shift of the brightness, as a fraction of the image's range either way.
BRIGHTNESS = 0.1
#: Largest standard deviation of added noise, as a fraction of the image's range.
NOISE = 0.03


def augment(batch: Tensor, generator: Generator, *, slices: int) -> Tensor:
    """Rotate, scale, shift, mirror, and change the intensities of each image of a batch.

    Each sample is rotated by up to 10 degrees, scaled by up to 10 %, shifted by up to 6 % of the
    image; half of them get their slices in reverse order, as if left were right; gamma 1/1.4 to
    1.4, contrast +-15 %, brightness +-10 % and Gaussian noise to 3 % of the range. All channels
    of a sample share its geometry and its intensity changes, and each has noise of its own.

    Parameters
    ----------
    batch
        float32 (n, channels, rows, columns), on any device; left unchanged.
    generator
        The only source of randomness; draws on its own device.
    slices
        Channels a sequence has, which are reversed within the sequence.

    Returns
    -------
    Tensor
        Of the same shape, dtype and device.
    """

    def draw(columns: int) -> Tensor:
        numbers = torch.rand(len(batch), columns, generator=generator, device=generator.device)
        return (2 * numbers - 1).to(batch.device, batch.dtype)

    angle, scale, down, across = draw(4).unbind(1)
    mirrored, gamma, contrast, brightness, noise = draw(5).unbind(1)
    moved = _move(_mirror(batch, mirrored > 0, slices), angle, scale, down, across)
    changed = _recolour(moved, gamma, contrast, brightness)
    return changed + _noise(changed, noise, generator)


def _mirror(batch: Tensor, mirrored: Tensor, slices: int) -> Tensor:
    reverse = batch.view(len(batch), -1, slices, *batch.shape[2:]).flip(2).flatten(1, 2)
    return torch.where(mirrored[:, None, None, None], reverse, batch)


def _move(batch: Tensor, angle: Tensor, scale: Tensor, down: Tensor, across: Tensor) -> Tensor:
    rows, columns = batch.shape[2:]
    radians = angle * math.radians(ROTATION)
    zoom = 1 / (1 + scale * SCALE)
    cosine, sine = torch.cos(radians) * zoom, torch.sin(radians) * zoom
    # affine_grid counts from -1 to 1 along each side, so a rotation must know the sides' ratio.
    first = torch.stack([cosine, -sine * rows / columns, across * 2 * SHIFT], dim=1)
    second = torch.stack([sine * columns / rows, cosine, down * 2 * SHIFT], dim=1)
    grid = functional.affine_grid(
        torch.stack([first, second], dim=1), list(batch.shape), align_corners=False
    )
    return functional.grid_sample(batch, grid, padding_mode="border", align_corners=False)


def _recolour(batch: Tensor, gamma: Tensor, contrast: Tensor, brightness: Tensor) -> Tensor:
    least, most = (value[:, None, None, None] for value in batch.flatten(1).aminmax(dim=1))
    scale = (most - least).clamp_min(1e-6)
    unit = ((batch - least) / scale).clamp_min(1e-6)
    unit = unit ** (GAMMA ** gamma[:, None, None, None])
    mean = unit.mean(dim=(1, 2, 3), keepdim=True)
    unit = mean + (unit - mean) * (1 + CONTRAST * contrast[:, None, None, None])
    unit = unit + BRIGHTNESS * brightness[:, None, None, None]
    return least + scale * unit.clamp(0, 1)


def _noise(batch: Tensor, amount: Tensor, generator: Generator) -> Tensor:
    drawn = torch.randn(batch.shape, generator=generator, device=generator.device)
    least, most = batch.flatten(1).aminmax(dim=1)
    deviation = NOISE * (amount + 1) / 2 * (most - least)
    return drawn.to(batch.device, batch.dtype) * deviation[:, None, None, None]
