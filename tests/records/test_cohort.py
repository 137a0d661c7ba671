"""Cohort: order, labels, split and leakage of studies made by hand."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cervispine import Cohort, Study
from cervispine.exceptions import LabelError, LeakageError, UsageError
from cervispine.records import IntakeReport, Problem

Make = Callable[..., Study]
CODES = {
    "patient": "LEAKAGE_PATIENT",
    "uid": "LEAKAGE_STUDY_UID",
    "frame_of_reference_uid": "LEAKAGE_FRAME_OF_REFERENCE",
    "pixel_hash": "LEAKAGE_PIXEL_HASH",
}


def patients(study: Make, positive: int = 12, negative: int = 18) -> Cohort:
    labels = [1] * positive + [0] * negative
    return Cohort(
        study(f"P{number:02d}", f"1.{number}", label=label) for number, label in enumerate(labels)
    )


def test_it_is_a_sequence_in_the_order_of_patient_and_study(study: Make) -> None:
    made = [study("b", "1"), study("a", "2"), study("a", "1"), study("00123", "9")]
    cohort = Cohort(made)
    assert isinstance(cohort, Sequence)
    assert cohort.patients == ("00123", "a", "a", "b")
    assert [each.uid for each in cohort] == ["9", "1", "2", "1"]
    assert cohort[0] == made[3]
    assert cohort[-1] in cohort
    assert isinstance(cohort[1:3], Cohort)
    assert cohort[1:3].patients == ("a", "a")
    assert Cohort(reversed(made)).studies == cohort.studies


def test_it_is_frozen_and_names_nobody(study: Make) -> None:
    intake = IntakeReport(found=2, used=2)
    cohort = Cohort([study("canary", "1"), study("canary", "2")], intake)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        cohort.studies = ()  # type: ignore[misc]
    assert repr(cohort) == "<Cohort: 2 studies of 1 patients (2 unlabelled)>"
    assert "canary" not in cohort.summary()
    twin = pickle.loads(pickle.dumps(cohort))
    assert twin.studies == cohort.studies
    assert twin.intake == intake
    assert cohort[:1].intake == cohort.where(uid="none").intake == intake


def test_the_summary_counts_classes_and_sequences(study: Make, series: Callable[..., Any]) -> None:
    cohort = Cohort(
        [
            study("a", "1", label=1, series=(series(), series(sequence="T1"))),
            study("b", "2", label=0, series=(series(),)),
            study("c", "3", label=1),
        ],
        IntakeReport(found=8, used=8),
    )
    assert cohort.summary().splitlines() == [
        "3 studies of 3 patients (2 OPLL, 1 DSS)",
        "  1 sagittal T1 series",
        "  2 sagittal T2 series",
        "8 files found = 8 used + 0 rejected + 0 ignored",
    ]


def test_labels_are_numbers_and_must_all_be_there(study: Make) -> None:
    cohort = patients(study, 1, 2)
    assert cohort.labels.tolist() == [1, 0, 0]
    assert cohort.labels.dtype == np.int64
    with pytest.raises(LabelError, match="1 of 2 studies have no label") as caught:
        Cohort([study("canary", "1", label=1), study("canary2", "2")]).labels  # noqa: B018
    assert caught.value.code == "LABELS_MISSING"
    assert "canary" not in str(caught.value)


def test_with_labels_gives_labels_and_attributes(study: Make, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("site,patient,label\nX,b,OPLL\n,00123,DSS\n")
    bare = Cohort([study("b", "1"), study("00123", "2"), study("b", "3")])
    cohort = bare.with_labels(path)
    assert cohort.labels.tolist() == [0, 1, 1]
    assert [dict(each.attributes) for each in cohort] == [
        {"site": ""},
        {"site": "X"},
        {"site": "X"},
    ]
    frame = cohort.attributes
    assert list(frame) == ["patient", "label", "site"]
    assert frame["patient"].tolist() == ["00123", "b", "b"]
    assert cohort.where(site="X").patients == ("b", "b")
    assert cohort.where(lambda each: each.uid == "3", site="X").patients == ("b",)
    assert len(cohort.where(level="C5")) == 0
    assert bare[0].label is None


def test_labels_that_do_not_match_are_all_told(study: Make, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("patient,label\nb,OPLL\ncanary,DSS\n")
    with pytest.raises(LabelError) as caught:
        Cohort([study("b", "1"), study("canary2", "2")]).with_labels(path)
    assert caught.value.code == "LABELS_UNMATCHED"
    assert "row 3: no study" in caught.value.what
    assert "study 2: no row" in caught.value.what
    assert "canary" not in str(caught.value)


def test_labelled_patients_whose_files_were_refused_are_counted(
    study: Make, tmp_path: Path
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("patient,label\nb,OPLL\ncanary,DSS\nc,OPLL\n")
    refused = Problem(code="SPACING_UNEVEN", reason="a gap", files=9)
    intake = IntakeReport(
        found=11, used=2, problems=(refused,), unused_patients=frozenset({"canary"})
    )
    bare = Cohort([study("b", "1"), study("c", "2")], intake)
    cohort = bare.with_labels(path)
    assert cohort.patients == ("b", "c")
    assert "PATIENTS_UNUSED" in cohort.summary()
    assert "of whom no study can be used: 1 DSS" in cohort.summary()
    assert "canary" not in cohort.summary() + repr(cohort) + repr(cohort.intake)
    path.write_text("patient,label\nb,OPLL\nd,DSS\nc,OPLL\n")
    with pytest.raises(LabelError, match=r"row 3: no study \(of 9 rejected files"):
        bare.with_labels(path)


@given(seed=st.integers(0, 2**32), test=st.integers(2, 28), order=st.randoms())
def test_a_split_has_the_size_asked_for_and_the_share_of_each_class(
    study: Make, seed: int, test: int, order: Any
) -> None:
    cohort = patients(study)
    shuffled = list(cohort)
    order.shuffle(shuffled)
    positive = round(test * 12 / 30)
    assume(0 < positive < 12)
    assume(0 < test - positive < 18)
    train, held = cohort.split(test, seed=seed)
    assert len(held) == test
    assert int(held.labels.sum()) == positive
    assert sorted((*train.patients, *held.patients)) == list(cohort.patients)
    again = Cohort(shuffled).split(test, seed=seed)
    assert [part.patients for part in again] == [train.patients, held.patients]


def test_a_fraction_is_of_the_patients_and_the_seed_decides(study: Make) -> None:
    cohort = patients(study)
    assert len(cohort.split(0.4)[1]) == 12
    assert len({cohort.split(0.4, seed=seed)[1].patients for seed in range(5)}) == 5


@given(
    draws=st.lists(st.tuples(*[st.integers(0, 150)] * 4), min_size=40, max_size=60),
    seed=st.integers(0, 99),
)
def test_what_shares_any_identity_stays_on_one_side(
    study: Make, draws: list[tuple[int, int, int, int]], seed: int
) -> None:
    cohort = Cohort(
        study(
            str(patient), f"1.{uid}", label=patient % 2,
            # Empty identities are those that a header lacks, and are shared by nobody.
            frame_of_reference_uid=f"9.{frame}" if frame % 3 else "",
            pixel_hash=f"{pixels:064x}" if pixels % 3 else "",
        )
        for patient, uid, frame, pixels in draws
    )  # fmt: skip
    try:
        train, test = cohort.split(0.3, seed=seed)
    except UsageError:
        # Too much hangs together; hypothesis complains when that is so too often.
        assume(False)
    assert len(train) + len(test) == len(cohort)
    assert train.leakage(test) == ()


@pytest.mark.parametrize("test", [0, 1, 30, 40, -3, 0.0, 1.0])
def test_a_part_without_a_class_is_refused(study: Make, test: float) -> None:
    with pytest.raises(UsageError) as caught:
        patients(study).split(test)
    assert caught.value.code == "SPLIT_IMPOSSIBLE"
    with pytest.raises(UsageError):
        Cohort([]).split(test)


@pytest.mark.parametrize("name", CODES)
def test_whatever_two_parts_share_is_found_and_refused(study: Make, name: str) -> None:
    ids, others = ({each: f"canary {part} {each}" for each in CODES} for part in ("one", "other"))
    one, other = Cohort([study(**ids)]), Cohort([study(**(others | {name: ids[name]}))])
    (problem,) = one.leakage(other)
    assert problem.code == CODES[name]
    assert other.leakage(one) == (problem,)
    with pytest.raises(LeakageError) as caught:
        one.refuse_leakage(other)
    assert caught.value.code == "LEAKAGE"
    assert caught.value.what == problem.reason
    assert "canary" not in str(caught.value)


def test_nothing_shared_is_no_leakage(study: Make) -> None:
    # Absent identities are equal and mean nothing.
    one, other = (
        Cohort([study(name, uid, frame_of_reference_uid="", pixel_hash="")])
        for name, uid in (("a", "1.1"), ("b", "1.2"))
    )
    assert one.leakage(other) == ()
    one.refuse_leakage(other)
    assert {problem.code for problem in one.leakage(one)} == {
        "LEAKAGE_PATIENT",
        "LEAKAGE_STUDY_UID",
    }
