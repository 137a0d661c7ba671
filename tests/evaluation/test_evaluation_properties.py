"""What must hold whatever the numbers are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cervispine.evaluation import (
    PairedCounts,
    adjust,
    auc,
    choose_threshold,
    compare_aucs,
    mcnemar,
    paired_difference,
    proportion,
)

pytestmark = pytest.mark.filterwarnings("ignore::cervispine.exceptions.StatisticsWarning")
some = settings(max_examples=40)


@st.composite
def rated_cases(draw, raters=1):
    """A truth with both classes, and the scores of some raters, with many ties."""
    size = draw(st.integers(4, 40))
    truth = np.array(draw(st.lists(st.integers(0, 1), min_size=size, max_size=size)))
    assume(0 < truth.sum() < size)
    score = st.lists(st.integers(-6, 6), min_size=size, max_size=size)
    return truth, [np.array(draw(score), dtype=float) for _ in range(raters)]


def close(first, second):
    return first == pytest.approx(second, abs=1e-9)


def limits(result):
    return [result.value, result.low, result.high]


@some
@given(rated_cases())
def test_the_area_is_scikit_learns_and_lies_in_its_interval(cases):
    truth, (scores,) = cases
    estimate = auc(truth, scores)
    assert close(estimate.value, roc_auc_score(truth, scores))
    if estimate.low is not None:
        assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1
        assert estimate.low < estimate.high


@some
@given(rated_cases(), st.randoms())
def test_the_order_of_cases_does_not_matter(cases, random):
    truth, (scores,) = cases
    order = random.sample(range(truth.size), truth.size)
    assert close(limits(auc(truth, scores)), limits(auc(truth[order], scores[order])))


@some
@given(rated_cases())
def test_a_monotone_change_of_scale_does_not_matter(cases):
    truth, (scores,) = cases
    for changed in (np.exp(scores), scores**3 + 7, 1e6 * scores):
        assert limits(auc(truth, scores)) == limits(auc(truth, changed))
        assert compare_aucs(truth, scores, changed).p_value == 1
        threshold = choose_threshold(truth, scores)
        called = changed >= choose_threshold(truth, changed)
        np.testing.assert_array_equal(called, scores >= threshold)


@some
@given(rated_cases())
def test_turning_scores_or_labels_turns_the_area(cases):
    truth, (scores,) = cases
    estimate, turned = auc(truth, scores), auc(truth, -scores)
    assert close(estimate.value, 1 - turned.value)
    if estimate.low is not None:
        assert close([estimate.low, estimate.high], [1 - turned.high, 1 - turned.low])
    assert close(limits(auc(1 - truth, -scores)), limits(estimate))


@some
@given(rated_cases(raters=2))
def test_changing_places_changes_the_sign(cases):
    truth, (a, b) = cases
    forth, back = compare_aucs(truth, a, b), compare_aucs(truth, b, a)
    assert close(forth.value, -back.value)
    assert forth.p_value == (None if back.p_value is None else pytest.approx(back.p_value))
    if forth.low is not None:
        assert close([forth.low, forth.high], [-back.high, -back.low])
        assert forth.low <= forth.value <= forth.high


@some
@given(rated_cases(raters=2))
def test_one_sided_p_values_add_to_one(cases):
    truth, (a, b) = cases
    two_sided = compare_aucs(truth, a, b)
    assume(two_sided.statistic is not None)
    greater = compare_aucs(truth, a, b, alternative="greater").p_value
    less = compare_aucs(truth, a, b, alternative="less").p_value
    assert close(greater + less, 1)
    assert close(two_sided.p_value, 2 * min(greater, less))


@some
@given(rated_cases())
def test_the_bootstrap_repeats_itself(cases):
    truth, (scores,) = cases
    first, second = (
        auc(truth, scores, method="bootstrap", resamples=100, seed=7) for _ in range(2)
    )
    assert first == second


@some
@given(rated_cases())
def test_no_threshold_has_a_greater_youden_index(cases):
    truth, (scores,) = cases

    def youden(threshold):
        called = scores >= threshold
        return called[truth == 1].mean() + (~called)[truth == 0].mean()

    chosen = choose_threshold(truth, scores)
    assert chosen in scores
    assert all(youden(chosen) >= youden(other) - 1e-12 for other in scores)


tables = st.tuples(*[st.integers(0, 40)] * 4).filter(lambda counts: sum(counts) > 0)


@some
@given(tables, st.sampled_from(["tango", "newcombe"]), st.sampled_from([0.8, 0.95, 0.99]))
def test_paired_intervals_hold_their_estimate_and_turn_with_the_sign(counts, method, confidence):
    both, first, second, neither = counts
    a = np.repeat([1, 1, 0, 0], counts)
    b = np.repeat([1, 0, 1, 0], counts)
    assert PairedCounts.of(a, b) == PairedCounts(both, first, second, neither)
    arguments = {"method": method, "confidence": confidence}
    forth, back = paired_difference(a, b, **arguments), paired_difference(b, a, **arguments)
    assert -1 <= forth.low <= forth.value <= forth.high <= 1
    assert forth.low < forth.high
    assert close([forth.value, forth.low, forth.high], [-back.value, -back.high, -back.low])
    assert forth.p_value == back.p_value


@some
@given(st.integers(0, 60), st.integers(0, 60))
def test_p_values_of_mcnemar_are_ordered(only_a, only_b):
    mid_p, exact = mcnemar(only_a, only_b), mcnemar(only_a, only_b, method="exact")
    assert 0 < mid_p <= exact <= 1
    assert mcnemar(only_a, only_b, method="asymptotic") <= mcnemar(
        only_a, only_b, method="corrected"
    )


@some
@given(st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_of_proportions(counts):
    successes, trials = counts
    wilson = proportion(successes, trials)
    exact = proportion(successes, trials, method="clopper-pearson")
    failures = proportion(trials - successes, trials)
    assert 0 <= wilson.low <= wilson.value <= wilson.high <= 1
    assert 0 <= exact.low <= exact.value <= exact.high <= 1
    assert close([wilson.low, wilson.high], [1 - failures.high, 1 - failures.low])


@some
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections_only_raise_and_keep_the_order(p_values):
    adjusted = {
        method: adjust(p_values, method=method)
        for method in ("benjamini-hochberg", "hochberg", "holm", "bonferroni")
    }
    rows = [np.array(p_values), *adjusted.values()]
    for lower, higher in pairwise(rows):
        assert (higher >= lower - 1e-12).all()
    order = np.argsort(p_values)
    assert all((np.diff(row[order]) >= -1e-12).all() for row in rows)
    assert all((row <= 1).all() for row in rows)
