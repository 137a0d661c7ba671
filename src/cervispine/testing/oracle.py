"""A series whose voxels say where they lie: what `check_volume` holds a loader to.

The value of each voxel is made from its position in the patient, so that a flip, an exchange of
rows and columns, a wrong order of slices, a wrong spacing, slope, sign or intercept shows as a
wrong value at some place. The specification knows the right volume by itself, from DICOM PS3.3
C.7.6.2.1.1, and shares no code with any loader.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID, ExplicitVRLittleEndian

from cervispine.exceptions import LoadError, UsageError
from cervispine.records import Volume

__all__ = ["OracleSeries", "check_volume"]

#: Rows run to inferior, columns to posterior: a plain sagittal slice.
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)

#: The plane across each patient axis, and how near its normal must be to that axis, degrees.
PLANES = ("sagittal", "coronal", "axial")
PLANE_TOLERANCE = 30.0

#: How much each patient axis, and its square, adds to a value: no two axes alike, and no shift
#: without a trace, since the squares make a shift differ from place to place.
LINEAR = np.array([0.37, 0.23, 0.17])
SQUARE = np.array([0.05, 0.07, 0.11])


def _frozen(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


@attrs.frozen(kw_only=True, slots=False, eq=False)
class OracleSeries:
    """A series of MR slices to be written, and the volume that must come out of it.

    Parameters
    ----------
    shape
        Slices, rows, columns; at least 2 each.
    orientation
        ImageOrientationPatient: direction along a row, direction along a column, LPS.
    origin
        ImagePositionPatient of the first slice along the normal, mm.
    pixel_spacing
        Distance between rows and between columns, mm.
    gap
        Distance between slices, centre to centre, mm.
    slopes, intercepts
        RescaleSlope and RescaleIntercept of each slice; 1 and 0 when empty.
    signed, bits, allocated
        PixelRepresentation, BitsStored and BitsAllocated (8 or 16).
    photometric
        "MONOCHROME2", or "MONOCHROME1": the same picture, stored the other way round.
    values
        The lowest and the highest value that a voxel comes out as; all that every slice can
        store when empty.
    syntax
        UID of the transfer syntax.
    enhanced
        All slices as the frames of one Enhanced MR file.
    order
        Which place each slice takes among the files (or frames): a permutation of the slices,
        which the name of its file and its InstanceNumber follow. Backwards when empty.
    names
        Names of the files, one a slice; made from the place when empty.
    patient, study, series
        PatientID, StudyInstanceUID and SeriesInstanceUID.
    elements
        Further elements of every file by keyword; None deletes one.

    Raises
    ------
    UsageError
        When the parameters contradict each other, or leave fewer than 16 values to choose from.
    """

    shape: tuple[int, int, int] = (5, 24, 20)
    orientation: tuple[float, ...] = attrs.field(default=SAGITTAL, converter=tuple)
    origin: tuple[float, ...] = attrs.field(default=(-8.0, -10.0, 12.0), converter=tuple)
    pixel_spacing: tuple[float, float] = (0.9, 0.6)
    gap: float = 3.3
    slopes: tuple[float, ...] = attrs.field(default=(), converter=tuple)
    intercepts: tuple[float, ...] = attrs.field(default=(), converter=tuple)
    signed: bool = False
    bits: int = 16
    allocated: int = 16
    photometric: str = "MONOCHROME2"
    values: tuple[float, ...] = ()
    syntax: str = ExplicitVRLittleEndian
    enhanced: bool = False
    order: tuple[int, ...] = attrs.field(default=(), converter=tuple)
    names: tuple[str, ...] = attrs.field(default=(), converter=tuple)
    patient: str = "00123"
    study: str = "1.2.3.1"
    series: str = "1.2.3.1.1"
    elements: Mapping[str, Any] = attrs.field(factory=dict, converter=_frozen)

    def __attrs_post_init__(self) -> None:
        count = self.shape[0]
        _demand(
            len(self.shape) == 3 and min(self.shape) >= 1 and min(self.shape[1:]) >= 2,
            "at least one slice, two rows, two columns",
        )
        _demand(len(self.orientation) == 6, "six numbers of orientation")
        row, column = np.reshape(self.orientation, (2, 3))
        faults = np.abs([row @ row - 1, column @ column - 1, row @ column])
        _demand(bool(faults.max() < 1e-6), "two unit vectors at a right angle")
        _demand(min(*self.pixel_spacing, self.gap) > 0, "spacings above 0")
        for name in ("slopes", "intercepts", "names"):
            given = getattr(self, name)
            _demand(len(given) in (0, count), f"one of {name} for each slice, or none")
        _demand(0 not in self.slopes, "slopes other than 0")
        _demand(sorted(self.order) in ([], list(range(count))), "an order of all slices")
        _demand(self.allocated in (8, 16), "8 or 16 bits allocated")
        _demand(2 <= self.bits <= self.allocated, "no more bits stored than allocated")
        # Encoders write as many bytes a pixel as the bits need, and the file would say otherwise.
        _demand(
            not UID(self.syntax).is_encapsulated or self.bits > self.allocated - 8,
            "no whole byte to spare in what is compressed",
        )
        widest, (low, high) = self._storable, self._range
        _demand(widest[0] <= low < high <= widest[1], "values that every slice can store")
        _demand(
            high - low >= 16 * np.abs(self._slopes).max(), "16 values that every slice can hold"
        )

    @property
    def places(self) -> tuple[int, ...]:
        """The place of each slice among the files or frames."""
        return self.order or tuple(reversed(range(self.shape[0])))

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slices, float64 (3,): row cosine x column cosine."""
        return np.cross(self.orientation[:3], self.orientation[3:]).astype(np.float64)

    @property
    def plane(self) -> str:
        """The plane by name, "oblique" when it is more than 30 degrees from all three."""
        nearest = int(np.abs(self.normal).argmax())
        near = np.abs(self.normal)[nearest] >= np.cos(np.deg2rad(PLANE_TOLERANCE))
        return PLANES[nearest] if near else "oblique"

    @property
    def affine(self) -> NDArray[np.float64]:
        """Float64 (4, 4): index (slice, row, column) to patient LPS, mm, at pixel centres."""
        affine = np.eye(4)
        affine[:3, 0] = self.gap * self.normal
        affine[:3, 1] = np.multiply(self.orientation[3:], self.pixel_spacing[0])
        affine[:3, 2] = np.multiply(self.orientation[:3], self.pixel_spacing[1])
        affine[:3, 3] = self.origin
        return affine

    def corner(self, index: int) -> NDArray[np.float64]:
        """Return ImagePositionPatient of a slice, float64 (3,), mm."""
        return np.asarray(self.origin) + index * self.gap * self.normal

    @cached_property
    def stored(self) -> NDArray[np.int64]:
        """What a slice stores, int64 (slices, rows, columns), before MONOCHROME1 turns it."""
        low, high = self._range
        wanted = low + (high - low) * self._places_as_numbers()
        slopes, intercepts = (
            np.reshape(values, (-1, 1, 1)) for values in (self._slopes, self._intercepts)
        )
        return np.rint((wanted - intercepts) / slopes).astype(np.int64)

    @cached_property
    def pixels(self) -> NDArray[np.float64]:
        """What each voxel must come out as, float64 (slices, rows, columns)."""
        slopes, intercepts = (
            np.reshape(values, (-1, 1, 1)) for values in (self._slopes, self._intercepts)
        )
        return self.stored * slopes + intercepts

    @property
    def lowest(self) -> int:
        """The lowest value that a pixel can store."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The highest value that a pixel can store."""
        return self.lowest + (1 << self.bits) - 1

    @property
    def _slopes(self) -> NDArray[np.float64]:
        return np.array(self.slopes or (1.0,) * self.shape[0], dtype=np.float64)

    @property
    def _intercepts(self) -> NDArray[np.float64]:
        return np.array(self.intercepts or (0.0,) * self.shape[0], dtype=np.float64)

    @property
    def _storable(self) -> tuple[float, float]:
        """The values that every slice can store, with its own slope and intercept."""
        ends = np.outer([self.lowest, self.highest], self._slopes) + self._intercepts
        return float(ends.min(axis=0).max()), float(ends.max(axis=0).min())

    @property
    def _range(self) -> tuple[float, float]:
        low, high = self.values or self._storable
        return low, high

    def _places_as_numbers(self) -> NDArray[np.float64]:
        """Return a number from 0 to 1 made of the position in the patient of each voxel."""
        indices = np.indices(self.shape).reshape(3, -1)
        points = (self.affine[:3, :3] @ indices).T
        points -= points.min(axis=0)
        points /= np.maximum(points.max(axis=0), 1e-6)
        numbers: NDArray[np.float64] = points @ LINEAR + points**2 @ SQUARE
        return numbers.reshape(self.shape)


def check_volume(volume: Volume, series: OracleSeries) -> None:
    """Check that a volume holds each voxel of an oracle's series once, at its place, unchanged.

    The volume may count its axes in any order and direction, as its affine says.

    Parameters
    ----------
    volume
        What a loader returned.
    series
        What was written.

    Raises
    ------
    LoadError
        At the first breach (``LOADER_CONTRACT``): a voxel further than 1e-4 mm from its place,
        or further from its value than 1e-4, or 1e-6 of the largest one, which float32 cannot
        tell apart.
    """
    relative = np.linalg.inv(series.affine) @ volume.affine
    turn = np.rint(relative[:3, :3]).astype(int)
    if not (np.abs(turn).sum(axis=0) == 1).all() or not (np.abs(turn).sum(axis=1) == 1).all():
        raise _breach("the axes of the volume are not those of the slices, rows and columns")
    axes = np.abs(turn).argmax(axis=1)
    shape = tuple(volume.pixels.shape[axis] for axis in axes)
    if shape != series.shape:
        raise _breach(f"{shape} slices, rows and columns where {series.shape} were written")
    flipped = tuple(axis for axis in range(3) if turn[axis, axes[axis]] < 0)
    values = np.flip(volume.pixels.transpose(axes), flipped)
    # Where the voxel at each corner should lie, and where the volume says that it lies.
    corners = np.array(list(itertools.product(*((0, size - 1) for size in shape))))
    ours = series.affine @ np.vstack([corners.T, np.ones(len(corners))])
    sizes = np.reshape(shape, (3, 1))
    theirs = corners.T.copy()
    theirs[list(flipped)] = (sizes - 1 - theirs)[list(flipped)]
    indices = np.empty_like(theirs)
    indices[axes] = theirs
    placed = volume.affine @ np.vstack([indices, np.ones(len(corners))])
    if not (away := float(np.abs(ours - placed).max())) <= 1e-4:
        raise _breach(f"a voxel lies {away:.4g} mm from its place")
    allowed = max(1e-4, 1e-6 * float(np.abs(series.pixels).max()))
    if not (wrong := float(np.abs(values - series.pixels).max())) <= allowed:
        raise _breach(f"a voxel differs by {wrong:.4g} from the value that its place has")


def _breach(what: str) -> LoadError:
    return LoadError(what, where="the volume of an oracle's series", code="LOADER_CONTRACT")


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise UsageError(f"an oracle's series needs {what}")
