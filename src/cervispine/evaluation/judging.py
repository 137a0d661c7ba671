"""From what people give to a Comparison: joined by patient, checked, judged, compared."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.evaluation import comparing
from cervispine.evaluation.against_readers import ENOUGH_READERS, note_of_few
from cervispine.evaluation.checking import (
    Binary,
    Scores,
    as_groups,
    as_scores,
    as_truth,
    choose,
    join,
    keyed,
)
from cervispine.evaluation.comparison import Comparison
from cervispine.evaluation.matching import compare_at_readers_points
from cervispine.evaluation.performance import Evaluation, rate_performance
from cervispine.evaluation.predictive import check_prevalence
from cervispine.evaluation.readers import ReaderTable
from cervispine.evaluation.settings import Settings
from cervispine.evaluation.strata import figures_by_stratum
from cervispine.evaluation.thresholds import Threshold, choose_threshold
from cervispine.exceptions import EvaluationError, StatisticsWarning, UsageError

__all__ = ["ThresholdLike", "Values", "check_classes", "compare_raters", "judge_model"]

Values: TypeAlias = Mapping[Any, Any] | ArrayLike
ThresholdLike: TypeAlias = float | Threshold | str
Groups: TypeAlias = NDArray[np.int64] | None

_SELF_CHOSEN = "chosen on these very cases (Youden)"


def compare_raters(
    truth: Values,
    scores: Mapping[str, Values],
    readers: ReaderTable,
    *,
    thresholds: Mapping[str, ThresholdLike] | ThresholdLike,
    strata: Mapping[str, Mapping[Any, Any]] | None = None,
    cases: Sequence[Hashable] | None = None,
    groups: Values | None = None,
    prevalence: float | None = None,
    settings: Settings,
    notes: Sequence[str] = (),
) -> Comparison:
    """Do what ``Evaluator.compare`` promises; ``notes`` go before those of the comparison."""
    _check_names(scores, readers)
    _check_prevalence(prevalence, groups)
    by_case = keyed(truth, cases, "truth")
    order = list(by_case)
    labels = as_truth(list(by_case.values()))
    check_classes(labels)
    clusters = None if groups is None else as_groups(groups, labels, order=order)
    models = {
        name: judge_model(
            name,
            labels,
            as_scores(join(order, keyed(values, cases, name), name), name),
            _threshold_of(name, thresholds, scores),
            clusters,
            settings,
        )
        for name, values in scores.items()
    }
    people = _judge_readers(labels, readers, order, clusters, settings)
    by_stratum, strata_notes = figures_by_stratum(
        (*models.values(), *people.values()), order, strata or {}, clusters, settings
    )
    for model in models.values():
        _warn_of(model)
    result = Comparison(
        models=models,
        readers=people,
        against_readers=comparing.compare_with_readers(models, people, clusters, settings),
        # The variance of the readers' mean counts every case as independent.
        against_mean=()
        if clusters is not None
        else comparing.compare_with_mean(models, people, settings),
        between_models=comparing.compare_models(models, clusters, settings),
        at_readers_points=compare_at_readers_points(models, people, clusters, settings),
        strata=by_stratum,
        agreement=comparing.measure_agreement(models, people, settings.confidence),
        patients_left_out=readers.dropped,
        confidence=settings.confidence,
        correction=settings.correction,
        resamples=settings.resamples,
        seed=settings.seed,
        notes=(),
        prevalence=prevalence,
    )
    said = (*notes, *_notes(result, clusters), *strata_notes)
    return attrs.evolve(result, notes=tuple(dict.fromkeys(said)))


def judge_model(
    name: str,
    labels: Binary,
    values: Scores,
    threshold: ThresholdLike,
    clusters: Groups,
    settings: Settings,
) -> Evaluation:
    """Judge one model's scores at its threshold, from checked arrays."""
    point = _as_threshold(threshold, labels, values)
    result = rate_performance(
        name,
        labels,
        values,
        (values >= point.value).astype(np.int64),
        threshold=point,
        groups=clusters,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    if point.source != _SELF_CHOSEN:
        return result
    note = (
        f"the threshold was {_SELF_CHOSEN}: sensitivity, specificity and what follows "
        "from them flatter the model"
    )
    return attrs.evolve(result, notes=(note, *result.notes))


def check_classes(labels: Binary, where: str = "truth") -> None:
    """Refuse to compare raters on a single case of a class.

    Raises
    ------
    EvaluationError
        ``SINGLE_CASE``.
    """
    positives = int(labels.sum())
    for count, name in ((positives, "positive"), (labels.size - positives, "negative")):
        if count == 1:
            raise EvaluationError(
                f"one {name} case among {labels.size}: no rate of it and no area has a variance",
                where=where,
                advice="bring more cases of that class; a single one compares nobody",
                code="SINGLE_CASE",
            )


def _check_names(scores: Mapping[str, Values], readers: ReaderTable) -> None:
    if not scores:
        raise UsageError("no model's scores were given", where="scores")
    shared = sorted(set(scores) & set(readers.readers))
    if shared:
        raise UsageError(
            f"a model and a reader have the same name: {', '.join(shared)}",
            where="scores",
            advice="rename the model",
        )


def _check_prevalence(prevalence: float | None, groups: Values | None) -> None:
    if prevalence is None:
        return
    check_prevalence(prevalence)
    if groups is not None:
        raise UsageError(
            "predictive values at a prevalence count every case as independent",
            where="prevalence, groups",
            advice="give one case a patient, or leave the prevalence out",
        )


def _judge_readers(
    labels: Binary,
    readers: ReaderTable,
    order: Sequence[Hashable],
    clusters: Groups,
    settings: Settings,
) -> dict[str, Evaluation]:
    calls, ratings = readers.calls(order), readers.ratings(order)
    return {
        name: rate_performance(
            name,
            labels,
            ratings.get(name),
            calls.get(name),
            groups=clusters,
            confidence=settings.confidence,
            resamples=settings.resamples,
            seed=settings.seed,
        )
        for name in readers.readers
    }


def _as_threshold(threshold: ThresholdLike, labels: Binary, values: Scores) -> Threshold:
    if isinstance(threshold, Threshold):
        return threshold
    if isinstance(threshold, str):
        choose(threshold, ("youden",), "threshold")
        return Threshold(choose_threshold(labels, values), _SELF_CHOSEN)
    return Threshold(threshold)


def _threshold_of(
    name: str,
    thresholds: Mapping[str, ThresholdLike] | ThresholdLike,
    scores: Mapping[str, Values],
) -> ThresholdLike:
    if not isinstance(thresholds, Mapping):
        return thresholds
    if set(thresholds) != set(scores):
        raise UsageError(
            f"thresholds are of {', '.join(sorted(thresholds))}; "
            f"scores are of {', '.join(sorted(scores))}",
            where="thresholds",
            advice="give one threshold for each model, chosen on validation data",
        )
    return thresholds[name]


def _warn_of(model: Evaluation) -> None:
    assert model.threshold is not None
    assert model.scores is not None
    if model.threshold.source == _SELF_CHOSEN:
        _warn(f"the threshold of {model.name} was {_SELF_CHOSEN}", code="THRESHOLD_SELF_CHOSEN")
    if np.unique(model.scores).size == 2:
        _warn(
            f"the scores of {model.name} hold two values only: that is a point, not a curve",
            code="SCORES_BINARY",
        )


def _warn(what: str, *, code: str) -> None:
    # To the caller of Evaluator.compare or compare_files.
    warnings.warn(f"[{code}] {what}", StatisticsWarning, stacklevel=5)


def _notes(result: Comparison, clusters: Groups) -> Iterator[str]:
    for rater in result.raters.values():
        yield from (f"{rater.name}: {note}" for note in rater.notes)
    if result.patients_left_out:
        yield f"{result.patients_left_out} patients not read by every reader were left out"
    people = result.readers.values()
    if 0 < len(people) < ENOUGH_READERS:
        yield (
            f"{len(people)} readers: inference to readers in general rests on their scatter "
            "and is weak below five; look at these readers first"
        )
    if people and not any(reader.scores is not None for reader in people):
        yield "the readers gave calls only, so no area is compared with theirs"
    if clusters is None:
        yield from _notes_of_missing_readers(list(people))
    if result.at_readers_points:
        yield (
            "at a matched operating point the threshold is chosen on these very cases, so the "
            "differences describe and are not tested; each resample chooses it anew"
        )
    if clusters is not None:
        yield (
            f"the cases are of {len(np.unique(clusters))} clusters, which the intervals allow "
            "for; kappas and Cochran's Q do not, and the readers' mean is not compared"
        )
    yield from _notes_of_differences(result)
    yield "PPV, NPV and accuracy hold at the share of positives of these patients only"
    if result.prevalence is not None:
        yield (
            f"predictive values at a prevalence of {result.prevalence:g} assume that sensitivity "
            "and specificity are the same there"
        )
    yield "a difference that is not significant is no proof of equivalence"


def _notes_of_missing_readers(people: Sequence[Evaluation]) -> Iterator[str]:
    """Say where the readers' mean is of some readers only, and of how few."""
    for given, figures, counted in (
        ("calls", "sensitivity and specificity", [reader.calls for reader in people]),
        ("ratings", "AUC", [reader.scores for reader in people]),
    ):
        count = sum(values is not None for values in counted)
        if 0 < count < len(people):
            weak = note_of_few(count)
            yield (
                f"{count} of {len(people)} readers gave {given}, and the mean of the readers in "
                f"{figures} is theirs{weak and '; '}{weak}"
            )


def _notes_of_differences(result: Comparison) -> Iterable[str]:
    """Say what narrows single differences; that readers are few stands above already."""
    for pair in result.against_readers:
        if pair.difference.note:
            yield f"{pair.model} - {pair.reader}, {pair.endpoint}: {pair.difference.note}"
    for item in result.against_mean:
        if item.difference.low is None:
            yield f"{item.model} - mean of the readers, {item.endpoint}: {item.difference.note}"
    for models in result.between_models:
        if models.difference.note:
            yield f"{models.first} - {models.second}, AUC: {models.difference.note}"
    for point in result.at_readers_points:
        if point.difference.note:
            yield f"{point.model} - {point.reader}, {point.endpoint}: {point.difference.note}"
