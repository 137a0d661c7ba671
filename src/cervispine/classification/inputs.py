"""What a classifier is given: studies, their truth, and which patients it may not train on."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.exceptions import LabelError, ProvenanceWarning, TrainingError, UsageError
from cervispine.preprocessing import Preprocessor
from cervispine.preprocessing.loaders import loaders_of
from cervispine.records import Cohort, Study

__all__ = ["labelled_studies", "validation_part", "warn_of_other_loaders"]


def labelled_studies(
    X: Sequence[Study], y: ArrayLike | None
) -> tuple[tuple[Study, ...], NDArray[np.int64]]:
    """Return the studies and their truth, or say what is wrong with either."""
    studies = tuple(X)
    strangers = {type(study).__name__ for study in studies if not isinstance(study, Study)}
    if strangers or not studies:
        raise UsageError(
            f"X is a sequence of Study, not {'empty' if not studies else 'of ' + min(strangers)}",
            advice="Loader().index(folder) gives one",
        )
    if y is None:
        if any(study.label is None for study in studies):
            raise LabelError(
                "some studies have no label",
                advice="cohort.with_labels('labels.csv'), or give y",
                code="LABELS_MISSING",
            )
        y = [study.label for study in studies if study.label is not None]
    truth = np.asarray(y)
    if truth.shape != (len(studies),) or not np.isin(truth, (0, 1)).all():
        raise LabelError(
            f"y must hold one 0 or 1 for each of the {len(studies)} studies, 1 = positive",
            code="LABELS_INVALID",
        )
    if len(np.unique(truth)) < 2:
        raise LabelError(
            f"each of the {len(studies)} studies is of the same class",
            advice="bring patients of both classes",
            code="SINGLE_CLASS",
        )
    return studies, truth.astype(np.int64)


def warn_of_other_loaders(
    record: Mapping[str, Any], studies: Sequence[Study], preprocessor: Preprocessor
) -> None:
    """Warn where studies are read by other loaders than the record of a training names.

    Two loaders may scale the values of one image in two ways, as those of DICOM and NIfTI do.
    """
    known = {loader.split()[0] for loader in record.get("loaders", ())}
    others = {loader.split()[0] for loader in loaders_of(studies, preprocessor.loader)} - known
    if known and others:
        warnings.warn(
            f"the model was trained on images read by {' and '.join(sorted(known))}; "
            f"these are read by {' and '.join(sorted(others))}",
            ProvenanceWarning,
            stacklevel=3,
        )


def validation_part(
    studies: Sequence[Study],
    truth: NDArray[np.int64],
    validation: float | Sequence[str],
    seed: int,
) -> NDArray[np.bool_]:
    """Return bool (n,): which studies are held out, whole patients at a time.

    Parameters
    ----------
    studies, truth
        What is to be divided, in the same order.
    validation
        A share of the patients, drawn by class; or the identifiers of those held out. Either was
        found right by :func:`~cervispine.classification.parameters.check_validation`.
    seed
        Decides the draw.

    Raises
    ------
    UsageError
        A patient who is named has no study here.
    LeakageError
        The patients named share an image with one that stays.
    TrainingError
        A part would lack a class (``TOO_FEW_PATIENTS``).
    """
    labelled = Cohort(
        attrs.evolve(study, label=int(label)) for study, label in zip(studies, truth, strict=True)
    )
    if isinstance(validation, (int, float, np.number)):
        try:
            _, held_out = labelled.split(float(validation), seed=int(seed))
        except UsageError as error:
            if error.code != "SPLIT_IMPOSSIBLE":
                raise
            raise _too_few(len(studies)) from error
        identities = {(study.patient, study.uid) for study in held_out}
        return np.array([(study.patient, study.uid) in identities for study in studies])
    named = set(validation)
    strangers = named - {study.patient for study in studies}
    if strangers:
        raise UsageError(
            f"{len(strangers)} of the {len(named)} patients named for validation have no study",
            advice="identifiers are text, as in the images' headers",
        )
    mask = np.array([study.patient in named for study in studies])
    if set(truth[mask]) != {0, 1} or set(truth[~mask]) != {0, 1}:
        raise _too_few(len(studies))
    labelled.where(lambda study: study.patient in named).refuse_leakage(
        labelled.where(lambda study: study.patient not in named)
    )
    return mask


def _too_few(studies: int) -> TrainingError:
    return TrainingError(
        f"{studies} studies do not give a training and a validation part with both classes",
        advice="bring more patients of the rarer class, or change validation=",
        code="TOO_FEW_PATIENTS",
    )
