"""Positions and orientations to planes, and to one regular stack along its normal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import GeometryError
from cervispine.records import Geometry
from cervispine.records.geometry import are_orthonormal

__all__ = [
    "COARSEST_PIXEL",
    "PLANES",
    "check_cosines",
    "distances",
    "evenness",
    "plane_of",
    "stack_slices",
]

#: The plane across each patient axis: x left, y posterior, z superior (LPS).
PLANES = ("sagittal", "coronal", "axial")

#: A plane is named when its normal is this close to a patient axis, degrees.
PLANE_TOLERANCE = 30.0

#: An image with larger pixels was not acquired in its plane, but cut from a stack in another, mm.
COARSEST_PIXEL = 2.5

#: How far gaps between slices may differ unless a loader is told otherwise, as a fraction of the
#: usual gap.
USUAL_TOLERANCE = 0.01

#: Positions are written with as few as two decimals; noise of that size is never a fault, mm.
ROUNDING = 0.01


def check_cosines(orientation: Sequence[float]) -> None:
    """Refuse six direction cosines that are not two unit vectors at a right angle.

    Raises
    ------
    GeometryError
        With the code ``GEOMETRY_INVALID``.
    """
    if not all(map(math.isfinite, orientation)):
        raise GeometryError("ImageOrientationPatient is not finite")
    if not are_orthonormal(orientation[:3], orientation[3:]):
        raise GeometryError("ImageOrientationPatient is not two unit vectors at a right angle")


def plane_of(orientation: Sequence[float]) -> str:
    """Return "sagittal", "coronal" or "axial", or "oblique" beyond 30 degrees of all three."""
    normal = np.abs(np.cross(orientation[:3], orientation[3:]))
    nearest = int(np.argmax(normal))
    within = normal[nearest] >= np.cos(np.deg2rad(PLANE_TOLERANCE))
    return PLANES[nearest] if within else "oblique"


def stack_slices(
    positions: NDArray[np.float64],
    orientation: Sequence[float],
    pixel_spacing: tuple[float, float],
    *,
    tolerance: float,
) -> tuple[NDArray[np.int64], Geometry]:
    """Order slices along their normal and describe the stack, or refuse it.

    Parameters
    ----------
    positions
        float64 (n, 3): ImagePositionPatient of each slice, mm, in any order; n >= 2.
    orientation
        ImageOrientationPatient, common to all.
    pixel_spacing
        PixelSpacing, common to all: between rows, between columns, mm.
    tolerance
        How far a gap between slices may be from the median gap, and a slice from the normal
        through its neighbour, as a fraction of the median gap (1 % in highdicom too).

    Returns
    -------
    order : int64 (n,)
        Indices into ``positions``, by the projection on row cosine x column cosine. Neither
        InstanceNumber nor file names take part: both are often missing or reversed.
    geometry : Geometry

    Raises
    ------
    GeometryError
        ``SLICE_DUPLICATE``, ``SPACING_IRREGULAR`` or ``GEOMETRY_INVALID``.
    """
    normal = np.cross(orientation[:3], orientation[3:])
    order = np.argsort(positions @ normal, kind="stable")
    ordered = positions[order]
    steps = np.diff(ordered, axis=0)
    gaps = steps @ normal
    usual = float(np.median(gaps))
    allowed = tolerance * usual + ROUNDING
    if gaps.min() <= allowed:
        duplicates = int((gaps <= allowed).sum())
        raise GeometryError(
            f"{duplicates} slice(s) lie where another one lies", code="SLICE_DUPLICATE"
        )
    if (worst := np.abs(gaps - usual).max()) > allowed:
        raise GeometryError(
            f"the gap between slices is {usual:.3f} mm, but one differs by {worst:.3f} mm: "
            "a slice is missing, or misplaced",
            code="SPACING_IRREGULAR",
        )
    sideways = np.linalg.norm(steps - np.outer(gaps, normal), axis=1).max()
    if sideways > allowed:
        raise GeometryError(
            f"the slices are not stacked along their normal: one is {sideways:.3f} mm aside"
        )
    geometry = Geometry(
        origin=_triple(ordered[0]),
        row_cosine=_triple(orientation[:3]),
        column_cosine=_triple(orientation[3:]),
        slice_step=_triple((ordered[-1] - ordered[0]) / (len(ordered) - 1)),
        pixel_spacing=pixel_spacing,
    )
    return order.astype(np.int64), geometry


def distances(
    geometry: Geometry, positions: Iterable[Sequence[float]], *, first: int = 0
) -> Iterator[float]:
    """Give how far each position is from where the geometry puts its slice, mm.

    Parameters
    ----------
    geometry
        Of the stack.
    positions
        Of slices that follow one another.
    first
        Index of the first of them.
    """
    for index, position in enumerate(positions, start=first):
        expected = [
            start + index * step
            for start, step in zip(geometry.origin, geometry.slice_step, strict=True)
        ]
        yield math.dist(position, expected)


def evenness(geometry: Geometry, count: int) -> float:
    """Return how far slices of an even stack may be from where its geometry puts them, mm.

    A gap may differ by the usual tolerance, and such differences add up; two decimals round both
    the position and the origin.
    """
    return USUAL_TOLERANCE * geometry.slice_spacing * count + 2 * ROUNDING


def _triple(vector: Sequence[float] | NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = vector
    return float(x), float(y), float(z)
