"""Two areas on different cases, against R's pROC (roc.test of unpaired curves)."""

import numpy as np
import pytest
from scipy import stats

from cervispine.evaluation import auc, compare_independent_aucs
from cervispine.exceptions import StatisticsWarning, UsageError


@pytest.fixture
def cohorts(columns):
    data = [columns(f"unpaired_cohort_{name}") for name in "ab"]
    return [part for one in data for part in (one["label"], one["score"])]


def test_it_equals_proc(cohorts, expected):
    reference = expected("roc_unpaired")
    result = compare_independent_aucs(*cohorts)
    wanted = reference["delong_unpaired"]
    assert result.value == pytest.approx(reference["auc"][0] - reference["auc"][1], abs=1e-8)
    assert result.statistic == pytest.approx(wanted["D"], abs=1e-8)
    assert result.df == pytest.approx(wanted["df"], abs=1e-6)
    assert result.p_value == pytest.approx(wanted["p"], abs=1e-8)
    assert result.n == sum(len(labels) for labels in cohorts[::2])


def test_the_interval_is_that_of_the_test(cohorts, expected):
    result = compare_independent_aucs(*cohorts, confidence=0.9)
    error = sum(expected("roc_unpaired")["var"]) ** 0.5
    half = stats.t.ppf(0.95, result.df) * error
    assert (result.low, result.high) == pytest.approx((result.value - half, result.value + half))


def test_one_sided_tests_and_a_margin(cohorts):
    greater, less = (
        compare_independent_aucs(*cohorts, alternative=side).p_value for side in ("greater", "less")
    )
    assert greater + less == pytest.approx(1)
    shifted = compare_independent_aucs(*cohorts, margin=0.05)
    assert shifted.p_value < greater
    assert "non-inferiority with margin 0.05" in shifted.method
    for fault in (
        {"margin": -0.1},
        {"margin": 1},
        {"margin": np.nan},
        {"margin": 0.1, "alternative": "less"},
    ):
        with pytest.raises(UsageError, match="a margin"):
            compare_independent_aucs(*cohorts, **fault)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alternative": "less"}, ", one-sided (less)"),
        ({"margin": 0.1}, ", non-inferiority with margin 0.1, one-sided"),
    ],
)
def test_a_one_sided_test_is_called_one(cohorts, options, said):
    two_sided = compare_independent_aucs(*cohorts)
    assert compare_independent_aucs(*cohorts, **options).method == two_sided.method + said


def test_changing_places_changes_the_sign(cohorts):
    one, other = (
        compare_independent_aucs(*cohorts),
        compare_independent_aucs(*cohorts[2:], *cohorts[:2]),
    )
    assert (one.value, one.p_value) == pytest.approx((-other.value, other.p_value))


def test_what_has_no_variance_is_said_so(cohorts):
    parted = [0, 0, 0, 1, 1], [1, 2, 3, 4, 5]
    with pytest.warns(StatisticsWarning, match="no interval and no test"):
        result = compare_independent_aucs(*parted, *cohorts[2:])
    assert result.low is result.p_value is None
    assert result.value == pytest.approx(1 - auc(*cohorts[2:]).value)


def test_size_under_the_null_is_kept():
    generator = np.random.default_rng(3)
    rejected = 0
    for _ in range(400):
        parts = []
        for cases in (90, 150):
            truth = np.arange(cases) % 2
            parts += [truth, truth * 1.2 + generator.normal(size=cases)]
        rejected += compare_independent_aucs(*parts).p_value < 0.05
    assert 8 <= rejected <= 36  # 20 expected; the limits are about four standard deviations off
