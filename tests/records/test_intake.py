"""The account of an intake adds up, and names no patient because nobody gives it one."""

from __future__ import annotations

import csv
import pickle
from pathlib import Path

import attrs
import pytest

from cervispine.records import IntakeReport, Problem

PROBLEMS = (
    Problem(code="GEOMETRY_MISSING", reason="no position", item="1.2.3", files=5),
    Problem(code="GEOMETRY_MISSING", reason="no spacing", item="1.2.4", files=4),
    Problem(code="NOT_DICOM", reason="not a DICOM file", item="file 7", fate="ignored"),
    Problem(code="BURNED_IN_ANNOTATION", reason="text", item="1.2.5", fate="noted", files=6),
)


@pytest.fixture
def report() -> IntakeReport:
    return IntakeReport(found=30, used=20, problems=PROBLEMS)


def test_files_are_counted_by_their_fate(report: IntakeReport) -> None:
    assert (report.rejected, report.ignored) == (9, 1)
    assert report.found == report.used + report.rejected + report.ignored


@pytest.mark.parametrize(("found", "used"), [(29, 20), (30, 21), (31, 20)])
def test_an_account_that_does_not_add_up_is_a_fault_of_ours(found: int, used: int) -> None:
    with pytest.raises(AssertionError, match="does not add up"):
        IntakeReport(found=found, used=used, problems=PROBLEMS)


def test_the_summary_gives_the_sum_first_and_a_line_a_code(report: IntakeReport) -> None:
    first, *lines = report.summary().splitlines()
    assert first == "30 files found = 20 used + 9 rejected + 1 ignored"
    assert [line.split()[:3] for line in lines] == [
        ["ignored", "NOT_DICOM", "1"],
        ["noted", "BURNED_IN_ANNOTATION", "6"],
        ["rejected", "GEOMETRY_MISSING", "9"],
    ]
    assert lines[-1].endswith("files: no position")


def test_the_table_lists_what_was_not_used(report: IntakeReport, tmp_path: Path) -> None:
    formula = Problem(code="NOT_DICOM", reason="x", item="=1+1", fate="ignored")
    more = attrs.evolve(report, found=31, problems=(*PROBLEMS, formula))
    more.to_csv(tmp_path / "rejected.csv")
    with (tmp_path / "rejected.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["item", "code", "reason"],
        ["1.2.3", "GEOMETRY_MISSING", "no position"],
        ["1.2.4", "GEOMETRY_MISSING", "no spacing"],
        ["file 7", "NOT_DICOM", "not a DICOM file"],
        ["'=1+1", "NOT_DICOM", "x"],
    ]


def test_both_are_frozen_values(report: IntakeReport) -> None:
    assert pickle.loads(pickle.dumps(report)) == report
    assert hash(PROBLEMS[0]) == hash(attrs.evolve(PROBLEMS[0]))
    assert PROBLEMS[0] != PROBLEMS[1]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        report.found = 1  # type: ignore[misc]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        PROBLEMS[0].files = 1  # type: ignore[misc]
