"""Choosing parameters on the training patients of a fold, by folds within them."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cervispine.exceptions import UsageError
from cervispine.records.files import make_folder, write_json

if TYPE_CHECKING:
    from cervispine.classification import OPLLClassifier
    from cervispine.experiment.folds import Part

__all__ = ["Candidate", "candidates_of", "plain_grid", "read_grid", "tuned"]

#: Parameters of the classifier that a grid may vary; the others decide what is compared.
TUNABLE = (
    "augment", "backbone", "batch_size", "class_weight", "epochs", "learning_rate", "patience",
    "pooling", "pretrained", "weight_decay",
)  # fmt: skip

#: What a grid gives to some parameters.
Candidate = dict[str, Any]


def read_grid(lines: Sequence[str]) -> dict[str, list[Any]]:
    """Return the values of each parameter of ``name=value,value`` lines.

    Values are read as JSON where they are JSON (``0.001``, ``true``, ``null``), else as words.

    Raises
    ------
    UsageError
        A line is none, or names no parameter that can be varied, or one twice.
    """
    grid: dict[str, list[Any]] = {}
    for line in lines:
        name, equals, values = line.partition("=")
        if not equals or name not in TUNABLE or name in grid or "" in values.split(","):
            raise UsageError(
                f"a grid is name=value,value with a name of {', '.join(TUNABLE)}, each once",
                where="--grid",
            )
        grid[name] = [_value(text) for text in values.split(",")]
    return grid


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def plain_grid(grid: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """Return a grid with values as JSON can hold them: those of an array are numbers of Python.

    Raises
    ------
    UsageError
        It names a parameter that cannot be varied, or no value of one.
    """
    plain: dict[str, list[Any]] = {}
    for name, values in (grid or {}).items():
        listed = values.tolist() if isinstance(values, np.ndarray) else values
        if name not in TUNABLE or not isinstance(listed, (list, tuple)) or not listed:
            raise UsageError(
                f"a grid gives a list of values to some of {', '.join(TUNABLE)}", where=f"{name!r}"
            )
        plain[name] = [value.item() if isinstance(value, np.generic) else value for value in listed]
    return plain


def candidates_of(
    grid: Mapping[str, Sequence[Any]], make: Callable[[Candidate], OPLLClassifier]
) -> list[Candidate]:
    """Return every combination of a grid, each of which can be meant; one empty one without a grid.

    Raises
    ------
    UsageError
        A value cannot be meant.
    BackboneError
        A backbone is missing, or fails to import.
    """
    from cervispine.backbones import load_backbone
    from cervispine.classification.parameters import check_parameters

    found = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    for candidate in found:
        classifier = make(candidate)
        check_parameters(classifier)
        load_backbone(classifier.backbone)
    return found


def tuned(
    folder: Path,
    candidates: Sequence[Candidate],
    make: Callable[[Candidate], OPLLClassifier],
    inner: Sequence[Part],
) -> tuple[Candidate, list[float]]:
    """Return the candidate of the greatest mean area over the inner folds, and all their means.

    Areas are averaged over folds, never pooled. Of equals the first one is taken. What was trained
    is kept in the folder, so that an interrupted search goes on.

    Parameters
    ----------
    folder
        Where the search is kept.
    candidates
        From which to choose; of one alone nothing is trained.
    make
        Makes a classifier of a candidate.
    inner
        The folds of its training patients.
    """
    from sklearn.metrics import roc_auc_score

    from cervispine.classification.checkpoints import has_checkpoint

    if len(candidates) == 1:
        return candidates[0], []
    make_folder(folder)
    path = folder / "areas.json"
    areas: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
    for (number, candidate), (fold, part) in itertools.product(
        enumerate(candidates), enumerate(inner)
    ):
        name = f"candidate-{number + 1}-fold-{fold + 1}"
        unfinished = folder / f"{name}.unfinished"
        if name in areas:
            shutil.rmtree(unfinished, ignore_errors=True)
            continue
        model = make(candidate).set_params(validation=part.validation)
        model.fit(part.training, run_dir=unfinished, resume=has_checkpoint(unfinished))
        areas[name] = float(roc_auc_score(part.held.labels, model.decision_function(part.held)))
        write_json(path, areas)
        shutil.rmtree(unfinished)
    means = [
        float(np.mean([areas[f"candidate-{n + 1}-fold-{f + 1}"] for f in range(len(inner))]))
        for n in range(len(candidates))
    ]
    return candidates[int(np.argmax(means))], means
