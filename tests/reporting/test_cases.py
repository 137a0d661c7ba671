"""The cases that a report shows: those to learn from, as the network saw them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.image import imread

from cervispine import Cohort, Predictions, ReaderTable, Study
from cervispine.reporting import choose_cases, save_cases
from cervispine.reporting.cases import COLUMNS, KINDS, Case

#: Label and probability of each study, in order: surest right, surest wrong, and the others.
READ = [
    (1, 0.95), (1, 0.70), (1, 0.80),
    (1, 0.05), (1, 0.40), (1, 0.20),
    (0, 0.01), (0, 0.30), (0, 0.10),
    (0, 0.99), (0, 0.55), (0, 0.60),
]  # fmt: skip


class Ramps:
    """Stands for a preprocessor: the middle of five slices rises to the right, the others fall."""

    slices = 5

    def transform(self, studies: Sequence[Study]) -> Any:
        assert len(studies) == 1
        ramp = torch.arange(40.0).repeat(30, 1)
        falls = [-ramp] * 2
        return torch.stack([*falls, ramp * int(studies[0].uid), *falls])[None]


def cohort(patient: str = "P{:02d}") -> Cohort:
    return Cohort(
        Study(
            patient=patient.format(number),
            uid=str(number + 1),
            series=(),
            label=label,
            attributes={"type": "mixed"} if label else {},
        )
        for number, (label, _) in enumerate(READ)
    )


def predictions(test: Cohort) -> Predictions:
    probabilities = np.array([probability for _, probability in READ])
    return Predictions(
        patients=test.patients, probabilities=probabilities, threshold=0.5, model="m"
    )


def readers(test: Cohort, wrong: dict[str, set[str]]) -> ReaderTable:
    """Three readers who are right but for the patients named."""
    rows = [
        (study.patient, reader, study.label ^ (study.patient in errors))
        for reader, errors in wrong.items()
        for study in test
    ]
    return ReaderTable.from_frame(pd.DataFrame(rows, columns=["patient", "reader", "call"]))


def chosen(test: Cohort, model: str = "resnet34", table: ReaderTable | None = None) -> list[Case]:
    return choose_cases(test, {"first": predictions(test), model: predictions(test)}, table)


def saved(folder: Path, test: Cohort, model: str = "resnet34") -> list[dict[str, str]]:
    save_cases(folder, chosen(test, model), Ramps())  # type: ignore[arg-type]
    return list(csv.DictReader(io.StringIO((folder / "cases.csv").read_text())))


def test_the_most_instructive_come_first_and_none_twice() -> None:
    test = cohort()
    wrong = {"a": {"P01", "P09"}, "b": {"P01", "P06"}, "c": {"P06", "P08"}}
    cases = chosen(test, table=readers(test, wrong))
    assert [(case.kind, case.study.patient) for case in cases] == [
        ("missed", "P03"), ("missed", "P05"), ("missed", "P04"),
        ("false alarm", "P09"), ("false alarm", "P11"), ("false alarm", "P10"),
        # Two of three readers erred in both; the network was surer of the first.
        ("found where most readers erred", "P06"), ("found where most readers erred", "P01"),
        ("right, and nearly not", "P07"), ("right, and nearly not", "P02"),
        ("surely found", "P00"), ("surely left alone", "P08"),
    ]  # fmt: skip
    assert list(dict.fromkeys(case.kind for case in cases)) == list(KINDS)
    by_patient = {case.study.patient: case for case in cases}
    assert by_patient["P01"].readers == "1 of 3 called OPLL"
    assert by_patient["P06"].readers == "2 of 3 called OPLL"
    assert by_patient["P01"].models == "first 0.70, resnet34 0.70"


def test_without_readers_nothing_is_said_of_them() -> None:
    cases = chosen(cohort())
    assert {case.readers for case in cases} == {""}
    assert "found where most readers erred" not in {case.kind for case in cases}


def test_pictures_and_table_are_of_the_same_cases(tmp_path: Path) -> None:
    rows = saved(tmp_path / "cases", cohort())
    assert tuple(rows[0]) == COLUMNS
    assert {row["type"] for row in rows if row["truth"] == "OPLL"} == {"mixed"}
    assert {row["type"] for row in rows if row["truth"] == "DSS"} == {""}
    assert {(row["kind"], row["truth"], row["call"]) for row in rows[:6]} == {
        ("missed", "OPLL", "DSS"), ("false alarm", "DSS", "OPLL")
    }  # fmt: skip
    assert rows[0]["score"] == "0.050"
    assert {row["threshold"] for row in rows} == {"0.500"}
    pictures = {path.name for path in (tmp_path / "cases").glob("*.png")}
    assert pictures == {row["file"] for row in rows}
    assert len(pictures) == len(rows)


def test_a_picture_is_the_middle_slice_and_its_name_names_nobody(tmp_path: Path) -> None:
    rows = saved(tmp_path, cohort(), model="other:resnet34")
    assert rows[0]["file"] == "other-resnet34-missed-1.png"
    for row in rows:
        assert row["patient"] not in row["file"]
        picture = imread(tmp_path / row["file"])
        # 8 times as large, so that it is at least 300 pixels wide.
        assert picture.shape[:2] == (240, 320)
        grey = picture[0, ::8, 0]
        np.testing.assert_array_equal(picture[..., 0], np.tile(grey.repeat(8), (240, 1)))
        assert (np.diff(grey) >= 0).all()
        assert (grey[0], grey[-1]) == (0, 1)


def test_a_mark_is_written_into_every_picture(tmp_path: Path) -> None:
    for folder, mark in (("plain", ""), ("marked", "synthetic")):
        save_cases(tmp_path / folder, chosen(cohort()), Ramps(), mark=mark)  # type: ignore[arg-type]
    pictures = list((tmp_path / "plain").glob("*.png"))
    assert len(pictures) == 12
    for path in pictures:
        plain, marked = imread(path), imread(tmp_path / "marked" / path.name)
        changed = (plain != marked).any(axis=2)
        assert changed[-40:].mean() > 0.2
        assert not changed[: len(changed) // 2].any()


def test_kinds_that_do_not_occur_are_left_out() -> None:
    test = cohort().where(lambda study: study.patient in ("P00", "P06"))
    both = Predictions(
        patients=test.patients, probabilities=np.array([0.9, 0.1]), threshold=0.5, model="m"
    )
    assert [case.kind for case in choose_cases(test, {"m": both})] == ["right, and nearly not"] * 2


@pytest.mark.parametrize("start", "=+-@")
def test_an_identifier_cannot_pass_for_a_formula(tmp_path: Path, start: str) -> None:
    rows = saved(tmp_path, cohort(start + "1+{:02d}"))
    assert {row["patient"][:2] for row in rows} == {"'" + start}
