"""labels.csv: every fault at once, and an account of whoever is left out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cervispine import Cohort, Study
from cervispine.exceptions import LabelError
from cervispine.records import IntakeReport
from cervispine.records.labels import read_labels

Make = Callable[..., Study]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


@pytest.fixture
def cohort(study: Make, series: Callable[..., Any]) -> Cohort:
    """Two patients of two files each, one of whose identifiers begins with zeros."""
    return Cohort(
        [study("00123", "1.1", series=(series(uid="1.1.1"),)),
         study("b", "1.2", series=(series(uid="1.2.1"),))],
        IntakeReport(found=4, used=4),
    )  # fmt: skip


def refused(cohort: Cohort, labels: Any, **options: Any) -> LabelError:
    with pytest.raises(LabelError) as caught:
        cohort.with_labels(labels, **options)
    return caught.value


def test_labels_are_refused_with_every_fault(path: Path) -> None:
    path.write_text(
        "patient,label\ncanary,OPLL\n,DSS\ncanary,DSS\nx,opll\ny,\nx,DSS \nz,canary\nz,OPLL\n"
        "w,DSS\nw,DSS\n"
    )
    with pytest.raises(LabelError) as caught:
        read_labels(path)
    assert caught.value.code == "LABELS_INVALID"
    assert caught.value.what.splitlines() == [
        "9 fault(s) in the table:",
        "    row 3: the patient is empty",
        "    row 4: the patient of row 2, with another label",
        "    row 5: label 'opll': did you mean OPLL?",
        "    row 6: the label is empty",
        "    row 7: the patient of row 5, with another label",
        "    row 7: label 'DSS ': did you mean DSS?",
        "    row 8: the label is none of DSS, OPLL",
        "    row 9: the patient of row 8, with another label",
        "    row 11: the patient of row 10, with the same label",
    ]
    assert "canary" not in str(caught.value)


def test_labels_without_fault_are_read(path: Path) -> None:
    path.write_text("patient,label,type\n2,OPLL,mixed\n1,DSS,\n")
    rows = read_labels(path).rows
    assert [(row["patient"], row["label"], row["type"]) for row in rows] == [
        ("2", "OPLL", "mixed"),
        ("1", "DSS", ""),
    ]


def test_types_are_a_vocabulary_and_belong_to_opll(path: Path) -> None:
    path.write_text(
        "patient,label,type\n1,OPLL,Segmental\n2,OPLL,diffuse\n3,DSS,mixed\n4,OPLL,\n5,DSS,\n"
    )
    with pytest.raises(LabelError) as caught:
        read_labels(path)
    assert caught.value.what.splitlines()[1:] == [
        "    row 2: type 'Segmental': did you mean segmental?",
        "    row 3: the type is none of continuous, segmental, mixed, localized",
        "    row 4: a type of OPLL where the label is DSS",
    ]


def test_numbers_that_a_spreadsheet_made_equal_are_told(path: Path) -> None:
    path.write_text("patient,label\n1.23457E+11,OPLL\n1.23457E+11,DSS\n")
    with pytest.raises(LabelError, match=r"row 3: .* label .ID_EXCEL_DAMAGE"):
        read_labels(path)


def test_file_frame_and_mapping_say_the_same(cohort: Cohort, path: Path) -> None:
    path.write_text("patient,label\n00123,OPLL\nb,DSS\n")
    labels = {"b": "DSS", "00123": "OPLL"}
    frame = pd.DataFrame({"patient": labels.keys(), "label": labels.values(), "age": [61, 7]})
    for source in (path, str(path), labels, frame):
        assert cohort.with_labels(source).labels.tolist() == [1, 0]
    assert cohort.with_labels(frame).attributes["age"].tolist() == ["7", "61"]


def test_a_lost_zero_is_told_and_nothing_is_joined(cohort: Cohort) -> None:
    error = refused(cohort, {"123": "OPLL", "b": "DSS"})
    assert error.code == "ID_LEADING_ZERO_SUSPECT"
    assert "1 row(s), rows 1: but for zeros in front" in error.what
    assert "study 1.1: no row" in error.what
    assert "123" not in error.what
    # Leaving out whom nobody names must not hide it.
    error = refused(cohort, {"123": "OPLL", "b": "DSS"}, allow_missing=True)
    assert error.code == "ID_LEADING_ZERO_SUSPECT"
    assert refused(cohort, {"123": "OPLL", "b": "DSS", "c": "DSS"}).code == "LABELS_UNMATCHED"


def test_who_is_missing_may_be_left_out_and_is_counted(cohort: Cohort) -> None:
    labels = {"b": "DSS", "canary": "OPLL", "canary2": "OPLL", "canary3": "DSS"}
    error = refused(cohort, labels)
    assert error.code == "LABELS_UNMATCHED"
    assert [line.strip() for line in error.what.splitlines()[1:]] == [
        "row 2: no study", "row 3: no study", "row 4: no study", "study 1.1: no row",
    ]  # fmt: skip
    kept = cohort.with_labels(labels, allow_missing=True)
    assert kept.patients == ("b",)
    assert kept.intake is not None
    assert (kept.intake.found, kept.intake.used, kept.intake.ignored) == (4, 2, 2)
    summary = kept.summary()
    assert "LABEL_ABSENT" in summary
    assert "PATIENTS_ABSENT" in summary
    assert "labelled patients of whom there are no images: 2 OPLL, 1 DSS" in summary
    assert "canary" not in summary
    assert Cohort(cohort.studies).with_labels(labels, allow_missing=True).patients == ("b",)


def test_conflicts_are_refused_whoever_may_be_missing(cohort: Cohort, path: Path) -> None:
    path.write_text("patient,label\nb,DSS\nb,OPLL\n")
    assert refused(cohort, path, allow_missing=True).code == "LABELS_INVALID"


def test_a_cohort_of_nobody_is_refused(cohort: Cohort) -> None:
    error = refused(cohort, {"c": "DSS"}, allow_missing=True)
    assert (error.code, "no row has a study" in error.what) == ("LABELS_UNMATCHED", True)
