"""Measure what tells the phantom's classes apart that should not, and what a patient costs.

    python benchmarks/phantom_fairness.py [--patients 684] [--difficulty 0.5] [--seed 0]

Each line: name, value, target, pass or fail. An AUC is cross-validated in five folds; its 95 %
interval at 684 patients is about +- 0.044. Everything here is synthetic.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import joblib
import numpy as np
from scipy.ndimage import zoom
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cervispine.phantom import (
    PatientSpecification,
    Phantom,
    null_cohort,
    render,
    severity,
)
from cervispine.phantom.storage import write_patient
from cervispine.testing import dark_band

SPACING, SIZE = 0.7, 224


def logistic(strength: float = 0.1) -> BaseEstimator:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=3000))


def forest() -> BaseEstimator:
    return RandomForestClassifier(300, min_samples_leaf=4, random_state=0)


def area(model: BaseEstimator, features: np.ndarray, truth: np.ndarray) -> float:
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = cross_val_predict(model, features, truth, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(truth, scores))


def picture(patient: PatientSpecification) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle slice at a common size, and noise in four corners."""
    slices = [patient.protocol.slices // 2]
    image = render(patient, slices=slices)
    pixels = image.pixels[0].astype(np.float32)
    corners = [
        pixels[a, b]
        for a in (slice(0, 20), slice(-20, None))
        for b in (slice(0, 20), slice(-20, None))
    ]
    noise = np.array([[corner.mean(), corner.std()] for corner in corners]).ravel()
    scaled = zoom(pixels, image.spacing[1] / SPACING, order=1)
    scaled = np.pad(scaled, max(0, SIZE - len(scaled) + 1))
    start = (len(scaled) - SIZE) // 2
    scaled = scaled[start : start + SIZE, start : start + SIZE]
    return scaled / np.percentile(scaled, 99), noise


def pictures(
    patients: tuple[PatientSpecification, ...], jobs: int
) -> tuple[np.ndarray, np.ndarray]:
    made = joblib.Parallel(jobs)(joblib.delayed(picture)(patient) for patient in patients)
    return np.array([image for image, _ in made]), np.array([noise for _, noise in made])


def histogram(images: np.ndarray) -> np.ndarray:
    return np.array([np.histogram(image, 32, (0, 1.5))[0] for image in images])


def thumbnail(images: np.ndarray) -> np.ndarray:
    edge = SIZE // 16
    return images.reshape(len(images), 16, edge, 16, edge).mean((2, 4)).reshape(len(images), -1)


def power(images: np.ndarray) -> np.ndarray:
    spectra = np.log1p(np.abs(np.fft.rfft2(images))[:, :112, :112])
    return spectra.reshape(len(images), 16, 7, 16, 7).mean((2, 4)).reshape(len(images), -1)


def protocol_values(patient: PatientSpecification) -> list[float]:
    protocol = patient.protocol
    return [
        protocol.field_strength, protocol.slices, protocol.matrix, protocol.field_of_view,
        protocol.gap, protocol.t2.repetition_time, protocol.t2.echo_time, protocol.t2.echo_train,
        protocol.phase_lines, protocol.phase_direction == "rows", protocol.yaw, protocol.roll,
        ("ascending", "descending", "interleaved").index(protocol.instance_order),
        ("north", "south", "east", "west", "centre").index(protocol.site),
    ]  # fmt: skip


def seconds_a_patient(patients: tuple[PatientSpecification, ...], *sequences: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        write_patient(Path(folder), "warm-up", patients[0], sequences)
        start = time.process_time()
        for number, patient in enumerate(patients[:12]):
            write_patient(Path(folder), f"P{number}", patient, sequences)
        return (time.process_time() - start) / len(patients[:12])


def most_by_chance(n_opll: int, n_dss: int) -> float:
    """Return an AUC that chance passes once in a thousand times in a cohort of this size."""
    return 0.5 + 3 * float(np.sqrt((n_opll + n_dss + 1) / (12 * n_opll * n_dss)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=684)
    parser.add_argument("--difficulty", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    n_opll = round(options.patients * 272 / 684)
    patients = Phantom(
        n_opll=n_opll,
        n_dss=options.patients - n_opll,
        difficulty=options.difficulty,
        seed=options.seed,
    ).specifications()
    truth = np.array([patient.label == "OPLL" for patient in patients])
    failed = 0
    by_chance = most_by_chance(n_opll, len(patients) - n_opll)

    def line(name: str, value: float, target: float | None, *, is_area: bool = True) -> None:
        nonlocal failed
        # At the paper's size chance stays far below the targets; in a small cohort it does not.
        if target is not None and is_area:
            target = max(target, round(by_chance, 2))
        verdict = "informational" if target is None else ("pass" if value < target else "fail")
        failed += verdict == "fail"
        print(
            f"{name:34} {value:6.3f}  {'' if target is None else f'< {target}':7} {verdict}",
            flush=True,
        )

    print(f"{n_opll} OPLL, {len(patients) - n_opll} DSS, difficulty {options.difficulty}, "
          f"seed {options.seed}; synthetic")  # fmt: skip
    line("seconds/patient, T2", seconds_a_patient(patients, "T2"), 0.5, is_area=False)
    line("seconds/patient, T2 and T1", seconds_a_patient(patients, "T2", "T1"), 0.8, is_area=False)

    measured = [severity(patient) for patient in patients]
    sac = np.array([[each.narrowest_sac] for each in measured])
    cord = np.array([[each.compression] for each in measured])
    lesion = np.array([[patient.lesion is not None] for patient in patients], float)
    person = np.array([[patient.age, patient.sex == "M"] for patient in patients], float)
    mimics = np.array([[len(patient.mimics)] for patient in patients], float)
    line("narrowest sac, logistic", area(logistic(), sac, truth), 0.6)
    line("cord compression, logistic", area(logistic(), cord, truth), 0.6)
    line("cord lesion, logistic", area(logistic(), lesion, truth), 0.6)
    line("age and sex, logistic", area(logistic(), person, truth), 0.6)
    line("mimics, logistic", area(logistic(), mimics, truth), 0.6)
    truths = np.hstack([sac, cord, lesion, person, mimics])
    line("all of these, forest", area(forest(), truths, truth), 0.62)
    headers = np.array([protocol_values(patient) for patient in patients], float)
    line("headers, logistic", area(logistic(), headers, truth), 0.6)
    line("headers, forest", area(forest(), headers, truth), 0.6)

    images, noise = pictures(patients, options.jobs)
    line("corner noise, logistic", area(logistic(), noise, truth), 0.6)
    line("histogram, logistic", area(logistic(), histogram(images), truth), 0.6)
    line("histogram, forest", area(forest(), histogram(images), truth), 0.6)
    line("power spectrum, logistic", area(logistic(0.003), power(images), truth), 0.6)
    line("16x16 thumbnail, logistic", area(logistic(0.003), thumbnail(images), truth), None)
    bands = dark_band(images, SPACING)
    line("hand-crafted dark band, forest", area(forest(), bands, truth), None)

    images, _ = pictures(null_cohort(patients), options.jobs)
    line("null: histogram, logistic", area(logistic(), histogram(images), truth), 0.6)
    line("null: 16x16 thumbnail, logistic", area(logistic(0.003), thumbnail(images), truth), 0.6)
    bands = dark_band(images, SPACING)
    line("null: dark band, forest", area(forest(), bands, truth), 0.6)

    thickness = [
        each.plaque_thickness for each, is_opll in zip(measured, truth, strict=True) if is_opll
    ]
    ratio = [each.occupying_ratio for each, is_opll in zip(measured, truth, strict=True) if is_opll]
    for name, values in (("thickness, mm", thickness), ("occupying ratio", ratio)):
        spread = ", ".join(f"{value:.2f}" for value in np.percentile(values, [5, 50, 95, 100]))
        print(f"{name}: 5, 50, 95 and 100 %: {spread}")
    print(f"narrowest sac, mm: 5, 50, 95 %: {np.percentile(sac, [5, 50, 95]).round(1).tolist()}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
