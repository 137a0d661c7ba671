"""Where a stack of parallel slices lies in the patient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from operator import mul

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import GeometryError

__all__ = ["Geometry", "are_orthonormal"]

#: How far direction cosines may be from unit length and right angles (highdicom uses 1e-3 too).
COSINE_TOLERANCE = 1e-3


def are_orthonormal(row: Sequence[float], column: Sequence[float]) -> bool:
    """Tell whether two direction cosines are unit vectors at a right angle, up to rounding."""

    def dot(one: Sequence[float], other: Sequence[float]) -> float:
        return math.fsum(map(mul, one, other))

    # NumPy takes longer to look at three numbers than Python to multiply them.
    faults = abs(dot(row, row) - 1), abs(dot(column, column) - 1), abs(dot(row, column))
    return max(faults) <= COSINE_TOLERANCE


@attrs.frozen(kw_only=True)
class Geometry:
    """Position, orientation and spacing of a stack of slices, in DICOM patient coordinates (LPS).

    Parameters
    ----------
    origin
        Centre of the first voxel of the first slice (ImagePositionPatient), mm.
    row_cosine
        Direction along a row, in which the column index grows: the first three numbers of
        ImageOrientationPatient.
    column_cosine
        Direction along a column, in which the row index grows: the last three numbers.
    slice_step
        Vector from one slice's origin to the next one's, mm.
    pixel_spacing
        Distance between rows and between columns, mm, in the order of PixelSpacing.

    Raises
    ------
    GeometryError
        When a value is not finite, a spacing not positive, or the cosines not orthonormal.

    Notes
    -----
    DICOM PS3.3 C.7.6.2.1.1. The row direction is stepped by the *second* value of
    PixelSpacing, the distance between columns.
    """

    origin: tuple[float, float, float]
    row_cosine: tuple[float, float, float]
    column_cosine: tuple[float, float, float]
    slice_step: tuple[float, float, float]
    pixel_spacing: tuple[float, float]

    def __attrs_post_init__(self) -> None:
        vectors = (self.origin, self.row_cosine, self.column_cosine, self.slice_step)
        if not all(map(math.isfinite, (*chain(*vectors), *self.pixel_spacing))):
            raise GeometryError("position, orientation or spacing is not a finite number")
        if min(self.pixel_spacing) <= 0 or self.slice_spacing <= 0:
            raise GeometryError("a spacing is not positive")
        if not are_orthonormal(self.row_cosine, self.column_cosine):
            raise GeometryError("the direction cosines are not of unit length at right angles")

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slices, float64 (3,): row cosine x column cosine."""
        return np.cross(self.row_cosine, self.column_cosine).astype(np.float64)

    @property
    def slice_spacing(self) -> float:
        """Distance between the centres of neighbouring slices, mm."""
        return math.hypot(*self.slice_step)

    @property
    def affine(self) -> NDArray[np.float64]:
        """Float64 (4, 4): index (slice, row, column) to patient LPS, mm, at pixel centres."""
        affine = np.eye(4)
        affine[:3, 0] = self.slice_step
        affine[:3, 1] = np.multiply(self.column_cosine, self.pixel_spacing[0])
        affine[:3, 2] = np.multiply(self.row_cosine, self.pixel_spacing[1])
        affine[:3, 3] = self.origin
        return affine
