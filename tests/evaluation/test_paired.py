"""Paired proportions against R's contingencytables, ratesci and PropCIs."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from cervispine.evaluation import PairedCounts, mcnemar, paired_difference
from cervispine.exceptions import EvaluationError, UsageError


def calls_of(table):
    counts = [table[name] for name in ("both_pos", "only1_pos", "only2_pos", "both_neg")]
    return np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)


def test_intervals_equal_the_r_packages(expected):
    for row in expected("paired_proportions")["rows"]:
        first, second = calls_of(row["table"])
        tango = paired_difference(first, second)
        assert tango.value == pytest.approx(row["diff"], abs=1e-8)
        assert (tango.low, tango.high) == pytest.approx(
            row["diff_ci95"]["tango_contingencytables"], abs=1e-5
        )
        newcombe = paired_difference(first, second, method="newcombe")
        assert (newcombe.low, newcombe.high) == pytest.approx(
            row["diff_ci95"]["newcombe_square_and_add"], abs=1e-8
        )
        assert tango.p_value == newcombe.p_value == pytest.approx(row["mcnemar"]["midp"], abs=1e-8)


def test_noninferiority_equals_the_formula(expected):
    for row in expected("paired_proportions")["rows"]:
        first, second = calls_of(row["table"])
        for margin, values in row["tango_noninferiority"].items():
            result = paired_difference(first, second, margin=float(margin))
            assert result.statistic == pytest.approx(values["z"], abs=1e-8)
            assert result.p_value == pytest.approx(values["p_one_sided"], abs=1e-8)
            assert "non-inferiority" in result.method


def test_mcnemar_equal_r(expected):
    for row in expected("paired_proportions")["rows"]:
        table, reference = row["table"], row["mcnemar"]
        counts = table["only1_pos"], table["only2_pos"]
        assert mcnemar(*counts) == pytest.approx(reference["midp"], abs=1e-8)
        assert mcnemar(*counts, method="exact") == pytest.approx(reference["exact_p"], abs=1e-8)
        for method, key in (("asymptotic", "asymptotic"), ("corrected", "cc")):
            wanted = reference[key]["p"] if sum(counts) else 1.0
            assert mcnemar(*counts, method=method) == pytest.approx(wanted, abs=1e-8)


def test_exact_and_asymptotic_equal_statsmodels():
    for only_first, only_second in ((3, 11), (20, 7), (1, 0), (4, 4)):
        table = [[50, only_first], [only_second, 9]]
        exact = statsmodels_mcnemar(table, exact=True).pvalue
        assert mcnemar(only_first, only_second, method="exact") == pytest.approx(exact)
        plain = statsmodels_mcnemar(table, exact=False, correction=False).pvalue
        assert mcnemar(only_first, only_second, method="asymptotic") == pytest.approx(plain)


def test_equal_discordant_counts_need_no_correction():
    assert mcnemar(8, 8, method="corrected") == 1
    assert mcnemar(8, 8, method="exact") == 1
    assert 0.8 < mcnemar(8, 8) < 1


def test_no_discordant_pair_still_has_an_interval():
    result = paired_difference([1] * 40 + [0] * 25, [1] * 40 + [0] * 25)
    assert result.p_value == 1
    assert result.low == pytest.approx(-0.0558, abs=1e-4)
    assert result.high == pytest.approx(0.0558, abs=1e-4)


@pytest.mark.parametrize("method", ["tango", "newcombe"])
def test_every_pair_discordant_ends_at_the_edge(method):
    result = paired_difference([1] * 12, [0] * 12, method=method)
    assert result.value == result.high == 1
    assert 0.5 < result.low < 1


def test_products_of_large_counts_do_not_overflow():
    size = 200_000
    first, second = np.zeros(size), np.zeros(size)
    first[: size // 2], second[: size // 2 - 100] = 1, 1
    result = paired_difference(first, second, method="newcombe")
    assert result.value == pytest.approx(100 / size)
    assert result.low < result.value < result.high


def test_counts_of_calls():
    counts = PairedCounts.of([1, 1, 0, 0, 0], [1, 0, 1, 0, 0])
    assert counts == PairedCounts(1, 1, 1, 2)
    assert counts.n == 5


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [([1, 0.5], [1, 0], "NOT_BINARY"), ([1, 0], [1, 0, 0], "LENGTHS_DIFFER"), ([], [], "NO_CASES")],
)
def test_what_are_no_calls_is_refused(first, second, code):
    with pytest.raises(EvaluationError) as caught:
        paired_difference(first, second)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "arguments", [{"margin": 1.0}, {"margin": -0.1}, {"margin": np.nan}, {"method": "wald"}]
)
def test_parameters_that_cannot_be_meant_are_refused(arguments):
    with pytest.raises(UsageError):
        paired_difference([1, 0], [0, 1], **arguments)


@pytest.mark.parametrize("counts", [(-1, 2), (1.5, 2), (np.nan, 3), (3, np.nan), (np.inf, 3)])
def test_what_are_no_counts_is_refused(counts):
    with pytest.raises(EvaluationError) as caught:
        mcnemar(*counts)
    assert caught.value.code == "COUNTS_INVALID"
