"""Synthetic patients with known truth: the data that come with the library.

A phantom shows that the machinery works; nothing it makes is evidence about patients.

===================  ============================================================
``specification``    the frozen values that say all about a patient; their JSON
``settings``         the knobs: difficulty, types, mimics, protocols
``sampling``         draws patients, their twins without plaque, null cohorts
``anatomy``          draws the healthy spine
``pathology``        draws degeneration and mimics (label-free), then plaques
``spine``, ``canal`` tables along the spine: where things are, what room is left
``rendering``        specification to images and masks, with ``canvas``,
                     ``painting`` and ``surroundings``
``tissues``          relaxation times and the spin echo
``scanner``          protocols, coil, k-space, noise
``dicom``            images to DICOM files
``readers``          simulated surgeons
``levels``           which vertebra pixels lie at
``cohort``           all of it for a whole cohort, on disk (``storage``)
===================  ============================================================
"""

from cervispine.phantom.canal import Severity, severity
from cervispine.phantom.cohort import Phantom, PhantomCohort
from cervispine.phantom.dicom import write_series
from cervispine.phantom.levels import levels_at
from cervispine.phantom.readers import Case, Reading, simulate_readers
from cervispine.phantom.rendering import Rendering, render, render_sequences
from cervispine.phantom.sampling import null_cohort, sample_patient, twin
from cervispine.phantom.settings import ProtocolRanges, Settings, TypeMix
from cervispine.phantom.specification import (
    Anatomy,
    Contrast,
    CordLesion,
    DiscChange,
    Mimic,
    PatientSpecification,
    Plaque,
    Protocol,
    Ridge,
    from_json,
    to_json,
)

__all__ = [
    "Anatomy",
    "Case",
    "Contrast",
    "CordLesion",
    "DiscChange",
    "Mimic",
    "PatientSpecification",
    "Phantom",
    "PhantomCohort",
    "Plaque",
    "Protocol",
    "ProtocolRanges",
    "Reading",
    "Rendering",
    "Ridge",
    "Settings",
    "Severity",
    "TypeMix",
    "from_json",
    "levels_at",
    "null_cohort",
    "render",
    "render_sequences",
    "sample_patient",
    "severity",
    "simulate_readers",
    "to_json",
    "twin",
    "write_series",
]
