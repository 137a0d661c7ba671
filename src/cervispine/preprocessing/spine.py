"""Where the spinal canal runs and which slice is mid-sagittal, from the images themselves.

Both are found on images of 2 mm pixels, evened out so that neither the coil's shading nor the
scanner's scale matters.

**The canal** is the longest band of the canal's width. Each pixel scores how much brighter a
band of 11 mm about it is than the brighter of its two flanks, averaged over the slices with the
middle ones counting most; the path of the highest total score from top to bottom is found by
dynamic programming. The skin and the fat under it are bands too, so only what lies 25 to 100 mm
under the skin of the back is considered.

**The mid-sagittal slice** is where the patient is his own mirror image: slices equally far from
the plane of symmetry, to its left and right, correlate best (Ardekani et al., IEEE Trans Med
Imaging 16:947, 1997, for the head). The correlation is taken in the strip along the canal,
measured against the mean correlation of slices that distance apart, and weighed against the
distance from the middle of the stack, where technologists put the midline.

The constants were set on rendered phantoms and checked on two real images.
"""

from __future__ import annotations

import functools

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cervispine.preprocessing.normalisation import percentiles
from cervispine.preprocessing.resampling import Axis, resample

__all__ = ["Canal", "coarse_images", "find_canal", "find_mid_slice"]

#: Pixels of the images searched, mm.
PIXEL = 2.0

#: Half the width of the band, and the far edge of its flanks, mm.
BAND, FLANK = 5.0, 11.0

#: How deep under the skin of the back the canal may lie, mm.
SHALLOWEST, DEEPEST = 25.0, 100.0

#: What a path costs at the left or right edge of the image: technologists centre the spine.
COLUMN_PRIOR = 0.6

#: What a path costs for each column that it moves.
MOVE = 0.05

#: Rows searched, as fractions of the image's height: skull and shoulders are left out.
TOP, BOTTOM = 0.1, 0.95

#: Half the width of the strip along the canal in which slices are compared, mm.
STRIP = 30.0

#: How far the smoothing of the strip reaches, coarse pixels: four of its deviations.
REACH = 4

#: How many slices apart the mirrored slices may be.
FARTHEST = 12

#: What leaving the middle of the stack costs, in correlation at its very end.
CENTRE_PRIOR = 0.45


@attrs.frozen(eq=False)
class Canal:
    """The path of the spinal canal, in coarse pixels: a column for each of some rows."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    score: float


def coarse_images(
    images: NDArray[np.float32], spacing: tuple[float, float]
) -> tuple[NDArray[np.float32], Axis, Axis]:
    """Return images of 2 mm pixels, evened to local mean 0 and variance about 1, and their axes.

    Parameters
    ----------
    images
        float32 (slices, rows, columns).
    spacing
        Between rows and between columns, mm.
    """
    rows, columns = (
        Axis.centred((size - 1) / 2, count=max(1, round(size * each / PIXEL)), step=PIXEL / each)
        for size, each in zip(images.shape[1:], spacing, strict=True)
    )
    return resample(images, rows, columns), rows, columns


def even(coarse: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return images with local mean 0 and, where there is signal, local deviation about 1."""
    down, across = (_smoothing(size) for size in coarse.shape[1:])
    mean = down @ coarse @ across.T
    deviation = np.sqrt(np.maximum(down @ coarse**2 @ across.T - mean**2, 0))
    floor = 0.05 * percentiles(coarse, 99.9)[0]
    return np.asarray((coarse - mean) / (deviation + floor + 1e-6), dtype=np.float32)


@functools.lru_cache(maxsize=16)
def _smoothing(size: int) -> NDArray[np.float32]:
    """Return (size, size) weights that average 15 neighbours, and their averages once more.

    Beyond the edge, the image is mirrored. The product of matrices takes a fourth of the time of
    running sums.
    """
    once = ndimage.uniform_filter1d(np.eye(size), 15, axis=0)
    return (once @ once).astype(np.float32)


def find_canal(coarse: NDArray[np.float32], evened: NDArray[np.float32]) -> Canal:
    """Return the path of the canal through the middle of a stack.

    Parameters
    ----------
    coarse, evened
        float32 (slices, rows, columns), as :func:`coarse_images` and :func:`even` give them.
    """
    slices, height, width = evened.shape
    distance = (np.arange(slices) - (slices - 1) / 2) / max(slices / 5, 1)
    middle = np.abs(distance) < 2
    weights = np.exp(-0.5 * distance[middle] ** 2)
    scores = np.clip(_bands(evened[middle]), -1, 2.5)
    bands = np.tensordot(weights / weights.sum(), scores, axes=1)
    bands -= COLUMN_PRIOR * np.linspace(-1, 1, width) ** 2
    bands[~_inner(coarse)] = -1.0
    first, last = int(TOP * height), max(int(BOTTOM * height), int(TOP * height) + 2)
    columns, score = _best_path(bands[first:last])
    return Canal(rows=np.arange(first, first + len(columns)), columns=columns, score=score)


def _bands(evened: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score each pixel: the mean of the band about it less that of its brighter flank."""
    band, flank = round(BAND / PIXEL), round(FLANK / PIXEL)
    width = evened.shape[2]
    sums = np.cumsum(np.pad(evened, ((0, 0), (0, 0), (1, 0))), axis=2)

    def mean(first: int, last: int) -> NDArray[np.float32]:
        left = np.clip(np.arange(width) + first, 0, width - 1)
        right = np.clip(np.arange(width) + last + 1, 1, width)
        right = np.maximum(right, left + 1)
        return np.asarray((sums.take(right, axis=2) - sums.take(left, axis=2)) / (right - left))

    before, behind = mean(-flank, -band - 1), mean(band + 1, flank)
    return mean(-band, band) - np.maximum(before, behind)


def _inner(coarse: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pixels lie as deep under the skin of the back as a canal does."""
    width = coarse.shape[2]
    middle = coarse[len(coarse) // 3 : len(coarse) - len(coarse) // 3]
    mean = middle.mean(axis=0)
    body = ndimage.binary_opening(mean > 0.08 * percentiles(mean, 99.5)[0])
    filled = body.any(axis=1)
    back = np.where(filled, width - 1 - body[:, ::-1].argmax(axis=1), width - 1)
    depth = (back[:, None] - np.arange(width)) * PIXEL
    # A patient who fills the image to its edge shows no skin there to measure from.
    cut_off = back[:, None] >= width - 2
    return np.asarray(cut_off | ((depth >= SHALLOWEST) & (depth <= DEEPEST)))


def _best_path(scores: NDArray[np.float32]) -> tuple[NDArray[np.int64], float]:
    """Return the column a row of the highest total score, moving at most one column a row."""
    height, width = scores.shape
    moves = np.zeros((height, width), dtype=np.int64)
    candidates = np.full((3, width), -np.inf)
    total = scores[0].astype(np.float64)
    for row in range(1, height):
        candidates[0] = total
        candidates[1, 1:] = total[:-1] - MOVE
        candidates[2, :-1] = total[1:] - MOVE
        best = candidates.argmax(axis=0)
        moves[row] = np.array([0, -1, 1])[best]
        total = candidates[best, np.arange(width)] + scores[row]
    columns = np.empty(height, dtype=np.int64)
    columns[-1] = total.argmax()
    for row in range(height - 1, 0, -1):
        columns[row - 1] = columns[row] + moves[row, columns[row]]
    return columns, float(total.max() / height)


def find_mid_slice(evened: NDArray[np.float32], canal: Canal, candidates: range) -> int:
    """Return the index of the slice nearest to the plane of symmetry.

    Parameters
    ----------
    evened
        float32 (slices, rows, columns), as :func:`even` gives it.
    canal
        Along which slices are compared.
    candidates
        Which slices may be chosen.
    """
    slices = len(evened)
    reach = round(STRIP / PIXEL)
    columns = canal.columns[:, None] + np.arange(-reach, reach + 1)
    columns = np.clip(columns, 0, evened.shape[2] - 1)
    # Smoothed only where they are compared, with the margin that the filter reaches.
    top, left = max(int(canal.rows[0]) - REACH, 0), max(int(columns.min()) - REACH, 0)
    bottom, right = int(canal.rows[-1]) + REACH + 1, int(columns.max()) + REACH + 1
    smooth = ndimage.gaussian_filter(evened[:, top:bottom, left:right], (0, 1, 1), radius=REACH)
    strips = smooth[:, canal.rows[:, None] - top, columns - left].reshape(slices, -1)
    strips = strips.astype(np.float64)
    strips -= strips.mean(axis=1, keepdims=True)
    strips /= np.linalg.norm(strips, axis=1, keepdims=True) + 1e-9
    correlation = strips @ strips.T
    for apart in range(1, slices):
        here = np.arange(slices - apart)
        correlation[here, here + apart] -= correlation[here, here + apart].mean()
    best, chosen = -np.inf, (slices - 1) / 2
    for doubled in range(2 * candidates.start, 2 * (candidates.stop - 1) + 1):
        pairs = [
            (left, doubled - left)
            for left in range(slices)
            if left < doubled - left < slices and doubled - 2 * left <= FARTHEST
        ]
        if not pairs:
            continue
        symmetry = np.mean([correlation[pair] for pair in pairs])
        away = (doubled - (slices - 1)) / slices
        score = symmetry - CENTRE_PRIOR * away**2
        if score > best:
            best, chosen = score, doubled / 2
    return min(max(round(chosen), candidates.start), candidates.stop - 1)
