"""A painter's tools: pictures of several sequences at once, painted tissue over tissue.

Each structure is a soft-edged coverage, computed once; painting it blends the tissue's signal of
every sequence into the picture. What is painted later lies in front.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import attrs
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cervispine.phantom.arrays import Array, Indices
from cervispine.phantom.randomness import Stream, generator
from cervispine.phantom.specification import PatientSpecification
from cervispine.phantom.spine import Spine, index_of

__all__ = ["Brush", "Plane", "Region", "Textures", "bump"]
Palette = Mapping[str, Array]


def bump(values: Array, width: float) -> Array:
    """Return a smooth hill, 1 at 0 and nearly 0 beyond twice the width.

    It stands for a Gaussian; a rational function costs a third.
    """
    square: Array = values * np.float32(1 / width)
    square *= square
    square += 1
    square *= square
    hill: Array = np.reciprocal(square)
    return hill


class Textures:
    """Noise fields of one patient, of deviation 1, that change slowly from plane to plane.

    ``grain`` is fine, ``streak`` runs along the rows' axis, ``cloud`` is coarse.
    """

    KINDS: ClassVar = {"grain": (1.3, 1.3), "streak": (8.0, 1.8), "cloud": (5.0, 5.0)}

    def __init__(self, patient: PatientSpecification) -> None:
        random = generator(patient.seed, Stream.TEXTURES)
        edge = -(-patient.protocol.matrix // 2)
        self.fields: dict[str, tuple[Array, Array]] = {}
        for name, lengths in self.KINDS.items():
            # In millimetres, so that the texture of a tissue does not depend on the matrix.
            deviations = [length / (2 * patient.protocol.pixel_spacing) for length in lengths]
            pair = []
            for _ in range(2):
                noise = random.standard_normal((edge, edge), dtype=np.float32)
                noise = gaussian_filter(noise, deviations, mode="wrap", truncate=3.0)
                noise /= noise.std()
                full = np.repeat(np.repeat(noise, 2, 0), 2, 1)
                pair.append(full[: patient.protocol.matrix, : patient.protocol.matrix].ravel())
            self.fields[name] = (pair[0], pair[1])


@attrs.frozen(eq=False)
class Region:
    """Some pixels of every plane, with their place on the spine.

    Attributes
    ----------
    pixels : ndarray of int
        Flat indices into the picture.
    s, d : ndarray of float32
        Position along the spine and depth behind the wall, mm.
    at : ndarray of int
        Index of ``s`` into the tables.
    fields : dict
        The patient's textures in these pixels.
    spine : dict
        Tables of the spine looked up so far, by name.
    """

    pixels: Indices
    s: Array
    d: Array
    at: Indices
    fields: dict[str, tuple[Array, Array]]
    _tables: Spine
    _looked_up: dict[str, Array] = attrs.field(factory=dict)

    @classmethod
    def where(
        cls, inside: NDArray[np.bool_], s: Array, d: Array, textures: Textures, spine: Spine
    ) -> Region:
        """Return the region of the pixels `inside`."""
        pixels = np.flatnonzero(inside)
        position, depth = s.ravel()[pixels], d.ravel()[pixels]
        at = index_of(position)
        fields = {
            name: (one[pixels], other[pixels]) for name, (one, other) in textures.fields.items()
        }
        return cls(pixels, position, depth, at, fields, spine)

    def of_spine(self, name: str) -> Array:
        """Return a table of the spine in these pixels."""
        if name not in self._looked_up:
            self._looked_up[name] = getattr(self._tables, name)[self.at]
        return self._looked_up[name]

    def part_of(self, chosen: Indices) -> Region:
        """Return a region of some of these pixels."""
        return Region(
            self.pixels[chosen], self.s[chosen], self.d[chosen], self.at[chosen],
            {name: (one[chosen], other[chosen]) for name, (one, other) in self.fields.items()},
            self._tables,
        )  # fmt: skip


@attrs.frozen(eq=False)
class Plane:
    """One sagittal plane.

    Attributes
    ----------
    x : float
        Left-right coordinate, mm.
    row : int
        Its row in the tables of the canal.
    off_midline : float
        Distance to the left of the spine's mid-sagittal plane, on average over the neck, mm.
    """

    x: float
    row: int
    off_midline: float


@attrs.define(eq=False)
class Brush:
    """Paints one region of one plane.

    Attributes
    ----------
    region : Region
    plane : Plane
    palette : mapping
        Signal of each tissue, an array over the sequences.
    pixel : float
        Edge of a pixel, mm: over that length, edges are soft.
    signal : ndarray of float32, shape (sequences, pixels)
        The picture of the region, painted in place.
    rotation : float
        Of the spine about its axis, radians.
    """

    region: Region
    plane: Plane
    palette: Palette
    pixel: float
    signal: Array
    rotation: float = 0.0

    def inside(self, distance: Array) -> Array:
        """Return the coverage of what lies where a signed distance, mm, is positive."""
        coverage = distance * np.float32(1 / self.pixel)
        coverage += np.float32(0.5)
        return np.clip(coverage, 0, 1, out=coverage)

    def between(self, front: Array, back: Array) -> Array:
        """Return the coverage of an interval of depths."""
        return self.inside(self.region.d - front) * self.inside(back - self.region.d)

    def ellipse(
        self, s: float, d: float, half_s: float, half_d: float, *, slope: float = 0.0
    ) -> Array:
        """Return the signed distance into an ellipse, roughly, mm; `slope` leans it, d per s."""
        along = self.region.s - np.float32(s)
        across = (self.region.d - np.float32(d) - np.float32(slope) * along) / np.float32(half_d)
        along = along / np.float32(half_s)
        radius = np.sqrt(along * along + across * across)
        return np.float32(min(half_s, half_d)) * (1 - radius)

    def texture(self, name: str) -> Array:
        """Return a texture in this plane."""
        one, other = self.region.fields[name]
        phase = self.plane.x / 9.0
        return one * np.float32(np.cos(phase)) + other * np.float32(np.sin(phase))

    def paint(
        self, coverage: Array | float, tissue: str, shade: Array | float | None = None
    ) -> None:
        """Blend a tissue into the picture; `shade` multiplies its signal."""
        self.blend(coverage, {tissue: 1.0}, shade)

    def blend(
        self,
        coverage: Array | float,
        mixture: Mapping[str, Array | float],
        shade: Array | float | None = None,
    ) -> None:
        """Blend a mixture of tissues, given by their shares, into the picture."""
        for number, picture in enumerate(self.signal):
            value: Array | float = sum(
                share * self.palette[tissue][number] for tissue, share in mixture.items()
            )
            if shade is not None:
                value = value * shade
            picture += coverage * (value - picture)
