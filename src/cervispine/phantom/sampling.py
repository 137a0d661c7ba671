"""Draws patients, their twins, and cohorts without any plaque."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from cervispine.exceptions import UsageError
from cervispine.phantom.anatomy import sample_anatomy, sample_subject
from cervispine.phantom.canal import severity
from cervispine.phantom.pathology import (
    sample_discs,
    sample_lesion,
    sample_mimics,
    sample_plaques,
)
from cervispine.phantom.scanner import sample_protocol
from cervispine.phantom.settings import ProtocolRanges, Settings, TypeMix
from cervispine.phantom.specification import Label, PatientSpecification

__all__ = ["null_cohort", "sample_patient", "twin"]


def sample_patient(
    seed: int,
    label: Label,
    *,
    difficulty: float = 0.5,
    type_mix: TypeMix | None = None,
    mimic_rate: float | None = None,
    protocols: ProtocolRanges | None = None,
) -> PatientSpecification:
    """Return one synthetic patient.

    Anatomy, scanner, degeneration and mimics come from streams of `seed` that never see the
    label; plaques are added last, for patients with OPLL only.

    Parameters
    ----------
    seed : int
        Not negative.
    label : {"OPLL", "DSS"}
        Ossification, or degenerative stenosis alone.
    difficulty, type_mix, mimic_rate, protocols
        See :class:`~cervispine.phantom.Settings`.

    Raises
    ------
    UsageError
        If the label is unknown or the seed negative.
    """
    if label not in ("OPLL", "DSS"):
        raise UsageError(
            "a phantom's label is 'OPLL' or 'DSS'", where=f"label={label!r}", code="LABEL_UNKNOWN"
        )
    if seed < 0:
        raise UsageError("a seed is a whole number from 0", where=f"seed={seed}")
    settings = Settings(
        difficulty=difficulty,
        type_mix=type_mix or TypeMix(),
        mimic_rate=mimic_rate,
        protocols=protocols or ProtocolRanges(),
    )
    age, sex = sample_subject(seed)
    anatomy = sample_anatomy(seed, sex)
    discs = sample_discs(seed, anatomy, age)
    patient = PatientSpecification(
        seed=seed,
        label="DSS",
        difficulty=difficulty,
        age=age,
        sex=sex,
        protocol=sample_protocol(seed, settings.protocols),
        anatomy=anatomy,
        discs=discs,
        mimics=sample_mimics(seed, anatomy, discs, settings),
        lesion=None,
    )
    narrowing = severity(patient)
    lesion = sample_lesion(seed, narrowing.compression, narrowing.worst_position)
    patient = attrs.evolve(patient, lesion=lesion)
    if label == "DSS":
        return patient
    opll_type, plaques = sample_plaques(seed, anatomy, settings)
    return attrs.evolve(patient, label=label, opll_type=opll_type, plaques=plaques)


def twin(patient: PatientSpecification) -> PatientSpecification:
    """Return the same patient without ossification: equal in every field but the plaques."""
    return attrs.evolve(patient, label="DSS", opll_type=None, plaques=())


def null_cohort(patients: Iterable[PatientSpecification]) -> tuple[PatientSpecification, ...]:
    """Return a cohort with its labels and without its plaques.

    Nothing in its images may tell the labels; what does is a leak.
    """
    return tuple(attrs.evolve(patient, plaques=()) for patient in patients)
