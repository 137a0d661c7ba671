"""Which part of a patient becomes the tensor: found once, cut from every sequence alike."""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import LoadError
from cervispine.preprocessing.resampling import Axis, resample
from cervispine.preprocessing.spine import (
    PIXEL,
    coarse_images,
    even,
    find_canal,
    find_mid_slice,
)
from cervispine.records import Volume
from cervispine.records.arrays import read_only

__all__ = ["LEAVE_OUT", "Window", "cut", "find_window"]

#: What to do where slices lack.
LEAVE_OUT = (
    "leave the study out, as `cervispine infer` does; before a training, Preprocessor(slices=...) "
    "takes a smaller odd number"
)

#: A canal that stands out less than this is not believed, and the image's centre is taken.
FAINTEST_CANAL = 0.2


@attrs.frozen(kw_only=True, eq=False)
class Window:
    """Where to cut, in the patient: so it can be found on T2 and cut from T1.

    Parameters
    ----------
    centre
        float64 (3,): centre of the middle slice's crop, LPS, mm.
    found_by
        How, as a sentence for the history.
    """

    centre: NDArray[np.float64]
    found_by: str


def find_window(volume: Volume, *, slices: int, height: float) -> Window:
    """Find the mid-sagittal slice and the spine in it.

    The crop is centred on the middle of the image from top to bottom, where technologists put
    the middle of the cervical spine, and on the mean position of the spinal canal within the
    crop from front to back; on the image's centre when no canal stands out.

    Parameters
    ----------
    volume
        As :func:`~cervispine.preprocessing.orientation.orient` gives it.
    slices
        How many neighbouring slices will be cut; odd.
    height
        Of the crop, mm.

    Raises
    ------
    LoadError
        ``SLICES_TOO_FEW``.
    """
    count, rows, columns = volume.pixels.shape
    if count < slices:
        raise LoadError(
            f"{count} slices where {slices} are needed",
            advice=LEAVE_OUT,
            code="SLICES_TOO_FEW",
        )
    spacing = volume.spacing
    coarse, row_axis, column_axis = coarse_images(volume.pixels, spacing[1:])
    evened = even(coarse)
    canal = find_canal(coarse, evened)
    mid = find_mid_slice(evened, canal, range(slices // 2, count - slices // 2))
    row, column = (rows - 1) / 2, (columns - 1) / 2
    found_by = f"slice {mid} of {count} is nearest to the plane of symmetry; "
    if canal.score < FAINTEST_CANAL:
        found_by += "no spinal canal stands out, so the crop is centred on the image"
    else:
        canal_rows = row_axis.positions[canal.rows]
        # However low the crop, the nearest row of the coarse image is within it.
        within = np.abs(canal_rows - row) * spacing[1] <= max(height / 2, PIXEL)
        column = float(column_axis.positions[canal.columns[within]].mean())
        found_by += "the crop is centred on the spinal canal"
    centre = volume.affine @ (mid, row, column, 1.0)
    return Window(centre=centre[:3], found_by=found_by)


def cut(
    volume: Volume, window: Window, *, slices: int, size: tuple[int, int], spacing: float
) -> tuple[Volume, NDArray[np.bool_]]:
    """Cut a window out of an oriented volume and resample it in-plane.

    Parameters
    ----------
    volume
        As :func:`~cervispine.preprocessing.orientation.orient` gives it.
    window
        Where.
    slices
        How many neighbouring slices; odd.
    size
        Rows and columns wanted.
    spacing
        Of the pixels wanted, mm.

    Returns
    -------
    volume : Volume
        Pixels (slices, *size); beyond the image's edge, its edge.
    inside : bool (rows, columns)
        Which pixels have their centre inside the image.

    Raises
    ------
    LoadError
        ``SLICES_TOO_FEW`` when the volume does not reach so far to the left or right.
    """
    mid, row, column, _ = np.linalg.inv(volume.affine) @ (*window.centre, 1.0)
    first = round(float(mid)) - slices // 2
    if first < 0 or first + slices > volume.pixels.shape[0]:
        raise LoadError(
            f"the {volume.sequence} series has not {slices} slices about the middle one",
            advice=LEAVE_OUT,
            code="SLICES_TOO_FEW",
        )
    rows = Axis.centred(float(row), count=size[0], step=spacing / volume.spacing[1])
    columns = Axis.centred(float(column), count=size[1], step=spacing / volume.spacing[2])
    affine = volume.affine.copy()
    affine[:3, 3] += volume.affine[:3, :3] @ (first, rows.start, columns.start)
    affine[:3, 1] *= rows.step
    affine[:3, 2] *= columns.step
    inside = np.outer(rows.inside(volume.pixels.shape[1]), columns.inside(volume.pixels.shape[2]))
    resampled = read_only(resample(volume.pixels[first : first + slices], rows, columns))
    step = (
        f"cut {slices} slices from slice {first} on, {size[0]} x {size[1]} pixels of "
        f"{spacing:g} mm by linear interpolation, antialiased where that is coarser"
    )
    located = volume.with_step(window.found_by, pixels=resampled, affine=affine)
    return located.with_step(step, pixels=resampled), inside
