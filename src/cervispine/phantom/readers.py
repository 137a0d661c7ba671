"""Simulated surgeons, who read the phantom as humans were published to read MRI.

Nothing here is evidence about surgeons. Sensitivities by type of OPLL are those of Korean J Spine
2012;9:205 (MRI against CT, 46 patients): continuous 7 of 7, mixed 10 of 12, localized 3 of 5,
segmental 7 of 22. Ratings follow the model of Roe and Metz (Acad Radiol 1997;4:298): a case, a
reader and their interaction each add a normal deviate to a latent impression.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs
import numpy as np
from scipy.special import ndtri

from cervispine.exceptions import UsageError
from cervispine.phantom.randomness import Stream, generator
from cervispine.records.labels import OPLLType

__all__ = ["SENSITIVITY", "SPECIFICITY", "Case", "Reading", "simulate_readers"]

#: Published shares of OPLL found on MRI; 7 of 7 is given as nearly certain, not as certain.
SENSITIVITY: dict[OPLLType, float] = {
    "continuous": 0.99,
    "mixed": 0.83,
    "localized": 0.60,
    "segmental": 0.32,
}
#: Chosen: no reader study of MRI against CT gives it.
SPECIFICITY = 0.90

#: Shares of the latent variance (total 1): the case, its meeting with a reader, and chance.
CASE, READER_CASE, CHANCE = 0.50, 0.30, 0.20
#: Deviation of a reader's skill, apart for diseased and healthy cases.
READER = 0.12
#: Latent bounds of the ratings 1 to 5; a call is a rating of 4 or 5.
BOUNDS = (-0.9, -0.3, 0.0, 0.7)


@attrs.frozen
class Case:
    """A patient to read: ``opll_type`` is None where there is no OPLL."""

    patient: str
    opll_type: OPLLType | None


@attrs.frozen
class Reading:
    """What a simulated surgeon says: ``call`` 0 or 1, ``rating`` 1 (surely not) to 5 (surely)."""

    patient: str
    reader: str
    call: int
    rating: int


def simulate_readers(
    truth: Iterable[Case], *, readers: int = 3, seed: int = 0
) -> tuple[Reading, ...]:
    """Return the readings of simulated surgeons, patient by patient.

    Parameters
    ----------
    truth : iterable of Case
    readers : int
        How many surgeons, named ``simulated-surgeon-1`` and so on.
    seed : int

    Raises
    ------
    UsageError
        If there is no reader.
    """
    if readers < 1:
        raise UsageError("a reader study has at least one reader", where=f"readers={readers}")
    cases = tuple(truth)
    random = generator(seed, Stream.READERS)
    # A mean impression whose normal tail above 0 is the published sensitivity.
    mean = np.array(
        [
            ndtri(1 - SPECIFICITY) if case.opll_type is None else ndtri(SENSITIVITY[case.opll_type])
            for case in cases
        ]
    )
    diseased = np.array([case.opll_type is not None for case in cases], int)
    skill = random.normal(0, READER, (readers, 2))
    latent = (
        mean[:, None]
        + skill[:, diseased].T
        + random.normal(0, np.sqrt(CASE), (len(cases), 1))
        + random.normal(0, np.sqrt(READER_CASE), (len(cases), readers))
        + random.normal(0, np.sqrt(CHANCE), (len(cases), readers))
    )
    ratings = 1 + np.digitize(latent, BOUNDS)
    return tuple(
        Reading(case.patient, f"simulated-surgeon-{number + 1}", int(rating >= 4), int(rating))
        for case, row in zip(cases, ratings, strict=True)
        for number, rating in enumerate(row)
    )
