"""Single proportions against R's binom, and corrections against R's p.adjust."""

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from cervispine.evaluation import adjust, proportion
from cervispine.exceptions import EvaluationError, UsageError


def test_intervals_equal_binom(expected):
    for row in expected("binomial_ci")["rows"]:
        counts = row["x"], row["n"]
        wilson = proportion(*counts)
        assert wilson.value == row["x"] / row["n"]
        assert wilson.n == row["n"]
        for arguments, key in (
            ({}, "wilson"),
            ({"confidence": 0.9}, "wilson90"),
            ({"method": "clopper-pearson"}, "clopper_pearson"),
            ({"method": "clopper-pearson", "confidence": 0.99}, "clopper_pearson99"),
        ):
            estimate = proportion(*counts, **arguments)
            assert (estimate.low, estimate.high) == pytest.approx(row[key], abs=1e-8)


@pytest.mark.parametrize(
    ("counts", "code"),
    [((0, 0), "NO_TRIALS"), ((5, 4), "COUNTS_INVALID"), ((-1, 4), "COUNTS_INVALID")],
)
def test_impossible_counts_are_refused(counts, code):
    with pytest.raises(EvaluationError) as caught:
        proportion(*counts)
    assert caught.value.code == code


def test_unknown_method_is_refused():
    with pytest.raises(UsageError, match="wilson, clopper-pearson"):
        proportion(1, 2, method="wald")


@pytest.mark.parametrize(
    ("method", "key"),
    [
        ("holm", "holm"),
        ("hochberg", "hochberg"),
        ("benjamini-hochberg", "BH"),
        ("bonferroni", "bonferroni"),
    ],
)
def test_corrections_equal_r(columns, expected, method, key):
    adjusted = adjust(columns("pvalues")["p"], method=method)
    np.testing.assert_allclose(adjusted, expected("multiplicity")["adjusted"][key], atol=1e-8)


@pytest.mark.parametrize(
    ("method", "theirs"),
    [("holm", "holm"), ("hochberg", "simes-hochberg"), ("benjamini-hochberg", "fdr_bh")],
)
def test_corrections_equal_statsmodels(method, theirs):
    p_values = np.random.default_rng(5).random(40) ** 3
    p_values[:4] = p_values[4]
    wanted = multipletests(p_values, method=theirs)[1]
    np.testing.assert_allclose(adjust(p_values, method=method), wanted, atol=1e-12)


def test_an_empty_family_stays_empty():
    assert adjust([]).shape == (0,)


@pytest.mark.parametrize("p_values", [[0.5, 1.2], [-0.1], [0.1, float("nan")]])
def test_what_is_no_p_value_is_refused(p_values):
    with pytest.raises(EvaluationError):
        adjust(p_values)
