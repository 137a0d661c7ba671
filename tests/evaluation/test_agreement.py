"""Agreement against R's irr and psych, Cochran's Q against R's friedman.test."""

import numpy as np
import pytest

from cervispine.evaluation import cochran_q, cohen_kappa, fleiss_kappa
from cervispine.exceptions import EvaluationError, StatisticsWarning

RATERS = ("resnet34", "resnet50", "resnet101", "surgeon1_call", "surgeon2_call", "surgeon3_call")


def test_cohen_equals_irr_and_psych(study, expected):
    reference = expected("agreement")
    calls = study["surgeon1_call"], study["surgeon2_call"]
    kappa = cohen_kappa(*calls)
    assert kappa.value == pytest.approx(reference["cohen_s1_s2_calls"]["kappa"], abs=1e-8)
    wanted = reference["cohen_s1_s2_calls_ci95_psych"]
    assert (kappa.low, kappa.high) == pytest.approx(wanted, abs=1e-6)
    ratings = study["surgeon1_rating"], study["surgeon2_rating"]
    for weights, key in (
        ("none", "cohen_s1_s2_ratings"),
        ("linear", "linear_weighted"),
        ("quadratic", "quadratic_weighted"),
    ):
        weighted = cohen_kappa(*ratings, weights=weights)
        assert weighted.value == pytest.approx(reference[key]["kappa"], abs=1e-8)
        assert weighted.low < weighted.value < weighted.high


def test_fleiss_equals_irr(study, expected):
    reference = expected("agreement")
    for kind in ("call", "rating"):
        table = np.stack([study[f"surgeon{place}_{kind}"] for place in (1, 2, 3)])
        kappa = fleiss_kappa(table)
        assert kappa.value == pytest.approx(reference[f"fleiss_{kind}s"], abs=1e-8)
        assert kappa.low < kappa.value < kappa.high


def test_cochran_equal_r(study, expected):
    reference = expected("study171_binary")["cochran_q_correctness_six_raters"]
    calls = [study[name] >= 0.5 for name in RATERS]
    right = np.stack(calls) == (study["label"] == 1)
    for key, among in (
        ("all", slice(None)),
        ("diseased", study["label"] == 1),
        ("nondiseased", study["label"] == 0),
    ):
        test = cochran_q(right[:, among])
        assert test.statistic == pytest.approx(reference[key]["Q"], abs=1e-8)
        assert test.df == reference[key]["df"]
        assert test.p_value == pytest.approx(reference[key]["p"], abs=1e-8)


def test_raters_who_always_agree():
    calls = [[1, 0, 1, 0]] * 3
    assert cochran_q(calls).p_value == 1
    with pytest.warns(StatisticsWarning, match="do not scatter enough"):
        assert fleiss_kappa(calls).value == 1
    with pytest.warns(StatisticsWarning, match="do not scatter enough"):
        kappa = cohen_kappa(*calls[:2])
    assert (kappa.value, kappa.low, kappa.high) == (1, None, None)


def test_one_case_that_differs_has_no_interval():
    with pytest.warns(StatisticsWarning, match="do not scatter enough"):
        kappa = fleiss_kappa([[1, 0, 0], [1, 0, 0]])
    assert (kappa.value, kappa.low) == (1, None)


@pytest.mark.parametrize(
    ("function", "arguments", "code"),
    [
        (cohen_kappa, ([1, 1], [1, 1]), "KAPPA_UNDEFINED"),
        (cohen_kappa, ([1, 0], [1, 0, 1]), "LENGTHS_DIFFER"),
        (fleiss_kappa, ([[1, 1], [1, 1]],), "KAPPA_UNDEFINED"),
        (fleiss_kappa, ([[1, 0], [1, 0, 1]],), "LENGTHS_DIFFER"),
        (fleiss_kappa, ([["yes", "no"], ["no", "yes"]],), "NOT_NUMBERS"),
        (fleiss_kappa, ([[[1, 0], [0, 1]]],), "SHAPE"),
        (fleiss_kappa, (np.empty((0, 3)),), "RATERS_TOO_FEW"),
        (cochran_q, ([[1, 0], [1, 0, 1]],), "LENGTHS_DIFFER"),
        (cochran_q, ([[1, 0], [[1, 0], [0, 1]]],), "SHAPE"),
        (cochran_q, (object(),), "NOT_NUMBERS"),
        (fleiss_kappa, ([[1, 0]],), "RATERS_TOO_FEW"),
        (cochran_q, ([[1, 0]],), "RATERS_TOO_FEW"),
        (cochran_q, ([[1, 2], [1, 0]],), "NOT_BINARY"),
    ],
)
def test_undefined_agreement_is_refused(function, arguments, code):
    with pytest.raises(EvaluationError) as caught:
        function(*arguments)
    assert caught.value.code == code
