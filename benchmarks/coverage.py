"""How often the 95 % intervals hold the truth, and how often the tests reject a true null.

    python benchmarks/coverage.py [--replicates 2000] [--markdown]

Every default interval and test of `cervispine.evaluation` on simulated patients: 171 cases, 67 of
them diseased, binormal scores, readers after Roe and Metz. Prints
`name value +- Monte-Carlo error target pass|fail`; the target is 0.93 to 0.97 for the coverage of
an interval and 0.03 to 0.07 for the size of a test. A line that ends in `said` misses the
target, and the docstring of the function says so. The seed decides, whatever the number of cores.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri
from scipy.stats import multivariate_normal

from cervispine.evaluation import (
    Evaluator,
    ReaderTable,
    auc,
    cochran_q,
    cohen_kappa,
    compare_aucs,
    compare_independent_aucs,
    fleiss_kappa,
    model_against_readers,
    mrmc,
    paired_difference,
    predictive_values,
    proportion,
)
from cervispine.evaluation.clustered import clustered_difference

Generator = np.random.Generator
Numbers = NDArray[np.float64]
#: What one replicate says: whether an interval held the truth, or whether a test rejected.
Outcome = tuple[str, str, bool]

COVERAGE, SIZE = "coverage", "size"
TARGETS = {COVERAGE: (0.93, 0.97), SIZE: (0.03, 0.07)}

CASES, POSITIVES = 171, 67
PATIENTS = [f"P{number:03d}" for number in range(CASES)]
TRUTH = (np.arange(CASES) < POSITIVES).astype(np.int64)

#: Variances of the readers' scores (cases, modality x case, reader x case, rest; reader, modality
#: x reader): between the structures HH and LH of Roe and Metz 1997, Acad Radiol 4:298.
CASE, MODALITY_CASE, READER_CASE, REST = 0.3, 0.3, 0.2, 0.2
READER, MODALITY_READER = 0.02, 0.02

#: What misses its target and is said to, in the docstring of the function.
SAID = ("auc, DeLong, area 0.95", "auc, DeLong, area 0.98")


def held(estimate: Any, true: float) -> bool:
    """Whether an interval holds the truth; one that does not exist does not."""
    return estimate.low is not None and estimate.low <= true <= estimate.high


def binormal(generator: Generator, *areas: float, shared: float = 0.5) -> list[Numbers]:
    """Draw raters of these areas; `shared` is the part of the variance that is the case's."""
    case = generator.normal(size=CASES)
    return [
        np.sqrt(2) * ndtri(area) * TRUTH
        + np.sqrt(shared) * case
        + np.sqrt(1 - shared) * generator.normal(size=CASES)
        for area in areas
    ]


def areas(generator: Generator) -> Iterator[Outcome]:
    for area in (0.75, 0.9, 0.95, 0.98):
        (scores,) = binormal(generator, area)
        for method, name in (("delong", "DeLong"), ("logit", "logit"), ("bootstrap", "bootstrap")):
            if method == "bootstrap" and area not in (0.75, 0.95):
                continue
            estimate = auc(TRUTH, scores, method=method, resamples=1000)  # type: ignore[arg-type]
            yield f"auc, {name}, area {area:g}", COVERAGE, held(estimate, area)


def differences_of_areas(generator: Generator) -> Iterator[Outcome]:
    for first, second in ((0.85, 0.85), (0.95, 0.95), (0.95, 0.9)):
        pair = binormal(generator, first, second)
        found = compare_aucs(TRUTH, *pair)
        name = f"compare_aucs, areas {first:g} and {second:g}"
        yield name, COVERAGE, held(found, first - second)
        if first == second:
            yield name, SIZE, found.p_value is not None and found.p_value < 0.05
    one, other = binormal(generator, 0.85)[0], binormal(generator, 0.85)[0]
    found = compare_independent_aucs(TRUTH, one, TRUTH, other)
    name = "compare_independent_aucs, areas 0.85"
    yield name, COVERAGE, held(found, 0.0)
    yield name, SIZE, found.p_value is not None and found.p_value < 0.05


def clustered(generator: Generator) -> Iterator[Outcome]:
    """Give each patient one to four images with labels of their own."""
    groups = np.repeat(np.arange(90), generator.integers(1, 5, size=90))
    truth = (generator.random(groups.size) < 0.4).astype(np.int64)
    patient = generator.normal(size=90)[groups]
    scores = np.sqrt(2) * ndtri(0.85) * truth + np.sqrt(0.5) * patient
    pair = [scores + np.sqrt(0.5) * generator.normal(size=groups.size) for _ in range(2)]
    yield "auc, clustered, area 0.85", COVERAGE, held(auc(truth, pair[0], groups=groups), 0.85)
    found = compare_aucs(truth, *pair, groups=groups)
    yield "compare_aucs, clustered", SIZE, found.p_value is not None and found.p_value < 0.05
    right = [scores[truth == 1] > 1 for scores in pair]
    found = clustered_difference(*right, groups[truth == 1], confidence=0.95)
    yield "clustered_difference", COVERAGE, held(found, 0.0)
    yield "clustered_difference", SIZE, found.p_value is not None and found.p_value < 0.05


def rates(generator: Generator) -> Iterator[Outcome]:
    for share in (0.7, 0.9, 0.95):
        right = int(generator.binomial(POSITIVES, share))
        yield f"proportion, Wilson, {share:g}", COVERAGE, held(proportion(right, POSITIVES), share)
    for first, second in ((0.85, 0.85), (0.9, 0.75)):
        shared = generator.normal(size=CASES - POSITIVES)
        calls = [
            (np.sqrt(0.5) * (shared + generator.normal(size=shared.size)) < ndtri(share)).astype(
                int
            )
            for share in (first, second)
        ]
        found = paired_difference(*calls)
        name = f"paired_difference, rates {first:g} and {second:g}"
        yield f"{name}, Tango", COVERAGE, held(found, first - second)
        if first == second:
            yield f"{name}, mid-p", SIZE, found.p_value is not None and found.p_value < 0.05
    calls = (binormal(generator, 0.9)[0] > 1.0).astype(int)
    sensitivity, specificity = float(ndtr(np.sqrt(2) * ndtri(0.9) - 1)), float(ndtr(1.0))
    true = 0.18 * sensitivity / (0.18 * sensitivity + 0.82 * (1 - specificity))
    values = predictive_values(TRUTH, calls, prevalence=0.18)
    yield "predictive_values, PPV at prevalence 0.18", COVERAGE, held(values.ppv, true)


def read(generator: Generator, readers: int, modalities: int) -> Numbers:
    """Draw scores after Roe and Metz, shape (modalities, readers, cases); the mean area is 0.85."""
    scores = np.sqrt(CASE) * generator.normal(size=(1, 1, CASES))
    scores = scores + np.sqrt(MODALITY_CASE) * generator.normal(size=(modalities, 1, CASES))
    scores = scores + np.sqrt(READER_CASE) * generator.normal(size=(1, readers, CASES))
    scores = scores + np.sqrt(REST) * generator.normal(size=(modalities, readers, CASES))
    own = np.sqrt(READER) * generator.normal(size=(1, readers, 2))
    own = own + np.sqrt(MODALITY_READER) * generator.normal(size=(modalities, readers, 2))
    spread = 2 + 2 * (READER + MODALITY_READER)
    return scores + own[:, :, TRUTH] + np.sqrt(spread) * ndtri(0.85) * TRUTH


def read_beside_a_model(generator: Generator, readers: int) -> tuple[Numbers, Numbers]:
    """Simulate a model of area 0.85, and readers like those of `read` who see the same cases."""
    case = np.sqrt(CASE + MODALITY_CASE) * generator.normal(size=CASES)
    noise = np.sqrt(READER_CASE + REST) * generator.normal(size=(readers + 1, CASES))
    own = np.sqrt(READER + MODALITY_READER) * generator.normal(size=(readers, 2))
    spread = 2 + 2 * (READER + MODALITY_READER)
    model = case + noise[0] + np.sqrt(2) * ndtri(0.85) * TRUTH
    return model, case + noise[1:] + own[:, TRUTH] + np.sqrt(spread) * ndtri(0.85) * TRUTH


def reader_studies(generator: Generator) -> Iterator[Outcome]:
    for readers in (3, 8):
        scores = read(generator, readers, modalities=2)
        modality, reader, case = np.indices(scores.shape).reshape(3, -1)
        table = {"modality": modality, "reader": reader, "case": case, "truth": TRUTH[case]}
        study = mrmc({**table, "rating": scores.ravel()})
        name = f"MRMC, readers random, {readers} readers"
        yield name, COVERAGE, held(next(iter(study.differences.values())), 0.0)
        yield name, SIZE, study.p_value is not None and study.p_value < 0.05
        # Of fixed readers the truth is about these: their areas are given and have that mean.
        steps = 0.85 + np.linspace(-0.06, 0.06, readers)
        model, *people = binormal(generator, 0.85, *steps, shared=0.6)
        for readers_are, one, others in (
            ("random", *read_beside_a_model(generator, readers)),
            ("fixed", model, np.stack(people)),
        ):
            found = model_against_readers(TRUTH, one, others, readers_are=readers_are)
            name = f"model against readers, {readers_are}, {readers} readers"
            yield name, COVERAGE, held(found, 0.0)
            yield name, SIZE, found.p_value is not None and found.p_value < 0.05


def agreement(generator: Generator) -> Iterator[Outcome]:
    # Three readers' calls from correlated normals; kappa follows from the chance of two positives.
    correlation, share = 0.6, 0.4
    cut = float(ndtri(1 - share))
    shared = generator.normal(size=CASES)
    calls = np.stack(
        [
            np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * generator.normal(size=CASES)
            > cut
            for _ in range(3)
        ]
    ).astype(int)
    both = multivariate_normal(cov=[[1, correlation], [correlation, 1]]).cdf([-cut, -cut])
    kappa = float((both - share**2) / (share * (1 - share)))
    yield "cohen_kappa", COVERAGE, held(cohen_kappa(calls[0], calls[1]), kappa)
    yield "fleiss_kappa, 3 readers", COVERAGE, held(fleiss_kappa(calls), kappa)
    yield "cochran_q, 3 readers", SIZE, cochran_q(calls).p_value < 0.05


def probabilities(generator: Generator) -> Iterator[Outcome]:
    """Give a model whose probabilities are right, so that its Brier score is known."""
    logits = 1.5 * generator.normal(size=CASES) - 0.5
    truth = (generator.random(CASES) < expit(logits)).astype(np.int64)
    found = Evaluator(resamples=1000).evaluate(truth, expit(logits), threshold=0.5)
    yield "Brier score, bootstrap", COVERAGE, held(found.brier, BRIER)


def matched(generator: Generator) -> Iterator[Outcome]:
    """Compare a model with a reader who gave calls only, at the reader's specificity."""
    model, reader = binormal(generator, 0.9, 0.85)
    cut = 1.0
    table = ReaderTable.from_frame(
        pd.DataFrame({"patient": PATIENTS, "reader": "one", "call": (reader > cut).astype(int)})
    )
    found = Evaluator(resamples=500).compare(
        TRUTH, {"model": model}, table, thresholds=cut, cases=PATIENTS
    )
    point = next(item for item in found.at_readers_points if item.endpoint == "sensitivity")
    own, theirs = (float(ndtr(np.sqrt(2) * ndtri(area) - cut)) for area in (0.9, 0.85))
    yield "model at a reader's point, bootstrap", COVERAGE, held(point.difference, own - theirs)


def _true_brier() -> float:
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    chances = expit(1.5 * nodes - 0.5)
    return float((weights * chances * (1 - chances)).sum() / weights.sum())


BRIER = _true_brier()
SCENARIOS: tuple[Callable[[Generator], Iterator[Outcome]], ...] = (
    areas,
    differences_of_areas,
    clustered,
    rates,
    reader_studies,
    agreement,
    probabilities,
    matched,
)


def simulate(seeds: list[np.random.SeedSequence]) -> dict[tuple[str, str], int]:
    """Run all scenarios once for each seed, and count what happened."""
    counts: dict[tuple[str, str], int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds:
            for scenario, own in zip(SCENARIOS, seed.spawn(len(SCENARIOS)), strict=True):
                for name, kind, happened in scenario(np.random.default_rng(own)):
                    counts[name, kind] = counts.get((name, kind), 0) + happened
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--markdown", action="store_true", help="print a table for the docs")
    arguments = parser.parse_args()
    seeds = np.random.SeedSequence(0).spawn(arguments.replicates)
    parts = [seeds[start : start + 25] for start in range(0, len(seeds), 25)]
    totals: dict[tuple[str, str], int] = {}
    with ProcessPoolExecutor() as pool:
        for counts in pool.map(simulate, parts):
            for key, count in counts.items():
                totals[key] = totals.get(key, 0) + count
    unexpected = False
    for (name, kind), count in totals.items():
        value = count / arguments.replicates
        error = (value * (1 - value) / arguments.replicates) ** 0.5
        low, high = TARGETS[kind]
        verdict = "pass" if low <= value <= high else "said" if name in SAID else "fail"
        unexpected |= verdict == "fail"
        if arguments.markdown:
            print(f"| {name} | {kind} | {value:.3f} ± {error:.3f} | {verdict} |")
        else:
            print(f"{kind:8} {name:46} {value:.3f} +- {error:.3f}  {low}-{high} {verdict}")
    return int(unexpected)


if __name__ == "__main__":
    sys.exit(main())
