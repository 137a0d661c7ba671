"""One NIfTI file: its header, where it lies in the patient, and its pixels.

nibabel parses the header and slices the pixels; what it would let pass is refused here first:
a position that nobody wrote, two that contradict each other, and files that ask for more than
they hold.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import attrs
import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.orientations import (
    apply_orientation,
    axcodes2ornt,
    inv_ornt_aff,
    io_orientation,
    ornt_transform,
)
from numpy.typing import NDArray

from cervispine.exceptions import GeometryError, LoadError, PixelError
from cervispine.loading.geometry import COARSEST_PIXEL, PLANE_TOLERANCE, PLANES
from cervispine.loading.limits import Limits
from cervispine.loading.pixels import fingerprint_of
from cervispine.records import Geometry
from cervispine.records.geometry import COSINE_TOLERANCE

__all__ = ["Content", "Layout", "layout_of", "read_content", "read_nifti_header", "read_pixels"]

#: Where the slice, row and column index grow to, in each plane: as in DICOM of that plane.
DIRECTIONS = {
    "sagittal": ("R", "I", "P"),
    "coronal": ("P", "I", "L"),
    "axial": ("S", "P", "L"),
}

#: Millimetres of the units of NIfTI; 0, which names none, is taken for them, and that is noted.
UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}

#: How far apart qform and sform may put any voxel, and how far pixdim and affine may differ.
AGREEMENT = 0.1
SPACING_TOLERANCE = 0.01

#: What a side of an image of a person measures, mm; other figures are in other units.
PLAUSIBLE_SIDE = (20.0, 2500.0)

#: From RAS, which NIfTI counts in, to LPS, which DICOM does.
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])

#: Larger headers and extensions than this are none.
LARGEST_HEADER = 2**24

_silent = logging.Logger("nibabel, whose messages quote headers")
_silent.addHandler(logging.NullHandler())


@attrs.frozen(kw_only=True, eq=False)
class Layout:
    """How the voxels of a file become slices, rows and columns of a plane.

    Parameters
    ----------
    plane
        "sagittal", "coronal", "axial" or "oblique"; only for the plane wanted does the rest say
        something.
    shape
        Slices, rows, columns.
    geometry
        Where they lie, LPS, mm.
    transform
        nibabel's orientation, float64 (3, 2): for each stored axis, where it goes and whether
        it is flipped.
    units_assumed
        Whether the header names no unit of length.
    """

    plane: str
    shape: tuple[int, int, int]
    geometry: Geometry
    transform: NDArray[np.float64]
    units_assumed: bool


@contextmanager
def _opened(file: Path | bytes) -> Iterator[BinaryIO]:
    """Open a file, inflating it where its first bytes say gzip, with one kind of failure."""
    try:
        with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as inflated:
                    yield cast(BinaryIO, inflated)
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PixelError(
            f"the file is truncated or damaged: {type(error).__name__}", code="NIFTI_TRUNCATED"
        ) from None
    except OSError as error:
        raise LoadError(
            f"the file cannot be read: {type(error).__name__}", code="FILE_UNREADABLE"
        ) from None


def read_nifti_header(file: Path | bytes, limits: Limits) -> nibabel.Nifti1Header:
    """Read a header of NIfTI-1 or NIfTI-2 that describes one volume within the limits.

    Raises
    ------
    LoadError
        ``FILE_UNREADABLE``, ``NIFTI_INVALID``, ``NIFTI_TRUNCATED``, ``NIFTI_DIMENSIONS``,
        ``COLOUR``, ``VALUE_INVALID`` or ``DECODE_BUDGET``.
    """
    with _opened(file) as stream:
        size = len(file) if isinstance(file, bytes) else file.stat().st_size
        packed = isinstance(stream, gzip.GzipFile)
        if size > limits.file_bytes:
            raise LoadError(f"the file has {size} bytes", code="DECODE_BUDGET")
        # Only the header itself: an extension may claim any length.
        block = stream.read(540)
    second = block[4:12] == b"n+2\0\r\n\x1a\n"
    if not second and block[344:348] != b"n+1\0":
        raise LoadError("no NIfTI file of one piece", code="NIFTI_INVALID")
    kind, length = (nibabel.Nifti2Header, 540) if second else (nibabel.Nifti1Header, 348)
    if len(block) < length:
        raise PixelError("the file ends inside its header", code="NIFTI_TRUNCATED")
    try:
        header = cast(Any, kind)(block[:length], check=False)
        header.check_fix(logger=_silent, error_level=35)
        dimensions = [int(value) for value in header["dim"][1 : header["dim"][0] + 1]]
        stored = header.get_data_dtype()
    except Exception as error:  # nibabel raises its own classes and NumPy's
        raise LoadError(
            f"the header cannot be parsed: {type(error).__name__}", code="NIFTI_INVALID"
        ) from None
    if len(dimensions) < 3 or min(dimensions) < 1 or max(dimensions[3:], default=1) > 1:
        raise LoadError(
            f"{' x '.join(map(str, dimensions))} voxels are not one volume", code="NIFTI_DIMENSIONS"
        )
    if stored.kind not in "iuf":
        raise LoadError("voxels that are not one number each", code="COLOUR")
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if not np.isfinite([slope, intercept]).all():
        raise LoadError("scl_slope or scl_inter is not finite", code="VALUE_INVALID")
    header.set_data_shape(dimensions[:3])
    _check_budget(header, size, limits, packed=packed)
    return cast(nibabel.Nifti1Header, header)


def _check_budget(header: nibabel.Nifti1Header, size: int, limits: Limits, *, packed: bool) -> None:
    """Refuse what would take too much to decode, from the header alone."""
    voxels = math.prod(int(side) for side in header.get_data_shape())
    if 4 * voxels > limits.series_bytes:
        raise LoadError(f"{voxels} voxels", code="DECODE_BUDGET")
    # A float in NIfTI-1, of which nibabel makes a whole number without a look.
    offset = float(header["vox_offset"])
    if not 0 <= offset <= LARGEST_HEADER:
        raise LoadError("the pixels begin nowhere in the file", code="NIFTI_INVALID")
    end = int(offset) + voxels * header.get_data_dtype().itemsize
    if packed and end > limits.inflation * size:
        raise LoadError(
            f"it inflates to more than {limits.inflation} times its size", code="DECODE_BUDGET"
        )
    if not packed and end > size:
        raise PixelError("fewer voxels than the header says", code="NIFTI_TRUNCATED")


def layout_of(header: nibabel.Nifti1Header, plane: str, limits: Limits) -> Layout:
    """Say where the voxels lie, as slices of the plane wanted.

    An image belongs to the plane wanted when each axis is within 30 degrees of one of the
    patient's and pixels in that plane are no coarser than 2.5 mm; an isotropic volume so belongs
    to any plane. Else it belongs to the plane across its longest voxel side.

    Raises
    ------
    GeometryError
        ``GEOMETRY_MISSING`` when neither qform nor sform is set; ``GEOMETRY_INVALID`` when they
        contradict each other or pixdim, when the axes are sheared or not finite, or the size is
        not that of a person.
    LoadError
        ``DECODE_BUDGET``.
    """
    unit = int(header["xyzt_units"]) & 7
    if unit not in UNITS:
        raise GeometryError("xyzt_units names no unit of length")
    affine = _affine_of(header)
    affine[:3] *= UNITS[unit]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / spacing
    if np.abs(directions.T @ directions - np.eye(3)).max() > COSINE_TOLERANCE:
        raise GeometryError("the axes are not at right angles")
    sides = spacing * header.get_data_shape()
    # A stack of few slices is thin; its two longer sides are those of the images.
    if not PLAUSIBLE_SIDE[0] <= np.sort(sides)[1] <= np.sort(sides)[2] <= PLAUSIBLE_SIDE[1]:
        raise GeometryError(f"images of {sides.max():g} mm: the unit of length is another")

    start = io_orientation(affine)
    across = [int(np.flatnonzero(start[:, 0] == axis)[0]) for axis in range(3)]
    nearest = np.abs(directions).max(axis=0).min() >= np.cos(np.deg2rad(PLANE_TOLERANCE))
    in_plane = np.delete(spacing, across[PLANES.index(plane)])
    found = plane if in_plane.max() <= COARSEST_PIXEL else PLANES[int(start[spacing.argmax(), 0])]
    transform = ornt_transform(start, axcodes2ornt(DIRECTIONS[plane]))
    shape = np.empty(3, dtype=int)
    shape[transform[:, 0].astype(int)] = header.get_data_shape()
    slices, rows, columns = (int(side) for side in shape)
    if slices > limits.slices or rows > limits.rows or columns > limits.columns:
        raise LoadError(f"{slices} x {rows} x {columns} voxels", code="DECODE_BUDGET")
    turned = RAS_TO_LPS @ affine @ inv_ornt_aff(transform, header.get_data_shape())
    return Layout(
        plane=found if nearest else "oblique",
        shape=(slices, rows, columns),
        geometry=_geometry_of(turned),
        transform=transform,
        units_assumed=unit == 0,
    )


def _affine_of(header: nibabel.Nifti1Header) -> NDArray[np.float64]:
    """Return index to RAS, float64 (4, 4), in the units of the header, once nothing contradicts."""
    try:
        qform, _ = header.get_qform(coded=True)
        sform, _ = header.get_sform(coded=True)
    except Exception:  # a quaternion that is none; the class depends on what is wrong with it
        raise GeometryError("the orientation cannot be computed") from None
    if sform is None and qform is None:
        raise GeometryError(
            "neither qform nor sform is set: nobody wrote where the voxels lie",
            code="GEOMETRY_MISSING",
        )
    affine = np.array(qform if sform is None else sform, dtype=np.float64)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or spacing.min() <= 0:
        raise GeometryError("the affine is not finite, or has an axis without length")
    if qform is not None and sform is not None:
        corners = np.array(np.meshgrid(*([0, side - 1] for side in header.get_data_shape())))
        corners = np.vstack([corners.reshape(3, -1), np.ones(8)])
        apart = np.linalg.norm(((np.asarray(qform) - affine) @ corners)[:3], axis=0).max()
        # A difference that is not finite is a contradiction as well.
        if not apart <= AGREEMENT * spacing.min():
            raise GeometryError("qform and sform contradict each other")
    declared = np.asarray(header["pixdim"][1:4], dtype=np.float64)
    if not np.allclose(declared, spacing, rtol=SPACING_TOLERANCE, atol=0):
        raise GeometryError("pixdim and the affine contradict each other")
    return affine


def _geometry_of(affine: NDArray[np.float64]) -> Geometry:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)

    def triple(vector: NDArray[np.float64]) -> tuple[float, float, float]:
        # Adding zero turns the minus zeros of a change of sign into zeros.
        x, y, z = (float(value) + 0.0 for value in vector)
        return x, y, z

    return Geometry(
        origin=triple(affine[:3, 3]),
        row_cosine=triple(affine[:3, 2] / spacing[2]),
        column_cosine=triple(affine[:3, 1] / spacing[1]),
        slice_step=triple(affine[:3, 0]),
        pixel_spacing=(float(spacing[1]), float(spacing[2])),
    )


@attrs.frozen
class Content:
    """What tells the content of a file from that of others.

    Parameters
    ----------
    digest
        SHA-256 of all voxels as they are stored.
    pixel_hash, appearance
        Of the middle slice, as for a series of DICOM.
    """

    digest: str
    pixel_hash: str
    appearance: str


def read_content(path: Path, header: nibabel.Nifti1Header, layout: Layout) -> Content:
    """Read a whole file once, refuse what is damaged, and say what tells it from others.

    Raises
    ------
    PixelError
        ``NIFTI_TRUNCATED``; ``NIFTI_INVALID`` when the file goes on after its last voxel;
        ``IMAGE_DEGENERATE`` for values that are not finite, or all equal.
    """
    stored = header.get_data_dtype()
    shape = header.get_data_shape()
    length = math.prod(shape) * stored.itemsize
    with _opened(path) as stream:
        stream.seek(header.get_data_offset())
        content = stream.read(length)
        # Reading past the end also checks the sum that gzip keeps of the content.
        rest = stream.read(1)
    if len(content) < length:
        raise PixelError("fewer voxels than the header says", code="NIFTI_TRUNCATED")
    if rest:
        raise PixelError("the file goes on after its last voxel", code="NIFTI_INVALID")
    values = np.frombuffer(content, dtype=stored)
    with np.errstate(over="ignore", invalid="ignore"):
        finite = bool(np.isfinite(_scaled(values, header)).all())
    if not finite:
        raise PixelError("values that are not finite", code="IMAGE_DEGENERATE")
    if values.min() == values.max():
        raise PixelError("all voxels have the same value", code="IMAGE_DEGENERATE")
    turned = apply_orientation(values.reshape(shape, order="F"), layout.transform)
    pixel_hash, appearance = fingerprint_of(turned[layout.shape[0] // 2])
    return Content(hashlib.sha256(content).hexdigest(), pixel_hash, appearance)


def _scaled(values: NDArray[Any], header: nibabel.Nifti1Header) -> NDArray[np.float32]:
    """Return values by the slope and intercept; a slope of zero means, in NIfTI, neither."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or (slope, intercept) == (1, 0):
        return values.astype(np.float32)
    return (values * slope + intercept).astype(np.float32)


def read_pixels(
    file: Path | bytes, header: nibabel.Nifti1Header, layout: Layout, wanted: range
) -> NDArray[np.float32]:
    """Read some slices, float32 (len(wanted), rows, columns), without the others.

    Raises
    ------
    PixelError
        ``NIFTI_TRUNCATED`` or ``PIXELS_INVALID``.
    """
    axis = int(np.flatnonzero(layout.transform[:, 0] == 0)[0])
    count = layout.shape[0]
    flipped = layout.transform[axis, 1] < 0
    first = count - 1 - wanted[-1] if flipped else wanted[0]
    part = [slice(None)] * 3
    part[axis] = slice(first, first + wanted[-1] - wanted[0] + 1, wanted.step)
    with _opened(file) as stream:
        # The spec leaves the scaling out: it is done here, in one precision.
        spec = (header.get_data_shape(), header.get_data_dtype(), header.get_data_offset())
        try:
            stored = np.asarray(ArrayProxy(stream, spec, mmap=False)[tuple(part)])
        except (OSError, EOFError, zlib.error):
            raise
        except Exception as error:
            raise PixelError(f"the voxels cannot be read: {type(error).__name__}") from None
    return np.ascontiguousarray(_scaled(apply_orientation(stored, layout.transform), header))
