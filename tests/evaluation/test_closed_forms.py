"""Closed forms, written out because importing a library takes longer than a comparison.

Each is held against the library that has it: scipy.stats or statsmodels.
"""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import cochrans_q, mcnemar
from statsmodels.stats.inter_rater import cohens_kappa

import cervispine.evaluation as ev
from cervispine.evaluation.roots import crossing
from cervispine.exceptions import StatisticsWarning

counts = st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_intervals_of_a_proportion_equal_scipy(count, confidence):
    for method, name in (("wilson", "wilson"), ("clopper-pearson", "exact")):
        ours = ev.proportion(*count, confidence=confidence, method=method)
        theirs = binomtest(*count).proportion_ci(confidence, method=name)
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-10)
        assert 0 <= ours.low <= ours.value <= ours.high <= 1


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_equals_statsmodels(b, c):
    table = [[10, b], [c, 10]]
    assert ev.mcnemar(b, c, method="exact") == pytest.approx(mcnemar(table).pvalue, abs=1e-10)
    if b == c:  # statsmodels keeps the correction, and has nothing to say of 0 and 0
        return
    for method, corrected in (("asymptotic", False), ("corrected", True)):
        theirs = mcnemar(table, exact=False, correction=corrected).pvalue
        assert ev.mcnemar(b, c, method=method) == pytest.approx(theirs, abs=1e-10)


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
@pytest.mark.parametrize("seed", range(5))
def test_cohens_kappa_equals_statsmodels(weights, seed):
    generator = np.random.default_rng(seed)
    a = np.concatenate([np.arange(4), generator.integers(0, 4, 60)])
    b = np.clip(a + generator.integers(-1, 2, a.size), 0, 3)
    table = np.zeros((4, 4))
    np.add.at(table, (a, b), 1)
    theirs = cohens_kappa(table, wt=None if weights == "none" else weights)
    ours = ev.cohen_kappa(a, b, weights=weights)
    limits = theirs.kappa_low, theirs.kappa_upp
    assert ours.value == pytest.approx(theirs.kappa)
    assert (ours.low, ours.high) == pytest.approx(limits, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_cochrans_q_equals_statsmodels(seed):
    calls = (np.random.default_rng(seed).random((4, 50)) < 0.6).astype(int)
    ours, theirs = ev.cochran_q(calls), cochrans_q(calls.T)
    assert (ours.statistic, ours.df, ours.p_value) == pytest.approx(
        (theirs.statistic, theirs.df, theirs.pvalue)
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("strength", [0.0, 1.0, 2.0])
def test_recalibration_equals_statsmodels(seed, strength):
    generator = np.random.default_rng(seed)
    truth = np.concatenate([[0, 1], generator.integers(0, 2, 298)])
    logits = strength * truth + generator.normal(size=300)
    ours = ev.calibration(truth, 1 / (1 + np.exp(-logits)))
    fit = sm.GLM(truth, sm.add_constant(logits), family=sm.families.Binomial()).fit(tol=1e-12)
    assert (ours.joint_intercept, ours.slope) == pytest.approx(tuple(fit.params), rel=1e-6)


@given(st.floats(-0.99, 0.99), st.booleans())
def test_a_crossing_is_that_of_brentq(root, falling):
    sign = -1 if falling else 1

    def rising(x):
        return sign * ((x - root) ** 3 + (x - root))

    ends = (1.0, -1.0) if falling else (-1.0, 1.0)
    assert crossing(rising, *ends) == pytest.approx(brentq(rising, -1, 1), abs=1e-12)


def test_classes_that_do_not_overlap_have_no_slope():
    truth = np.array([0, 0, 0, 1, 1, 1])
    for scores in ([0.1, 0.2, 0.3, 0.6, 0.7, 0.8], [0.9, 0.8, 0.5, 0.5, 0.2, 0.1], [0.4] * 6):
        found = ev.calibration(truth, scores)
        assert found.slope is found.joint_intercept is None
        assert np.isfinite(found.intercept)


@pytest.mark.filterwarnings(f"ignore::{StatisticsWarning.__module__}.StatisticsWarning")
def test_kappa_of_perfect_agreement_is_one():
    assert ev.cohen_kappa([0, 1, 1, 0], [0, 1, 1, 0]).value == 1.0
