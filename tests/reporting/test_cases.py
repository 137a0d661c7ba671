"""The cases that a report shows: the surest right and the surest wrong, as the network saw them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from cervispine import Cohort, Predictions, Study
from cervispine.reporting import save_cases
from cervispine.reporting.cases import COLUMNS

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


def saved(folder: Path, test: Cohort, model: str = "resnet34") -> list[dict[str, str]]:
    save_cases(folder, test, predictions(test), Ramps(), model=model)  # type: ignore[arg-type]
    return list(csv.DictReader(io.StringIO((folder / "cases.csv").read_text())))


def test_the_two_surest_of_each_kind_are_taken(tmp_path: Path) -> None:
    rows = saved(tmp_path / "cases", cohort())
    assert tuple(rows[0]) == COLUMNS
    assert [(row["truth"], row["call"], row["patient"], row["score"]) for row in rows] == [
        ("OPLL", "OPLL", "P00", "0.950"), ("OPLL", "OPLL", "P02", "0.800"),
        ("OPLL", "DSS", "P03", "0.050"), ("OPLL", "DSS", "P05", "0.200"),
        ("DSS", "DSS", "P06", "0.010"), ("DSS", "DSS", "P08", "0.100"),
        ("DSS", "OPLL", "P09", "0.990"), ("DSS", "OPLL", "P11", "0.600"),
    ]  # fmt: skip
    assert {row["type"] for row in rows if row["truth"] == "OPLL"} == {"mixed"}
    assert {row["type"] for row in rows if row["truth"] == "DSS"} == {""}
    pictures = {path.name for path in (tmp_path / "cases").glob("*.png")}
    assert pictures == {row["file"] for row in rows}
    assert len(pictures) == len(rows)


def test_a_picture_is_the_middle_slice_and_its_name_names_nobody(tmp_path: Path) -> None:
    rows = saved(tmp_path, cohort(), model="other:resnet34")
    assert rows[0]["file"] == "other-resnet34-OPLL-called-OPLL-1.png"
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
        save_cases(
            tmp_path / folder, cohort(), predictions(cohort()), Ramps(),  # type: ignore[arg-type]
            model="m", mark=mark,
        )  # fmt: skip
    pictures = list((tmp_path / "plain").glob("*.png"))
    assert len(pictures) == 8
    for path in pictures:
        plain, marked = imread(path), imread(tmp_path / "marked" / path.name)
        changed = (plain != marked).any(axis=2)
        assert changed[-40:].mean() > 0.2
        assert not changed[: len(changed) // 2].any()


def test_kinds_that_do_not_occur_are_left_out(tmp_path: Path) -> None:
    test = cohort().where(lambda study: study.patient in ("P00", "P06"))
    both = Predictions(
        patients=test.patients, probabilities=np.array([0.9, 0.1]), threshold=0.5, model="m"
    )
    save_cases(tmp_path, test, both, Ramps(), model="m")  # type: ignore[arg-type]
    assert len(list(tmp_path.glob("*.png"))) == 2


@pytest.mark.parametrize("start", "=+-@")
def test_an_identifier_cannot_pass_for_a_formula(tmp_path: Path, start: str) -> None:
    rows = saved(tmp_path, cohort(start + "1+{:02d}"))
    assert {row["patient"][:2] for row in rows} == {"'" + start}
