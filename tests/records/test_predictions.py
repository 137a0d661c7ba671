"""Predictions: calls by the threshold, a table that reads back, and nobody in sight."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine import Predictions
from cervispine.exceptions import EvaluationError, MismatchedCasesError, UsageError
from cervispine.records.predictions import scores_table
from cervispine.records.tables import read_table

PATIENTS = ("00123", "=1+1", "canary")


def predictions(**more: Any) -> Predictions:
    usual = {
        "patients": PATIENTS,
        "probabilities": np.array([0.25, 0.5, 1 / 3]),
        "threshold": 0.5,
        "model": "resnet34",
    }
    return Predictions(**(usual | more))  # type: ignore[arg-type]


def test_at_or_above_the_threshold_is_positive() -> None:
    made = predictions(probabilities=np.array([0.5, np.nextafter(0.5, 0), 0.9]))
    assert made.calls.tolist() == [1, 0, 1]
    assert made.advice == ("CT advised", "no OPLL called", "CT advised")
    assert len(made) == 3
    assert not made.undecided.any()
    assert made.summary() == (
        "3 studies, 2 called OPLL: CT advised for 2; the model is too old to say what it does not "
        "know"
    )


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, -0.01, 1.01])
def test_what_is_no_probability_is_refused_and_not_called_negative(wrong: float) -> None:
    with pytest.raises(EvaluationError, match="1 of 3 probabilities") as refusal:
        predictions(probabilities=np.array([0.2, wrong, 1.0]))
    assert refusal.value.code == "NOT_PROBABILITIES"
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize("threshold", [np.nan, np.inf])
def test_a_threshold_is_a_number(threshold: float) -> None:
    with pytest.raises(UsageError, match="finite number"):
        predictions(threshold=threshold)


def test_inside_the_band_ct_is_advised_whatever_the_call() -> None:
    made = predictions(band=(0.3, 0.5), unlike_training=((), (), ()))
    assert made.calls.tolist() == [0, 1, 0]
    assert made.undecided.tolist() == [False, True, True]
    assert made.advice == ("no OPLL called", "CT advised", "CT advised")
    assert made.summary() == (
        "3 studies, 1 called OPLL, 2 undecided (probability 0.300 to 0.500), "
        "0 unlike the training studies: CT advised for 2"
    )


def test_nothing_is_ruled_out_for_a_study_unlike_the_training() -> None:
    made = predictions(
        unlike_training=(("manufacturer ge, trained on siemens", "=1+1"), (), ()),
        out_of_distribution=np.array([0.99, 0.5, 0.1]),
    )
    assert made.unlike.tolist() == [True, False, False]
    assert made.advice == ("CT advised", "CT advised", "no OPLL called")
    rows = scores_table([made]).splitlines()
    assert rows[1].endswith(',0.99,"manufacturer ge, trained on siemens; =1+1",CT advised')
    assert rows[2].endswith(",,0.5,,CT advised")
    spread = predictions(unlike_training=(("=1+1",), (), ()))
    assert ",'=1+1," in scores_table([spread])


def test_the_frame_has_a_row_a_study() -> None:
    frame = predictions().to_frame()
    assert list(frame) == [
        "patient",
        "model",
        "score",
        "call",
        "undecided",
        "out_of_distribution",
        "unlike_training",
        "advice",
    ]
    assert frame["patient"].tolist() == list(PATIENTS)
    assert frame["call"].tolist() == [0, 1, 0]
    assert set(frame["model"]) == {"resnet34"}


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3))
def test_a_score_reads_back_as_the_same_number(numbers: list[float]) -> None:
    lines = scores_table([predictions(probabilities=np.array(numbers))]).splitlines()
    assert [float(line.split(",")[2]) for line in lines[1:]] == numbers


def test_the_table_is_read_back_and_holds_no_formula(tmp_path: Path) -> None:
    predictions(model="@evil").to_csv(tmp_path / "scores.csv")
    text = (tmp_path / "scores.csv").read_text()
    assert text.startswith("patient,model,score,call,undecided,")
    assert "\n00123,'@evil,0.25,0,,,,no OPLL called\n'=1+1,'@evil,0.5,1,,,,CT advised\n" in text
    table = read_table(tmp_path / "scores.csv", required=("patient", "model"), code="SCORES")
    assert tuple(row["patient"] for row in table.rows) == PATIENTS
    assert {row["model"] for row in table.rows} == {"@evil"}


def test_several_models_make_one_table() -> None:
    lines = scores_table([predictions(), predictions(model="resnet50")]).splitlines()
    assert len(lines) == 1 + 2 * len(PATIENTS)
    assert [line.split(",")[1] for line in lines[1:]] == ["resnet34"] * 3 + ["resnet50"] * 3


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 2), ()], ids=str)
def test_other_than_one_value_a_patient_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(MismatchedCasesError) as caught:
        predictions(out_of_distribution=np.zeros(shape))
    assert caught.value.where == "out_of_distribution"
    with pytest.raises(MismatchedCasesError):
        predictions(unlike_training=((),) * 2)
    with pytest.raises(MismatchedCasesError) as caught:
        predictions(probabilities=np.zeros(shape))
    assert caught.value.code == "LENGTHS_DIFFER"


def test_it_is_frozen_and_its_numbers_are_its_own() -> None:
    numbers = np.array([0.1, 0.2, 0.3])
    made = predictions(probabilities=numbers)
    numbers[0] = 0.9
    assert made.probabilities[0] == 0.1
    with pytest.raises(ValueError, match="read-only"):
        made.probabilities[0] = 0.9
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.threshold = 0.1  # type: ignore[misc]


def test_repr_names_nobody() -> None:
    assert "canary" not in repr(predictions(provenance={"of": "canary"}))
    assert "<3 patients>" in repr(predictions())
