"""The bootstrap of an area and of a ratio, by counts of how often each case was drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.checking import Binary, Scores
from cervispine.evaluation.delong import ranked_counts
from cervispine.exceptions import UsageError

__all__ = ["bootstrap_areas", "bootstrap_ratios"]

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
        Fewer than one resample.
    """
    if resamples < 1:
        raise UsageError(f"at least one resample is needed, got {resamples}", where="resamples")
    generator = np.random.default_rng(seed)
    counts = ranked_counts(truth, scores)
    ordered = truth[counts.order]
    clusters = None if groups is None else groups[counts.order]
    block = max(1, _BLOCK // truth.size)
    areas: list[Scores] = []
    done = 0
    while done < resamples:
        size = min(block, resamples - done)
        weights = (
            _within_class(generator, ordered, size)
            if clusters is None
            else _whole_clusters(generator, clusters, size)
        )
        positives = np.add.reduceat(weights * ordered, counts.starts, axis=1)
        negatives = np.add.reduceat(weights * (1 - ordered), counts.starts, axis=1)
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        usable = pairs > 0
        below = np.cumsum(negatives, axis=1) - negatives / 2
        wins = np.einsum("ij,ij->i", positives[usable].astype(np.float64), below[usable])
        areas.append(wins / pairs[usable])
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
    """
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


def _within_class(generator: np.random.Generator, ordered: Binary, size: int) -> NDArray[np.int64]:
    """How often each case was drawn, each class by itself, shape (size, cases)."""
    weights = np.empty((size, ordered.size), dtype=np.int64)
    for label in (0, 1):
        members = np.flatnonzero(ordered == label)
        weights[:, members] = _draws(generator, members.size, size)
    return weights


def _whole_clusters(
    generator: np.random.Generator, clusters: NDArray[np.int64], size: int
) -> NDArray[np.int64]:
    """How often each case was drawn with its cluster, shape (size, cases)."""
    return _draws(generator, int(clusters.max()) + 1, size)[:, clusters]


def _draws(generator: np.random.Generator, units: int, size: int) -> NDArray[np.int64]:
    """Multinomial counts of ``units`` draws from as many units, shape (size, units).

    Counting random indices is several times faster than a multinomial generator
    when most counts are 0 or 1.
    """
    drawn = generator.integers(0, units, size=(size, units), dtype=np.int64)
    drawn += units * np.arange(size)[:, None]
    return np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units)
