"""The values that say everything about one synthetic patient.

A specification holds what was *drawn*; nothing random is left to the renderer but textures and
noise, which come from the specification's own seed. Lengths are millimetres. ``position`` along
the spine is the arc length behind the vertebral bodies, zero at the tip of the dens, growing
downwards; ``depth`` is the distance behind the posterior vertebral wall.
"""

from __future__ import annotations

import itertools
import json
import types
import typing
from typing import Any, Literal, TypeVar

import attrs

from cervispine.records.labels import OPLLType

__all__ = [
    "DISCS",
    "VERTEBRAE",
    "Anatomy",
    "Contrast",
    "CordLesion",
    "DiscChange",
    "Label",
    "Mimic",
    "PatientSpecification",
    "Plaque",
    "Protocol",
    "Ridge",
    "Sequence",
    "from_json",
    "to_json",
]

Label = Literal["OPLL", "DSS"]
Sequence = Literal["T2", "T1"]

VERTEBRAE = ("C2", "C3", "C4", "C5", "C6", "C7", "T1", "T2", "T3", "T4")
DISCS = tuple(
    f"{upper}/{lower[1:] if upper[0] == lower[0] else lower}"
    for upper, lower in itertools.pairwise(VERTEBRAE)
)

Value = TypeVar("Value")


@attrs.frozen(kw_only=True)
class Contrast:
    """Repetition and echo time of a spin echo, ms, and the length of its echo train."""

    repetition_time: float
    echo_time: float
    echo_train: int


@attrs.frozen(kw_only=True)
class Protocol:
    """How one patient is scanned; drawn without sight of the label.

    Attributes
    ----------
    site : str
        The simulated scanner, one of a few.
    field_strength : float
        Tesla.
    slices
        Number of sagittal slices.
    thickness
        Of a slice, mm.
    gap
        Between two slices, mm.
    field_of_view
        Edge of the square image, mm.
    matrix
        Pixels along that edge.
    read_lines, phase_lines : int
        Acquired lines of k-space; the rest of the matrix is zero-filled.
    phase_direction : {"rows", "columns"}
        Image axis of the phase encoding: along the rows' index (head to feet) or the columns'.
    signal_to_noise : float
        Mean cord signal over the noise's standard deviation.
    apodisation, shading, motion, flow_void, saturation : float
        Strength of the k-space filter, the coil's fall-off, ghosts, loss of signal in moving
        cerebrospinal fluid and the anterior saturation band, 0 to 1.
    gain : float
        Stored value of the mean cord signal.
    yaw, roll : float
        Obliquity of the stack, radians.
    instance_order : {"ascending", "descending", "interleaved"}
        How InstanceNumber follows the position along the slice normal.
    t2, t1 : Contrast
    """

    site: str
    field_strength: float
    slices: int
    thickness: float
    gap: float
    field_of_view: float
    matrix: int
    read_lines: int
    phase_lines: int
    phase_direction: Literal["rows", "columns"]
    signal_to_noise: float
    apodisation: float
    shading: float
    motion: float
    flow_void: float
    saturation: float
    gain: float
    yaw: float
    roll: float
    instance_order: Literal["ascending", "descending", "interleaved"]
    t2: Contrast
    t1: Contrast

    @property
    def pixel_spacing(self) -> float:
        """Edge of a pixel, mm."""
        return self.field_of_view / self.matrix

    @property
    def slice_spacing(self) -> float:
        """Distance between slice centres, mm."""
        return self.thickness + self.gap

    def contrast(self, sequence: Sequence) -> Contrast:
        """Return the times of a sequence."""
        return self.t2 if sequence == "T2" else self.t1


@attrs.frozen(kw_only=True)
class Anatomy:
    """Size, posture and tissue of one patient, without any disease.

    Tuples run from C2 to T4 (ten vertebrae) or C2/3 to T3/4 (nine discs).

    Attributes
    ----------
    scale : float
        Size of the patient; 1 is the average adult.
    body_heights, body_depths, disc_heights : tuple of float
        mm; the height of C2 includes the dens.
    canal, cord : float
        Anteroposterior diameters at C5, mm.
    ligament : float
        Thickness of the posterior longitudinal ligament with the dura, mm.
    ligament_variation : float
        How much thicker the ligament gets in places, mm.
    lordosis, thoracic_slope, sway : float
        Cobb angle C2-C7, slope of T1 and a mid-cervical wave, degrees.
    scoliosis, scoliosis_length, scoliosis_phase
        Amplitude and length of the lateral wave of the spine, mm, and its phase, radians.
    offset, tilt, rotation
        Shift of the spine from the middle of the stack, mm; its lateral tilt and its rotation
        about its axis, radians.
    centre : tuple of float
        Position along the spine and depth of the image centre, mm.
    neck : float
        Girth of the neck; 1 is average.
    fat : float
        Thickness of the subcutaneous fat, mm.
    muscle_fat, marrow_fat, marrow_texture : float
        Fatty infiltration of muscle, fat of the marrow (1 is average) and its mottling.
    spinous_lengths, spinous_drops : tuple of float
        Length of the spinous processes and how far they point down, mm.
    marrow_levels, endplate_changes : tuple of float
        Brightness of each body's marrow, and of the marrow beside each disc, relative.
    """

    scale: float
    body_heights: tuple[float, ...]
    body_depths: tuple[float, ...]
    disc_heights: tuple[float, ...]
    canal: float
    cord: float
    ligament: float
    ligament_variation: float
    lordosis: float
    thoracic_slope: float
    sway: float
    scoliosis: float
    scoliosis_length: float
    scoliosis_phase: float
    offset: float
    tilt: float
    rotation: float
    centre: tuple[float, float]
    neck: float
    fat: float
    muscle_fat: float
    marrow_fat: float
    marrow_texture: float
    spinous_lengths: tuple[float, ...]
    spinous_drops: tuple[float, ...]
    marrow_levels: tuple[float, ...]
    endplate_changes: tuple[float, ...]

    @property
    def body_tops(self) -> tuple[float, ...]:
        """Position of the upper end of each vertebral body, mm."""
        tops, position = [], 0.0
        for body, disc in zip(self.body_heights, (*self.disc_heights, 0.0), strict=True):
            tops.append(position)
            position += body + disc
        return tuple(tops)

    @property
    def body_bottoms(self) -> tuple[float, ...]:
        """Position of the lower end of each vertebral body, mm."""
        return tuple(
            top + height for top, height in zip(self.body_tops, self.body_heights, strict=True)
        )

    @property
    def disc_centres(self) -> tuple[float, ...]:
        """Position of the middle of each disc, mm."""
        return tuple(
            bottom + height / 2
            for bottom, height in zip(self.body_bottoms, self.disc_heights, strict=False)
        )


@attrs.frozen(kw_only=True)
class DiscChange:
    """Degeneration of one level.

    Attributes
    ----------
    level : str
        Such as ``"C5/6"``.
    grade : float
        0 (bright, high) to 1 (dark, collapsed).
    bulge, osteophyte, anterior_osteophyte, flavum : float
        How far disc, bone and ligamentum flavum reach out of their place, mm.
    reach : float
        How far the bulge reaches beyond the endplates, mm.
    offset, width : float
        Where the bulge peaks beside the midline and its half-width, mm.
    darkness : float
        Signal of the bulge: 0 as grey as the disc, 1 nearly black.
    tilt : float
        Slope of the disc space, as mm per mm of depth.
    """

    level: str
    grade: float
    bulge: float
    osteophyte: float
    anterior_osteophyte: float
    flavum: float
    reach: float
    offset: float
    width: float
    darkness: float
    tilt: float


@attrs.frozen(kw_only=True)
class Ridge:
    """The shape of a mass on the back of the vertebral column.

    Attributes
    ----------
    top, bottom : float
        Where it begins and ends along the spine, mm.
    thickness : float
        As drawn, mm; the canal may leave less room.
    offset, width : float
        Where it peaks beside the midline and its half-width, mm.
    edge : float
        Length over which it rises, mm.
    waves : tuple of float
        Unevenness of its thickness along the spine.
    """

    top: float
    bottom: float
    thickness: float
    offset: float
    width: float
    edge: float
    waves: tuple[float, ...]


@attrs.frozen(kw_only=True)
class Plaque:
    """An ossified part of the posterior longitudinal ligament.

    Attributes
    ----------
    shape : Ridge
    levels : tuple of str
        The vertebrae it lies behind.
    marrow : float
        Share of fatty marrow in its core, 0 to 1.
    fibrous : float
        Share of tissue not ossified yet, 0 to 1.
    """

    shape: Ridge
    levels: tuple[str, ...]
    marrow: float
    fibrous: float


@attrs.frozen(kw_only=True)
class Mimic:
    """A mass of the same kind of shape that is not ossified; either class may have it.

    Attributes
    ----------
    shape : Ridge
    substance : {"ligament", "disc"}
        Hypertrophied ligament, or disc material that migrated behind a body.
    darkness : float
        0 has the signal of its substance, 1 that of ossified tissue.
    """

    shape: Ridge
    substance: Literal["ligament", "disc"]
    darkness: float


@attrs.frozen(kw_only=True)
class CordLesion:
    """High T2 signal in the cord at the narrowest place; lengths in mm."""

    position: float
    length: float
    strength: float


@attrs.frozen(kw_only=True)
class PatientSpecification:
    """One synthetic patient.

    ``plaques`` and ``opll_type`` are all that the label decides; they are empty and None in
    patients with degenerative stenosis.
    """

    seed: int
    label: Label
    difficulty: float
    age: int
    sex: Literal["M", "F"]
    protocol: Protocol
    anatomy: Anatomy
    discs: tuple[DiscChange, ...]
    mimics: tuple[Mimic, ...]
    lesion: CordLesion | None
    opll_type: OPLLType | None = None
    plaques: tuple[Plaque, ...] = ()


def to_json(value: Any) -> str:
    """Return a frozen value of this package as JSON text; floats are exact."""
    return json.dumps(attrs.asdict(value), indent=1, allow_nan=False)


def from_json(kind: type[Value], text: str) -> Value:
    """Return the value of class `kind` that :func:`to_json` wrote.

    Raises
    ------
    TypeError
        If a field is missing or unknown.
    """
    return typing.cast(Value, _structure(kind, json.loads(text)))


def _structure(kind: Any, data: Any) -> Any:
    """Build nested attrs values and tuples from the lists and dictionaries of JSON."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        (kind,) = (option for option in typing.get_args(kind) if option is not type(None))
        return None if data is None else _structure(kind, data)
    if origin is tuple:
        options = typing.get_args(kind)
        kinds = [options[0]] * len(data) if options[-1] is Ellipsis else options
        return tuple(_structure(each, item) for each, item in zip(kinds, data, strict=True))
    if attrs.has(kind):
        hints = typing.get_type_hints(kind)
        # A field that is unknown has no hint; the class itself says so.
        return kind(**{name: _structure(hints.get(name), item) for name, item in data.items()})
    return data
