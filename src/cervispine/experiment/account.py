"""What a run says of its data in its manifest, so that nothing need be computed to report it."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cervispine.records import CLASSES
from cervispine.records.describing import describe
from cervispine.records.identity import IDENTITIES, leakage_code
from cervispine.records.predictions import CT_ADVISED

if TYPE_CHECKING:
    from cervispine.evaluation import Comparison
    from cervispine.experiment.data import Source
    from cervispine.experiment.presets import Preset
    from cervispine.records import Cohort, Manifest, Predictions

__all__ = ["account_of", "model_folder", "save_tests"]


def account_of(
    source: Source,
    parts: Mapping[str, Cohort],
    settings: Preset,
    manifest: Manifest,
    predictions: Mapping[str, Predictions],
) -> dict[str, Any]:
    """Return the account of files, parts and checks, as JSON can hold it.

    Parameters
    ----------
    source
        Where the data came from.
    parts
        The cohort in its parts.
    settings
        The preset of the run.
    manifest
        Which bytes the data are.
    predictions
        What each model says of the test part, with where it comes from.
    """
    intake = parts["test"].intake
    assert intake is not None
    return {
        "synthetic": parts["test"].synthetic,
        "phantom": source.phantom,
        "preprocessor": settings.preprocessor,
        "classifier": settings.classifier,
        "data_sha256": manifest.digest,
        "intake": intake.to_dict(),
        "cohort": describe([study for part in parts.values() for study in part]),
        "parts": {
            part: {name: int((cohort.labels == label).sum()) for label, name in _classes()}
            for part, cohort in parts.items()
        },
        "participants": {part: describe(cohort) for part, cohort in parts.items()},
        "models": {name: _model(each, parts["test"]) for name, each in predictions.items()},
        "checks": [_check(parts, one, other) for one, other in itertools.combinations(parts, 2)],
    }


def model_folder(run: Path, name: str) -> Path:
    """Return the folder of a run that holds the model of a backbone."""
    return run / "models" / name.replace(":", "-")


def save_tests(run: Path, account: Mapping[str, Any], comparison: Comparison) -> None:
    """Write the figures of the test part beside each model, and into its card.

    Raises
    ------
    ResourceError
        When the folder of a model cannot be written.
    """
    from cervispine.classification.storage import save_test

    split = hashlib.sha256((run / "split.csv").read_bytes()).hexdigest()
    content = comparison.to_dict()
    for rater in content["raters"]:
        if rater["kind"] != "model":
            continue
        save_test(
            model_folder(run, rater["name"]),
            {
                "figures": {name: rater[name] for name in comparison.models[rater["name"]].figures},
                "strata": [each for each in content["strata"] if each["rater"] == rater["name"]],
                "participants": account["participants"]["test"],
                "intake": account["intake"],
                "data_sha256": account["data_sha256"],
                "split_sha256": split,
            },
        )


def _classes() -> list[tuple[int, str]]:
    """Return number and name of each class, the positive first."""
    return list(reversed([*enumerate(CLASSES)]))


def _model(predictions: Predictions, test: Cohort) -> dict[str, Any]:
    """Return which model it was, how it was trained, and what it does not decide."""
    made = predictions.provenance
    return {
        "backbone": f"{made['backbone_distribution']} {made['backbone_version']}",
        "epoch": made["best_epoch"],
        "epochs": made["epochs"],
        "precision": made["precision"],
        "device": made["device"],
        "threshold": predictions.threshold,
        "band": predictions.band,
        "advice": {name: _advice(predictions, test.labels == label) for label, name in _classes()},
    }


def _advice(predictions: Predictions, chosen: NDArray[np.bool_]) -> dict[str, int]:
    """Count what is said of some of the studies."""
    advised = np.array([advice == CT_ADVISED for advice in predictions.advice])
    return {
        "studies": int(chosen.sum()),
        "undecided": int((predictions.undecided & chosen).sum()),
        "unlike_training": int((predictions.unlike & chosen).sum()),
        "ct_advised": int((advised & chosen).sum()),
    }


def _check(parts: Mapping[str, Cohort], one: str, other: str) -> dict[str, Any]:
    """Count what two parts share, and pairs of pictures that look alike, once the parts stand."""
    shared = Counter(problem.code for problem in parts[one].leakage(parts[other]))
    return {
        "parts": [one, other],
        "shared": {name: shared[leakage_code(name)] for name in IDENTITIES},
        "look_alikes": len(parts[one].near_duplicates(parts[other])),
    }
