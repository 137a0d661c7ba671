"""Models and readers on the same patients: the result of ``Evaluator.compare``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import attrs

from cervispine.evaluation.multiplicity import Correction
from cervispine.evaluation.paired import PairedCounts
from cervispine.evaluation.performance import Evaluation
from cervispine.evaluation.predictive import PredictiveValues
from cervispine.evaluation.results import Difference, Estimate, Test

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = [
    "Agreement",
    "Comparison",
    "ModelAgainstMean",
    "ModelAgainstModel",
    "ModelAgainstReader",
    "ModelAtReadersPoint",
    "StratumFigures",
]

SCHEMA = "cervispine/comparison"
SCHEMA_VERSION = 1


@attrs.frozen
class ModelAgainstReader:
    """A model and one reader, on one endpoint.

    Parameters
    ----------
    model, reader
        Their names.
    endpoint
        ``"sensitivity"``, ``"specificity"``, ``"accuracy"`` or ``"auc"``.
    counts
        Right calls of both, of the model only, of the reader only, of neither; ``None``
        for areas.
    difference
        Model minus reader.
    exact_p_value
        McNemar's exact p-value, beside the mid-p of the difference and as little corrected;
        ``None`` for areas.
    adjusted_p_value
        Corrected over all models and readers of this endpoint.
    """

    model: str
    reader: str
    endpoint: str
    counts: PairedCounts | None
    difference: Difference
    exact_p_value: float | None
    adjusted_p_value: float | None = None


@attrs.frozen
class ModelAgainstMean:
    """A model and the mean of the readers, on one endpoint.

    Parameters
    ----------
    model
        Its name.
    endpoint
        ``"auc"``, ``"sensitivity"`` or ``"specificity"``.
    readers_are
        ``"fixed"`` (these readers) or ``"random"`` (readers like these).
    difference
        Model minus mean, with its scope in words.
    adjusted_p_value
        Corrected over all models of this endpoint and this kind of inference.
    """

    model: str
    endpoint: str
    readers_are: str
    difference: Difference
    adjusted_p_value: float | None = None


@attrs.frozen
class ModelAgainstModel:
    """Two models, by the areas under their curves.

    Parameters
    ----------
    first, second
        Their names.
    difference
        First minus second.
    adjusted_p_value
        Corrected over all pairs of models.
    """

    first: str
    second: str
    difference: Difference
    adjusted_p_value: float | None = None


@attrs.frozen
class ModelAtReadersPoint:
    """A model at the operating point of a reader who gave calls only.

    The model's threshold is moved until one of its rates is the reader's, and the other
    rate is compared. That threshold is chosen on these very cases, so the figures
    describe and there is no p-value.

    Parameters
    ----------
    model, reader
        Their names.
    endpoint
        The rate compared, ``"sensitivity"`` or ``"specificity"``.
    matched
        The other rate, which is held at the reader's.
    at
        The reader's matched rate.
    model_rate, reader_rate
        The endpoint of both at that point; the model's lies on its ROC curve.
    difference
        Model minus reader.
    """

    model: str
    reader: str
    endpoint: str
    matched: str
    at: float
    model_rate: float
    reader_rate: float
    difference: Estimate


@attrs.frozen
class StratumFigures:
    """One rater's figures in one level of a stratum.

    Parameters
    ----------
    stratum, level
        For example ``"type"`` and ``"segmental"``.
    rater
        Its name.
    positives, negatives
        How many cases of each class the level holds.
    auc
        ``None`` without scores or with fewer than two cases of a class.
    sensitivity, specificity
        ``None`` without calls, or where the level holds no such case.
    """

    stratum: str
    level: str
    rater: str
    positives: int
    negatives: int
    auc: Estimate | None
    sensitivity: Estimate | None
    specificity: Estimate | None


@attrs.frozen
class Agreement:
    """How far the readers agree with each other in their calls.

    Parameters
    ----------
    fleiss
        Over all readers.
    pairs
        Cohen's kappa of each pair of readers.
    cochran_q
        Whether all raters, models included, are right equally often; one test, not corrected.
    """

    fleiss: Estimate | None
    pairs: Mapping[tuple[str, str], Estimate]
    cochran_q: Test | None


@attrs.frozen(eq=False, repr=False)
class Comparison:
    """Models and readers on the same patients.

    Parameters
    ----------
    models, readers
        The figures of each rater by name, with the data they came from.
    against_readers
        Each model and each reader.
    against_mean
        Each model and the mean of the readers, taken as fixed and as random.
    between_models
        Each pair of models.
    at_readers_points
        Each model and each reader who gave calls only, at a matched operating point.
    strata
        Figures by stratum, the hardest level first; no tests.
    agreement
        Of the readers.
    patients_left_out
        By complete-case analysis of the readers' table.
    confidence, correction, resamples, seed
        As the Evaluator had them.
    prevalence
        At which predictive values are given besides; ``None`` for none.
    notes
        What narrows the meaning of the figures.
    mark
        Stands in the text, in every table and in the JSON, for instance that the cases are
        synthetic; empty for none.
    """

    models: Mapping[str, Evaluation]
    readers: Mapping[str, Evaluation]
    against_readers: tuple[ModelAgainstReader, ...]
    against_mean: tuple[ModelAgainstMean, ...]
    between_models: tuple[ModelAgainstModel, ...]
    at_readers_points: tuple[ModelAtReadersPoint, ...]
    strata: tuple[StratumFigures, ...]
    agreement: Agreement
    patients_left_out: int
    confidence: float
    correction: Correction
    resamples: int
    seed: int
    notes: tuple[str, ...]
    prevalence: float | None = None
    mark: str = ""

    @property
    def raters(self) -> dict[str, Evaluation]:
        """All raters, the models first."""
        return {**self.models, **self.readers}

    @property
    def n(self) -> int:
        """The number of patients."""
        return self._any.n

    @property
    def positives(self) -> int:
        """The number of diseased patients."""
        return self._any.positives

    @property
    def negatives(self) -> int:
        """The number of patients who are not diseased."""
        return self._any.negatives

    @property
    def predictive_values(self) -> dict[str, PredictiveValues]:
        """Of each rater with calls, at the stated prevalence; empty where none was stated."""
        if self.prevalence is None:
            return {}
        values = {name: rater.at_prevalence(self.prevalence) for name, rater in self.raters.items()}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def figures(self) -> tuple[str, ...]:
        """The kinds of plot that have something to show."""
        kinds = ["roc"]
        if self.readers:
            kinds.append("differences")
        if any(each.sensitivity or each.specificity for each in self.strata):
            kinds.append("strata")
        if any(model.calibration is not None for model in self.models.values()):
            kinds += ["calibration", "decision"]
        return tuple(kinds)

    @property
    def _any(self) -> Evaluation:
        return next(iter(self.models.values()))

    def summary(self) -> str:
        """Return the comparison as text, the sample first."""
        from cervispine.evaluation.wording import summarise

        return summarise(self)

    def to_frame(self) -> pd.DataFrame:
        """Table 1 in numbers: one row for each rater, each figure with its limits."""
        from cervispine.evaluation.tables import rater_frame

        return rater_frame(self)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables as they are printed, by name.

        T1 raters, T2 each model and reader, T3 each model and the readers' mean, T4
        calibration and net benefit, T5 each pair of models, T6 strata, T7 agreement,
        T8 models at the operating points of readers who gave calls only, T9 predictive
        values at a stated prevalence; a table without rows is left out.
        """
        from cervispine.evaluation.tables import printed_tables

        return printed_tables(self)

    def to_csv(self) -> dict[str, str]:
        """Return the tables as CSV, by name."""
        from cervispine.evaluation.tables import as_csv

        return as_csv(self)

    def to_latex(self) -> dict[str, str]:
        """Return the tables as LaTeX (booktabs), by name, with what each rests on below."""
        from cervispine.evaluation.latex import as_latex

        return as_latex(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as JSON-ready values: the file comparison.json."""
        from cervispine.evaluation.wording import as_json

        return as_json(self)

    def plot(self, ax: Axes | None = None, *, kind: str = "roc") -> Axes:
        """Draw the comparison.

        Parameters
        ----------
        ax
            Where to draw; new axes when not given.
        kind
            ``"roc"``: the models' curves, and the readers as points with their intervals.
            ``"differences"``: a forest plot of each model minus each reader and the
            readers' mean. ``"strata"``: sensitivity and specificity in each level, the
            hardest first. ``"calibration"``: probability and share of positives.
            ``"decision"``: net benefit.

        Raises
        ------
        UsageError
            Another kind, or nothing to draw: no reader for the differences, no strata, no
            probabilities for the last two.
        """
        from cervispine.evaluation.plotting import plot_comparison

        return plot_comparison(self, kind, ax=ax)

    def __repr__(self) -> str:
        return (
            f"<Comparison of {len(self.models)} models and {len(self.readers)} readers "
            f"on {self.n} patients>"
        )

    def _repr_html_(self) -> str:
        from cervispine.evaluation.tables import as_html

        return as_html(self)
