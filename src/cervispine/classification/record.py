"""How a model was trained, as its model card, its predictions and its folder say it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray

from cervispine.backbones import find_backbone
from cervispine.classification.parameters import plain_parameters
from cervispine.classification.training import Recipe
from cervispine.classification.weights import LocalWeights
from cervispine.evaluation import proportion
from cervispine.evaluation.areas import estimate_auc
from cervispine.preprocessing import Preprocessor
from cervispine.preprocessing.loaders import loaders_of
from cervispine.records import IntakeReport, Study
from cervispine.records.describing import describe

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier

__all__ = ["training_record", "validated"]


def training_record(
    classifier: Classifier,
    preprocessor: Preprocessor,
    weights: LocalWeights | bool,
    recipe: Recipe,
    studies: Sequence[Study],
    truth: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    best_epoch: int,
    *,
    intake: IntakeReport | None = None,
) -> dict[str, Any]:
    """Return versions, device, precision, seed and who was in which part, as JSON can hold them.

    Parameters
    ----------
    classifier, preprocessor, weights, recipe
        What was asked for, what prepared its images, and what it started from.
    studies, truth, held_out
        What it was trained on, and which of it was the validation part.
    best_epoch
        The epoch whose weights were kept, counted from 0.
    intake
        What became of the files, where that is known.
    """
    from cervispine import __version__

    found = find_backbone(classifier.backbone)
    parameters = plain_parameters(classifier)
    freeze = parameters["freeze"]
    patients = np.array([study.patient for study in studies])
    # What it was trained on may differ from the labels that the studies bring.
    labelled = [
        attrs.evolve(study, label=int(label)) for study, label in zip(studies, truth, strict=True)
    ]
    return {
        "cervispine": __version__,
        "torch": torch.__version__,
        "backbone": classifier.backbone,
        "backbone_distribution": found.distribution,
        "backbone_version": found.version,
        "loaders": loaders_of(studies, preprocessor.loader),
        "device": str(recipe.device),
        "precision": str(recipe.precision).removeprefix("torch."),
        "seed": parameters["seed"],
        "best_epoch": best_epoch + 1,
        "epochs": parameters["epochs"],
        "pretrained": bool(weights),
        "pretrained_sha256": weights.sha256 if isinstance(weights, LocalWeights) else "",
        "frozen": freeze if isinstance(freeze, int) else list(freeze),
        "training_patients": len(set(patients[~held_out])),
        "validation_patients": len(set(patients[held_out])),
        "positive": int(truth.sum()),
        "negative": int((1 - truth).sum()),
        "training": describe(_among(labelled, ~held_out)),
        "validation": describe(_among(labelled, held_out)),
        "intake": None if intake is None else intake.to_dict(),
        "split_sha256": _split_hash(studies, held_out),
    }


def validated(
    truth: NDArray[np.int64], probabilities: NDArray[np.float64], threshold: float
) -> dict[str, Any]:
    """Return the figures of the validation part with 95 % intervals, as JSON can hold them.

    Parameters
    ----------
    truth, probabilities
        (n,): 0/1, and the calibrated probability of the positive class.
    threshold
        Chosen on the same part: the figures flatter the model.
    """
    called = probabilities >= threshold
    return {
        # Of a small part it may be a bound; its note says so, and needs no warning at every fit.
        "auc": estimate_auc(truth, probabilities, confidence=0.95).to_dict(),
        "sensitivity": _share(called[truth == 1]),
        "specificity": _share(~called[truth == 0]),
    }


def _share(right: NDArray[np.bool_]) -> dict[str, Any]:
    return proportion(int(right.sum()), len(right)).to_dict()


def _among(studies: Sequence[Study], chosen: NDArray[np.bool_]) -> list[Study]:
    return [study for study, is_chosen in zip(studies, chosen, strict=True) if is_chosen]


def _split_hash(studies: Sequence[Study], held_out: NDArray[np.bool_]) -> str:
    """Return the SHA-256 of ``uid part`` of each study, a line each, in order of the UIDs."""
    lines = sorted(
        f"{study.uid} {'validation' if is_out else 'train'}\n"
        for study, is_out in zip(studies, held_out, strict=True)
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()
