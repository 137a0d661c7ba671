"""Two raters' rates on clustered cases, for example several images of each patient."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.paired import PairedCounts, difference_of_counts
from cervispine.evaluation.results import Difference

__all__ = ["clustered_difference"]

# Rounding leaves about 1e-16 of the squares where nothing scatters.
_ZERO = 1e-12


def clustered_difference(
    first: NDArray[np.bool_],
    second: NDArray[np.bool_],
    groups: NDArray[np.int64],
    *,
    confidence: float = 0.95,
) -> Difference:
    """Difference of two rates on the same clustered cases, first minus second.

    Parameters
    ----------
    first, second
        Which calls are right, shape (cases,).
    groups
        The cluster of each case, as a number, shape (cases,).
    confidence
        Of the two-sided normal interval.

    Returns
    -------
    Difference
        Where there is one cluster, or they do not scatter at all, with the limits of one case a
        cluster.

    Notes
    -----
    The difference is a ratio of sums over clusters, so what scatters is a cluster's sum.
    The interval takes that scatter about the difference, the test takes it about 0. With
    clusters of one the test is McNemar's asymptotic one, up to clusters / (clusters - 1).
    It counts on many clusters; with fewer than about 20 the interval is too short.

    References
    ----------
    Obuchowski 1998, Stat Med 17:1495; Rao and Scott 1992, Biometrics 48:577, for the
    variance of a ratio.
    """
    from scipy.special import ndtr, ndtri

    cases = first.size
    _, places = np.unique(groups, return_inverse=True)
    sums = np.bincount(places, first.astype(np.float64) - second)
    sizes = np.bincount(places)
    clusters = sizes.size
    value = float(sums.sum() / cases)
    scope = "patients like these, these two raters"
    method = f"normal, {clusters} clusters (Obuchowski 1998)"
    scatter = float(np.sum((sums - sizes * value) ** 2))
    if clusters < 2 or scatter <= _ZERO * max(1.0, float(np.sum(sums**2))):
        # One cluster, or everywhere the same difference: the clusters are the trials.
        gain = round(value * clusters)
        counts = PairedCounts(clusters - abs(gain), max(gain, 0), max(-gain, 0), 0)
        score = difference_of_counts(counts, confidence=confidence)
        note = "the clusters do not scatter, so the interval is that of one case a cluster"
        method = "Tango score interval of the clusters; McNemar mid-p of the clusters"
        return Difference(
            value, score.low, score.high, None, None, score.p_value, method, scope, cases, note
        )
    scale = clusters / (clusters - 1) / cases**2
    half = float(ndtri((1 + confidence) / 2) * np.sqrt(scale * scatter))
    z = value / float(np.sqrt(scale * np.sum(sums**2)))
    low, high = max(-1.0, value - half), min(1.0, value + half)
    return Difference(value, low, high, z, None, float(2 * ndtr(-abs(z))), method, scope, cases)
