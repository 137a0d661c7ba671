"""The paper's whole design as one call: several backbones, one split, readers, a report.

presets    how large a study is and how long it trains: quick and paper
folder     the run folder: lock, manifest, split.csv, what makes a run resumable
account    what a run says of its data in its manifest
heatmaps   where a network found its evidence in the cases that the report shows
run        run_experiment: data, split, training, test, comparison, report
"""

from cervispine.experiment.presets import PRESETS, Preset
from cervispine.experiment.run import Experiment, run_experiment

__all__ = ["PRESETS", "Experiment", "Preset", "run_experiment"]
