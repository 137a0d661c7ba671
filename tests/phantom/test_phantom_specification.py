"""Specifications survive JSON exactly, and knobs refuse what cannot be meant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cervispine.exceptions import UsageError
from cervispine.phantom import (
    PatientSpecification,
    Settings,
    TypeMix,
    from_json,
    sample_patient,
    to_json,
)
from cervispine.phantom.specification import DISCS, VERTEBRAE


@settings(max_examples=20)
@given(st.integers(0, 2**62), st.sampled_from(["OPLL", "DSS"]))
def test_json_is_exact(seed: int, label: str) -> None:
    patient = sample_patient(seed, label)
    assert from_json(PatientSpecification, to_json(patient)) == patient


def test_unknown_and_missing_fields_are_refused() -> None:
    fields = json.loads(to_json(sample_patient(1, "OPLL")))
    with pytest.raises(TypeError, match="colour"):
        from_json(PatientSpecification, json.dumps({**fields, "colour": "blue"}))
    del fields["anatomy"]
    with pytest.raises(TypeError, match="anatomy"):
        from_json(PatientSpecification, json.dumps(fields))


def test_levels_are_named_as_radiologists_name_them() -> None:
    assert DISCS[0] == "C2/3"
    assert DISCS[5] == "C7/T1"
    assert DISCS[6] == "T1/2"
    assert len(DISCS) == len(VERTEBRAE) - 1


@pytest.mark.parametrize("difficulty", [-0.1, 1.1, float("nan")])
def test_a_difficulty_out_of_range_is_refused(difficulty: float) -> None:
    with pytest.raises(UsageError, match="difficulty"):
        Settings(difficulty=difficulty)


def test_a_mimic_rate_out_of_range_is_refused() -> None:
    with pytest.raises(UsageError, match="mimic_rate"):
        Settings(mimic_rate=2.0)


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5, 0.0), (1.2, -0.2, 0.0, 0.0)])
def test_a_type_mix_that_is_none_is_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="shares"):
        TypeMix(**dict(zip(("continuous", "segmental", "mixed", "localized"), shares, strict=True)))
