"""The Evaluator: from truth, scores and readers to an Evaluation or a Comparison."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import attrs
from sklearn.base import BaseEstimator

from cervispine.evaluation.checking import (
    as_groups,
    as_scores,
    as_truth,
    check_same_length,
    is_by_case,
    join,
    keyed,
)
from cervispine.evaluation.comparison import Comparison
from cervispine.evaluation.judging import ThresholdLike, Values, compare_raters, judge_model
from cervispine.evaluation.multiplicity import Correction
from cervispine.evaluation.performance import Evaluation
from cervispine.evaluation.readers import ReaderTable
from cervispine.evaluation.settings import Settings
from cervispine.exceptions import StatisticsWarning

__all__ = ["Evaluator"]


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Evaluator(BaseEstimator):  # type: ignore[misc]
    """Judges models on their own, and models and readers on the same patients.

    Parameters
    ----------
    confidence
        Of every interval.
    resamples
        Of every bootstrap (Brier score; rates of clustered cases), at least 100.
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
        groups: Values | None = None,
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
            The cluster (patient) of each case, where cases are not independent: in the
            order of the truth, or by case where the truth is.

        Raises
        ------
        EvaluationError
            ``SINGLE_CLASS``, ``NOT_BINARY``, ``SCORES_NOT_FINITE``, ``NO_CASES``,
            ``GROUPS_MISSING``.
        MismatchedCasesError
            ``CASES_MISMATCHED``, ``CASES_MISSING``, ``CASES_DUPLICATED``, ``LENGTHS_DIFFER``.
        """
        settings = Settings.of(self)
        order: list[Hashable] | None = None
        if any(map(is_by_case, (truth, scores))) or cases is not None:
            by_case = keyed(truth, cases, "truth")
            order = list(by_case)
            labels = as_truth(list(by_case.values()))
            values = as_scores(join(order, keyed(scores, cases, "scores"), "scores"))
        else:
            labels = as_truth(truth)  # type: ignore[arg-type]
            values = as_scores(scores)  # type: ignore[arg-type]
        check_same_length(truth=labels, scores=values)
        clusters = None if groups is None else as_groups(groups, labels, order=order)
        result = judge_model("model", labels, values, threshold, clusters, settings)
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
        groups: Values | None = None,
        prevalence: float | None = None,
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
            By name of an attribute (OPLL type, site), and then by patient: figures are
            given for each level, without tests.
        cases
            The patients of the arrays, where arrays are given.
        groups
            The cluster of each case, by case or in the order of the truth, where cases are
            not independent: several images of a patient, each with an identifier of its
            own. Areas then have Obuchowski's variance, rates resampled clusters, and
            differences of rates the variance over clusters; nothing is compared with the
            readers' mean.
        prevalence
            The share of diseased where the raters will read, from other data: predictive
            values are then given for it too, since those of the sample do not carry over.

        Returns
        -------
        Comparison
            Sensitivity, specificity, accuracy and area of each model and reader are
            compared in pairs, each endpoint corrected as a family of its own; each
            model with the readers' mean, for these readers and for readers like
            them; each pair of models; and each model with each reader who gave calls
            only, at a matched operating point. What narrows the meaning of the figures
            is in its notes.

        Raises
        ------
        EvaluationError
            As ``evaluate``, and ``SINGLE_CASE`` where a class has one case.
        MismatchedCasesError
            When truth, a model's scores and the readers are not of the same patients.
        UsageError
            No model, a threshold missing, a name that a model and a reader share, or a
            prevalence outside (0, 1) or of clustered cases.
        """
        return compare_raters(
            truth,
            scores,
            readers,
            thresholds=thresholds,
            strata=strata,
            cases=cases,
            groups=groups,
            prevalence=prevalence,
            settings=Settings.of(self),
        )
