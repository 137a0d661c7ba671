"""Draws a healthy cervical spine.

Diameters of canal and cord follow the spine-generic cohort (203 adults; Valosek and Bedard 2024,
doi 10.1162/imag_a_00075); bodies follow dry-bone series enlarged by 1 to 2 mm, as bodies look on
MRI; lordosis follows a meta-analysis (doi 10.1186/s13018-018-0854-6), straightened because
patients lie. Everything else is a choice.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from cervispine.phantom.randomness import Stream, generator, truncated_normal
from cervispine.phantom.specification import DISCS, VERTEBRAE, Anatomy

__all__ = ["sample_anatomy", "sample_subject"]

#: Average heights and depths of the bodies C2 (with the dens) to T4, and disc heights, mm.
BODY_HEIGHTS = (35.0, 13.0, 12.6, 12.3, 12.6, 14.0, 16.0, 17.2, 18.0, 18.5)
BODY_DEPTHS = (14.5, 15.0, 15.2, 15.5, 16.2, 16.4, 17.0, 18.0, 19.0, 20.0)
DISC_HEIGHTS = (5.0, 5.2, 5.3, 5.3, 5.6, 5.2, 4.8, 4.8, 4.8)
SPINOUS_LENGTHS = (19.0, 11.0, 11.5, 13.0, 19.0, 28.0, 30.0, 31.0, 32.0, 32.0)
SPINOUS_DROPS = (5.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 18.0, 20.0, 22.0)


def sample_subject(seed: int) -> tuple[int, Literal["M", "F"]]:
    """Return age in years and sex, of a surgical cohort."""
    random = generator(seed, Stream.SUBJECT)
    age = round(truncated_normal(random, 60, 9, 35, 84))
    return age, "M" if random.random() < 0.62 else "F"


def sample_anatomy(seed: int, sex: Literal["M", "F"]) -> Anatomy:
    """Return one patient's anatomy before any degeneration."""
    random = generator(seed, Stream.ANATOMY)

    def varied(
        values: tuple[float, ...], deviation: float, scale: float = 1.0
    ) -> tuple[float, ...]:
        factors = random.normal(1, deviation, len(values))
        return tuple((np.array(values) * scale * factors).tolist())

    scale = truncated_normal(random, 1.03 if sex == "M" else 0.95, 0.045, 0.84, 1.16)
    changed = random.random(len(DISCS)) < 0.22
    endplates = np.where(changed, random.normal(0, 0.35, len(DISCS)), 0)
    return Anatomy(
        scale=scale,
        body_heights=varied(BODY_HEIGHTS, 0.03, scale),
        body_depths=varied(BODY_DEPTHS, 0.03, scale),
        disc_heights=varied(DISC_HEIGHTS, 0.08, scale),
        canal=truncated_normal(random, 12.9, 1.0, 10.8, 15.6),
        cord=truncated_normal(random, 7.3, 0.5, 6.0, 8.6),
        ligament=float(random.uniform(0.7, 1.2)),
        ligament_variation=float(random.uniform(0.0, 0.8)),
        lordosis=truncated_normal(random, 12, 10, -12, 38),
        thoracic_slope=truncated_normal(random, 23, 7, 6, 40),
        sway=float(random.normal(0, 1.6)),
        scoliosis=float(random.normal(0, 2.2)),
        scoliosis_length=float(random.uniform(120, 260)),
        scoliosis_phase=float(random.uniform(0, 2 * np.pi)),
        offset=float(random.normal(0, 2.5)),
        tilt=float(random.normal(0, 0.02)),
        rotation=float(random.normal(0, 0.035)),
        centre=(float(random.normal(76, 5)) * scale, float(random.normal(6, 5))),
        neck=truncated_normal(random, 1.0, 0.1, 0.8, 1.3),
        fat=truncated_normal(random, 9, 4.5, 3, 24),
        muscle_fat=float(random.beta(2, 5)),
        marrow_fat=float(random.uniform(0.7, 1.25)),
        marrow_texture=float(random.uniform(0.06, 0.18)),
        spinous_lengths=varied(SPINOUS_LENGTHS, 0.10, scale),
        spinous_drops=varied(SPINOUS_DROPS, 0.15),
        marrow_levels=tuple(random.normal(1, 0.05, len(VERTEBRAE)).tolist()),
        endplate_changes=tuple(endplates.tolist()),
    )
