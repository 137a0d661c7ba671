"""The spine as a curved ruler: positions along it, and what is where, as tables.

Every point of a sagittal plane has a position ``s`` along the posterior vertebral wall and a depth
``d`` behind it. In these coordinates each structure is an interval in ``d`` whose ends depend on
``s`` alone, so a table over ``s`` says where it is.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from cervispine.phantom.arrays import Array, Indices
from cervispine.phantom.randomness import Stream, generator
from cervispine.phantom.specification import DISCS, VERTEBRAE, PatientSpecification

__all__ = ["FIRST", "POSITIONS", "STEP", "Spine", "index_of", "smoothed"]

FIRST, LAST, STEP = -90.0, 260.0, 0.25
#: Sampled positions along the spine, mm.
POSITIONS: Array = np.arange(FIRST, LAST, STEP, dtype=np.float32)


def index_of(position: Array) -> Indices:
    """Return the nearest table entry of positions along the spine, mm."""
    nearest: Indices = np.clip((position - FIRST) / STEP + 0.5, 0, POSITIONS.size - 1).astype(
        np.intp
    )
    return nearest


def smoothed(values: Array, millimetres: float) -> Array:
    """Return tables over position (the last axis), smoothed by a Gaussian."""
    table: Array = gaussian_filter1d(values, millimetres / STEP, axis=-1, truncate=3.0)
    return table


def _table(positions: ArrayLike, values: ArrayLike) -> Array:
    """Return a table that runs straight between knots."""
    knots, heights = np.asarray(positions, np.float64), np.asarray(values, np.float64)
    return np.interp(POSITIONS, knots, heights).astype(np.float32)


def _curve(positions: list[float], values: NDArray[np.float64]) -> Array:
    """Return a table that runs smoothly between knots and stays level beyond them."""
    inside = np.clip(POSITIONS, positions[0], positions[-1])
    return PchipInterpolator(positions, values)(inside).astype(np.float32)


@attrs.frozen(eq=False, kw_only=True)
class Spine:
    """Tables over :data:`POSITIONS` that no disease changes; lengths in mm.

    Attributes
    ----------
    angle, y, z
        Slope of the curve, radians, and its points, posterior and superior.
    middle
        Left-right coordinate of the mid-sagittal plane.
    disc, disc_offset, disc_height
        Number of the nearest disc, signed distance from its middle, half its height.
    arch
        1 at the middle of a body, 0 at its ends.
    front, wall
        Depth of the anterior and posterior surface of the column.
    canal, cord, cord_width
        Diameters; the width is half the cord's.
    ligament
        Thickness of ligament and dura in front of the sac.
    marrow, endplate
        Relative brightness of marrow, of marrow beside the nearest disc.
    ripple
        Smooth noise, of deviation 1, that makes contours uneven.
    skin, fat
        Depth of the skin of the nape; thickness of the fat under it.
    throat, prevertebral, airway, face
        Smoothed front of the column; thickness of the tissue before it and of the air before
        that; depth of the skin in front.
    """

    angle: Array
    y: Array
    z: Array
    middle: Array
    disc: Indices
    disc_offset: Array
    disc_height: Array
    arch: Array
    front: Array
    wall: Array
    canal: Array
    cord: Array
    cord_width: Array
    ligament: Array
    marrow: Array
    endplate: Array
    ripple: Array
    skin: Array
    fat: Array
    throat: Array
    prevertebral: Array
    airway: Array
    face: Array

    @classmethod
    def of(cls, patient: PatientSpecification) -> Spine:
        """Return the tables of a patient."""
        anatomy = patient.anatomy
        tops, bottoms = np.array(anatomy.body_tops), np.array(anatomy.body_bottoms)
        middles = (tops + bottoms) / 2
        angle, y, z = _curvature(patient)
        centres = np.array(anatomy.disc_centres, np.float32)
        disc = np.abs(POSITIONS[:, None] - centres).argmin(1)
        half_heights = np.array(anatomy.disc_heights, np.float32) / 2

        arch = np.zeros_like(POSITIONS)
        for number in range(len(VERTEBRAE)):
            top = tops[number] if number else bottoms[0] - 17
            along = np.clip((POSITIONS - top) / (bottoms[number] - top), 0, 1)
            arch = np.maximum(arch, 4 * along * (1 - along))

        depth = _table(
            [-12, 0, 3, 13, 20, *middles[1:]],
            np.array([7, 8, 10.5, 11, *np.array(anatomy.body_depths) / anatomy.scale])
            * anatomy.scale,
        )
        spurs = np.zeros_like(POSITIONS)
        for change, centre, half in zip(patient.discs, centres, half_heights, strict=True):
            for side in (-1, 1):
                away = (POSITIONS - centre - side * (half + 0.9)) / 1.9
                spurs += np.float32(change.anterior_osteophyte) * np.exp(-(away**2))

        random = generator(patient.seed, Stream.CONTOURS)
        coarse, fine = (_ripple(random, length) for length in (12.0, 4.0))
        side = (
            anatomy.offset
            + anatomy.scoliosis
            * np.sin(2 * np.pi * POSITIONS / anatomy.scoliosis_length + anatomy.scoliosis_phase)
            + anatomy.tilt * (POSITIONS - 76)
        )
        neck = anatomy.neck
        return cls(
            angle=angle,
            y=y,
            z=z,
            middle=side.astype(np.float32),
            disc=disc,
            disc_offset=POSITIONS - centres[disc],
            disc_height=half_heights[disc],
            arch=arch.astype(np.float32),
            front=(-depth * (1 - 0.09 * arch) - spurs).astype(np.float32),
            wall=(-0.9 * arch).astype(np.float32),
            canal=_table(
                [-40, -12, 0, 12, middles[0] + 6, *middles[1:8]],
                np.array([28, 24, 20.5, 17.5, 14.5, 13.1, 12.8, 12.8, 12.7, 12.9, 13.2, 13.4])
                * anatomy.canal
                / 12.8,
            ),
            cord=_table(
                [-60, -38, -26, -12, 0, 20, *middles[1:7]],
                np.array([24, 24, 15, 12, 9.2, 7.8, 7.6, 7.6, 7.5, 7.1, 6.6, 6.3])
                * anatomy.cord
                / 7.5,
            ),
            cord_width=_table(
                [-38, -12, 0, 20, *middles[1:7]],
                [14, 9, 6.6, 5.9, 6.1, 6.5, 6.5, 6.2, 5.5, 4.8],
            ),
            ligament=np.clip(
                anatomy.ligament + anatomy.ligament_variation * (0.4 + 0.5 * coarse), 0.5, 2.6
            ),
            marrow=_table(middles, anatomy.marrow_levels),
            endplate=np.array(anatomy.endplate_changes, np.float32)[disc],
            ripple=fine,
            skin=_curve(
                [-90, -55, -25, 0, 40, 80, 120, 155, 200, 260],
                np.array([92, 92, 86, 77, 69, 68, 73, 79, 84, 88]) * neck,
            )
            + np.float32(0.8) * coarse,
            fat=_curve(
                [-60, 0, 50, 100, 140, 200],
                np.array([0.6, 0.7, 0.85, 1.15, 1.6, 1.4]) * anatomy.fat,
            ),
            throat=smoothed((-depth - 0.8).astype(np.float32), 10.0),
            prevertebral=_curve(
                [-30, 0, 40, 62, 78, 100, 200], np.array([7, 4.5, 3.6, 5.0, 10.5, 12.5, 14])
            )
            * (1 + np.float32(0.06) * coarse),
            airway=_curve(
                [-60, -35, -20, 10, 40, 62, 76, 90, 104, 125, 160],
                np.array([0, 4, 11, 11, 10, 10, 4, 7, 13, 15, 16]),
            )
            * (1 + np.float32(0.08) * coarse),
            face=_curve(
                [-60, 0, 30, 50, 68, 85, 115, 150, 220],
                np.array([-128, -128, -118, -96, -68, -58, -55, -62, -84]) * neck,
            ),
        )

    def coordinates(self, y: Array, z: Array) -> tuple[Array, Array]:
        """Return position and depth of points of a sagittal plane.

        Parameters
        ----------
        y, z : ndarray
            Posterior and superior coordinates, mm, relative to the image centre.
        """
        s = np.interp(-z, -self.z, POSITIONS).astype(np.float32)
        for _ in range(4):
            at = index_of(s)
            angle = self.angle[at]
            step = (y - self.y[at]) * np.sin(angle) - (z - self.z[at]) * np.cos(angle)
            s = np.clip(s + np.float32(0.9) * step, FIRST + 1, LAST - 1)
        angle, foot_y, foot_z = (
            np.interp(s, POSITIONS, table).astype(np.float32)
            for table in (self.angle, self.y, self.z)
        )
        return s, (y - foot_y) * np.cos(angle) + (z - foot_z) * np.sin(angle)


def _curvature(patient: PatientSpecification) -> tuple[Array, Array, Array]:
    """Return slope and points of the curve, the image centre being the origin."""
    anatomy = patient.anatomy
    top, bottom = anatomy.body_tops[0] + 18, anatomy.body_bottoms[VERTEBRAE.index("C7")]
    below = anatomy.body_bottoms[DISCS.index("T2/3")]
    lower = anatomy.thoracic_slope * 0.62
    upper = lower - anatomy.lordosis - 7
    degrees = [
        upper - 8, upper - 8, upper, (upper + lower) / 2 + anatomy.sway, lower,
        anatomy.thoracic_slope * 0.85 + 2, anatomy.thoracic_slope * 0.9 + 6,
    ]  # fmt: skip
    knots = [FIRST, -25, top, (top + bottom) / 2, bottom, below, LAST]
    angle = smoothed(_curve(knots, np.deg2rad(degrees)), 8.0)
    y = np.cumsum(np.sin(angle)) * STEP
    z = -np.cumsum(np.cos(angle)) * STEP
    position, depth = anatomy.centre
    at = int(index_of(np.array(position, np.float32)))
    return angle, (y - y[at] - depth).astype(np.float32), (z - z[at]).astype(np.float32)


def _ripple(random: np.random.Generator, length: float) -> Array:
    """Return smooth noise over position, of deviation about 1."""
    noise = random.standard_normal(POSITIONS.size, dtype=np.float32)
    # A Gaussian of deviation c samples leaves a variance of 1 / (2 c sqrt(pi)).
    return smoothed(noise, length) * np.float32(np.sqrt(2 * np.sqrt(np.pi) * length / STEP))
