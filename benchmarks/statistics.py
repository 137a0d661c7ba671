"""How fast the statistics are, each beside what people use instead, in the same run.

    python benchmarks/statistics.py

Prints `name ratio target pass|fail`; rounds alternate and ratios are of medians. The scores are
invented.
"""

# ruff: noqa: E402  what stands between the imports must come before the later ones
from __future__ import annotations

import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

# This file bears the name of a module of the standard library, which others must still find.
sys.path = [entry for entry in sys.path if Path(entry).resolve() != Path(__file__).resolve().parent]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from cervispine.evaluation import auc, compare_aucs

Numbers = NDArray[np.float64]

ROUNDS = 7
#: The loop over roc_auc_score is timed on so many of the 2000 resamples, and scaled.
LOOPED = 100


def cohort(cases: int, seed: int = 0) -> tuple[NDArray[np.int64], Numbers, Numbers]:
    """Return truth with the paper's share of positives, and two correlated scores."""
    generator = np.random.default_rng(seed)
    truth = (np.arange(cases) < round(cases * 272 / 684)).astype(np.int64)
    shared = generator.normal(size=cases)
    first, second = (
        shared + strength * truth + generator.normal(size=cases) for strength in (2.0, 1.6)
    )
    return truth, first, second


def looped_bootstrap(truth: NDArray[np.int64], scores: Numbers, resamples: int) -> Numbers:
    """Resample within each class, one resample at a time."""
    generator = np.random.default_rng(0)
    classes = [np.flatnonzero(truth == label) for label in (0, 1)]
    areas = []
    for _ in range(resamples):
        drawn = np.concatenate([generator.choice(members, members.size) for members in classes])
        areas.append(roc_auc_score(truth[drawn], scores[drawn]))
    return np.array(areas)


def ranked_pair(truth: NDArray[np.int64], first: Numbers, second: Numbers) -> tuple[float, float]:
    """Return difference and variance after Sun and Xu 2014: three rankings a rater."""
    positive = truth == 1
    m, n = int(positive.sum()), int((~positive).sum())
    placed = []
    for scores in (first, second):
        x, y = scores[positive], scores[~positive]
        pooled = rankdata(np.concatenate([x, y]))
        placed.append(((pooled[:m] - rankdata(x)) / n, 1 - (pooled[m:] - rankdata(y)) / m))
    above, below = placed[0][0] - placed[1][0], placed[0][1] - placed[1][1]
    return float(above.mean()), float(above.var(ddof=1) / m + below.var(ddof=1) / n)


def alternating(*jobs: Callable[[], object]) -> list[float]:
    """Return the median seconds of each job, their rounds interleaved."""
    taken: list[list[float]] = [[] for _ in jobs]
    for _ in range(ROUNDS):
        for job, times in zip(jobs, taken, strict=True):
            start = time.perf_counter()
            job()
            times.append(time.perf_counter() - start)
    return [float(np.median(times)) for times in taken]


def peak(cases: int) -> int:
    """Return the most bytes that a paired comparison of so many cases holds at once."""
    truth, first, second = cohort(cases)
    tracemalloc.start()
    compare_aucs(truth, first, second)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return held


def line(name: str, ratio: float, target: float, *, at_least: bool) -> bool:
    passed = ratio >= target if at_least else ratio <= target
    sign = ">=" if at_least else "<="
    print(f"{name:34} {ratio:8.2f} {sign} {target:<6g} {'pass' if passed else 'fail'}")
    return passed


def main() -> int:
    truth, first, _ = cohort(684)
    ours, loop = alternating(
        lambda: auc(truth, first, method="bootstrap", resamples=2000),
        lambda: looped_bootstrap(truth, first, LOOPED),
    )
    passed = [line("bootstrap_auc_against_loop", loop * 2000 / LOOPED / ours, 60, at_least=True)]

    truth, first, second = cohort(100_000)
    difference, variance = ranked_pair(truth, first, second)
    found = compare_aucs(truth, first, second)
    # What is timed must be the same thing.
    assert np.isclose(found.value, difference, rtol=0, atol=1e-12)
    assert np.isclose(found.statistic or 0.0, difference / variance**0.5, rtol=1e-8)
    ours, sorts, ranked = alternating(
        lambda: compare_aucs(truth, first, second),
        lambda: (np.argsort(first), np.argsort(second)),
        lambda: ranked_pair(truth, first, second),
    )
    passed += [
        line("delong_pair_against_two_argsorts", ours / sorts, 4, at_least=False),
        line("delong_pair_against_rankdata", ranked / ours, 4, at_least=True),
        line("memory_of_4_times_the_cases", peak(400_000) / peak(100_000), 4.2, at_least=False),
    ]
    return int(not all(passed))


if __name__ == "__main__":
    sys.exit(main())
