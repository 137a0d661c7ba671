from __future__ import annotations

import itertools

import numpy as np
import pytest

from cervispine.phantom import levels_at, render, sample_patient
from cervispine.phantom.specification import VERTEBRAE


@pytest.mark.parametrize("seed", [3, 8, 21])
def test_plaques_lie_at_the_levels_of_their_truth(seed: int) -> None:
    patient = sample_patient(seed, "OPLL", difficulty=0.1)
    middle = render(patient, slices=[patient.protocol.slices // 2])
    painted = render(patient, slices=[middle.mid_slice]).plaque[0]
    found = set(levels_at(patient, np.argwhere(painted)))
    told = {level for plaque in patient.plaques for level in plaque.levels}
    # Thin ends fill less than half of a pixel; thick ones reach over the disc's middle.
    places = [VERTEBRAE.index(level) for level in told]
    assert {VERTEBRAE.index(level) for level in found if level} <= {
        place + step for place in places for step in (-1, 0, 1)
    }
    assert len(found & told) >= len(told) / 2


def test_levels_follow_each_other_downwards() -> None:
    patient = sample_patient(5, "DSS")
    column = (patient.protocol.matrix - 1) / 2
    levels = levels_at(patient, [(row, column) for row in range(0, patient.protocol.matrix, 2)])
    passed = [level for level, _ in itertools.groupby(levels) if level is not None]
    first = VERTEBRAE.index(passed[0])
    assert passed == list(VERTEBRAE[first : first + len(passed)])
    assert {"C3", "C4", "C5", "C6", "C7"} <= set(passed)
    assert levels[0] is None
