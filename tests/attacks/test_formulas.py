"""Identifiers and words that a spreadsheet would run as formulas, through every CSV we write."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch

from cervispine import Cohort, Predictions, Study
from cervispine.evaluation import compare_files
from cervispine.experiment.folder import read_split, write_split
from cervispine.loading import Loader
from cervispine.records import IntakeReport, Problem
from cervispine.records.labels import read_labels
from cervispine.records.predictions import scores_table
from cervispine.records.tables import read_table, safe_cell
from cervispine.reporting import choose_cases, save_cases

FORMULAS = (
    "=cmd|'/C calc'!A0", "+1+cmd|'/C calc'!A0", "-2+3", "@SUM(1+1)*cmd", "=HYPERLINK(\"http://x\")",
    "'=1+1", "''=1", "\uff1d1+1",
)  # fmt: skip

#: What makes a spreadsheet take a cell for a formula.
STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d")


def cells(text: str) -> Iterator[str]:
    for row in csv.reader(io.StringIO(text)):
        yield from row


#: A number, one with its interval or p-value, or the dash of an empty cell.
FIGURE = re.compile(r"-|[-+]?\d+\.?\d*(e[-+]?\d+)?( \([-+<]?[\d.]+( to [-+]?[\d.]+)?\))?")


def check_harmless(text: str) -> None:
    assert text
    suspect = [cell for cell in cells(text) if cell.startswith(STARTS)]
    assert [cell for cell in suspect if not FIGURE.fullmatch(cell)] == []


def patients() -> list[str]:
    return [f"{formula}{number}" for number in range(3) for formula in FORMULAS]


@pytest.fixture
def attacked() -> Cohort:
    return Cohort(
        Study(
            patient=patient,
            uid=f"1.{number}",
            series=(),
            label=number % 2,
            attributes={"type": FORMULAS[number % len(FORMULAS)]},
        )
        for number, patient in enumerate(patients())
    )


def predictions(cohort: Cohort) -> Predictions:
    return Predictions(
        patients=cohort.patients,
        probabilities=np.linspace(0.01, 0.99, len(cohort)),
        threshold=0.5,
        model="=1+1",
    )


def test_scores(attacked: Cohort, tmp_path: Path) -> None:
    made = predictions(attacked)
    made.to_csv(tmp_path / "scores.csv")
    check_harmless((tmp_path / "scores.csv").read_text())
    table = read_table(tmp_path / "scores.csv", required=("patient", "model"), code="SCORES")
    assert tuple(row["patient"] for row in table.rows) == attacked.patients
    assert {row["model"] for row in table.rows} == {"=1+1"}


def test_split(attacked: Cohort, tmp_path: Path) -> None:
    parts = {"train": attacked[:8], "validation": attacked[8:16], "test": attacked[16:]}
    write_split(tmp_path / "split.csv", parts)
    check_harmless((tmp_path / "split.csv").read_text())
    again = read_split(tmp_path / "split.csv", attacked)
    assert {name: part.patients for name, part in again.items()} == {
        name: part.patients for name, part in parts.items()
    }


def test_rejected(tmp_path: Path) -> None:
    problems = tuple(Problem(code="X", reason=each, item=each) for each in FORMULAS)
    IntakeReport(found=len(problems), used=0, problems=problems).to_csv(tmp_path / "rejected.csv")
    check_harmless((tmp_path / "rejected.csv").read_text())


class Flat:
    """Stands for a preprocessor."""

    slices = 1

    def transform(self, _: Any) -> Any:
        return torch.arange(1200.0).reshape(1, 1, 30, 40)


def test_cases(attacked: Cohort, tmp_path: Path) -> None:
    cases = choose_cases(attacked, {"=1+1": predictions(attacked)})
    save_cases(tmp_path, cases, Flat())  # type: ignore[arg-type]
    text = (tmp_path / "cases.csv").read_text()
    check_harmless(text)
    assert any(formula in text for formula in FORMULAS)


def test_tables_of_a_comparison(tmp_path: Path) -> None:
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient", "label", "site"])
        for number, patient in enumerate(patients()):
            label = ("DSS", "OPLL")[number % 2]
            writer.writerow([safe_cell(patient), label, safe_cell(FORMULAS[number // 2 % 2])])
    with (tmp_path / "readers.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["patient", "reader", "call"])
        for reader in ("'=evil", "'@evil"):
            for number, patient in enumerate(patients()):
                writer.writerow([safe_cell(patient), reader, number // 3 % 2])
    labelled = read_labels(tmp_path / "labels.csv")
    assert [row["patient"] for row in labelled.rows] == patients()
    scores = Predictions(
        patients=tuple(patients()),
        probabilities=np.random.default_rng(0).random(len(patients())),
        threshold=0.5,
        model="+evil",
    )
    (tmp_path / "scores.csv").write_text(scores_table([scores]))
    comparison = compare_files(
        tmp_path / "labels.csv",
        tmp_path / "scores.csv",
        tmp_path / "readers.csv",
        strata=("site",),
    )
    texts = comparison.to_csv()
    for text in texts.values():
        check_harmless(text)
    assert any("'=evil" in text for text in texts.values())
    assert any("'=cmd" in text for text in texts.values())


def test_an_identifier_from_dicom_comes_back_from_labels(phantom: Any, tmp_path: Path) -> None:
    study = Loader().index(phantom.dicom)[0]
    evil = attrs.evolve(study, patient="=1+1")
    (tmp_path / "labels.csv").write_text("patient,label\n'=1+1,OPLL\n")
    assert Cohort([evil]).with_labels(tmp_path / "labels.csv").labels.tolist() == [1]
