from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from cervispine.classification.calibration import (
    class_weights,
    fit_temperature,
    offset_of,
    positive_probability,
)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_finds_the_temperature_that_made_the_data(temperature: float) -> None:
    generator = np.random.default_rng(0)
    margins = generator.normal(0, 3, 40_000)
    truth = generator.random(40_000) < expit(margins / temperature)
    assert fit_temperature(truth, margins) == pytest.approx(temperature, rel=0.05)


def test_the_offset_is_the_log_of_the_odds_that_the_weights_hid() -> None:
    truth = np.array([0] * 30 + [1] * 10)
    assert class_weights(truth, "balanced") == pytest.approx([2 / 3, 2])
    assert offset_of(class_weights(truth, "balanced")) == pytest.approx(np.log(10 / 30))
    assert offset_of(class_weights(truth, None)) == 0


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=30), st.floats(0.2, 20))
def test_probabilities_keep_the_order(margins: list[float], temperature: float) -> None:
    probabilities = positive_probability(sorted(margins), temperature)
    assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert (np.diff(probabilities) >= 0).all()
