"""The bootstrap of an area and of a ratio, by counts of how often each case was drawn."""

from __future__ import annotations

from typing import TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.checking import Binary, Scores, check_bootstrap
from cervispine.evaluation.proportions import wilson_limits
from cervispine.evaluation.results import Estimate

__all__ = ["NO_WIDTH", "bootstrap_areas", "bootstrap_ratios", "resampled_mean"]

Counts: TypeAlias = NDArray[np.int64]

# An interval is at least so wide where resamples differ by more than rounding.
NO_WIDTH = 1e-12

# Resamples are drawn in blocks of about this many counts, to bound the memory.
_BLOCK = 2_000_000


def bootstrap_areas(
    truth: Binary,
    scores: Scores,
    groups: NDArray[np.int64] | None,
    resamples: int,
    seed: int,
) -> Scores:
    """Areas under the ROC curves of resampled cases, shape (resamples,).

    Without groups each class is resampled by itself, so its size stays; with
    groups whole clusters are drawn, and a draw that holds one class is repeated.

    Raises
    ------
    UsageError
        Fewer than 100 resamples, or a seed that is no whole number from 0.
    """
    check_bootstrap(resamples, seed)
    generator = np.random.default_rng(seed)
    # The place of each case among the distinct scores.
    places = np.unique(scores, return_inverse=True)[1]
    draw = _ClassDraws(truth, places) if groups is None else _ClusterDraws(truth, places, groups)
    block = max(1, _BLOCK // truth.size)
    areas: list[Scores] = []
    done = 0
    while done < resamples:
        positives, negatives = draw(generator, min(block, resamples - done))
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        usable = pairs > 0
        # Twice the negatives below, so that a tie counts one half and all stay whole numbers.
        below = 2 * np.cumsum(negatives, axis=1) - negatives
        twice_wins = np.einsum("ij,ij->i", positives, below)
        areas.append(twice_wins[usable] / (2.0 * pairs[usable]))
        done += int(usable.sum())
    return np.concatenate(areas)


def bootstrap_ratios(
    numerators: Scores,
    denominators: Scores,
    groups: NDArray[np.int64],
    resamples: int,
    seed: int,
) -> Scores:
    """Ratios of the sums over resampled clusters, shape (at most resamples,).

    A draw whose denominators sum to 0 has no ratio and is left out.

    Raises
    ------
    UsageError
        As ``bootstrap_areas``.
    """
    check_bootstrap(resamples, seed)
    above, below = (np.bincount(groups, values) for values in (numerators, denominators))
    generator = np.random.default_rng(seed)
    block = max(1, _BLOCK // above.size)
    ratios = []
    for start in range(0, resamples, block):
        weights = _draws(generator, above.size, min(block, resamples - start))
        totals = weights @ below
        usable = totals > 0
        ratios.append((weights @ above)[usable] / totals[usable])
    return np.concatenate(ratios)


def resampled_mean(
    values: Scores,
    among: NDArray[np.bool_],
    groups: NDArray[np.int64],
    confidence: float,
    resamples: int,
    seed: int,
    *,
    unit: str,
) -> Estimate:
    """Return the mean of values from 0 to 1 over some cases, with percentiles of its resamples.

    Parameters
    ----------
    values
        Of each case, shape (cases,).
    among
        Over which cases the mean is taken, shape (cases,); at least one.
    groups
        The number of the independent unit that each case belongs to, shape (cases,).
    confidence, resamples, seed
        Of the two-sided interval.
    unit
        What a unit is, in words: a case, a cluster.

    Returns
    -------
    Estimate
        With Wilson's limits of the units where no resample differs.

    Raises
    ------
    UsageError
        As ``bootstrap_areas``.
    """
    value, cases = float(values[among].mean()), int(among.sum())
    means = bootstrap_ratios(values * among, among.astype(np.float64), groups, resamples, seed)
    tail = (1 - confidence) / 2
    low, high = (float(limit) for limit in np.quantile(means, [tail, 1 - tail]))
    if high - low < NO_WIDTH:
        # All units are alike, or there is one: that no resample differs proves nothing.
        units = len(np.unique(groups[among]))
        low, high = wilson_limits(value * units, units, tail)
        return Estimate(value, low, high, f"Wilson of the {unit}s", cases)
    method = f"bootstrap percentile, {resamples} resamples by {unit}, seed {seed}"
    return Estimate(value, low, high, method, cases)


@attrs.frozen(eq=False)
class _ClassDraws:
    """Draws each class by itself, so that its size stays."""

    truth: Binary
    places: Counts

    def __call__(self, generator: np.random.Generator, size: int) -> tuple[Counts, Counts]:
        """Positives and negatives drawn at each distinct score, each (size, distinct scores)."""
        distinct = int(self.places.max()) + 1
        rows = distinct * np.arange(size)[:, None]
        counted = []
        for label in (1, 0):
            members = self.places[self.truth == label]
            drawn = members[generator.integers(0, members.size, size=(size, members.size))]
            drawn += rows
            counts = np.bincount(drawn.ravel(), minlength=distinct * size)
            counted.append(counts.reshape(size, distinct))
        return counted[0], counted[1]


@attrs.frozen(eq=False)
class _ClusterDraws:
    """Draws whole clusters, with all their cases."""

    truth: Binary
    places: Counts
    groups: Counts

    def __call__(self, generator: np.random.Generator, size: int) -> tuple[Counts, Counts]:
        """As of ``_ClassDraws``."""
        order = np.argsort(self.places, kind="stable")
        starts = np.flatnonzero(np.diff(self.places[order], prepend=-1))
        truth = self.truth[order]
        weights = _draws(generator, int(self.groups.max()) + 1, size)[:, self.groups[order]]
        positives = np.add.reduceat(weights * truth, starts, axis=1)
        return positives, np.add.reduceat(weights, starts, axis=1) - positives


def _draws(generator: np.random.Generator, units: int, size: int) -> NDArray[np.int64]:
    """Multinomial counts of ``units`` draws from as many units, shape (size, units).

    Counting random indices is several times faster than a multinomial generator
    when most counts are 0 or 1.
    """
    drawn = generator.integers(0, units, size=(size, units), dtype=np.int64)
    drawn += units * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units)
