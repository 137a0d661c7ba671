"""Relaxation of tissues, and the signal of a spin echo.

Cerebrospinal fluid, cord, discs and marrow after SyMRI of the spine (AJNR 2018;39:788, doi
10.3174/ajnr.A5566); white matter of the cord at 3 T after Smith 2008 (doi 10.1002/mrm.21596);
muscle after de Bazelaire (Radiology 2004). Marrow is darker than in the first source, as it looks
on turbo spin echoes; fat has the longer T2 that long echo trains give it. Relaxation of ligament,
flavum, ossified and immature tissue is unpublished: chosen.
"""

from __future__ import annotations

import attrs
import numpy as np

from cervispine.phantom.randomness import Stream, generator
from cervispine.phantom.specification import PatientSpecification, Sequence

__all__ = ["TISSUES", "Relaxation", "signals", "spin_echo"]


@attrs.frozen
class Relaxation:
    """T1 and T2 in ms at 1.5 T and at 3 T, and proton density relative to water."""

    t1: tuple[float, float]
    t2: tuple[float, float]
    density: float


TISSUES: dict[str, Relaxation] = {
    "air": Relaxation((1000, 1000), (1, 1), 0.0),
    "csf": Relaxation((4270, 4300), (1500, 1450), 1.05),
    "cord": Relaxation((780, 900), (92, 78), 0.66),
    "brain": Relaxation((820, 1000), (92, 80), 0.70),
    "lesion": Relaxation((950, 1100), (165, 140), 0.74),
    "nucleus": Relaxation((1000, 1150), (88, 80), 0.72),
    "dry nucleus": Relaxation((700, 800), (52, 47), 0.55),
    "annulus": Relaxation((650, 760), (33, 30), 0.45),
    "marrow": Relaxation((430, 480), (74, 66), 0.70),
    "vein": Relaxation((1200, 1500), (130, 105), 0.72),
    "cortex": Relaxation((250, 250), (4, 3), 0.10),
    "ligament": Relaxation((550, 650), (14, 12), 0.28),
    "flavum": Relaxation((600, 700), (30, 27), 0.45),
    "thick ligament": Relaxation((720, 850), (58, 53), 0.56),
    "ossified": Relaxation((260, 270), (5, 4), 0.12),
    "muscle": Relaxation((980, 1250), (42, 37), 0.78),
    "fat": Relaxation((290, 350), (118, 108), 0.92),
    "soft": Relaxation((900, 1100), (58, 52), 0.74),
    "mucosa": Relaxation((1000, 1200), (88, 78), 0.80),
    "gland": Relaxation((700, 850), (66, 60), 0.80),
    "flow": Relaxation((1000, 1000), (1, 1), 0.02),
    "skin": Relaxation((750, 850), (42, 38), 0.6),
}


def spin_echo(
    relaxation: Relaxation, *, strong_field: bool, repetition_time: float, echo_time: float
) -> float:
    """Return the signal of a spin echo: density (1 - exp(-TR/T1)) exp(-TE/T2)."""
    t1, t2 = relaxation.t1[strong_field], relaxation.t2[strong_field]
    return float(relaxation.density * (1 - np.exp(-repetition_time / t1)) * np.exp(-echo_time / t2))


def signals(patient: PatientSpecification, sequence: Sequence) -> dict[str, float]:
    """Return the signal of each tissue in one patient's series, the mean cord being 1."""
    random = generator(patient.seed, Stream.TISSUES)
    contrast = patient.protocol.contrast(sequence)
    strong = patient.protocol.field_strength > 2
    fat = patient.anatomy.marrow_fat
    result = {}
    for name, relaxation in TISSUES.items():
        vary = random.normal(1, [0.05, 0.06, 0.03])
        varied = Relaxation(
            tuple(t1 * vary[0] for t1 in relaxation.t1),
            tuple(t2 * vary[1] for t2 in relaxation.t2),
            relaxation.density * vary[2],
        )
        if name == "marrow":
            # Fatty marrow has shorter T1 and longer T2.
            varied = attrs.evolve(
                varied,
                t1=(varied.t1[0] / fat**0.7, varied.t1[1] / fat**0.7),
                t2=(varied.t2[0] * fat**0.4, varied.t2[1] * fat**0.4),
            )
        result[name] = spin_echo(
            varied,
            strong_field=strong,
            repetition_time=contrast.repetition_time,
            echo_time=contrast.echo_time,
        )
    if sequence == "T2":
        # Long echo trains drive the magnetisation of fluid back.
        result["csf"] *= 1.15
    return {name: value / result["cord"] for name, value in result.items()}
