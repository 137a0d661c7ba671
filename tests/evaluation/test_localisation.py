from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from cervispine.evaluation import Meeting, localisation, meet
from cervispine.exceptions import EvaluationError, UsageError


def strip() -> tuple[np.ndarray, np.ndarray]:
    """Ten pixels in a row, of which the last two are marked."""
    values, mask = np.zeros((1, 10)), np.zeros((1, 10), dtype=bool)
    mask[0, 8:] = True
    return values, mask


def test_distances_are_counted_in_millimetres() -> None:
    values, mask = strip()
    values[0, 5] = 1.0
    for tolerance, hit, near in ((1.4, False, 0.4), (1.5, True, 0.5), (1.6, True, 0.5)):
        meeting = meet(values, mask, spacing=(9.0, 0.5), tolerance=tolerance)
        assert meeting.distance == 1.5
        assert meeting.hit is hit
        assert meeting.near == pytest.approx(near)
    values[0, 9] = 3.0
    meeting = meet(values, mask, spacing=(9.0, 0.5))
    assert (meeting.distance, meeting.hit, meeting.energy, meeting.area) == (0, True, 0.75, 0.2)


def test_what_the_network_was_not_given_does_not_count() -> None:
    values, mask = strip()
    values[0, 0], values[0, 8] = 5.0, 1.0
    seen = np.zeros_like(mask)
    seen[0, 5:9] = True
    meeting = meet(values, mask, spacing=(1, 1), seen=seen)
    assert (meeting.distance, meeting.energy, meeting.near, meeting.area) == (0, 1, 0.25, 0.25)


def test_a_map_without_evidence_is_a_miss() -> None:
    values, mask = strip()
    meeting = meet(values, mask, spacing=(1, 1), tolerance=100)
    assert (meeting.distance, meeting.hit, meeting.energy) == (np.inf, False, 0)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10))
def test_scale_and_place_change_nothing(seed: int, scale: float) -> None:
    generator = np.random.default_rng(seed)
    values, mask = generator.random((3, 6, 5)), generator.random((3, 6, 5)) < 0.2
    mask[0, 0, 0] = True
    meeting = meet(values, mask, spacing=(3, 1, 1), tolerance=1)
    scaled = meet(scale * values, mask, spacing=(3, 1, 1), tolerance=1)
    assert scaled.distance == meeting.distance
    assert scaled.energy == pytest.approx(meeting.energy)
    turned = meet(values[:, ::-1].T, mask[:, ::-1].T, spacing=(1, 1, 3), tolerance=1)
    assert turned.distance == pytest.approx(meeting.distance)
    assert turned.near == pytest.approx(meeting.near)
    everywhere = meet(np.ones_like(values), mask, spacing=(3, 1, 1))
    assert everywhere.energy == pytest.approx(everywhere.area)


@pytest.mark.parametrize("wrong", ["negative", "nan", "type", "shape", "empty", "not seen"])
def test_what_cannot_be_held_against_each_other_is_refused(wrong: str) -> None:
    values, mask = strip()
    seen = np.ones_like(mask)
    if wrong == "negative":
        values[0, 0] = -1
    elif wrong == "nan":
        values[0, 0] = np.nan
    elif wrong == "type":
        mask = mask.astype(float)
    elif wrong == "shape":
        mask = mask[0]
    elif wrong == "empty":
        mask[:] = False
    else:
        seen[mask] = False
    with pytest.raises(EvaluationError) as caught:
        meet(values, mask, spacing=(1, 1), seen=seen)
    expected = "MAP_INVALID" if wrong in ("negative", "nan") else "MASK_INVALID"
    assert caught.value.code == expected


def meetings_of(hits: int, trials: int, near: float) -> list[Meeting]:
    return [
        Meeting(distance=0.0 if number < hits else 9.0, hit=number < hits, near=near,
                energy=number / trials, area=0.1)
        for number in range(trials)
    ]  # fmt: skip


def test_cases_are_summed_up() -> None:
    result = localisation(meetings_of(12, 20, 0.3))
    assert (result.pointing.value, result.pointing.n) == (0.6, 20)
    assert (result.pointing.low, result.pointing.high) == pytest.approx((0.387, 0.781), abs=1e-3)
    assert result.pointing_by_chance == pytest.approx(0.3)
    # With equal chances the number of hits is binomial.
    assert result.p_value == pytest.approx(binom.sf(11, 20, 0.3))
    assert result.energy.value == pytest.approx(0.475)
    assert result.energy.low is not None
    assert result.energy.high is not None
    assert result.energy.low < 0.475 < result.energy.high
    assert result.energy_by_chance == pytest.approx(0.1)
    assert result.distance == 0
    assert result.summary().startswith("20 cases\n")
    assert localisation(meetings_of(0, 5, 0.3)).p_value == pytest.approx(1)
    assert result == localisation(meetings_of(12, 20, 0.3))
    with pytest.raises(EvaluationError) as caught:
        localisation([])
    assert caught.value.code == "NO_TRIALS"
    for options in ({"resamples": 0}, {"seed": -1}):
        with pytest.raises(UsageError, match="a whole number from"):
            localisation(meetings_of(12, 20, 0.3), **options)


@pytest.mark.parametrize("energy", [0.0, 0.3, 1.0])
def test_cases_that_are_all_alike_still_have_an_interval(energy: float) -> None:
    alike = [Meeting(distance=0.0, hit=True, near=0.3, energy=energy, area=0.1) for _ in range(20)]
    found = localisation(alike).energy
    assert found.method == "Wilson of the cases"
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert found.high - found.low > 0.1


def test_blind_pixels_hit_as_often_as_chance_says() -> None:
    generator = np.random.default_rng(3)
    meetings = []
    for _ in range(400):
        mask = np.zeros((20, 20), dtype=bool)
        top, left = generator.integers(0, 15, 2)
        mask[top : top + 5, left : left + 3] = True
        meetings.append(meet(generator.random((20, 20)), mask, spacing=(1, 1), tolerance=1))
    result = localisation(meetings)
    assert result.pointing.low is not None
    assert result.pointing.high is not None
    assert result.pointing.low < result.pointing_by_chance < result.pointing.high
    assert result.p_value > 0.01
