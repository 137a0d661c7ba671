"""Axes in the order and direction that every later step relies on."""

from __future__ import annotations

import numpy as np

from cervispine.exceptions import GeometryError
from cervispine.loading.geometry import COARSEST_PIXEL
from cervispine.records import Volume

__all__ = ["orient"]

#: A volume's axes may be this far from the patient's, degrees.
OBLIQUE_TOLERANCE = 30.0

#: Directions of the slice, row and column index in LPS: to the left, inferior, posterior.
CANONICAL = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def orient(volume: Volume) -> Volume:
    """Permute and flip axes: slices right to left, rows superior to inferior, columns to posterior.

    No value is changed and no position lost: what is oblique stays oblique, and the affine says
    how.

    Parameters
    ----------
    volume
        A sagittal stack, or a volume with pixels fine enough to be cut sagittally.

    Raises
    ------
    GeometryError
        ``PLANE_OTHER``: an axis is more than 30 degrees from the patient's, or the sagittal
        images would be coarser than 2.5 mm.
    """
    directions = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
    cosines = CANONICAL @ directions
    source = np.abs(cosines).argmax(axis=1)
    chosen = cosines[np.arange(3), source]
    if len(set(source)) < 3 or np.abs(chosen).min() < np.cos(np.deg2rad(OBLIQUE_TOLERANCE)):
        raise GeometryError(
            "the volume's axes are more than 30 degrees from the patient's", code="PLANE_OTHER"
        )
    pixels = volume.pixels.transpose(tuple(source))
    affine = volume.affine.copy()
    affine[:3, :3] = affine[:3, source]
    for axis in np.flatnonzero(chosen < 0).tolist():
        pixels = np.flip(pixels, axis)
        affine[:3, 3] += affine[:3, axis] * (pixels.shape[axis] - 1)
        affine[:3, axis] *= -1
    if (coarsest := float(np.linalg.norm(affine[:3, 1:3], axis=0).max())) > COARSEST_PIXEL:
        raise GeometryError(
            f"sagittal images of this volume have pixels of {coarsest:.1f} mm",
            advice="give a sagittal stack",
            code="PLANE_OTHER",
        )
    return volume.with_step(
        "oriented: slices from right to left, rows to inferior, columns to posterior",
        pixels=pixels,
        affine=affine,
    )
