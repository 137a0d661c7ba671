"""The steps of a comparison, each from checked data to its part of the result."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.against_readers import estimate_against_readers
from cervispine.evaluation.agreement import cochran_q, estimate_cohen_kappa, estimate_fleiss_kappa
from cervispine.evaluation.areas import estimate_auc_difference
from cervispine.evaluation.clustered import clustered_difference
from cervispine.evaluation.comparison import (
    Agreement,
    ModelAgainstMean,
    ModelAgainstModel,
    ModelAgainstReader,
)
from cervispine.evaluation.multiplicity import Correction, adjust
from cervispine.evaluation.paired import PairedCounts, difference_of_counts, mcnemar
from cervispine.evaluation.performance import Evaluation
from cervispine.evaluation.results import Difference
from cervispine.evaluation.settings import Settings
from cervispine.exceptions import EvaluationError

__all__ = [
    "compare_models",
    "compare_with_mean",
    "compare_with_readers",
    "measure_agreement",
]

Raters: TypeAlias = Mapping[str, Evaluation]
Groups: TypeAlias = NDArray[np.int64] | None


def compare_with_readers(
    models: Raters, readers: Raters, groups: Groups, settings: Settings
) -> tuple[ModelAgainstReader, ...]:
    """Each model and each reader; every endpoint is a family of its own."""
    results: list[ModelAgainstReader] = []
    for endpoint in ("sensitivity", "specificity", "accuracy"):
        family = [
            _compare_calls(model, reader, endpoint, groups, settings.confidence)
            for model, reader in product(models.values(), readers.values())
            if model.calls is not None and reader.calls is not None
        ]
        results.extend(_corrected(family, settings.correction))
    areas = [
        ModelAgainstReader(
            model.name,
            reader.name,
            "auc",
            None,
            _difference_of_areas(model, reader, groups, settings.confidence),
            None,
        )
        for model, reader in product(models.values(), readers.values())
        if reader.scores is not None
    ]
    return (*results, *_corrected(areas, settings.correction))


def compare_with_mean(
    models: Raters, readers: Raters, settings: Settings
) -> tuple[ModelAgainstMean, ...]:
    """Each model and the mean of the readers, fixed and, from two readers on, random.

    The models of one endpoint and one kind of inference are a family of their own.
    """
    rated = [reader.scores for reader in readers.values() if reader.scores is not None]
    called = [reader.calls for reader in readers.values() if reader.calls is not None]
    families: dict[tuple[str, str], list[ModelAgainstMean]] = {}
    for endpoint, theirs in (("auc", rated), ("sensitivity", called), ("specificity", called)):
        for readers_are in ("fixed", "random")[: len(theirs)]:
            family = [
                _compare_mean(model, theirs, endpoint, readers_are, settings.confidence)
                for model in models.values()
            ]
            families[endpoint, readers_are] = _corrected(family, settings.correction)
    # In the tables a model's endpoints stand together.
    return tuple(item for items in zip(*families.values(), strict=True) for item in items)


def compare_models(
    models: Raters, groups: Groups, settings: Settings
) -> tuple[ModelAgainstModel, ...]:
    """Each pair of models by the areas under their curves."""
    pairs = [
        ModelAgainstModel(a.name, b.name, _difference_of_areas(a, b, groups, settings.confidence))
        for a, b in combinations(models.values(), 2)
    ]
    return tuple(_corrected(pairs, settings.correction))


def measure_agreement(models: Raters, readers: Raters, confidence: float) -> Agreement:
    """Kappas of the readers' calls, and Cochran's Q over all raters' correctness."""
    calls = {name: reader.calls for name, reader in readers.items() if reader.calls is not None}
    raters = [rater for rater in (*models.values(), *readers.values()) if rater.calls is not None]
    pairs = {}
    fleiss = None
    if len(calls) > 1:
        for (first, a), (second, b) in combinations(calls.items(), 2):
            try:
                pairs[first, second] = estimate_cohen_kappa(a, b, confidence=confidence)
            except EvaluationError:  # both call every case alike: agreement has no measure
                continue
        try:
            fleiss = estimate_fleiss_kappa(np.stack(list(calls.values())), confidence=confidence)
        except EvaluationError:
            fleiss = None
    right = [rater.right for rater in raters]
    return Agreement(fleiss, pairs, cochran_q(np.stack(right)) if len(right) > 1 else None)


def _compare_calls(
    model: Evaluation, reader: Evaluation, endpoint: str, groups: Groups, confidence: float
) -> ModelAgainstReader:
    among = {"sensitivity": model.truth == 1, "specificity": model.truth == 0}.get(
        endpoint, np.ones(model.n, dtype=bool)
    )
    ours, theirs = model.right[among], reader.right[among]
    counts = PairedCounts.of(ours, theirs)
    if groups is not None:
        difference = clustered_difference(ours, theirs, groups[among], confidence=confidence)
        return ModelAgainstReader(model.name, reader.name, endpoint, counts, difference, None)
    return ModelAgainstReader(
        model.name,
        reader.name,
        endpoint,
        counts,
        difference_of_counts(counts, confidence=confidence),
        mcnemar(counts.only_first, counts.only_second, method="exact"),
    )


def _compare_mean(
    model: Evaluation, readers: list[Any], endpoint: str, readers_are: str, confidence: float
) -> ModelAgainstMean:
    difference = estimate_against_readers(
        model.truth,
        model.scores if endpoint == "auc" else model.calls,  # type: ignore[arg-type]
        np.stack(readers),
        readers_are=readers_are,  # type: ignore[arg-type]
        measure=endpoint,  # type: ignore[arg-type]
        confidence=confidence,
    )
    return ModelAgainstMean(model.name, endpoint, readers_are, difference)


def _difference_of_areas(
    first: Evaluation, second: Evaluation, groups: Groups, confidence: float
) -> Difference:
    assert first.scores is not None
    assert second.scores is not None
    return estimate_auc_difference(
        first.truth, first.scores, second.scores, confidence=confidence, groups=groups
    )


def _corrected(family: list[Any], correction: Correction) -> list[Any]:
    """Return the family with its corrected p-values; a pair without a p-value is no test."""
    tested = [pair for pair in family if pair.difference.p_value is not None]
    adjusted = adjust([pair.difference.p_value for pair in tested], method=correction)
    by_pair = {id(pair): float(p) for pair, p in zip(tested, adjusted, strict=True)}
    return [attrs.evolve(pair, adjusted_p_value=by_pair.get(id(pair))) for pair in family]
