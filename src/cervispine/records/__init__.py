"""The values that flow through cervispine, each frozen once made.

geometry       where a stack of slices lies in the patient
study          Series, Study and Volume: what is known of an examination, and its pixels
intake         Problem and IntakeReport: what became of every file that was found
manifest       Manifest: which bytes a cohort was made of
cohort         Cohort: an immutable sequence of studies, with labels, split and leakage
describing     who a group of studies are, in counts that name nobody
labels         labels.csv, and the vocabulary of labels
predictions    Predictions: what a classifier says of studies
tables         the CSV files that people bring: read strictly, every fault listed at once
written        the CSV files that cervispine writes
markdown       text and tables in Markdown
arrays         read-only copies of arrays
files          writing files so that a reader never sees half of one
pseudonyms     Key: short names for patients, which only the holder of the key can join
"""

from cervispine.records.cohort import Cohort
from cervispine.records.geometry import Geometry
from cervispine.records.intake import IntakeReport, Problem
from cervispine.records.labels import CLASSES
from cervispine.records.manifest import Manifest
from cervispine.records.predictions import Predictions
from cervispine.records.pseudonyms import Key
from cervispine.records.study import Series, Study, Volume

__all__ = [
    "CLASSES",
    "Cohort",
    "Geometry",
    "IntakeReport",
    "Key",
    "Manifest",
    "Predictions",
    "Problem",
    "Series",
    "Study",
    "Volume",
]
