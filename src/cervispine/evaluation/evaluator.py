"""The Evaluator: from truth, scores and readers to an Evaluation or a Comparison."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from cervispine.evaluation import comparing
from cervispine.evaluation.checking import (
    Binary,
    Scores,
    as_groups,
    as_scores,
    as_truth,
    check_confidence,
    check_same_length,
    choose,
    is_by_case,
    join,
    keyed,
)
from cervispine.evaluation.comparison import Comparison
from cervispine.evaluation.mrmc import ENOUGH_READERS
from cervispine.evaluation.multiplicity import CORRECTIONS, Correction
from cervispine.evaluation.performance import Evaluation, rate_performance
from cervispine.evaluation.readers import ReaderTable
from cervispine.evaluation.thresholds import Threshold, choose_threshold
from cervispine.exceptions import StatisticsWarning, UsageError

__all__ = ["Evaluator"]

Values: TypeAlias = Mapping[Any, Any] | ArrayLike
ThresholdLike: TypeAlias = float | Threshold | str

_SELF_CHOSEN = "chosen on these very cases (Youden)"


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Evaluator(BaseEstimator):  # type: ignore[misc]
    """Judges models on their own, and models and readers on the same patients.

    Parameters
    ----------
    confidence
        Of every interval.
    resamples
        Of every bootstrap (Brier score; rates of clustered cases).
    correction
        For the number of tests in a family: ``"holm"``, ``"hochberg"``,
        ``"benjamini-hochberg"`` or ``"bonferroni"``.
    seed
        Of every bootstrap.
    """

    confidence: float = 0.95
    resamples: int = 2000
    correction: Correction = "holm"
    seed: int = 0

    def evaluate(
        self,
        truth: Values,
        scores: Values,
        *,
        threshold: ThresholdLike,
        cases: Sequence[Hashable] | None = None,
        groups: Sequence[Hashable] | None = None,
    ) -> Evaluation:
        """Judge one model.

        Parameters
        ----------
        truth
            0/1, 1 being diseased: an array, or a mapping or Series by case.
        scores
            Higher means more diseased: likewise. By case when the truth is by case.
        threshold
            A score at or above it is a positive call. It must come from other data;
            ``"youden"`` chooses it on these very cases, and a StatisticsWarning says so.
        cases
            The cases of the arrays, where one of truth and scores is by case.
        groups
            The cluster (patient) of each case, in the order of the truth, where cases
            are not independent.

        Raises
        ------
        EvaluationError
            ``SINGLE_CLASS``, ``NOT_BINARY``, ``SCORES_NOT_FINITE``, ``NO_CASES``.
        MismatchedCasesError
            ``CASES_MISMATCHED``, ``CASES_DUPLICATED``, ``LENGTHS_DIFFER``.
        """
        self._check_parameters()
        if any(map(is_by_case, (truth, scores))) or cases is not None:
            by_case = keyed(truth, cases, "truth")
            order = list(by_case)
            labels = as_truth(list(by_case.values()))
            values = as_scores(join(order, keyed(scores, cases, "scores"), "scores"))
        else:
            labels = as_truth(truth)  # type: ignore[arg-type]
            values = as_scores(scores)  # type: ignore[arg-type]
        check_same_length(truth=labels, scores=values)
        result = self._judge_model("model", labels, values, threshold, groups)
        for note in result.notes:
            warnings.warn(note, StatisticsWarning, stacklevel=2)
        return result

    def compare(
        self,
        truth: Values,
        scores: Mapping[str, Values],
        readers: ReaderTable,
        *,
        thresholds: Mapping[str, ThresholdLike] | ThresholdLike,
        strata: Mapping[str, Mapping[Any, Any]] | None = None,
        cases: Sequence[Hashable] | None = None,
    ) -> Comparison:
        """Compare models and readers on the same patients, joined by patient.

        Parameters
        ----------
        truth
            0/1, 1 being diseased, by patient: a mapping or Series, or an array with
            ``cases``.
        scores
            By model, and then by patient likewise; higher means more diseased.
        readers
            Exactly the same patients.
        thresholds
            Of each model, or one for all; a score at or above it is a positive call.
            They must come from other data; ``"youden"`` chooses on these very cases, and a
            StatisticsWarning says so.
        strata
            By name of an attribute (OPLL type, site), and then by patient: rates are
            given for each level, without tests.
        cases
            The patients of the arrays, where arrays are given.

        Returns
        -------
        Comparison
            Sensitivity, specificity, accuracy and area of each model and reader are
            compared in pairs, each endpoint corrected as a family of its own; each
            model with the readers' mean, for these readers and for readers like
            them; and each pair of models. What narrows the meaning of the figures is
            in its notes.

        Raises
        ------
        EvaluationError
            As ``evaluate``.
        MismatchedCasesError
            When truth, a model's scores and the readers are not of the same patients.
        UsageError
            No model, a threshold missing, or a name that a model and a reader share.
        """
        self._check_parameters()
        self._check_names(scores, readers)
        by_case = keyed(truth, cases, "truth")
        order = list(by_case)
        labels = as_truth(list(by_case.values()))
        models = {
            name: self._judge_model(
                name,
                labels,
                as_scores(join(order, keyed(values, cases, name), name), name),
                _threshold_of(name, thresholds, scores),
                None,
            )
            for name, values in scores.items()
        }
        people = self._judge_readers(labels, readers, order)
        strata_figures, strata_notes = comparing.figures_by_stratum(
            (*models.values(), *people.values()), order, strata or {}, self.confidence
        )
        result = Comparison(
            models=models,
            readers=people,
            against_readers=comparing.compare_with_readers(
                models, people, self.confidence, self.correction
            ),
            against_mean=comparing.compare_with_mean(models, people, self.confidence),
            between_models=comparing.compare_models(models, self.confidence, self.correction),
            strata=strata_figures,
            agreement=comparing.measure_agreement(models, people),
            patients_left_out=readers.dropped,
            confidence=self.confidence,
            correction=self.correction,
            resamples=self.resamples,
            seed=self.seed,
            notes=(*_notes(models, people, readers), *strata_notes),
        )
        for model in models.values():
            if model.threshold is not None and model.threshold.source == _SELF_CHOSEN:
                warnings.warn(
                    f"the threshold of {model.name} was {_SELF_CHOSEN}",
                    StatisticsWarning,
                    stacklevel=2,
                )
        return result

    def _check_parameters(self) -> None:
        check_confidence(self.confidence)
        choose(self.correction, CORRECTIONS, "correction")
        if self.resamples < 1:
            raise UsageError(f"at least one resample, got {self.resamples}", where="resamples")

    def _check_names(self, scores: Mapping[str, Values], readers: ReaderTable) -> None:
        if not scores:
            raise UsageError("no model's scores were given", where="scores")
        shared = sorted(set(scores) & set(readers.readers))
        if shared:
            raise UsageError(
                f"a model and a reader have the same name: {', '.join(shared)}",
                where="scores",
                advice="rename the model",
            )

    def _judge_model(
        self,
        name: str,
        labels: Binary,
        values: Scores,
        threshold: ThresholdLike,
        groups: Sequence[Hashable] | None,
    ) -> Evaluation:
        clusters = None if groups is None else as_groups(groups)
        if clusters is not None:
            check_same_length(truth=labels, groups=clusters)
        point = _as_threshold(threshold, labels, values)
        result = rate_performance(
            name,
            labels,
            values,
            (values >= point.value).astype(np.int64),
            threshold=point,
            groups=clusters,
            confidence=self.confidence,
            resamples=self.resamples,
            seed=self.seed,
        )
        if point.source != _SELF_CHOSEN:
            return result
        note = (
            f"the threshold was {_SELF_CHOSEN}: sensitivity, specificity and what follows "
            "from them flatter the model"
        )
        return attrs.evolve(result, notes=(note, *result.notes))

    def _judge_readers(
        self, labels: Binary, readers: ReaderTable, order: Sequence[Hashable]
    ) -> dict[str, Evaluation]:
        calls, ratings = readers.calls(order), readers.ratings(order)
        return {
            name: rate_performance(
                name, labels, ratings.get(name), calls.get(name), confidence=self.confidence
            )
            for name in readers.readers
        }


def _as_threshold(threshold: ThresholdLike, labels: Binary, values: Scores) -> Threshold:
    if isinstance(threshold, Threshold):
        return threshold
    if isinstance(threshold, str):
        choose(threshold, ("youden",), "threshold")
        return Threshold(choose_threshold(labels, values), _SELF_CHOSEN)
    if not np.isfinite(threshold):
        raise UsageError(f"a threshold is a finite number, got {threshold}", where="threshold")
    return Threshold(float(threshold))


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


def _notes(
    models: Mapping[str, Evaluation], people: Mapping[str, Evaluation], readers: ReaderTable
) -> Iterable[str]:
    for rater in (*models.values(), *people.values()):
        yield from (f"{rater.name}: {note}" for note in rater.notes)
    if readers.dropped:
        yield f"{readers.dropped} patients not read by every reader were left out"
    if 0 < len(people) < ENOUGH_READERS:
        yield (
            f"{len(people)} readers: inference to readers in general rests on their scatter "
            "and is weak below five; look at these readers first"
        )
    if people and not any(reader.scores is not None for reader in people.values()):
        yield "the readers gave calls only, so no area is compared with theirs"
    yield "PPV, NPV and accuracy hold at the share of positives of these patients only"
    yield "a difference that is not significant is no proof of equivalence"
