"""Changes to training images that leave the diagnosis alone, drawn anew for each patient."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import attrs
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Generator, Tensor

__all__ = ["Augmentation"]

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


@attrs.frozen(eq=False)
class Augmentation:
    """What chance changes in some images, drawn once for all of them.

    Each image has its own row of numbers, so what happens to it depends neither on the batch that
    it is in nor on the order of the batches.

    Parameters
    ----------
    numbers
        (images, 11), evenly from -1 to 1: what decides each change of each image.
    noise_seed
        Of the field of noise that all images take their windows from.
    slices
        Channels a sequence has, which are reversed within the sequence.
    """

    numbers: Tensor
    noise_seed: int
    slices: int

    @classmethod
    def drawn(cls, count: int, generator: Generator, *, slices: int) -> Augmentation:
        """Draw the changes of ``count`` images."""
        numbers = torch.rand(count, 11, generator=generator, device=generator.device)
        seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
        return cls(2 * numbers - 1, int(seed), slices)

    def apply(self, batch: Tensor, indices: Tensor) -> Tensor:
        """Rotate, scale, shift, mirror, and change the intensities of each image of a batch.

        Each sample is rotated by up to 10 degrees, scaled by up to 10 %, shifted by up to 6 % of
        the image; half of them get their slices in reverse order, as if left were right; gamma
        1/1.4 to 1.4, contrast +-15 %, brightness +-10 % and Gaussian noise to 3 % of the range.
        All channels of a sample share its geometry and its intensity changes, and each has noise
        of its own.

        Parameters
        ----------
        batch
            float32 (n, channels, rows, columns), on any device; left unchanged.
        indices
            (n,): which images these are of those that changes were drawn for.

        Returns
        -------
        Tensor
            Of the same shape, dtype and device.
        """
        numbers = self.numbers[indices.to(self.numbers.device)].to(batch.device, batch.dtype)
        angle, scale, down, across, mirrored, gamma, contrast, brightness, noise = numbers[
            :, :9
        ].unbind(1)
        moved = _move(_mirror(batch, mirrored > 0, self.slices), angle, scale, down, across)
        changed = _recolour_(moved, gamma, contrast, brightness)
        return changed.add_(self._noise(changed, noise, numbers[:, 9:]))

    def _noise(self, batch: Tensor, amount: Tensor, corner: Tensor) -> Tensor:
        channels, rows, columns = batch.shape[1:]
        field = _noise_field(self.noise_seed, channels, rows, columns, str(batch.device))
        # A window of the field, twice as high and as wide as an image, at a corner of its own.
        tops, lefts = (
            ((1 + corner[:, axis]) / 2 * size).long().clamp_max(size)
            for axis, size in ((0, rows), (1, columns))
        )
        down = tops[:, None] + torch.arange(rows, device=batch.device)
        # A view of every window of a row: a whole row is then copied at once, not value by value.
        windows = field.unfold(2, columns, 1)
        drawn = windows[:, down, lefts[:, None]].transpose(0, 1)
        least, most = _range(batch)
        return drawn.to(batch.dtype).mul_(
            NOISE * (amount[:, None, None, None] + 1) / 2 * (most - least)
        )


@functools.lru_cache(maxsize=2)
def _noise_field(seed: int, channels: int, rows: int, columns: int, device: str) -> Tensor:
    """Gaussian noise (channels, 2 rows, 2 columns), drawn on the CPU so that devices agree."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(channels, 2 * rows, 2 * columns, generator=generator).to(device)


def _range(batch: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the greatest value of each image, (n, 1, 1, 1)."""
    # One side after the other: along rows each is vectorised, and aminmax is not.
    return batch.amin(3).amin((1, 2))[:, None, None, None], batch.amax(3).amax((1, 2))[
        :, None, None, None
    ]


def _mirror(batch: Tensor, mirrored: Tensor, slices: int) -> Tensor:
    order = torch.arange(batch.shape[1], device=batch.device)
    reverse = order.view(-1, slices).flip(1).flatten()
    channels = torch.where(mirrored[:, None], reverse, order)
    return batch[torch.arange(len(batch), device=batch.device)[:, None], channels]


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


def _recolour_(batch: Tensor, gamma: Tensor, contrast: Tensor, brightness: Tensor) -> Tensor:
    """Change the intensities of a batch in place: it is the copy that moving made."""
    gamma, contrast, brightness = (
        value[:, None, None, None] for value in (gamma, contrast, brightness)
    )
    least, most = _range(batch)
    scale = (most - least).clamp_min(1e-6)
    unit = batch.sub_(least).div_(scale).clamp_min_(1e-6).pow_(GAMMA**gamma)
    factor = 1 + CONTRAST * contrast
    mean = unit.mean(dim=(1, 2, 3), keepdim=True)
    unit.mul_(factor).add_(mean * (1 - factor) + BRIGHTNESS * brightness)
    return unit.clamp_(0, 1).mul_(scale).add_(least)
