"""The canal in each sagittal plane: what narrows it, and what is left for the cord.

Fairness lives here. Disc, bone and flavum decide, without the label, the narrowest place of a
patient's canal. A mass on the back of the column (plaque or mimic) may take what room there is
beyond that, at every level, and no more: where a level is as narrow already, the mass replaces
the soft tissue it would have pushed back. So a plaque can be thick behind a body, where flavum
and disc leave room, and continuous across the worst level, and still the narrowest sac and the
most compressed cord of twins are equal.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from cervispine.phantom.arrays import Array, Indices
from cervispine.phantom.specification import PatientSpecification, Ridge
from cervispine.phantom.spine import POSITIONS, Spine, smoothed

__all__ = ["Band", "Canal", "Severity", "severity"]

#: Space between cord and dura on either side that a compressed cord keeps, mm.
CLEARANCE = 0.25
#: Dura and epidural tissue between flavum and sac, mm.
DURA = 0.7
#: A mass thinner than this is not there, mm.
THINNEST = 0.3


@attrs.frozen(eq=False)
class Band:
    """Masses in the canal: tables over (plane, position), mm behind the wall.

    ``which`` numbers the mass that lies there, -1 for none.
    """

    front: Array
    back: Array
    which: Indices

    @property
    def thickness(self) -> Array:
        """Thickness, mm, 0 where there is none."""
        return self.back - self.front

    def of_planes(self, planes: slice) -> Band:
        """Return the masses in some of the planes."""
        return Band(self.front[planes], self.back[planes], self.which[planes])


@attrs.frozen(eq=False, kw_only=True)
class Canal:
    """Tables of shape (planes, positions), depth behind the vertebral wall in mm.

    Attributes
    ----------
    lateral
        Distance of the plane from the mid-sagittal plane of the spine, to the left.
    bulge, osteophyte
        Back of the disc's material and of bony spurs.
    flavum
        Thickening of the ligamentum flavum.
    lamina
        Front of the posterior arch.
    ventral, dorsal
        Front and back of the dural sac.
    mimics, plaques : Band
    cord_front, cord_back
        Surfaces of the cord; equal where the plane misses it.
    compression
        Diameter of the cord over its natural diameter, on the mid-sagittal plane.
    """

    lateral: Array
    bulge: Array
    osteophyte: Array
    flavum: Array
    lamina: Array
    ventral: Array
    dorsal: Array
    mimics: Band
    plaques: Band
    cord_front: Array
    cord_back: Array
    compression: Array

    @classmethod
    def of(cls, patient: PatientSpecification, spine: Spine, planes: Array) -> Canal:
        """Return the canal in the planes at left-right coordinates `planes`, mm."""
        # The first row is the mid-sagittal plane, which rules the others; it is cut off again.
        lateral = np.vstack([np.zeros_like(POSITIONS), planes[:, None] - spine.middle])
        bulge, osteophyte, flavum = _degeneration(patient, lateral)
        lamina = spine.canal * np.clip(1 - (np.abs(lateral) / 14.5) ** 2.6, 0.05, 1)
        dorsal = smoothed(lamina - DURA - flavum, 1.0)
        soft = smoothed(np.maximum(bulge, osteophyte), 0.8) + spine.ligament
        soft = np.minimum(soft, dorsal - 2.2)

        searched = _searched(patient)
        left = dorsal[0] - soft[0]
        reserve = np.maximum(
            left[searched].min(),
            _compression(left, spine)[searched].min() * spine.cord + 2 * CLEARANCE,
        )
        furthest = dorsal - reserve
        mimics = _stack([mimic.shape for mimic in patient.mimics], lateral, soft, furthest, spine)
        plaques = _stack(
            [plaque.shape for plaque in patient.plaques], lateral, mimics.back, furthest, spine
        )
        ventral = plaques.back
        compression = _compression(dorsal[0] - ventral[0], spine)
        front, back = _cord(spine, lateral, ventral, dorsal, compression)

        return cls(
            lateral=lateral[1:],
            bulge=bulge[1:],
            osteophyte=osteophyte[1:],
            flavum=flavum[1:],
            lamina=lamina[1:],
            ventral=ventral[1:],
            dorsal=dorsal[1:],
            mimics=mimics.of_planes(slice(1, None)),
            plaques=plaques.of_planes(slice(1, None)),
            cord_front=front[1:],
            cord_back=back[1:],
            compression=compression,
        )


@attrs.frozen(kw_only=True)
class Severity:
    """How narrow the canal is on the mid-sagittal plane, C2/3 to C7.

    Attributes
    ----------
    narrowest_sac : float
        Least diameter of the dural sac, mm.
    compression : float
        Least cord diameter over the natural one.
    worst_position : float
        Where along the spine the cord is most compressed, mm.
    plaque_thickness, occupying_ratio : float
        Greatest thickness of a plaque, mm, and the greatest share of the canal's diameter that a
        plaque takes; 0 without plaques.
    """

    narrowest_sac: float
    compression: float
    worst_position: float
    plaque_thickness: float
    occupying_ratio: float


def severity(patient: PatientSpecification) -> Severity:
    """Return the narrowing of a patient's canal, plaques included."""
    spine = Spine.of(patient)
    canal = Canal.of(patient, _straightened(spine), np.zeros(1, np.float32))
    searched = np.flatnonzero(_searched(patient))
    sac = (canal.dorsal - canal.ventral)[0]
    thickness = canal.plaques.thickness[0]
    worst = searched[canal.compression[searched].argmin()]
    return Severity(
        narrowest_sac=float(sac[searched].min()),
        compression=float(canal.compression[worst]),
        worst_position=float(POSITIONS[worst]),
        plaque_thickness=float(thickness.max()),
        occupying_ratio=float((thickness / (spine.canal - spine.wall)).max()),
    )


def _straightened(spine: Spine) -> Spine:
    """Return a spine whose mid-sagittal plane is the plane at 0 mm."""
    return attrs.evolve(spine, middle=np.zeros_like(spine.middle))


def _searched(patient: PatientSpecification) -> NDArray[np.bool_]:
    """Return the positions from the C2/3 disc to the lower end of C7."""
    anatomy = patient.anatomy
    upper, lower = anatomy.body_bottoms[0] - 1.0, anatomy.body_bottoms[5]
    return (upper < POSITIONS) & (lower > POSITIONS)


def _compression(sac: Array, spine: Spine) -> Array:
    return np.clip((sac - 2 * CLEARANCE) / spine.cord, 0.0, 1.0)


def _degeneration(patient: PatientSpecification, lateral: Array) -> tuple[Array, Array, Array]:
    """Return back of the bulges, back of the osteophytes and thickening of the flavum."""
    bulge, osteophyte, flavum = (np.zeros_like(lateral) for _ in range(3))
    anatomy = patient.anatomy
    for change, centre, height in zip(
        patient.discs, anatomy.disc_centres, anatomy.disc_heights, strict=True
    ):
        near = np.abs(POSITIONS - centre) < 16
        away, half = POSITIONS[near] - np.float32(centre), height / 2
        across = np.exp(-(np.abs((lateral[:, near] - change.offset) / change.width) ** 3))
        disc = change.bulge * np.exp(-(np.abs(away / (half + change.reach)) ** 2.6))
        spur = sum(
            change.osteophyte * np.exp(-(((away - side * (half + 1.3)) / 2.0) ** 2))
            for side in (-1, 1)
        )
        fold = change.flavum * np.exp(-(np.abs((away - 1.5) / 5.0) ** 2.4))
        bulge[:, near] = np.maximum(bulge[:, near], across * disc)
        osteophyte[:, near] = np.maximum(osteophyte[:, near], across * spur)
        flavum[:, near] = np.maximum(flavum[:, near], fold)
    return bulge, osteophyte, flavum


def _stack(
    ridges: Sequence[Ridge], lateral: Array, surface: Array, furthest: Array, spine: Spine
) -> Band:
    """Lay masses behind a surface, as far as they may go; then into it."""
    thickness = np.zeros_like(lateral)
    which = np.full(lateral.shape, -1, np.intp)
    for number, ridge in enumerate(ridges):
        near = (ridge.top - 6 < POSITIONS) & (ridge.bottom + 6 > POSITIONS)
        here = _thickness(ridge, POSITIONS[near], lateral[:, near])
        thicker = here > np.maximum(thickness[:, near], THINNEST)
        thickness[:, near] = np.where(thicker, here, thickness[:, near])
        which[:, near] = np.where(thicker, number, which[:, near])
    present = which >= 0
    back = np.where(
        present, np.maximum(surface, np.minimum(surface + thickness, furthest)), surface
    )
    front = np.where(present, np.maximum(back - thickness, spine.wall), back)
    return Band(front, back, which)


def _thickness(ridge: Ridge, position: Array, lateral: Array) -> Array:
    """Return the thickness of a mass, mm, as drawn."""
    along = (position - ridge.top) / (ridge.bottom - ridge.top)
    uneven = sum(
        height * np.sin(np.pi * (number + 1) * along) / (1 + 0.4 * number)
        for number, height in enumerate(ridge.waves)
    )
    edge = ridge.edge / 3
    rise = expit((position - ridge.top) / edge) * expit((ridge.bottom - position) / edge)
    profile = ridge.thickness * np.clip(1 + 0.1 * uneven, 0.45, 1.35) * rise
    across: Array = np.exp(-(np.abs((lateral - ridge.offset) / ridge.width) ** 4))
    thickness: Array = (across * profile).astype(np.float32)
    return thickness


def _cord(
    spine: Spine, lateral: Array, ventral: Array, dorsal: Array, compression: Array
) -> tuple[Array, Array]:
    """Return front and back of the cord: it gives way first, and is flattened then."""
    diameter = spine.cord * compression
    low, high = ventral[0] + CLEARANCE + diameter / 2, dorsal[0] - CLEARANCE - diameter / 2
    middle = smoothed((ventral[0] + dorsal[0]) / 2 - np.float32(0.2), 6.0)
    middle = smoothed(np.clip(middle, low, np.maximum(low, high)), 1.0)
    # A flattened cord is wider, up to a fifth.
    width = spine.cord_width * (1 + np.clip(0.25 * (1 / np.maximum(compression, 0.2) - 1), 0, 0.2))
    half = diameter / 2 * np.sqrt(np.clip(1 - (lateral / width) ** 2, 0, 1))
    front = np.maximum(middle - half, ventral + CLEARANCE)
    back = np.maximum(np.minimum(middle + half, dorsal - CLEARANCE), front)
    return smoothed(np.where(half > 0, front, middle), 0.8), smoothed(
        np.where(half > 0, back, middle), 0.8
    )
