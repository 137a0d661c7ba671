"""Intensities of MR have no unit; each image is put on a scale of its own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import PixelError, UsageError
from cervispine.records import Volume
from cervispine.records.arrays import read_only

__all__ = ["NORMALISATIONS", "normalise", "percentiles"]

NORMALISATIONS = ("percentile", "zscore")

#: Differences below this fraction of the largest value are what rounding leaves of a constant.
FAINTEST_SIGNAL = 1e-5


def percentiles(values: NDArray[np.float32], *percents: float) -> list[float]:
    """Return percentiles, linear between order statistics (Hyndman and Fan's type 7).

    Sorting by NumPy takes a third of the time of ``numpy.percentile``, which does not sort.
    """
    ordered = np.sort(values, axis=None)
    found = []
    for percent in percents:
        place = percent / 100 * (ordered.size - 1)
        below = int(place)
        low, high = float(ordered[below]), float(ordered[min(below + 1, ordered.size - 1)])
        found.append(low + (place - below) * (high - low))
    return found


def normalise(volume: Volume, inside: NDArray[np.bool_], method: str) -> Volume:
    """Put the intensities of a cut volume on a common scale.

    "percentile" maps the 1st percentile to 0 and the 99th to 1, linearly between order
    statistics (Hyndman and Fan's type 7), and clips: air is 0, which is also what a
    convolution pads with. "zscore" subtracts the mean and divides by the standard deviation.
    Both count only pixels inside the image; those outside get the least value of those inside.

    Parameters
    ----------
    volume
        Pixels (slices, rows, columns).
    inside
        bool (rows, columns): pixels whose centre lies inside the image.
    method
        "percentile" or "zscore".

    Raises
    ------
    PixelError
        ``IMAGE_DEGENERATE`` when there is nothing inside, or nothing but one value, up to
        rounding, in the volume or in one of its slices.
    UsageError
        When the method is neither.
    """
    outside = int((~inside).sum())
    slices = volume.pixels[:, inside] if outside else volume.pixels.reshape(len(volume.pixels), -1)
    values = slices.ravel()
    if values.size == 0:
        raise PixelError("the crop lies outside the image", code="IMAGE_DEGENERATE")
    if method == "percentile":
        low, high = percentiles(values, 1, 99)
        shift, scale = low, high - low
        step = f"normalised: percentiles 1 and 99 ({low:g}, {high:g}) to 0 and 1, clipped"
    elif method == "zscore":
        shift, scale = values.mean(dtype=np.float64), values.std(dtype=np.float64)
        step = f"normalised: mean {shift:g} to 0, standard deviation {scale:g} to 1"
    else:
        raise UsageError(f"normalise is one of {', '.join(NORMALISATIONS)}, not {method!r}")
    faintest = FAINTEST_SIGNAL * np.abs(values).max()
    if not scale > faintest:
        raise PixelError("the crop has nearly one value only", code="IMAGE_DEGENERATE")
    # A slab may end in slices of one value; a network is shown none of them.
    if not np.ptp(slices, axis=1).min() > faintest:
        raise PixelError("a slice of the crop has nearly one value only", code="IMAGE_DEGENERATE")
    pixels = (volume.pixels - np.float32(shift)) / np.float32(scale)
    if method == "percentile":
        np.clip(pixels, 0, 1, out=pixels)
    if outside:
        pixels[:, ~inside] = pixels[:, inside].min()
        step += f"; {outside} of {inside.size} pixels lie outside the image and are as dark as air"
    return volume.with_step(step, pixels=read_only(pixels))
