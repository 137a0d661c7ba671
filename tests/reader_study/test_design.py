"""Who reads what when: every case, in an order of one's own, balanced over the arms."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cervispine.exceptions import UsageError
from cervispine.reader_study import ARMS, Design, plan
from cervispine.reader_study.design import TRAINING

CASES = tuple(range(10, 40))


def listed(design: Design, reader: str, session: int, **more: object) -> list[int]:
    return [
        slot.case
        for slot in plan(design, CASES, **more)
        if (slot.reader, slot.session) == (reader, session)
    ]


@settings(max_examples=60)
@given(
    st.integers(2, 40),
    st.integers(0, 20),
    st.integers(1, 5),
    st.integers(0, 2**40),
    st.sampled_from([ARMS[:1], ARMS]),
)
def test_everybody_reads_everything_and_half_a_list_lies_between_repeats(
    count: int, repeats: int, people: int, seed: int, arms: tuple[str, ...]
) -> None:
    repeats = min(repeats, count // 2)
    names = tuple(f"reader {number}" for number in range(people))
    design = Design(readers=names, arms=arms, repeats=repeats, seed=seed)
    slots = plan(design, range(count))
    assert slots == plan(design, range(count))
    for name in names:
        for session in range(1, len(arms) + 1):
            mine = [slot for slot in slots if (slot.reader, slot.session) == (name, session)]
            assert [slot.position for slot in mine] == list(range(count + repeats))
            times = Counter(slot.case for slot in mine)
            assert set(times) == set(range(count))
            assert sum(slot.repeated for slot in mine) == repeats
            assert Counter(times.values()) == Counter([2] * repeats + [1] * (count - repeats))
            for case in (case for case, number in times.items() if number == 2):
                first, second = (slot for slot in mine if slot.case == case)
                assert (first.repeated, second.repeated) == (False, True)
                assert second.position - first.position > count // 2
                assert first.arm == second.arm


def test_both_arms_are_read_once_of_each_case_and_balanced_over_sessions() -> None:
    design = Design(readers=("a", "b", "c", "d"), arms=ARMS, seed=4)
    slots = plan(design, CASES)
    arms = Counter((slot.reader, slot.case, slot.arm) for slot in slots)
    assert set(arms.values()) == {1}
    assert len(arms) == 4 * len(CASES) * 2
    aided_first = Counter(
        (slot.reader if by == "reader" else slot.case)
        for by in ("reader", "case")
        for slot in slots
        if slot.session == 1 and slot.arm == "aided"
    )
    assert all(aided_first[reader] == len(CASES) // 2 for reader in design.readers)
    assert all(aided_first[case] == 2 for case in CASES)


def test_without_an_aided_arm_nothing_is_aided() -> None:
    assert {slot.arm for slot in plan(Design(readers=("a",)), CASES)} == {"unaided"}


def test_an_order_depends_on_seed_and_name_alone() -> None:
    design = Design(readers=("a", "b"), seed=1)
    assert listed(design, "a", 1) != listed(design, "b", 1)
    assert listed(design, "a", 1) != listed(attrs.evolve(design, seed=2), "a", 1)
    later = attrs.evolve(design, readers=("b", "a", "new"))
    assert listed(later, "a", 1) == listed(design, "a", 1)
    assert listed(design, "a", 1) != sorted(CASES)


def test_repeats_are_the_same_cases_for_everybody() -> None:
    design = Design(readers=("a", "b"), repeats=5, seed=1)
    repeated = {
        reader: {
            slot.case for slot in plan(design, CASES) if slot.reader == reader and slot.repeated
        }
        for reader in design.readers
    }
    assert repeated["a"] == repeated["b"]
    assert len(repeated["a"]) == 5


def test_training_comes_first_and_is_no_part_of_the_study() -> None:
    slots = plan(Design(readers=("a",)), CASES, training=(1, 2, 3), aided=(2,))
    training = [slot for slot in slots if slot.session == TRAINING]
    assert sorted(slot.case for slot in training) == [1, 2, 3]
    assert {slot.case: slot.arm for slot in training} == {1: "unaided", 2: "aided", 3: "unaided"}
    assert {slot.case for slot in slots if slot.session} == set(CASES)


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ({"readers": ()}, "at least one"),
        ({"readers": ("a", "a")}, "of its own"),
        ({"readers": ("",)}, "printable"),
        ({"readers": ("a\n",)}, "printable"),
        ({"readers": ("x" * 65,)}, "printable"),
        ({"readers": ("administrator",)}, "taken"),
        ({"arms": ("aided",)}, "arms"),
        ({"repeats": -1}, "repeats"),
        ({"washout": -1.0}, "washout"),
        ({"washout": float("nan")}, "washout"),
        ({"rating_scale": (5, 1)}, "rating_scale"),
        ({"rating_scale": (0, 1000)}, "rating_scale"),
        ({"rating_scale": (0.5, 1)}, "rating_scale: whole numbers"),
        ({"rating_scale": (0, 99.5)}, "rating_scale: whole numbers"),
        ({"rating_scale": ("0", "100")}, "rating_scale: whole numbers"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_design_that_cannot_be_meant_is_refused(wrong: dict[str, object], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        Design(**{"readers": ("a",), **wrong})


def test_more_repeats_than_half_the_cases_are_refused() -> None:
    with pytest.raises(UsageError, match="at most half"):
        plan(Design(readers=("a",), repeats=16), CASES)
    with pytest.raises(UsageError, match="cases to read"):
        plan(Design(readers=("a",)), [])
