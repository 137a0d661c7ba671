"""How well one rater, a model or a reader, tells the diseased from the others."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.areas import estimate_auc
from cervispine.evaluation.calibration import Calibration, calibration
from cervispine.evaluation.checking import Binary, Scores
from cervispine.evaluation.predictive import (
    PredictiveValues,
    check_prevalence,
    estimate_predictive_values,
)
from cervispine.evaluation.proportions import proportion
from cervispine.evaluation.resampling import resampled_mean
from cervispine.evaluation.results import Estimate
from cervispine.evaluation.roc import RocCurve, roc_curve
from cervispine.evaluation.thresholds import Threshold

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Evaluation", "rate_performance"]

RATES = ("sensitivity", "specificity", "accuracy", "ppv", "npv")
LABELS = {
    "auc": "AUC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "accuracy": "accuracy",
    "ppv": "PPV",
    "npv": "NPV",
    "brier": "Brier score",
}


@attrs.frozen(eq=False, repr=False)
class Evaluation:
    """The figures of one rater, with the data they came from.

    Parameters
    ----------
    name
        The rater's name.
    truth
        0/1, shape (cases,).
    scores
        Scores or ratings, shape (cases,); ``None`` for a reader who gave calls only.
    calls
        0/1, shape (cases,); ``None`` for a reader who gave ratings only.
    threshold
        The operating point that made the calls; ``None`` for a reader.
    auc, sensitivity, specificity, accuracy, ppv, npv
        The figures; ``None`` where what they need is missing (no scores, no calls, no
        positive call at all). PPV, NPV and accuracy hold at the prevalence of these
        cases only.
    brier, calibration
        Of scores that are probabilities; ``None`` otherwise.
    confidence
        Of every interval.
    notes
        What narrows the meaning of the figures.
    """

    name: str
    truth: Binary
    scores: Scores | None
    calls: Binary | None
    threshold: Threshold | None
    auc: Estimate | None
    sensitivity: Estimate | None
    specificity: Estimate | None
    accuracy: Estimate | None
    ppv: Estimate | None
    npv: Estimate | None
    brier: Estimate | None
    calibration: Calibration | None
    confidence: float
    notes: tuple[str, ...] = ()

    @property
    def n(self) -> int:
        """The number of cases."""
        return int(self.truth.size)

    @property
    def positives(self) -> int:
        """The number of diseased cases."""
        return int(self.truth.sum())

    @property
    def negatives(self) -> int:
        """The number of cases that are not diseased."""
        return self.n - self.positives

    @property
    def figures(self) -> dict[str, Estimate | None]:
        """The estimates by name, in the order of the tables."""
        return {name: getattr(self, name) for name in LABELS}

    @property
    def right(self) -> NDArray[np.bool_]:
        """Which calls are right, shape (cases,); only where there are calls."""
        assert self.calls is not None
        return np.asarray(self.calls == self.truth)

    @property
    def curve(self) -> RocCurve | None:
        """The ROC curve, where there are scores."""
        return None if self.scores is None else roc_curve(self.truth, self.scores)

    def at_prevalence(self, prevalence: float) -> PredictiveValues | None:
        """Return PPV and NPV where the disease is as common as stated; None without calls.

        See ``cervispine.evaluation.predictive_values``; cases count as independent.

        Raises
        ------
        UsageError
            A prevalence that does not lie between 0 and 1.
        """
        check_prevalence(prevalence)
        if self.calls is None:
            return None
        return estimate_predictive_values(self.truth, self.calls, prevalence, self.confidence)

    def summary(self) -> str:
        """Return the figures as text, the sample first."""
        lines = [
            f"{self.name}: {self.n} cases, {self.positives} positive, {self.negatives} negative"
        ]
        if self.threshold is not None:
            lines.append(f"threshold {self.threshold}")
        lines.append(f"{100 * self.confidence:g} % intervals")
        for name, estimate in self.figures.items():
            if estimate is not None:
                lines.append(f"  {LABELS[name]:<12} {estimate}  {estimate.method}")
        if self.calibration is not None:
            lines.append(
                f"  calibration  slope {_figure(self.calibration.slope)}, "
                f"intercept {_figure(self.calibration.intercept)}, ECE {self.calibration.ece:.3f}"
            )
        lines.extend(f"  note: {note}" for note in self.notes)
        return "\n".join(lines)

    def to_frame(self) -> pd.DataFrame:
        """One row for each figure: value, limits, method and n."""
        import pandas as pd

        held = {name: value for name, value in self.figures.items() if value is not None}
        columns = ["value", "low", "high", "method", "n"]
        rows = [[getattr(estimate, column) for column in columns] for estimate in held.values()]
        return pd.DataFrame(rows, index=pd.Index(list(held), name="figure"), columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-ready values, without the cases."""
        return {
            "name": self.name,
            "cases": self.n,
            "positives": self.positives,
            "negatives": self.negatives,
            "threshold": None if self.threshold is None else attrs.asdict(self.threshold),
            **{
                name: None if estimate is None else estimate.to_dict()
                for name, estimate in self.figures.items()
            },
            "calibration": None if self.calibration is None else self.calibration.to_dict(),
        }

    def plot(self, ax: Axes | None = None, *, kind: str = "roc") -> Axes:
        """Draw the rater, on new axes when none are given.

        Parameters
        ----------
        ax
            Where to draw.
        kind
            ``"roc"``: the curve and the operating point. ``"calibration"``: probability
            and share of positives. ``"decision"``: net benefit.

        Raises
        ------
        UsageError
            Another kind, or one of the last two of scores that are no probabilities.
        """
        from cervispine.evaluation.plotting import plot_evaluation

        return plot_evaluation(self, kind, ax=ax)

    def __repr__(self) -> str:
        figure = "" if self.auc is None else f", AUC {self.auc}"
        return f"<Evaluation of {self.name}: {self.n} cases{figure}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


def rate_performance(
    name: str,
    truth: Binary,
    scores: Scores | None,
    calls: Binary | None,
    *,
    threshold: Threshold | None = None,
    groups: NDArray[np.int64] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Evaluation:
    """Compute the figures of one rater from checked arrays.

    Without groups the rates have Wilson intervals and the area DeLong's; with groups
    both allow for cases of the same cluster being alike (resampled clusters for the
    rates, Obuchowski's variance for the area).
    """
    notes: list[str] = []
    area = None
    if scores is not None:
        area = estimate_auc(truth, scores, confidence=confidence, groups=groups)
        if area.note:
            notes.append(f"AUC: {area.note}")
    rates: dict[str, Estimate | None] = dict.fromkeys(RATES)
    if calls is not None:
        right = calls == truth
        parts = {
            "sensitivity": truth == 1,
            "specificity": truth == 0,
            "accuracy": np.ones(truth.size, dtype=bool),
            "ppv": calls == 1,
            "npv": calls == 0,
        }
        for rate, among in parts.items():
            rates[rate] = estimate_rate(right, among, groups, confidence, resamples, seed)
            if rates[rate] is None:
                notes.append(f"{LABELS[rate]}: undefined, for no case is called so")
    brier = fitted = None
    # Only a model has a threshold, and only its scores can be meant as probabilities.
    if threshold is not None and scores is not None and 0 <= scores.min() <= scores.max() <= 1:
        brier = _brier(truth, scores, groups, confidence, resamples, seed)
        fitted = calibration(truth, scores)
    return Evaluation(
        name=name,
        truth=truth,
        scores=scores,
        calls=calls,
        threshold=threshold,
        auc=area,
        brier=brier,
        calibration=fitted,
        confidence=confidence,
        notes=tuple(notes),
        **rates,
    )


def estimate_rate(
    right: NDArray[np.bool_],
    among: NDArray[np.bool_],
    groups: NDArray[np.int64] | None,
    confidence: float,
    resamples: int,
    seed: int,
) -> Estimate | None:
    """Return the share of right calls among some cases; None where there is no such case."""
    trials, successes = int(among.sum()), int(right[among].sum())
    if trials == 0:
        return None
    if groups is None:
        return proportion(successes, trials, confidence=confidence)
    return resampled_mean(
        right.astype(np.float64), among, groups, confidence, resamples, seed, unit="cluster"
    )


def _brier(
    truth: Binary,
    scores: Scores,
    groups: NDArray[np.int64] | None,
    confidence: float,
    resamples: int,
    seed: int,
) -> Estimate:
    return resampled_mean(
        (scores - truth) ** 2,
        np.ones(truth.size, dtype=bool),
        np.arange(truth.size) if groups is None else groups,
        confidence,
        resamples,
        seed,
        unit="case" if groups is None else "cluster",
    )


def _figure(value: float | None) -> str:
    return "not estimable" if value is None else f"{value:.2f}"
