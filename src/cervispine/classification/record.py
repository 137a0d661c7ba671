"""How a model was trained, as its model card, its predictions and its folder say it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cervispine.backbones import find_backbone
from cervispine.classification.inputs import loaders_of
from cervispine.classification.training import Recipe
from cervispine.records import Study

__all__ = ["training_record"]


def training_record(
    backbone: str,
    epochs: int,
    recipe: Recipe,
    studies: Sequence[Study],
    truth: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    best_epoch: int,
) -> dict[str, Any]:
    """Return versions, device, precision, seed and numbers of patients, as JSON can hold them.

    Parameters
    ----------
    backbone, epochs, recipe
        What was asked for.
    studies, truth, held_out
        What it was trained on, and which of it was the validation part.
    best_epoch
        The epoch whose weights were kept, counted from 0.
    """
    from cervispine import __version__

    found = find_backbone(backbone)
    patients = np.array([study.patient for study in studies])
    return {
        "cervispine": __version__,
        "torch": torch.__version__,
        "backbone": backbone,
        "backbone_distribution": found.distribution,
        "backbone_version": found.version,
        "loaders": loaders_of(studies),
        "device": str(recipe.device),
        "precision": str(recipe.precision).removeprefix("torch."),
        "seed": recipe.seed,
        "best_epoch": best_epoch + 1,
        "epochs": epochs,
        "training_patients": len(set(patients[~held_out])),
        "validation_patients": len(set(patients[held_out])),
        "positive": int(truth.sum()),
        "negative": int((1 - truth).sum()),
    }
