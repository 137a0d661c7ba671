"""A run folder made in a second: a small comparison, a manifest and a few cases."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cervispine import Comparison, Evaluator, ReaderTable
from cervispine.evaluation import Threshold
from cervispine.reporting import save_comparison, save_flow, save_history, save_participants
from cervispine.reporting.cases import COLUMNS

PATIENTS = tuple(f"patient-{number:02d}" for number in range(24))
#: Stands for a picture; a report takes it as it is.
PICTURE = b"\x89PNG\r\n\x1a\n..."


def compare(
    models: tuple[str, ...] = ("resnet34", "resnet50"),
    readers: tuple[str, ...] = ("surgeon1", "surgeon2"),
    types: tuple[str, ...] = ("continuous", "segmental"),
    *,
    scale: float = 1.0,
) -> Comparison:
    """Compare models and readers who are right about four times in five."""
    generator = np.random.default_rng(0)
    truth = {patient: place % 2 for place, patient in enumerate(PATIENTS)}
    signs = 2 * np.array([*truth.values()]) - 1
    scores = {}
    for model in models:
        noise = generator.normal(scale=0.15, size=len(PATIENTS))
        scores[model] = dict(
            zip(PATIENTS, scale * np.clip(0.5 + 0.2 * signs + noise, 0.01, 0.99), strict=True)
        )
    calls = [
        (patient, reader, label if generator.random() < 0.8 else 1 - label)
        for reader in readers
        for patient, label in truth.items()
    ]
    table = (
        ReaderTable.from_frame(pd.DataFrame(calls, columns=["patient", "reader", "call"]))
        if readers
        else ReaderTable.without_readers(PATIENTS)
    )
    kinds = {patient: types[place // 2 % len(types)] for place, patient in enumerate(PATIENTS)} \
        if types else None  # fmt: skip
    return Evaluator(resamples=100).compare(
        truth,
        scores,
        table,
        thresholds={model: Threshold(0.5 * scale, "validation part") for model in models},
        strata=None if kinds is None else {"type": kinds},
    )


def described(patients: int) -> dict[str, Any]:
    """Return what is said of a part: half of it OPLL."""
    return {
        "patients": patients, "studies": patients, "series": patients,
        "classes": {"OPLL": patients // 2, "DSS": patients // 2},
        "scanners": {"Siemens, 3 T": patients},
        "sex": {"F": patients // 2, "M": patients // 2},
        "age": {"n": patients, "median": 61.5, "low": 55.0, "high": 68.0},
    }  # fmt: skip


PARTS = ("train", "validation", "test")


def manifest(*, synthetic: bool, **more: Any) -> dict[str, Any]:
    """Return what an experiment says of itself when it has finished."""
    return {
        "format": "cervispine/run",
        "version": 1,
        "state": "finished",
        "configuration": {"preset": "quick", "seed": 7, "loader": "cervispine:dicom"},
        "versions": {"cervispine": "0.1.0", "torch": "2.10"},
        "python": "3.11.9",
        "machine": "x86_64",
        "seconds": {"train resnet34": 12.5},
        "files": {"split.csv": "0123456789abcdef" * 4},
        "synthetic": synthetic,
        "phantom": {"n_opll": 10, "difficulty": 0.1} if synthetic else None,
        "preprocessor": {"size": [64, 64]},
        "classifier": {"epochs": 1},
        "data_sha256": "fedcba9876543210" * 4,
        "intake": {
            "found": 130,
            "used": 120,
            "rejected": 4,
            "ignored": 6,
            "reasons": [
                {"fate": "rejected", "code": "GEOMETRY_MISSING", "files": 4, "reason": "no place"},
                {"fate": "ignored", "code": "PLANE_OTHER", "files": 6, "reason": "axial"},
            ],
        },
        "cohort": described(72),
        "parts": {part: {"OPLL": 12, "DSS": 12} for part in PARTS},
        "participants": {part: described(24) for part in PARTS},
        "models": {
            name: {
                "backbone": "cervispine 0.1.0",
                "epoch": 2,
                "epochs": 2,
                "precision": "float32",
                "device": "cpu",
                "threshold": 0.4321,
                "band": (0.125, 0.625),
                "advice": {
                    "OPLL": {"studies": 10, "undecided": 3, "unlike_training": 1, "ct_advised": 9},
                    "DSS": {"studies": 10, "undecided": 4, "unlike_training": 0, "ct_advised": 6},
                },
            }
            for name in ("resnet34", "resnet50")
        },
        "checks": [
            {
                "parts": ["train", "test"],
                "shared": {"patient": 0, "pixel hash": 0},
                "look_alikes": 0,
            },
        ],
        **more,
    }


def draw(folder: Path, comparison: Comparison) -> Path:
    """Write what takes longest, the figures, with the comparison that they show."""
    save_comparison(comparison, folder)
    save_flow(manifest(synthetic=False), folder / "figures")
    history = [{"training_loss": 0.7, "loss": 0.6, "auc": 0.7}] * 2
    save_history({"resnet34": history}, {"resnet34": 2}, folder / "figures")
    return folder


def write_run(
    folder: Path,
    drawn: Path,
    *,
    synthetic: bool = False,
    cases: tuple[Mapping[str, str], ...] = (),
    **more: Any,
) -> Path:
    """Write what a report is made from."""
    told = manifest(synthetic=synthetic, **more)
    shutil.copytree(drawn, folder)
    save_participants(told, folder / "tables")
    (folder / "manifest.json").write_text(json.dumps(told))
    (folder / "cases").mkdir()
    with (folder / "cases" / "cases.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(cases)
    for case in cases:
        (folder / "cases" / case["file"]).write_bytes(PICTURE)
    return folder


@pytest.fixture(scope="session")
def make_comparison() -> Callable[..., Comparison]:
    return compare


@pytest.fixture(scope="session")
def comparison() -> Comparison:
    return compare()


@pytest.fixture(scope="session")
def drawn_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Comparison], Path]:
    """Return a function that draws a comparison, each only once."""
    # The comparison is kept beside its folder, so that no other is made with its identity.
    folders: dict[int, tuple[Comparison, Path]] = {}

    def folder_of(comparison: Comparison) -> Path:
        if id(comparison) not in folders:
            folder = draw(tmp_path_factory.mktemp("drawn") / "run", comparison)
            folders[id(comparison)] = (comparison, folder)
        return folders[id(comparison)][1]

    return folder_of


@pytest.fixture(scope="session", name="write_run")
def run_writer() -> Callable[..., Path]:
    """Return the function that writes a run folder from what was drawn."""
    return write_run


@pytest.fixture
def make_run(tmp_path: Path, drawn_once: Callable[[Comparison], Path]) -> Callable[..., Path]:
    """Return a function that writes a run folder: (comparison, synthetic=..., cases=...)."""
    return lambda comparison, **more: write_run(tmp_path / "run", drawn_once(comparison), **more)


@pytest.fixture(scope="session")
def patients() -> tuple[str, ...]:
    return PATIENTS
