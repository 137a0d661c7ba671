"""Nothing but the plaque tells the classes apart: the small version of the benchmark.

With forty patients a class, chance lies within about 0.5 +- 0.13 in most draws; the bounds here
catch leaks, and ``benchmarks/phantom_fairness.py`` measures.
"""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cervispine.phantom import (
    PatientSpecification,
    Phantom,
    ProtocolRanges,
    null_cohort,
    render,
    severity,
)

COARSE = ProtocolRanges(matrices=(128,))
SIZE = 40


def area(features: np.ndarray, truth: np.ndarray, *, forest: bool = False) -> float:
    """Cross-validated AUC."""
    model = (
        RandomForestClassifier(200, min_samples_leaf=5, random_state=0)
        if forest
        else make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    )
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(truth, scores))


def middle_slices(patients: tuple[PatientSpecification, ...]) -> np.ndarray:
    images = []
    for patient in patients:
        pixels = render(patient, slices=[patient.protocol.slices // 2]).pixels[0]
        images.append(pixels / np.percentile(pixels, 99))
    return np.array(images)


def histograms(images: np.ndarray) -> np.ndarray:
    return np.array([np.histogram(image, 32, (0, 1.5))[0] for image in images])


def thumbnails(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), 16, 8, 16, 8).mean((2, 4)).reshape(len(images), -1)


@pytest.fixture(scope="module")
def cohort() -> tuple[PatientSpecification, ...]:
    return Phantom(n_opll=SIZE, n_dss=SIZE, seed=4, protocols=COARSE).specifications()


@pytest.fixture(scope="module")
def truth(cohort: tuple[PatientSpecification, ...]) -> np.ndarray:
    return np.array([patient.label == "OPLL" for patient in cohort])


def test_histograms_are_near_chance(
    cohort: tuple[PatientSpecification, ...], truth: np.ndarray
) -> None:
    assert area(histograms(middle_slices(cohort)), truth) < 0.68


def test_the_null_cohort_is_at_chance(
    cohort: tuple[PatientSpecification, ...], truth: np.ndarray
) -> None:
    images = middle_slices(null_cohort(cohort))
    assert area(thumbnails(images), truth) < 0.68
    assert area(histograms(images), truth) < 0.68


def test_null_images_are_those_of_the_twins(cohort: tuple[PatientSpecification, ...]) -> None:
    """The label itself reaches no pixel."""
    patient = next(each for each in cohort if each.label == "OPLL")
    null = null_cohort([patient])[0]
    relabelled = attrs.evolve(null, label="DSS", opll_type=None)
    np.testing.assert_array_equal(
        render(null, slices=[3]).pixels, render(relabelled, slices=[3]).pixels
    )


def test_severity_age_sex_and_protocol_are_near_chance() -> None:
    """On specifications, which are cheap: four hundred of them."""
    patients = Phantom(n_opll=200, n_dss=200, seed=9).specifications()
    labels = np.array([patient.label == "OPLL" for patient in patients])
    measured = [severity(patient) for patient in patients]
    severities = np.array(
        [
            [m.narrowest_sac, m.compression, m.worst_position, p.lesion is not None, p.age,
             p.sex == "M", len(p.mimics)]
            for m, p in zip(measured, patients, strict=True)
        ]
    )  # fmt: skip
    assert area(severities, labels, forest=True) < 0.62
    protocols = np.array(
        [
            [p.protocol.field_strength, p.protocol.slices, p.protocol.matrix,
             p.protocol.field_of_view, p.protocol.gap, p.protocol.t2.repetition_time,
             p.protocol.t2.echo_time, p.protocol.gain, p.protocol.signal_to_noise,
             ("north", "south", "east", "west", "centre").index(p.protocol.site)]
            for p in patients
        ]
    )  # fmt: skip
    assert area(protocols, labels, forest=True) < 0.62
