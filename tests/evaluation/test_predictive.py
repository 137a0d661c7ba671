"""Predictive values at another prevalence: against Bayes, the counts, and limits worked by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine.evaluation import predictive_values
from cervispine.exceptions import CervispineError


def cohort(found, diseased, cleared, others):
    truth = np.repeat([1, 0], [diseased, others])
    calls = np.concatenate(
        [
            np.repeat([1, 0], [found, diseased - found]),
            np.repeat([0, 1], [cleared, others - cleared]),
        ]
    )
    return truth, calls


def test_the_values_are_those_of_bayes():
    values = predictive_values(*cohort(54, 60, 72, 90), prevalence=0.18)
    assert values.ppv.value == pytest.approx(0.18 * 0.9 / (0.18 * 0.9 + 0.82 * 0.2))
    assert values.npv.value == pytest.approx(0.82 * 0.8 / (0.82 * 0.8 + 0.18 * 0.1))


def test_limits_worked_by_hand():
    # Mercaldo, Lau and Zhou 2007, equation for logit(PPV): the delta method on the log odds.
    values = predictive_values(*cohort(54, 60, 72, 90), prevalence=0.18)
    logit = math.log(0.18 / 0.82) + math.log(0.9 / 0.2)
    half = 1.959963984540054 * math.sqrt(0.1 / (0.9 * 60) + 0.8 / (0.2 * 90))
    limits = [1 / (1 + math.exp(-logit - side * half)) for side in (-1, 1)]
    assert (values.ppv.low, values.ppv.high) == pytest.approx(limits, abs=1e-12)


@given(
    diseased=st.integers(1, 80),
    others=st.integers(1, 80),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_at_the_prevalence_of_the_sample_they_are_the_counts(diseased, others, shares):
    found, cleared = round(shares[0] * diseased), round(shares[1] * others)
    truth, calls = cohort(found, diseased, cleared, others)
    values = predictive_values(truth, calls, prevalence=diseased / (diseased + others))
    for value, called, label in ((values.ppv, calls == 1, 1), (values.npv, calls == 0, 0)):
        if not called.any():
            assert value is None
            continue
        assert value.value == pytest.approx((truth[called] == label).mean(), abs=1e-12)
        assert 0 <= value.low <= value.value <= value.high <= 1
        assert value.low < value.high


def test_a_rarer_disease_makes_positive_calls_worth_less():
    data = cohort(54, 60, 72, 90)
    values = [predictive_values(*data, prevalence=share) for share in (0.02, 0.2, 0.5)]
    assert values[0].ppv.value < values[1].ppv.value < values[2].ppv.value
    assert values[0].npv.value > values[1].npv.value > values[2].npv.value


def test_calls_that_never_erred_have_a_bound():
    values = predictive_values(*cohort(50, 60, 90, 90), prevalence=0.1)
    assert values.ppv.value == values.ppv.high == 1
    assert 0 < values.ppv.low < 1


@pytest.mark.parametrize("prevalence", [0, 1, 18, -0.1, math.nan])
def test_what_is_no_share_is_refused(prevalence):
    with pytest.raises(CervispineError, match="prevalence"):
        predictive_values(*cohort(54, 60, 72, 90), prevalence=prevalence)
