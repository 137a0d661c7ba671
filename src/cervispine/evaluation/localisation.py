"""How well heat maps meet what they should: the pointing game and the energy inside a mask."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.checking import check_confidence
from cervispine.evaluation.proportions import proportion
from cervispine.evaluation.resampling import resampled_mean
from cervispine.evaluation.results import Estimate, format_p_value
from cervispine.exceptions import EvaluationError

__all__ = ["Localisation", "Meeting", "localisation", "meet"]


@attrs.frozen(kw_only=True)
class Meeting:
    """How one heat map meets one mask.

    Parameters
    ----------
    distance
        From the strongest pixel to the mask, mm; 0 inside, infinite where a map holds no evidence.
    hit
        Whether that is within the tolerance.
    near
        Share of the pixels that the network was given which lie within the tolerance: how often
        a pixel chosen blindly hits.
    energy
        Share of the map's evidence that lies inside the mask; 0 where there is none.
    area
        Share of the pixels that the network was given inside the mask: what evidence spread
        evenly would have there.
    """

    distance: float
    hit: bool
    near: float
    energy: float
    area: float


def meet(
    values: NDArray[np.floating],
    mask: NDArray[np.bool_],
    *,
    spacing: Sequence[float],
    tolerance: float = 0.0,
    seen: NDArray[np.bool_] | None = None,
) -> Meeting:
    """Hold one heat map against one mask.

    Parameters
    ----------
    values
        Evidence, not negative, of any number of axes.
    mask
        bool, of the same shape: where the evidence should lie.
    spacing
        Distance of the pixels along each axis, mm.
    tolerance
        How far from the mask the strongest pixel still hits, mm.
    seen
        bool, of the same shape: the pixels that the network was given; all when None. Only these
        count.

    Raises
    ------
    EvaluationError
        ``MAP_INVALID``: values that are negative or no numbers. ``MASK_INVALID``: a mask that is
        not boolean, not of the same shape, or marks nothing that the network was given.

    References
    ----------
    Zhang et al. 2018, Int J Comput Vis 126:1084, section 4.1 (the pointing game); Wang et al.
    2020, CVPR Workshops, p. 111, section 4.3 (the energy-based one).
    """
    from scipy.ndimage import distance_transform_edt

    if not np.isfinite(values).all() or (values < 0).any():
        raise EvaluationError(
            "a heat map holds finite values that are not negative",
            where="values",
            advice="np.maximum(values, 0) keeps the evidence for a class",
            code="MAP_INVALID",
        )
    seen = np.ones(values.shape, dtype=bool) if seen is None else seen
    fits = mask.dtype == np.bool_ and mask.shape == values.shape == seen.shape
    if not fits or not (mask & seen).any():
        raise EvaluationError(
            "a mask is boolean, of the map's shape, and marks something the network was given",
            where="mask",
            code="MASK_INVALID",
        )
    away = distance_transform_edt(~mask, sampling=spacing)
    evidence = np.where(seen, values, 0)
    total = float(evidence.sum(dtype=np.float64))
    distance = float(away.flat[int(evidence.argmax())]) if total else np.inf
    return Meeting(
        distance=distance,
        hit=distance <= tolerance,
        near=float((away[seen] <= tolerance).mean()),
        energy=float(evidence[mask].sum(dtype=np.float64)) / total if total else 0.0,
        area=float(mask[seen].mean()),
    )


@attrs.frozen(kw_only=True)
class Localisation:
    """How well the heat maps of several cases meet their masks.

    Parameters
    ----------
    pointing
        Share of the cases whose strongest pixel hits.
    pointing_by_chance
        What pixels chosen blindly would reach.
    p_value
        How likely chance reaches at least as many hits; one-sided and exact.
    energy
        Mean share of the evidence inside the mask.
    energy_by_chance
        What evidence spread evenly would reach.
    distance
        Median distance of the strongest pixel from the mask, mm.
    """

    pointing: Estimate
    pointing_by_chance: float
    p_value: float
    energy: Estimate
    energy_by_chance: float
    distance: float

    def summary(self) -> str:
        """Return the sample before the figures."""
        return (
            f"{self.pointing.n} cases\n"
            f"strongest pixel hits {self.pointing}, by chance {self.pointing_by_chance:.3f}, "
            f"{format_p_value(self.p_value)}\n"
            f"evidence inside {self.energy}, by chance {self.energy_by_chance:.3f}\n"
            f"median distance of the strongest pixel {self.distance:.1f} mm"
        )


def localisation(
    meetings: Sequence[Meeting],
    *,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Localisation:
    """Sum up how heat maps meet their masks, one a patient.

    Parameters
    ----------
    meetings
        Of independent cases, all by one tolerance. A map without evidence is a miss.
    confidence
        Of the intervals: Wilson's for the pointing game, the bootstrap's percentiles for energy.
    resamples
        How often the bootstrap draws, at least 100 times.
    seed
        Decides what the bootstrap draws.

    Raises
    ------
    EvaluationError
        ``NO_TRIALS`` when there are no cases.
    UsageError
        Fewer than 100 resamples, or a seed that is no whole number from 0.
    """
    check_confidence(confidence)
    hits = sum(meeting.hit for meeting in meetings)
    pointing = proportion(hits, len(meetings), confidence=confidence)
    chances = [meeting.near for meeting in meetings]
    energies = np.array([meeting.energy for meeting in meetings])
    return Localisation(
        pointing=pointing,
        pointing_by_chance=float(np.mean(chances)),
        p_value=_as_many_by_chance(hits, chances),
        energy=resampled_mean(
            energies,
            np.ones(energies.size, dtype=bool),
            np.arange(energies.size),
            confidence,
            resamples,
            seed,
            unit="case",
        ),
        energy_by_chance=float(np.mean([meeting.area for meeting in meetings])),
        distance=float(np.median([meeting.distance for meeting in meetings])),
    )


def _as_many_by_chance(hits: int, chances: Sequence[float]) -> float:
    """Return the probability of at least so many hits, each case having a chance of its own."""
    counts = np.ones(1)
    for chance in chances:
        counts = np.convolve(counts, [1 - chance, chance])
    return float(min(1.0, counts[hits:].sum()))
