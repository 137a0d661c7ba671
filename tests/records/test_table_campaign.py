"""A few hundred cases of benchmarks/tables_campaign.py, which runs tens of thousands."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from random import Random
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cervispine.exceptions import LabelError

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "tables_campaign.py"


@pytest.fixture(scope="module")
def campaign() -> ModuleType:
    specification = importlib.util.spec_from_file_location("tables_campaign", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(random=st.randoms(use_true_random=False))
def test_no_table_is_joined_wrongly(campaign: ModuleType, tmp_path: Path, random: Random) -> None:
    case = campaign.make_case(random)
    assert campaign.judge(case, tmp_path / "labels.csv") == "", case
    assert campaign.judge_scores(random, tmp_path / "scores.csv") == ""


@settings(max_examples=300)
@given(random=st.randoms(use_true_random=False))
def test_no_group_is_divided_and_no_leak_untold(campaign: ModuleType, random: Random) -> None:
    assert campaign.judge_split(random) == ""


def test_the_oracle_fires(campaign: ModuleType, tmp_path: Path) -> None:
    """A library that joined by likeness, or swallowed a fault, would be found out."""

    class Joined:
        patients = ("00123",)

        def __iter__(self):  # type: ignore[no-untyped-def]
            study = campaign.Study(patient="00123", uid="1", series=(), label=0)
            return iter([study])

    case = campaign.Case(
        ["00123"],
        (),
        [("123", "OPLL", ())],
        b"patient,label\n123,OPLL\n",
        {"123": "00123"},
        "",
        allow_missing=True,
    )
    assert campaign.oracle(case) is None
    assert campaign.judge(case, tmp_path / "labels.csv") == "", case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(campaign.Cohort, "with_labels", lambda *_, **__: Joined())
        told = campaign.judge(case, tmp_path / "labels.csv")
        assert told == "accepted what must be refused"
        case.rows = [("00123", "OPLL", ())]
        assert campaign.judge(case, tmp_path / "labels.csv") == "a wrong label"

        def refuse(*_: object, **__: object) -> None:
            raise LabelError("no", code="LABELS_ROWS")

        patch.setattr(campaign.Cohort, "with_labels", refuse)
        told = campaign.judge(case, tmp_path / "labels.csv")
        assert told == "refused without reason: LABELS_ROWS"
