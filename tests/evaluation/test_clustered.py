"""Rates and differences of clustered cases."""

import json

import numpy as np
import pandas as pd
import pytest

from cervispine.evaluation import Evaluator, ReaderTable, mcnemar, paired_difference
from cervispine.evaluation.clustered import clustered_difference
from cervispine.exceptions import MismatchedCasesError


@pytest.fixture
def right():
    generator = np.random.default_rng(3)
    return generator.random((2, 60)) < [[0.8], [0.65]]


def test_clusters_of_one_are_mcnemars_asymptotic_test(right):
    result = clustered_difference(*right, np.arange(60))
    first, second = (int((a & ~b).sum()) for a, b in (right, right[::-1]))
    assert result.value == pytest.approx((first - second) / 60)
    z = (first - second) / np.sqrt(first + second) * np.sqrt(59 / 60)
    assert result.statistic == pytest.approx(z)
    plain = mcnemar(first, second, method="asymptotic")
    assert result.p_value == pytest.approx(plain, rel=0.05)


def test_copies_within_a_cluster_tell_nothing_new(right):
    once = clustered_difference(*right, np.arange(60))
    thrice = clustered_difference(*np.repeat(right, 3, axis=1), np.repeat(np.arange(60), 3))
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    assert thrice.p_value == pytest.approx(once.p_value)
    assert thrice.n == 180


def test_the_other_way_round_is_the_other_sign(right):
    groups = np.arange(60) // 3
    one, other = clustered_difference(*right, groups), clustered_difference(*right[::-1], groups)
    assert (one.value, one.low, one.high) == (-other.value, -other.high, -other.low)
    assert one.p_value == other.p_value


def test_raters_who_do_not_differ_have_the_interval_of_one_case_a_cluster(right):
    same = clustered_difference(right[0], right[0], np.arange(60) // 2)
    wanted = paired_difference(np.ones(30), np.ones(30))
    assert (same.value, same.p_value) == (0.0, 1.0)
    assert (same.low, same.high) == (wanted.low, wanted.high)
    assert "do not scatter" in same.note
    whole = clustered_difference(np.ones(60, bool), np.zeros(60, bool), np.arange(60) // 2)
    assert whole.value == whole.high == 1.0
    assert whole.low == paired_difference(np.ones(30), np.zeros(30)).low < 1.0


@pytest.mark.parametrize("cases", [49, 98, 103])
def test_one_cluster_is_one_trial_whatever_rounding_leaves(cases):
    first = np.arange(cases) == 0
    result = clustered_difference(first, np.zeros(cases, bool), np.zeros(cases, np.int64))
    wanted = paired_difference([1], [1])
    assert (result.low, result.high) == (wanted.low, wanted.high)
    assert result.low < result.value < result.high
    assert "do not scatter" in result.note


def test_clusters_alike_but_for_rounding_do_not_scatter():
    first = np.tile(np.arange(49) == 0, 6)
    result = clustered_difference(first, np.zeros_like(first), np.repeat(np.arange(6), 49))
    assert result.statistic is None
    assert result.low < result.value < result.high


def test_a_clustered_comparison_allows_for_clusters(columns):
    data = columns("clustered")
    cases = [f"case {place}" for place in range(len(data["label"]))]
    scores = {name: data[f"score_{name}"] for name in ("a", "b")}
    calls = (data["score_b"] >= 0.3).astype(int)
    rows = [
        {"patient": case, "reader": "R", "call": call}
        for case, call in zip(cases, calls, strict=True)
    ]
    arguments = (data["label"], scores, ReaderTable.from_frame(pd.DataFrame(rows)))
    options = {"thresholds": 0.0, "cases": cases}
    plain = Evaluator().compare(*arguments, **options)
    result = Evaluator().compare(*arguments, **options, groups=data["patient"])
    by_case = dict(zip(cases, data["patient"], strict=True))
    again = Evaluator().compare(*arguments, **options, groups=by_case)
    assert again.to_dict() == result.to_dict()
    assert "clustered (Obuchowski)" in result.between_models[0].difference.method
    assert "clusters (Obuchowski 1998)" in result.against_readers[0].difference.method
    assert "by cluster" in result.readers["R"].sensitivity.method
    assert result.models["a"].auc.low < plain.models["a"].auc.low
    assert result.against_mean == ()
    assert any("clusters, which the intervals allow for" in note for note in result.notes)
    assert len(result.at_readers_points) == 4
    assert json.dumps(result.to_dict(), allow_nan=False)
    assert "T3" not in result.tables()
    with pytest.raises(MismatchedCasesError):
        Evaluator().compare(*arguments, **options, groups=[1, 2])
