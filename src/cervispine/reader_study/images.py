"""A Volume as 16-bit frames: what a browser shows with the values that the scanner stored.

Nothing of a header goes along. The slices are those that were acquired, none is computed; rows
run down and columns to posterior, so that the patient looks to the left.
"""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import attrs
import numpy as np

from cervispine.preprocessing.orientation import orient
from cervispine.records import Volume

__all__ = ["IMAGES", "Frames", "heatmap_path", "image_path", "make_frames"]

#: The folder of a study in which they lie.
IMAGES = "images"

#: What is darker is black, what is brighter is white, until a reader sets another window.
PERCENTILES = (1.0, 99.5)

_LEVELS = 2**16
_LOWEST = -(2**15)


@attrs.frozen(kw_only=True)
class Frames:
    """The slices of one series, as they are sent.

    Parameters
    ----------
    sequence
        "T2", "T1" ...
    shape
        Slices, rows, columns.
    spacing
        Between slices, rows, columns, mm.
    window
        The values that are black and white at first.
    slope, intercept
        value = slope * stored + intercept. The slope is 1 where all values are whole numbers that
        16 bits can hold, as in nearly all MRI; otherwise values are off by at most half a step of
        1/65535 of their range.
    content
        int16, little endian, slice by slice and row by row, compressed with gzip.
    """

    sequence: str
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    window: tuple[float, float]
    slope: float
    intercept: float
    content: bytes = attrs.field(repr=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return hashlib.sha256(self.content).hexdigest()


def make_frames(volume: Volume) -> Frames:
    """Return a volume as it is sent.

    Raises
    ------
    GeometryError
        ``PLANE_OTHER``: the volume cannot be shown sagittally.
    """
    volume = orient(volume)
    pixels = volume.pixels
    low, high = float(pixels.min()), float(pixels.max())
    if high - low < _LEVELS and (pixels == np.rint(pixels)).all():
        slope = 1.0
        fits = low >= _LOWEST and high < _LOWEST + _LEVELS
        intercept = 0.0 if fits else low - _LOWEST
    else:
        slope = (high - low) / (_LEVELS - 1)
        intercept = low - _LOWEST * slope
    stored = np.rint((pixels.astype(np.float64) - intercept) / slope).astype("<i2")
    black, white = (float(value) for value in np.percentile(pixels, PERCENTILES))
    slices, rows, columns = stored.shape
    return Frames(
        sequence=volume.sequence,
        shape=(slices, rows, columns),
        spacing=volume.spacing,
        window=(black, max(white, black + slope)),
        slope=slope,
        intercept=intercept,
        # Level 1: a fifth of the time of the usual level, for a tenth more bytes.
        content=gzip.compress(stored.tobytes(), compresslevel=1, mtime=0),
    )


def image_path(folder: Path, case: int, place: int) -> Path:
    """Return where the frames of a case's sequence lie: numbers make the name, nothing else."""
    return folder / IMAGES / f"{case:05d}-{place}.i16.gz"


def heatmap_path(folder: Path, case: int) -> Path:
    """Return where the heat map of a case lies."""
    return folder / IMAGES / f"{case:05d}-heat.png"
