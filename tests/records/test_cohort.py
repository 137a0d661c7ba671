"""Cohort: order, labels, split and leakage of studies made by hand."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import zoom

from cervispine import Cohort, Study
from cervispine.exceptions import DataWarning, LabelError, LeakageError, UsageError
from cervispine.records import IntakeReport, Problem
from cervispine.records.identity import appearance_of

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
    assert cohort[:1].intake == cohort.where(lambda _: False).intake == intake


def test_the_summary_counts_classes_and_sequences(study: Make, series: Callable[..., Any]) -> None:
    cohort = Cohort(
        [
            study("a", "1", label=1, series=(series(), series(sequence="T1"))),
            study("b", "2", label=0, series=(series(),)),
            study("c", "3", label=1, series=(series(plane="axial"),)),
        ],
        IntakeReport(found=8, used=8),
    )
    assert cohort.summary().splitlines() == [
        "3 studies of 3 patients (2 OPLL, 1 DSS)",
        "  1 axial T2 series",
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
    assert len(cohort.where(site="Y")) == 0
    assert len(cohort.where(site="Y").where(level="C5")) == 0
    with pytest.raises(UsageError, match="the attribute 'level'"):
        cohort.where(level="C5")
    with pytest.raises(UsageError, match=r"site='7'"):
        cohort.where(site=7)
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


def test_a_negative_seed_is_refused(study: Make) -> None:
    with pytest.raises(UsageError, match="a seed is a whole number"):
        patients(study).split(4, seed=-1)


def test_a_fraction_is_of_the_patients_and_the_seed_decides(study: Make) -> None:
    cohort = patients(study)
    assert len(cohort.split(0.4)[1]) == 12
    assert len({cohort.split(0.4, seed=seed)[1].patients for seed in range(5)}) == 5


def test_a_stratum_that_must_stay_together_is_told(study: Make) -> None:
    cohort = Cohort(
        study(
            f"P{n:03d}", f"1.{n}", label=n % 2, attributes={"site": "AB"[n // 20]},
            frame_of_reference_uid="1.2.3.4" if n < 20 else "",
        )
        for n in range(40)
    )  # fmt: skip
    with pytest.warns(DataWarning, match="STRATUM_WHOLE: 1 of the strata by site") as caught:
        _, test = cohort.split(10, stratify=("site",))
    assert len(caught) == 1
    assert {each.attributes["site"] for each in test} == {"B"}


def test_an_attribute_has_its_share_of_each_part_within_each_label(study: Make) -> None:
    cohort = Cohort(
        study(f"P{n:03d}", f"1.{n}", label=int(n % 5 < 2), attributes={"site": "ABBCC"[n // 5 % 5]})
        for n in range(250)
    )
    train, test = cohort.split(50, stratify=("site",), seed=3)
    counts = test.attributes.groupby(["label", "site"]).size()
    assert counts[1].to_dict() == {"A": 4, "B": 8, "C": 8}
    assert counts[0].to_dict() == {"A": 6, "B": 12, "C": 12}
    assert len(train) == 200
    again = Cohort(reversed(list(cohort))).split(50, stratify=("site",), seed=3)
    assert again[1].patients == test.patients
    with pytest.raises(UsageError, match="no study has the attribute 'level'"):
        cohort.split(50, stratify=("level",))


@given(
    sizes=st.lists(st.integers(1, 4), min_size=20, max_size=40),
    test=st.integers(8, 30),
    seed=st.integers(0, 99),
)
def test_the_count_is_exact_whatever_hangs_together(
    study: Make, sizes: list[int], test: int, seed: int
) -> None:
    # Groups of patients who share a frame of reference; four single ones fill every gap.
    groups = [*sizes, 1, 1, 1, 1]
    cohort = Cohort(
        study(f"{group}.{n}", f"1.{group}.{n}", label=group % 2, frame_of_reference_uid=str(group))
        for group, size in enumerate(groups)
        for n in range(size)
    )
    assume(test < len(cohort) - 8)
    train, held = cohort.split(test, seed=seed)
    assert len(held) == test
    assert train.leakage(held) == ()


def test_a_count_that_no_groups_make_is_refused(study: Make) -> None:
    pairs = Cohort(
        study(f"{pair}.{n}", f"1.{pair}.{n}", label=pair % 2, frame_of_reference_uid=str(pair))
        for pair in range(10)
        for n in range(2)
    )
    with pytest.raises(UsageError, match="only 6; the largest group that must stay together has 2"):
        pairs.split(7)
    assert len(pairs.split(0.35)[1]) == 6
    assert len(pairs.split(8)[1]) == 8


@pytest.mark.parametrize("shares", [(0.2, 0.5), (0.25, 0.75)])
def test_the_last_places_go_to_whoever_fits(study: Make, shares: tuple[float, float]) -> None:
    # The positive groups are of three patients and leave a gap that the others fill.
    cohort = Cohort(
        [study(f"p{n}", f"1.{n}", label=1, frame_of_reference_uid=f"{n // 3}") for n in range(30)]
        + [study(f"n{n}", f"2.{n}", label=0) for n in range(30)]
    )
    for share in shares:
        _, test = cohort.split(round(share * 60), seed=1)
        assert len(test) == round(share * 60)
        assert int(test.labels.sum()) % 3 == 0


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
    assert problem.item == f"study {one[0].uid} | study {other[0].uid}"
    assert [each.code for each in other.leakage(one)] == [problem.code]
    with pytest.raises(LeakageError) as caught:
        one.refuse_leakage(other)
    assert caught.value.code == "LEAKAGE"
    assert f"{problem.code}: {problem.item}" in caught.value.what
    assert "canary one patient" not in str(caught.value)


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


def test_of_a_crowd_only_some_studies_are_named(study: Make) -> None:
    one, other = (
        Cohort(study(f"{side}{n}", f"{side}.{n}", frame_of_reference_uid="9") for n in range(8))
        for side in (1, 2)
    )
    (problem,) = one.leakage(other)
    assert problem.item.count("study") == 2
    assert problem.item.endswith("2.4 and 3 more")


def picture(seed: int, size: int = 64) -> NDArray[np.float64]:
    """Return smooth structure, as an image of a body has."""
    noise = np.random.default_rng(seed).normal(size=(8, 8))
    return zoom(noise, size / 8, order=3)


COPIES: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "brighter": lambda image: image * 3 + 100,
    "another gamma": lambda image: (image - image.min()) ** 0.8,
    "half the size": lambda image: zoom(image, 0.5, order=1),
    "a third larger": lambda image: zoom(image, 1.33, order=3),
    "cropped by 2 %": lambda image: image[5:-5, 5:-5],
    "windowed": lambda image: np.clip(image, *np.percentile(image, [2, 98])),
    "in 64 greys": lambda image: np.round((image - image.min()) / np.ptp(image) * 63),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_that_was_changed_looks_alike_and_is_warned_of(study: Make, copy: str) -> None:
    images = [picture(seed, 256) for seed in range(12)]
    cohort = Cohort(
        study(f"P{n}", f"1.{n}", appearance=appearance_of(image))
        for n, image in enumerate(images[:10])
    )
    assert cohort.near_duplicates() == ()
    changed = Cohort([study("canary", "2", appearance=appearance_of(COPIES[copy](images[7])))])
    (problem,) = changed.near_duplicates(cohort)
    assert (problem.code, problem.fate) == ("NEAR_DUPLICATE", "noted")
    assert problem.item == "study 2 | study 1.7"
    assert len(Cohort([*cohort, *changed]).near_duplicates()) == 1
    with pytest.warns(DataWarning, match="1 pairs of studies") as caught:
        changed.refuse_leakage(cohort)
    assert "study 2 | study 1.7" in str(caught[0].message)
    assert "canary" not in str(caught[0].message)
    # Who is known to be the same patient is not told twice.
    appearance = cohort[7].series[0].appearance
    assert Cohort([study("P7", "2", appearance=appearance)]).near_duplicates(cohort) == ()


def test_a_split_warns_of_pictures_that_look_alike(study: Make) -> None:
    look = appearance_of(picture(1))
    cohort = Cohort(
        study(f"P{n}", f"1.{n}", label=n % 2, appearance=look if n in (0, 1) else "")
        for n in range(20)
    )
    with pytest.warns(DataWarning, match="NEAR_DUPLICATE"):
        [cohort.split(10, seed=seed) for seed in range(8)]


def test_an_appearance_is_of_any_size(study: Make) -> None:
    assert len(appearance_of(np.arange(6.0).reshape(2, 3))) == 128
    for rows, columns in ((17, 17), (400, 31), (1, 1)):
        assert len(appearance_of(np.ones((rows, columns)))) == 128


@given(
    positive=st.integers(5, 20), negative=st.integers(5, 20), count=st.integers(2, 5),
    seed=st.integers(0, 5),
)  # fmt: skip
def test_folds_are_of_equal_size_and_have_their_share_of_each_class(
    study: Make, positive: int, negative: int, count: int, seed: int
) -> None:
    cohort = patients(study, positive, negative)
    folds = cohort.folds(count, seed=seed)
    held = [patient for fold in folds for patient in fold.patients]
    assert sorted(held) == list(cohort.patients)
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    counts = [int(fold.labels.sum()) for fold in folds]
    assert max(counts) - min(counts) <= 1
    assert [fold.patients for fold in cohort.folds(count, seed=seed)] == [
        fold.patients for fold in folds
    ]


def test_more_folds_than_patients_of_a_class_are_refused(study: Make) -> None:
    cohort = Cohort([study(str(n), f"1.{n}", label=int(n < 3)) for n in range(12)])
    with pytest.raises(UsageError, match=r"4 folds each need .* the rarer one has 3") as caught:
        cohort.folds(4)
    assert caught.value.code == "SPLIT_IMPOSSIBLE"
    assert len(cohort.folds(3)) == 3


def test_folds_keep_together_what_belongs_together(study: Make) -> None:
    cohort = Cohort(
        study(f"P{n:02d}", f"1.{n}", label=n % 2, frame_of_reference_uid=f"9.{n // 4}")
        for n in range(24)
    )
    folds = cohort.folds(3, seed=1)
    for fold in folds:
        rest = cohort.where(lambda each, fold=fold: each.patient not in fold.patients)
        assert fold.leakage(rest) == ()


def test_folds_give_each_value_of_an_attribute_its_share(study: Make) -> None:
    cohort = Cohort(
        study(f"P{n:02d}", f"1.{n}", label=n % 2, attributes={"site": "AB"[n // 2 % 2]})
        for n in range(40)
    )
    for fold in cohort.folds(5, stratify=("site",)):
        for label in (0, 1):
            sites = [each.attributes["site"] for each in fold if each.label == label]
            assert sorted(sites) == ["A", "A", "B", "B"]


@pytest.mark.parametrize("count", [1, 0, 4])
def test_folds_that_cannot_be_drawn_are_refused(study: Make, count: int) -> None:
    with pytest.raises(UsageError):
        patients(study, positive=3, negative=9).folds(count)


def test_folds_warn_of_pictures_that_look_alike(study: Make) -> None:
    look = appearance_of(np.random.default_rng(0).normal(size=(64, 64)))
    cohort = Cohort(
        study(f"P{n}", f"1.{n}", label=n % 2, appearance=look if n in (0, 7) else "")
        for n in range(8)
    )
    seeds = [seed for seed in range(20) if _parted(cohort, seed)]
    assert seeds
    with pytest.warns(DataWarning, match="NEAR_DUPLICATE"):
        cohort.folds(2, seed=seeds[0])


def _parted(cohort: Cohort, seed: int) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = cohort.folds(2, seed=seed)[0].patients
    return ("P0" in first) != ("P7" in first)


def test_a_cohort_without_another_has_none_of_its_patients(study: Make) -> None:
    cohort = Cohort([study("a", "1"), study("a", "2"), study("b", "3")])
    assert cohort.without([cohort[0]]).patients == ("b",)
    assert cohort.without([]).studies == cohort.studies
