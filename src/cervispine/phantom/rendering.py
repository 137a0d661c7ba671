"""From a specification to the images of a series, with the truth in their pixels."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from collections.abc import Sequence as Sequence_
from typing import get_args

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import UsageError
from cervispine.phantom.arrays import Array
from cervispine.phantom.canal import Canal
from cervispine.phantom.canvas import Brush, Plane, Region, Textures
from cervispine.phantom.painting import paint_arches, paint_canal, paint_column, paint_pillars
from cervispine.phantom.scanner import Scanner
from cervispine.phantom.specification import PatientSpecification, Protocol, Sequence
from cervispine.phantom.spine import POSITIONS, Spine
from cervispine.phantom.surroundings import (
    paint_fossa,
    paint_front,
    paint_larynx,
    paint_nape,
    paint_throat,
)
from cervispine.phantom.tissues import signals

__all__ = ["Rendering", "render", "render_sequences"]

#: Planes nearer to the midline than this are averaged over two sub-planes, mm.
PARTIAL_VOLUME = 12.0


@attrs.frozen(eq=False, kw_only=True)
class Rendering:
    """One series, its slices in order along the slice normal (to the patient's right).

    Attributes
    ----------
    sequence : {"T2", "T1"}
    slices : tuple of int
        Which slices of the series these are.
    pixels : ndarray of uint16, shape (slices, rows, columns)
        Stored values of 12 bits.
    plaque, cord : ndarray of bool, shape (slices, rows, columns)
        Where ossified plaque, and cord, fill at least half of a pixel.
    affine : ndarray of float64, shape (4, 4)
        From (slice, row, column) to patient coordinates (left, posterior, superior), mm, at
        pixel centres.
    spacing : tuple of float
        Distance between slices, rows and columns, mm.
    mid_slice : int
        The slice nearest to the mid-sagittal plane of the cervical spine.
    """

    sequence: Sequence
    slices: tuple[int, ...]
    pixels: NDArray[np.uint16]
    plaque: NDArray[np.bool_]
    cord: NDArray[np.bool_]
    affine: NDArray[np.float64]
    spacing: tuple[float, float, float]
    mid_slice: int


def render(
    patient: PatientSpecification,
    *,
    sequence: Sequence = "T2",
    slices: Sequence_[int] | None = None,
) -> Rendering:
    """Return one series of a patient.

    Parameters
    ----------
    patient : PatientSpecification
    sequence : {"T2", "T1"}
    slices : sequence of int, optional
        Which slices, from 0 along the slice normal; all without it. A slice is the same
        whether rendered alone or not.

    Raises
    ------
    UsageError
        If a sequence or a slice does not exist.
    """
    return render_sequences(patient, (sequence,), slices=slices)[0]


def render_sequences(
    patient: PatientSpecification,
    sequences: Sequence_[Sequence],
    *,
    slices: Sequence_[int] | None = None,
) -> tuple[Rendering, ...]:
    """Return several series of a patient; they share the work on the geometry."""
    protocol = patient.protocol
    chosen = tuple(range(protocol.slices)) if slices is None else tuple(slices)
    unknown = [name for name in sequences if name not in get_args(Sequence)]
    if unknown:
        raise UsageError("the phantom's sequences are T2 and T1", where=f"sequence={unknown[0]!r}")
    if any(not 0 <= number < protocol.slices for number in chosen):
        raise UsageError(
            f"the series has slices 0 to {protocol.slices - 1}", where=f"slices={chosen}"
        )
    studio = _Studio.of(patient, sequences)
    scanners = [Scanner(patient.seed, protocol, sequence, studio.depth) for sequence in sequences]
    shape = (len(chosen), protocol.matrix, protocol.matrix)
    pixels = [np.empty(shape, np.uint16) for _ in sequences]
    plaque, cord = np.empty(shape, bool), np.empty(shape, bool)
    for place, number in enumerate(chosen):
        pictures, plaque_share, cord_share = studio.picture(number)
        plaque[place], cord[place] = plaque_share >= 0.5, cord_share >= 0.5
        for image, scanner, picture in zip(pixels, scanners, pictures, strict=True):
            image[place] = scanner.acquire(picture, number)
    return tuple(
        Rendering(
            sequence=sequence,
            slices=chosen,
            pixels=image,
            plaque=plaque,
            cord=cord,
            affine=_affine(protocol, chosen[0]),
            spacing=(protocol.slice_spacing, protocol.pixel_spacing, protocol.pixel_spacing),
            mid_slice=studio.mid_slice,
        )
        for sequence, image in zip(sequences, pixels, strict=True)
    )


@attrs.frozen(eq=False, kw_only=True)
class _Studio:
    """What all planes of a patient share."""

    patient: PatientSpecification
    spine: Spine
    canal: Canal
    planes: tuple[tuple[Plane, ...], ...]
    regions: dict[str, Region]
    palette: dict[str, Array]
    depth: Array
    mid_slice: int

    @classmethod
    def of(cls, patient: PatientSpecification, sequences: Sequence_[Sequence]) -> _Studio:
        protocol, spine = patient.protocol, Spine.of(patient)
        positions = _slice_positions(protocol)
        middle = float(spine.middle[(POSITIONS > 38) & (POSITIONS < 130)].mean())
        planes: list[tuple[Plane, ...]] = []
        coordinates: list[float] = []
        for x in positions:
            near = abs(x - middle) < PARTIAL_VOLUME
            offsets = (-0.25, 0.25) if near else (0.0,)
            group = []
            for offset in offsets:
                place = float(x + offset * protocol.thickness)
                group.append(Plane(place, len(coordinates), place - middle))
                coordinates.append(place)
            planes.append(tuple(group))
        s, d = _spine_coordinates(protocol, spine)
        textures = Textures(patient)
        windows = {
            "nape": d >= 6,
            "throat": (d < -6) & (d > -75) | (d < -6) & (s < 70),
            "larynx": (s > 44) & (d < -8) & (d > -60),
            "front": d < -30,
            "fossa": (s < 4) & (d > -34) & (d < 100),
            "column": (s > -14) & (d > -30) & (d < 2.5),
            "arches": (s > -4) & (d > 8) & (d < 62),
            "pillars": (s > 14) & (d > -12) & (d < 16),
            "canal": (s > 0) & (d > -3) & (d < 24),
        }
        tissues = [signals(patient, sequence) for sequence in sequences]
        return cls(
            patient=patient,
            spine=spine,
            canal=Canal.of(patient, spine, np.array(coordinates, np.float32)),
            planes=tuple(planes),
            regions={
                name: Region.where(inside, s, d, textures, spine)
                for name, inside in windows.items()
            },
            palette={
                name: np.array([each[name] for each in tissues], np.float32) for name in tissues[0]
            },
            depth=d,
            mid_slice=int(np.abs(positions - middle).argmin()),
        )

    def picture(self, number: int) -> tuple[Array, Array, Array]:
        """Return signal (sequences, rows, columns), plaque and cord shares of a slice."""
        protocol, group = self.patient.protocol, self.planes[number]
        area = protocol.matrix**2
        sequences = self.palette["cord"].size
        total = np.zeros((sequences, area), np.float32)
        surroundings = np.empty((sequences, area), np.float32)
        surroundings[:] = self.palette["muscle"][:, None]
        # They change slowly from side to side: one plane of the slice serves all.
        with self._brush("nape", group[0], surroundings) as brush:
            paint_nape(brush, self.patient, self.canal)
        with self._brush("throat", group[0], surroundings) as brush:
            paint_throat(brush)
        with self._brush("larynx", group[0], surroundings) as brush:
            paint_larynx(brush)
        with self._brush("front", group[0], surroundings) as brush:
            paint_front(brush)
        with self._brush("fossa", group[0], surroundings) as brush:
            paint_fossa(brush, self.canal)
        shares = np.zeros((2, area), np.float32)
        for plane in group:
            signal = surroundings.copy()

            with self._brush("column", plane, signal) as brush:
                paint_column(brush, self.patient, self.canal)
            with self._brush("pillars", plane, signal) as brush:
                paint_pillars(brush, self.canal)
            with self._brush("arches", plane, signal) as brush:
                paint_arches(brush, self.patient, self.canal)
            with self._brush("canal", plane, signal) as brush:
                plaque, cord = paint_canal(brush, self.patient, self.canal)
            total += signal
            shares[0, brush.region.pixels] += plaque
            shares[1, brush.region.pixels] += cord
        shape = (protocol.matrix, protocol.matrix)
        total /= len(group)
        shares /= len(group)
        return total.reshape(-1, *shape), shares[0].reshape(shape), shares[1].reshape(shape)

    @contextlib.contextmanager
    def _brush(self, name: str, plane: Plane, signal: Array) -> Iterator[Brush]:
        """Lend a brush for one region of a picture; what it painted goes back when it ends."""
        region = self.regions[name]
        brush = Brush(
            region=region,
            plane=plane,
            palette=self.palette,
            pixel=self.patient.protocol.pixel_spacing,
            signal=signal[:, region.pixels],
            rotation=self.patient.anatomy.rotation,
        )
        yield brush
        signal[:, region.pixels] = brush.signal


def _slice_positions(protocol: Protocol) -> NDArray[np.float64]:
    """Return left-right coordinates of the slices; their normal points to the right."""
    last = (protocol.slices - 1) / 2 * protocol.slice_spacing
    return np.linspace(last, -last, protocol.slices)


def _spine_coordinates(protocol: Protocol, spine: Spine) -> tuple[Array, Array]:
    """Return position and depth of each pixel, from a coarser grid: both are smooth."""
    matrix = protocol.matrix
    axis = ((np.arange(matrix) - (matrix - 1) / 2) * protocol.pixel_spacing).astype(np.float32)
    coarse = np.linspace(axis[0], axis[-1], matrix // 4 + 1, dtype=np.float32)
    weights = np.maximum(1 - np.abs(axis[:, None] - coarse) / (coarse[1] - coarse[0]), 0)
    y, z = np.meshgrid(coarse, -coarse)
    s, d = spine.coordinates(y, z)
    return weights @ s @ weights.T, weights @ d @ weights.T


def _affine(protocol: Protocol, first: int) -> NDArray[np.float64]:
    """Return the affine of a stack that begins with slice `first`."""
    yaw, roll = protocol.yaw, protocol.roll
    turn = np.array(
        [[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]]
    ) @ np.array([[np.cos(roll), 0, -np.sin(roll)], [0, 1, 0], [np.sin(roll), 0, np.cos(roll)]])
    half = (protocol.matrix - 1) / 2 * protocol.pixel_spacing
    axes = np.array([[-1.0, 0, 0], [0, 0, 1.0], [0, -1.0, 0]])
    steps = axes * [protocol.slice_spacing, protocol.pixel_spacing, protocol.pixel_spacing]
    affine = np.eye(4)
    affine[:3, :3] = turn @ steps
    affine[:3, 3] = turn @ [_slice_positions(protocol)[first], -half, half]
    return affine
