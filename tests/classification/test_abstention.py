"""The band: its coverage by simulation, what it says of too few patients, and its way to JSON."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine import Cohort, OPLLClassifier
from cervispine.classification.abstention import Band, least_patients
from cervispine.evaluation import choose_threshold
from cervispine.exceptions import UsageError


def drawn(
    random: np.random.Generator, positives: int, negatives: int, apart: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and probabilities of a model whose margins are normal and skewed."""
    margins = np.concatenate(
        [random.normal(apart, 1.5, positives), -random.gumbel(apart, 1, negatives)]
    )
    truth = np.repeat([1, 0], [positives, negatives])
    return truth, 1 / (1 + np.exp(-margins))


def youden(truth: np.ndarray, probabilities: np.ndarray) -> float:
    return choose_threshold(truth, probabilities, rule="youden")


@pytest.mark.parametrize(("positives", "negatives"), [(9, 14), (12, 40), (30, 47), (100, 100)])
@pytest.mark.parametrize("apart", [0.3, 2.0])
@pytest.mark.parametrize("error_rate", [0.1, 0.05])
def test_new_patients_lie_on_the_wrong_side_as_rarely_as_stated(
    positives: int, negatives: int, apart: float, error_rate: float
) -> None:
    random = np.random.default_rng(0)
    missed, overcalled = [], []
    for _ in range(1000):
        truth, probabilities = drawn(random, positives, negatives, apart)
        band = Band.of(
            truth, probabilities, threshold=youden(truth, probabilities), error_rate=error_rate
        )
        new_truth, new = drawn(random, 50, 50, apart)
        missed.append((new[new_truth == 1] < band.low).mean())
        overcalled.append((new[new_truth == 0] > band.high).mean())
    # A thousand validation parts: three standard errors above the rate would be a fault.
    for errors in (missed, overcalled):
        assert np.mean(errors) <= error_rate + 3 * np.std(errors) / np.sqrt(len(errors))


def test_the_band_is_not_wider_than_it_must_be() -> None:
    # The error is k / (n + 1) in the mean, when the threshold does not widen the band.
    random = np.random.default_rng(1)
    missed = []
    for _ in range(1000):
        truth, probabilities = drawn(random, 29, 29, 0.3)
        band = Band.of(truth, probabilities, threshold=0.5, error_rate=0.1)
        new_truth, new = drawn(random, 200, 1, 0.3)
        missed.append((new[new_truth == 1] < band.low).mean())
    assert np.mean(missed) == pytest.approx(0.1, abs=0.01)


@given(
    st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), max_size=60),
    st.floats(0, 1),
    st.floats(0.01, 0.49),
)
def test_validation_patients_outside_are_no_more_than_allowed(
    patients: list[tuple[int, float]], threshold: float, error_rate: float
) -> None:
    truth = np.array([label for label, _ in patients], dtype=int)
    probabilities = np.array([value for _, value in patients])
    band = Band.of(truth, probabilities, threshold=threshold, error_rate=error_rate)
    assert band.low <= threshold <= band.high
    wrong = [
        (probabilities[truth == 1] < band.low).sum(), (probabilities[truth == 0] > band.high).sum()
    ]  # fmt: skip
    for errors, count in zip(wrong, (band.positives, band.negatives), strict=True):
        assert errors <= max(0, error_rate * (count + 1) - 1 + 1e-6)
    assert Band.from_dict(band.to_dict()) == band
    decided = ~band.holds(probabilities)
    calls = probabilities >= threshold
    assert np.array_equal(calls[decided], probabilities[decided] > band.high)


def test_classes_that_lie_apart_leave_no_band() -> None:
    truth = np.repeat([1, 0], 20)
    probabilities = np.concatenate([np.linspace(0.8, 0.9, 20), np.linspace(0.1, 0.2, 20)])
    band = Band.of(truth, probabilities, threshold=0.5, error_rate=0.1)
    assert (band.low, band.high) == (0.5, 0.5)
    assert not band.holds(probabilities).any()


@pytest.mark.parametrize(("error_rate", "least"), [(0.1, 9), (0.05, 19), (0.01, 99), (0.3, 3)])
def test_too_few_patients_rule_nothing_out_and_it_is_said(error_rate: float, least: int) -> None:
    assert least_patients(error_rate) == least
    truth = np.repeat([1, 0], [least - 1, least])
    probabilities = np.repeat([0.9, 0.1], [least - 1, least])
    band = Band.of(truth, probabilities, threshold=0.5, error_rate=error_rate)
    assert (band.low, band.high) == (0, 0.5)
    assert band.holds([0.0, 0.3]).all()
    assert band.undecided_for_want_of_patients == ("positive",)
    assert f"too few to rule OPLL out, which takes {least}" in band.summary(("DSS", "OPLL"))
    enough = Band.of(
        np.repeat([1, 0], least), np.repeat([0.9, 0.1], least), threshold=0.5,
        error_rate=error_rate,
    )  # fmt: skip
    assert enough.undecided_for_want_of_patients == ()
    assert "too few" not in enough.summary(("DSS", "OPLL"))


@pytest.mark.parametrize(
    "changes", [{"low": 0.9, "high": 0.1}, {"low": float("nan")}, {"error_rate": 0}, {"other": 1}]
)
def test_what_is_no_band_is_refused(changes: dict[str, float]) -> None:
    whole = Band(low=0.2, high=0.6, error_rate=0.1, positives=9, negatives=9).to_dict()
    with pytest.raises(ValueError, match="no band"):
        Band.from_dict(whole | changes)


def test_a_classifier_tells_its_band(cohort: Cohort, fitted: OPLLClassifier) -> None:
    band = fitted.band_
    assert band is not None
    assert band.positives + band.negatives == fitted.record_["validation_patients"]
    predictions = fitted.classify(cohort, allow_training_patients=True)
    assert predictions.band == (band.low, band.high)
    # Seven validation patients rule nothing out, so nobody is sent away.
    assert set(predictions.advice) == {"CT advised"}
    assert predictions.undecided.all()


@pytest.mark.parametrize("wrong", [0, 0.5, -0.1, float("nan"), "0.1", True])
def test_an_error_rate_that_cannot_be_meant(cohort: Cohort, wrong: object) -> None:
    with pytest.raises(UsageError, match="error_rate"):
        OPLLClassifier(error_rate=wrong).fit(cohort)  # type: ignore[arg-type]
