"""What a cross-validation comes to: each fold, their mean, and all scores pooled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.records import CLASSES

if TYPE_CHECKING:
    from cervispine.evaluation import Estimate
    from cervispine.records import Cohort, IntakeReport, Predictions

__all__ = ["CrossValidation", "Fold", "Part"]

FORMAT = "cervispine/cross-validation"
VERSION = 1

NOTE = (
    "Averaged: a patient is compared with the others of its fold, whom the same model scored. "
    "Pooled: also with those of other folds, scored by other models, which is below it where their "
    "scales differ. Both are of this way of training, not of one model; neither interval holds "
    "how models trained on other patients would differ."
)


#: Share of the training patients that choose the epoch, the temperature and the threshold.
VALIDATION = 0.15


@attrs.frozen(kw_only=True, eq=False)
class Part:
    """Who is held back, who trains, and who of these is the validation part."""

    held: Cohort
    training: Cohort
    validation: tuple[str, ...]

    @classmethod
    def of(cls, cohort: Cohort, held: Cohort, stratify: Sequence[str], seed: int) -> Self:
        """Hold back some of a cohort.

        Raises
        ------
        UsageError
            No validation part with both classes can be drawn (``SPLIT_IMPOSSIBLE``).
        """
        training = cohort.without(held)
        _, validation = training.split(VALIDATION, stratify=stratify, seed=seed)
        return cls(held=held, training=training, validation=validation.patients)


@attrs.frozen(kw_only=True, eq=False)
class Fold:
    """One part of the cohort, and what a model of the others says of it.

    Parameters
    ----------
    repeat, fold
        Counted from 1.
    truth
        int64 (n,), 1 for OPLL.
    predictions
        Of the same studies, at a threshold of the fold's own validation part.
    parameters
        What the grid gave the model; empty without one.
    inner_areas
        The mean inner area of each combination of the grid, in its order.
    """

    repeat: int
    fold: int
    truth: NDArray[np.int64] = attrs.field(repr=False)
    predictions: Predictions = attrs.field(repr=False)
    parameters: Mapping[str, Any]
    inner_areas: tuple[float, ...] = ()


@attrs.frozen(kw_only=True, eq=False)
class CrossValidation:
    """A way of training, tested on every patient once a repeat.

    Parameters
    ----------
    folder
        The run folder: models, predictions, figures.
    intake
        What became of every file.
    backbone
        That was asked for.
    folds
        Of all repeats, in order.
    areas
        AUC of each fold, DeLong.
    averaged
        The mean area over the folds; over all repeats, of which the limits are averaged too, since
        they are of the same patients.
    pooled
        The area of all scores of a repeat, in the same way.
    sensitivity, specificity
        Of the calls at each fold's own threshold, Wilson, of the first repeat.
    synthetic
        Whether the patients are phantoms.
    """

    folder: Path
    intake: IntakeReport | None = attrs.field(repr=False)
    backbone: str
    folds: tuple[Fold, ...] = attrs.field(repr=False)
    areas: tuple[Estimate, ...]
    averaged: Estimate
    pooled: Estimate
    sensitivity: Estimate
    specificity: Estimate
    synthetic: bool = False

    @classmethod
    def of(
        cls,
        folder: Path,
        backbone: str,
        folds: Sequence[Fold],
        *,
        intake: IntakeReport | None,
        synthetic: bool,
    ) -> Self:
        """Compute every figure from folds of one or more repeats."""
        from cervispine.evaluation import auc, cross_validated_auc, proportion

        repeats = [
            [each for each in folds if each.repeat == repeat]
            for repeat in sorted({each.repeat for each in folds})
        ]
        columns = [_columns(each) for each in repeats]
        truth, _, calls, _ = columns[0]
        return cls(
            folder=folder,
            intake=intake,
            backbone=backbone,
            folds=tuple(folds),
            areas=tuple(auc(each.truth, each.predictions.probabilities) for each in folds),
            averaged=_mean([cross_validated_auc(t, s, f) for t, s, _, f in columns]),
            pooled=_mean([auc(t, s) for t, s, _, _ in columns]),
            sensitivity=proportion(int(calls[truth == 1].sum()), int((truth == 1).sum())),
            specificity=proportion(int((1 - calls[truth == 0]).sum()), int((truth == 0).sum())),
            synthetic=synthetic,
        )

    def summary(self) -> str:
        """Return the figures as text, the sample first."""
        first = [fold for fold in self.folds if fold.repeat == 1]
        truth = np.concatenate([fold.truth for fold in first])
        positive, repeats = int(truth.sum()), self.folds[-1].repeat
        lines = [
            *(["Synthetic phantoms: no figure here is of patients."] if self.synthetic else []),
            f"{len(truth)} patients: {positive} {CLASSES[1]}, "
            f"{len(truth) - positive} {CLASSES[0]}; {len(first)} folds, "
            f"{repeats} repeat{'s' if repeats > 1 else ''}, {self.backbone}",
        ]
        for fold, area in zip(self.folds, self.areas, strict=True):
            name = f"repeat {fold.repeat}, " if repeats > 1 else ""
            chosen = ", ".join(f"{key}={value}" for key, value in fold.parameters.items())
            lines.append(
                f"  {name}fold {fold.fold}: {len(fold.truth):4} patients, "
                f"{int(fold.truth.sum()):4} {CLASSES[1]}, AUC {area}{f', {chosen}' * bool(chosen)}"
            )
        lines += [
            f"AUC averaged  {self.averaged}, {self.averaged.method}",
            f"AUC pooled    {self.pooled}, {self.pooled.method}",
            f"sensitivity   {self.sensitivity}, at each fold's own threshold",
            f"specificity   {self.specificity}, at each fold's own threshold",
            NOTE,
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON can hold them."""
        names = ("averaged", "pooled", "sensitivity", "specificity")
        return {
            "schema": FORMAT,
            "version": VERSION,
            "synthetic": self.synthetic,
            "backbone": self.backbone,
            **{name: getattr(self, name).to_dict() for name in names},
            "folds": [
                {
                    "repeat": fold.repeat,
                    "fold": fold.fold,
                    "patients": len(fold.truth),
                    "positive": int(fold.truth.sum()),
                    "threshold": fold.predictions.threshold,
                    "auc": area.to_dict(),
                    "parameters": dict(fold.parameters),
                    "inner_areas": list(fold.inner_areas),
                }
                for fold, area in zip(self.folds, self.areas, strict=True)
            ],
            "note": NOTE,
        }


def _columns(folds: Sequence[Fold]) -> tuple[NDArray[Any], ...]:
    """Return truth, scores, calls and fold of every patient of one repeat."""
    return (
        np.concatenate([fold.truth for fold in folds]),
        np.concatenate([fold.predictions.probabilities for fold in folds]),
        np.concatenate([fold.predictions.calls for fold in folds]),
        np.repeat([fold.fold for fold in folds], [len(fold.truth) for fold in folds]),
    )


def _mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of repeats: their intervals are of the same patients and do not narrow."""
    if len(estimates) == 1:
        return estimates[0]
    ends = [(each.low, each.high) for each in estimates]
    known = [(low, high) for low, high in ends if low is not None and high is not None]
    low, high = np.mean(known, axis=0).tolist() if len(known) == len(ends) else (None, None)
    return attrs.evolve(
        estimates[0],
        value=float(np.mean([each.value for each in estimates])),
        low=low,
        high=high,
        method=f"{estimates[0].method}; mean of {len(estimates)} repeats",
    )
