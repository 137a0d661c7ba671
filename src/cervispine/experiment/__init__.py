"""The paper's whole design as one call: several backbones, one split, readers, a report.

presets    how large a study is and how long it trains: quick and paper
folder     the run folder: lock, manifest, split.csv, what makes a run resumable
account    what a run says of its data in its manifest
heatmaps   where a network found its evidence in the cases that the report shows
data       where the data of a run lie, what is in them, and that they stay what they were
models     a model that is trained once, however often its run is interrupted
run        run_experiment: data, split, training, test, comparison, report
crossval   cross_validate: every patient is tested by a model that never saw it
folds      what a cross-validation comes to
tuning     choosing parameters on the training patients of a fold
"""

from cervispine.experiment.crossval import cross_validate
from cervispine.experiment.folds import CrossValidation, Fold
from cervispine.experiment.presets import PRESETS, Preset
from cervispine.experiment.run import Experiment, run_experiment

__all__ = [
    "PRESETS",
    "CrossValidation",
    "Experiment",
    "Fold",
    "Preset",
    "cross_validate",
    "run_experiment",
]
