"""dark_band: what a ruler sees, so that a network has something to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, uniform_filter1d

from cervispine.exceptions import UsageError

__all__ = ["DARK_BAND", "dark_band"]

#: What :func:`dark_band` measures, in its order; "smooth" is averaged over 6 mm of height.
DARK_BAND = (
    "mean thickness, mm",
    "median thickness, mm",
    "90th percentile of thickness, mm",
    "greatest smooth thickness, mm",
    "share of rows thicker than 2 mm",
    "share of rows with a smooth thickness over 2.5 mm",
    "mean change from row to row, mm",
)

#: Darker than this share of the canal's brightness is dark: cortical bone, ligament, annulus.
DARK = 0.3

# In millimetres.
CANAL_WIDTH = 10.0
CANAL_SLOPE = 3.5
IN_FRONT = 18.0
SMOOTH = 6.3
MARGIN = 21.0


def dark_band(images: ArrayLike, spacing: float) -> NDArray[np.float64]:
    """Measure the dark band between the vertebral bodies and the spinal canal, row by row.

    On T2 the ossified ligament is a dark band in front of the bright canal, and so are a desiccated
    disc, the annulus and an osteophyte. These seven numbers know the band's thickness and nothing
    else about the image. A classifier of them is what a network has to beat before anybody says
    that it has learned more than to look for something dark.

    In every row the canal is the brightest stretch of 10 mm near the one of the row above; the
    thickness is the longest run of dark pixels within the 18 mm in front of its middle.

    Parameters
    ----------
    images
        (n, rows, columns): mid-sagittal T2, not negative, the spine in the middle, the front of
        the patient to the left, as the middle channel of :class:`cervispine.Preprocessor`'s
        images with ``normalise="percentile"``.
    spacing
        Of the pixels, mm.

    Returns
    -------
    float64 (n, 7)
        In the order of :data:`DARK_BAND`.

    Raises
    ------
    UsageError
        The images are something else, not two rows higher than 42 mm, or not wider than 36 mm.
    """
    pixels = np.asarray(images, dtype=np.float64)
    if pixels.ndim != 3 or not np.isfinite(pixels).all() or (pixels < 0).any():
        raise UsageError("dark_band takes images (n, rows, columns) that are finite, not negative")
    # From row to row there is a change only where two rows are left between the margins.
    inner = pixels.shape[1] - 2 * round(MARGIN / spacing)
    if inner < 2 or pixels.shape[2] * spacing <= 2 * IN_FRONT:
        raise UsageError("dark_band takes images of more than 42 mm (by two rows) by 36 mm")
    return np.array([_measure(_thickness(image, spacing), spacing) for image in pixels])


def _thickness(image: NDArray[np.float64], spacing: float) -> NDArray[np.float64]:
    """Return the thickness of the band in each row but the outermost, mm."""
    fine = gaussian_filter(image, 0.5 / spacing)
    stretch = uniform_filter1d(
        gaussian_filter(image, (4.2 / spacing, 1 / spacing)), round(CANAL_WIDTH / spacing)
    )
    half, front = round(CANAL_WIDTH / 2 / spacing), round(IN_FRONT / spacing)
    step, margin = max(round(CANAL_SLOPE / spacing), 1), round(MARGIN / spacing)
    columns = image.shape[1]
    first, last = columns // 2 - front, columns // 2 + front
    low, high = first, last
    thickness = []
    for row in range(margin, len(image) - margin):
        canal = low + int(stretch[row, low:high].argmax())
        low, high = max(first, canal - step), min(last, canal + step + 1)
        bright = np.percentile(fine[row, max(0, canal - half) : canal + half + 1], 60)
        in_front = fine[row, max(0, canal - front) : canal]
        thickness.append(_longest_run(in_front < DARK * bright) * spacing)
    return np.array(thickness)


def _longest_run(dark: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(dark, prepend=False, append=False))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _measure(thickness: NDArray[np.float64], spacing: float) -> list[float]:
    smooth = uniform_filter1d(thickness, round(SMOOTH / spacing))
    return [
        float(thickness.mean()),
        float(np.median(thickness)),
        float(np.percentile(thickness, 90)),
        float(smooth.max()),
        float((thickness > 2).mean()),
        float((smooth > 2.5).mean()),
        float(np.abs(np.diff(thickness)).mean()),
    ]
