"""The middle slice of a series as a small picture: enough to see what it is of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cervispine.preprocessing.orientation import orient
from cervispine.records import Series, Volume

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Reader", "thumbnail"]

#: Of the longer side, in pixels.
SIDE = 208

#: Of JPEG; 6 to 8 KB a picture of this size.
QUALITY = 70

#: What is darker is black, what is brighter is white.
PERCENTILES = (1.0, 99.5)


class Reader(Protocol):
    """What reads pixels: a :class:`~cervispine.Loader`, or what does as it does."""

    def read(
        self, study: Series, sequence: str = "T2", *, slices: Sequence[int] | None = None
    ) -> Volume:
        """Read slices of a series."""
        ...


def thumbnail(series: Series, reader: Reader, *, mark: str = "") -> bytes:
    """Return the middle slice of a series as JPEG, head up, with pixels as wide as they are.

    Parameters
    ----------
    series
        As it was indexed; one slice of it is read.
    reader
        What reads it.
    mark
        A word written into the picture, for instance that it is synthetic.

    Raises
    ------
    LoadError
        When the slice cannot be read.
    """
    from PIL import Image, ImageDraw

    volume = reader.read(series, series.sequence, slices=[series.shape[0] // 2])
    if series.plane == "sagittal":
        volume = orient(volume)
    _, between_rows, between_columns = volume.spacing
    grey = _grey(volume.pixels[0])
    height, width = grey.shape[0] * between_rows, grey.shape[1] * between_columns
    scale = SIDE / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(grey).resize(size, Image.Resampling.BOX)
    if mark:
        pen = ImageDraw.Draw(picture)
        left, top, right, bottom = pen.textbbox((4, size[1] - 15), mark)
        pen.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=0)
        pen.text((4, size[1] - 15), mark, fill=255)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return buffer.getvalue()


def _grey(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = np.percentile(pixels, PERCENTILES)
    scaled = (pixels - low) / max(high - low, np.finfo(np.float32).tiny)
    grey: NDArray[np.uint8] = (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
    return grey
