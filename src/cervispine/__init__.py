"""cervispine: cervical OPLL on sagittal MRI, from a folder of DICOM to a surgeon comparison.

The data take one way, and each step is an object of its own:

    Loader.index -> Cohort -> Preprocessor -> Classifier -> Predictions -> Evaluator -> Comparison

records          the values that flow between the steps
exceptions       the errors, each with a stable code
plugins          what is installed under an entry-point group, and importing one of it
loading          a folder of DICOM to a Cohort, a Study to a Volume
preprocessing    a Volume to a Tensor
backbones        a name to a network, through entry points
phantom          the embedded default data: synthetic patients with their truth
classification   Tensors to Predictions: training, threshold, storage
evaluation       the statistics, usable on anyone's numbers, without torch
reporting        figures, tables, the HTML report
reader_study     surgeons read a cohort in the browser; it becomes readers.csv
dicom_results    what a model found, as DICOM that refers to its images
experiment       the paper's whole design as one call
archive          inference over a whole archive, on one machine or many
cli              the command line
testing          what the author of a plug-in runs

Importing the package imports none of these: each public name is found when first used.
Research use only; no real OPLL image has been through it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cervispine.backbones import Backbone, list_backbones
    from cervispine.classification import Classifier, Ensemble, OPLLClassifier
    from cervispine.evaluation import Comparison, Evaluation, Evaluator, ReaderTable
    from cervispine.experiment import run_experiment
    from cervispine.loading import Loader, NiftiLoader, list_loaders
    from cervispine.phantom import Phantom
    from cervispine.preprocessing import Preprocessor
    from cervispine.records import Cohort, Predictions, Series, Study, Volume

__version__ = "0.1.0"

_HOMES = {
    "Backbone": "backbones",
    "Classifier": "classification",
    "Cohort": "records",
    "Comparison": "evaluation",
    "Ensemble": "classification",
    "Evaluation": "evaluation",
    "Evaluator": "evaluation",
    "Loader": "loading",
    "NiftiLoader": "loading",
    "OPLLClassifier": "classification",
    "Phantom": "phantom",
    "Predictions": "records",
    "Preprocessor": "preprocessing",
    "ReaderTable": "evaluation",
    "Series": "records",
    "Study": "records",
    "Volume": "records",
    "list_backbones": "backbones",
    "list_loaders": "loading",
    "run_experiment": "experiment",
}

__all__ = [
    "Backbone",
    "Classifier",
    "Cohort",
    "Comparison",
    "Ensemble",
    "Evaluation",
    "Evaluator",
    "Loader",
    "NiftiLoader",
    "OPLLClassifier",
    "Phantom",
    "Predictions",
    "Preprocessor",
    "ReaderTable",
    "Series",
    "Study",
    "Volume",
    "list_backbones",
    "list_loaders",
    "run_experiment",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
