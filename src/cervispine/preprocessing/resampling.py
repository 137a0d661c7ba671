"""In-plane resampling by a matrix for each axis: exact positions, antialiased, nothing rounded."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

__all__ = ["Axis", "resample"]


@attrs.frozen(kw_only=True)
class Axis:
    """Where the output samples of one image axis lie, in units of input pixels.

    Parameters
    ----------
    count
        How many output samples.
    start
        Position of the centre of the first one; 0 is the centre of the first input pixel.
    step
        Distance from one to the next.
    """

    count: int
    start: float
    step: float

    @classmethod
    def centred(cls, centre: float, *, count: int, step: float) -> Axis:
        """Return the axis whose samples lie evenly about a position."""
        return cls(count=count, start=centre - step * (count - 1) / 2, step=step)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Float64 (count,): centres of the output samples."""
        return self.start + self.step * np.arange(self.count, dtype=np.float64)

    def inside(self, size: int) -> NDArray[np.bool_]:
        """Bool (count,): which samples lie within an image of ``size`` pixels, edges included."""
        return (self.positions >= -0.5) & (self.positions <= size - 0.5)

    def weights(self, size: int) -> sparse.csr_array:
        """Sparse float64 (count, size): what each input pixel gives to each output sample.

        Linear interpolation where the output is finer; where it is coarser, the triangle is
        widened to the output's spacing, which takes out what would alias. Each row sums to one
        over the pixels that exist, so the image goes on beyond its edge as it ends. The same as
        ``torch.nn.functional.interpolate(mode="bilinear", antialias=True)``, at any position.
        """
        reach = max(1.0, self.step)
        nearest = np.clip(self.positions, -0.5, size - 0.5)
        first = np.ceil(nearest - reach).astype(np.int64)
        inputs = first[:, None] + np.arange(int(2 * reach) + 1)
        weights = np.maximum(1.0 - np.abs(inputs - nearest[:, None]) / reach, 0.0)
        weights[(inputs < 0) | (inputs >= size)] = 0.0
        weights /= weights.sum(axis=1, keepdims=True)
        starts = np.arange(0, weights.size + 1, weights.shape[1])
        content = weights.ravel(), np.clip(inputs, 0, size - 1).ravel(), starts
        return sparse.csr_array(content, shape=(self.count, size))


def resample(images: NDArray[np.float32], rows: Axis, columns: Axis) -> NDArray[np.float32]:
    """Sample images at the positions of two axes.

    Parameters
    ----------
    images
        float32 (n, rows, columns).
    rows, columns
        Where to sample.

    Returns
    -------
    float32 (n, rows.count, columns.count)
        Beyond the image's edge, its edge.
    """
    left = rows.weights(images.shape[1]).astype(np.float32)
    right = columns.weights(images.shape[2]).astype(np.float32)
    # Only the pixels that give anything are multiplied: the crop comes before the resampling.
    # Of the rows, the product itself leaves out those that give nothing.
    first, last = int(right.indices.min()), int(right.indices.max()) + 1
    right = right[:, first:last]
    resampled = np.empty((len(images), rows.count, columns.count), dtype=np.float32)
    for image, result in zip(images, resampled, strict=True):
        result[...] = (right @ (left @ image[:, first:last]).T).T
    return resampled
