"""Areas under ROC curves against R's pROC 1.19.0.1 and the FDA's doAUCcluster."""

import math
import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cervispine.evaluation import auc, compare_aucs, delong_covariance, partial_auc, roc_curve
from cervispine.exceptions import (
    EvaluationError,
    MismatchedCasesError,
    StatisticsWarning,
    UsageError,
)

CLOSED = 1e-8
SETS = ("study171", "ratings5")


@pytest.fixture(params=SETS)
def roc(request, columns, expected):
    return columns(request.param), expected(f"roc_{request.param}")


def test_area_and_interval_equal_proc(roc):
    data, reference = roc
    for name, values in reference["singles"].items():
        for level, key in ((0.95, "ci95_delong"), (0.9, "ci90_delong")):
            estimate = auc(data["label"], data[name], confidence=level)
            assert estimate.value == pytest.approx(values["auc"], abs=CLOSED)
            assert (estimate.low, estimate.high) == pytest.approx(values[key], abs=CLOSED)
        assert estimate.n == values["n"]
        covariance = delong_covariance(data["label"], data[name])[1]
        assert covariance.item() == pytest.approx(values["var_delong"], abs=1e-12)


def test_logit_limits_are_delongs_on_the_scale_of_the_logit(roc):
    # Worked from pROC's area and variance: logit(A) +- z se / (A (1 - A)).
    data, reference = roc
    for name, values in reference["singles"].items():
        area, error = values["auc"], math.sqrt(values["var_delong"])
        logit, half = math.log(area / (1 - area)), 1.959963984540054 * error / (area * (1 - area))
        limits = [1 / (1 + math.exp(-logit - side * half)) for side in (-1, 1)]
        estimate = auc(data["label"], data[name], method="logit")
        assert (estimate.low, estimate.high) == pytest.approx(limits, abs=CLOSED)
        assert 0 < estimate.low < estimate.value < estimate.high < 1


def test_paired_difference_equals_proc(roc):
    data, reference = roc
    assert reference["pairs"]
    for pair in reference["pairs"]:
        scores = data[pair["score1"]], data[pair["score2"]]
        result = compare_aucs(data["label"], *scores)
        assert result.value == pytest.approx(pair["diff"], abs=CLOSED)
        assert (result.low, result.high) == pytest.approx(pair["diff_ci95"], abs=CLOSED)
        assert result.statistic == pytest.approx(pair["delong_paired"]["Z"], abs=1e-7)
        assert result.p_value == pytest.approx(pair["delong_paired"]["p"], abs=CLOSED)
        for alternative in ("greater", "less"):
            one_sided = compare_aucs(data["label"], *scores, alternative=alternative)
            reference_p = pair["delong_paired"][f"p_{alternative}"]
            assert one_sided.p_value == pytest.approx(reference_p, abs=CLOSED)
        for margin, values in pair["noninferiority_delong"].items():
            tested = compare_aucs(data["label"], *scores, margin=float(margin))
            assert tested.statistic == pytest.approx(values["z"], abs=1e-7)
            assert tested.p_value == pytest.approx(values["p_one_sided"], abs=CLOSED)


def test_partial_areas_equal_proc(roc):
    data, reference = roc
    for name, values in reference["singles"].items():
        wanted = values["partial_auc"]
        truth, scores = data["label"], data[name]
        found = {
            "spec_1_0.9_raw": partial_auc(truth, scores, specificity=(0.9, 1.0)),
            "spec_1_0.9_mcclish": partial_auc(
                truth, scores, specificity=(0.9, 1.0), corrected=True
            ),
            "spec_1_0.8_raw": partial_auc(truth, scores, specificity=(0.8, 1.0)),
            "sens_1_0.9_raw": partial_auc(truth, scores, sensitivity=(0.9, 1.0)),
            "sens_1_0.8_mcclish": partial_auc(
                truth, scores, sensitivity=(0.8, 1.0), corrected=True
            ),
        }
        assert found == pytest.approx(wanted, abs=CLOSED)


def test_bootstrap_lies_in_the_range_of_proc_over_seeds(roc):
    data, reference = roc
    for name, values in reference["singles"].items():
        if "bootstrap_percentile_stratified_2000" not in values:
            continue
        ranges = values["bootstrap_percentile_stratified_2000"]
        estimate = auc(data["label"], data[name], method="bootstrap", resamples=20_000, seed=1)
        for limit, key in ((estimate.low, "lower"), (estimate.high, "upper")):
            low, high = ranges[f"{key}_range_5_seeds"]
            assert low - 0.006 < limit < high + 0.006


def test_twenty_thousand_cases_equal_proc(shared):
    import csv
    import json

    with (shared / "golden/inputs/n20000.csv").open(newline="") as file:
        rows = [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]
    truth, a, b = np.array(rows).T
    reference = json.loads((shared / "golden/roc_n20000.json").read_text())
    assert auc(truth, a).value == pytest.approx(reference["singles"]["model_a"]["auc"], abs=CLOSED)
    result = compare_aucs(truth, a, b)
    pair = reference["pairs"][0]
    assert (result.low, result.high) == pytest.approx(pair["diff_ci95"], abs=CLOSED)
    assert result.p_value == pytest.approx(pair["delong_paired"]["p"], abs=CLOSED)


def test_published_data_equal_proc(shared):
    import csv
    import json

    with (shared / "golden/inputs/aSAH.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    reference = json.loads((shared / "golden/roc_aSAH.json").read_text())
    truth = [int(row["label"]) for row in rows]
    for name, values in reference["singles"].items():
        estimate = auc(truth, [float(row[name]) for row in rows])
        assert estimate.value == pytest.approx(values["auc"], abs=CLOSED)
        assert (estimate.low, estimate.high) == pytest.approx(values["ci95_delong"], abs=CLOSED)


def test_clustered_cases_equal_obuchowski(columns, expected):
    data, reference = columns("clustered"), expected("roc_clustered")
    groups = data["patient"]
    for name in ("score_a", "score_b"):
        estimate = auc(data["label"], data[name], groups=groups)
        assert estimate.value == pytest.approx(reference[name]["auc"], abs=CLOSED)
        limits = reference[name]["ci.bot"], reference[name]["ci.top"]
        assert (estimate.low, estimate.high) == pytest.approx(limits, abs=CLOSED)
    paired = reference["paired"]
    result = compare_aucs(data["label"], data["score_a"], data["score_b"], groups=groups)
    assert result.value == pytest.approx(paired["auc.AminusB"], abs=CLOSED)
    assert result.p_value == pytest.approx(paired["p.value"], abs=CLOSED)
    limits = paired["ci.bot.AminusB"], paired["ci.top.AminusB"]
    assert (result.low, result.high) == pytest.approx(limits, abs=CLOSED)


def test_clusters_of_one_are_delong(columns, expected):
    data = columns("clustered")
    alone = auc(data["label"], data["score_a"], groups=range(len(data["label"])))
    reference = expected("roc_clustered")["singleton_cluster_reduction_score_a"]
    assert (alone.low, alone.high) == pytest.approx(
        (reference["ci.bot"], reference["ci.top"]), abs=CLOSED
    )


def test_cluster_bootstrap_is_as_wide_as_obuchowski(columns):
    data = columns("clustered")
    arguments = {"groups": data["patient"]}
    delong = auc(data["label"], data["score_a"], **arguments)
    resampled = auc(data["label"], data["score_a"], method="bootstrap", seed=3, **arguments)
    assert resampled.high - resampled.low == pytest.approx(delong.high - delong.low, rel=0.1)


def test_degenerate_areas_have_a_word_and_no_interval_of_zero_width(columns):
    data = columns("degenerate")
    positives = int(data["label"].sum())
    with pytest.warns(StatisticsWarning, match="exact bound"):
        perfect = auc(data["label"], data["perfect"])
    # With k disjoint pairs the chance of no inversion is at most area ** k.
    assert perfect.value == perfect.high == 1
    pairs = min(positives, len(data["label"]) - positives)
    assert perfect.low == pytest.approx(0.025 ** (1 / pairs))
    with pytest.warns(StatisticsWarning, match="exact bound"):
        worst = auc(data["label"], data["worst"], method="bootstrap")
    assert (worst.low, worst.high) == pytest.approx((0, 1 - perfect.low))
    with pytest.warns(StatisticsWarning, match="all scores equal"):
        constant = auc(data["label"], data["constant"])
    assert (constant.value, constant.low, constant.high) == (0.5, None, None)


def test_degenerate_differences(columns, expected):
    data = columns("degenerate")
    truth = data["label"]
    for other in ("imperfect_copy", "imperfect_monotone"):
        with pytest.warns(StatisticsWarning, match="rank the cases alike"):
            same = compare_aucs(truth, data["imperfect"], data[other])
        assert (same.value, same.p_value) == (0, 1)
    with pytest.warns(StatisticsWarning, match="exact bounds"):
        both_perfect = compare_aucs(truth, data["perfect"], data["perfect2"])
    assert (both_perfect.value, both_perfect.p_value) == (0, 1)
    assert both_perfect.low == pytest.approx(-both_perfect.high)
    with pytest.warns(StatisticsWarning, match="exact bounds"):
        opposite = compare_aucs(truth, data["perfect"], data["worst"])
    assert (opposite.value, opposite.p_value, opposite.high) == (1, None, 1)
    assert opposite.low < 1
    with_variance = {
        (pair["score1"], pair["score2"]): pair
        for pair in expected("roc_degenerate")["pairs"]
        if pair["var_diff"] > 0
    }
    assert with_variance
    for (first, second), pair in with_variance.items():
        result = compare_aucs(truth, data[first], data[second])
        assert result.p_value == pytest.approx(pair["delong_paired"]["p"], abs=CLOSED)


def test_one_positive_has_an_area_and_no_interval(columns, expected):
    data, reference = columns("few_positives"), expected("roc_few_positives")
    for name in ("score_a", "score_b"):
        with pytest.warns(StatisticsWarning, match="one case in a class"):
            estimate = auc(data["label"], data[name])
        assert estimate.value == pytest.approx(reference["singles"][name]["auc"], abs=CLOSED)
        assert estimate.low is estimate.high is None
    with pytest.warns(StatisticsWarning, match="not estimable"):
        result = compare_aucs(data["label"], data["score_a"], data["score_b"])
    assert result.p_value is result.low is None


def test_single_class_is_refused(columns):
    data = columns("single_class")
    with pytest.raises(EvaluationError) as caught:
        auc(data["label"], data["score"])
    assert caught.value.code == "SINGLE_CLASS"


def test_two_values_are_a_point_and_not_a_curve(study, expected):
    reference = expected("roc_study171")["binary_call_as_score"]["surgeon1_call"]
    with pytest.warns(StatisticsWarning, match="a point, not a curve"):
        estimate = auc(study["label"], study["surgeon1_call"])
    assert (estimate.low, estimate.high) == pytest.approx(reference["ci95_delong"], abs=CLOSED)


@pytest.mark.parametrize(
    ("truth", "scores", "code"),
    [
        ([0, 1, 1], [0.1, math.nan, 0.3], "SCORES_NOT_FINITE"),
        ([0, 1, 1], [0.1, math.inf, 0.3], "SCORES_NOT_FINITE"),
        ([0, 1, 2], [0.1, 0.2, 0.3], "NOT_BINARY"),
        ([0, 1, math.nan], [0.1, 0.2, 0.3], "NOT_BINARY"),
        ([0, 1], ["low", "high"], "NOT_NUMBERS"),
        ([], [], "NO_CASES"),
        ([[0, 1]], [0.1, 0.2], "SHAPE"),
        ([0, 1], [0.1, 0.2, 0.3], "LENGTHS_DIFFER"),
    ],
)
def test_what_cannot_be_judged_is_refused(truth, scores, code):
    with pytest.raises(EvaluationError) as caught:
        auc(truth, scores)
    assert caught.value.code == code
    assert isinstance(caught.value, MismatchedCasesError) == (code == "LENGTHS_DIFFER")


@pytest.mark.parametrize(
    "arguments",
    [
        {"confidence": 1.0},
        {"method": "wald"},
        {"method": "bootstrap", "resamples": 0},
        {"method": "bootstrap", "resamples": 1},
        {"method": "bootstrap", "seed": -1},
        {"method": "bootstrap", "seed": 0.5},
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(arguments):
    with pytest.raises(UsageError):
        auc([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.6], **arguments)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "paired DeLong"),
        ({"alternative": "greater"}, "paired DeLong, one-sided (greater)"),
        ({"alternative": "less"}, "paired DeLong, one-sided (less)"),
        ({"margin": 0.1}, "paired DeLong, non-inferiority with margin 0.1, one-sided"),
    ],
)
def test_a_one_sided_test_is_called_one(study, options, said):
    result = compare_aucs(study["label"], study["resnet34"], study["resnet50"], **options)
    assert result.method == said


@pytest.mark.parametrize(
    ("scores", "groups", "reason"),
    [
        ([3, 2.5, 1, 0.5], [0, 1, 0, 2], "one cluster holds all of a class"),
        ([3, 2.5, 1, 0.5], [0, 0, 1, 1], "the clusters do not scatter"),
        ([1, 1, 1, 1], [0, 0, 1, 1], "all scores equal"),
    ],
)
def test_it_is_said_why_an_area_of_clustered_cases_has_no_interval(scores, groups, reason):
    with pytest.warns(StatisticsWarning, match=f"not estimable: {reason}"):
        assert auc([1, 0, 1, 0], scores, groups=groups).low is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"margin": -0.1},
        {"margin": 1},
        {"margin": math.nan},
        {"margin": 0.1, "alternative": "less"},
        {"alternative": "better"},
    ],
)
def test_hypotheses_that_cannot_be_meant_are_refused(arguments):
    with pytest.raises(UsageError):
        compare_aucs([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.6], [0.4, 0.3, 0.2, 0.1], **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"specificity": (0.9, 1), "sensitivity": (0.9, 1)},
        {"specificity": (1, 0.9)},
        {"sensitivity": (0.5, 1.5)},
    ],
)
def test_ranges_that_cannot_be_meant_are_refused(arguments):
    with pytest.raises(UsageError):
        partial_auc([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.6], **arguments)


def test_clusters_that_hold_one_class_in_most_draws_are_refused():
    truth, groups = [1] * 30 + [0], [0] * 30 + [1]
    scores = [*np.linspace(0, 1, 30), 0.5]
    with pytest.warns(StatisticsWarning, match="not estimable"):
        estimate = auc(truth, scores, groups=groups, method="bootstrap")
    assert estimate.low is None


def test_curve_and_whole_area_agree_with_scikit_learn(study):
    curve = roc_curve(study["label"], study["resnet34"])
    assert (curve.sensitivity[0], curve.specificity[0]) == (0, 1)
    assert (curve.sensitivity[-1], curve.specificity[-1]) == (1, 0)
    for threshold, sensitivity, specificity in zip(
        curve.thresholds, curve.sensitivity, curve.specificity, strict=True
    ):
        called = study["resnet34"] >= threshold
        assert called[study["label"] == 1].mean() == pytest.approx(sensitivity)
        assert (~called)[study["label"] == 0].mean() == pytest.approx(specificity)
    whole = partial_auc(study["label"], study["resnet34"], specificity=(0, 1))
    assert whole == pytest.approx(roc_auc_score(study["label"], study["resnet34"]))


def test_a_hundred_thousand_cases_are_quick_and_exact():
    generator = np.random.default_rng(0)
    truth = generator.random(100_000) < 0.4
    scores = generator.normal(truth * 1.0, 1.0)
    start = time.perf_counter()
    estimate = auc(truth, scores)
    assert time.perf_counter() - start < 2
    assert estimate.value == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert 0 < estimate.high - estimate.low < 0.01


@pytest.mark.parametrize(
    ("scores", "code"),
    [
        ([[0.1, 0.4, 0.5, 0.6], [0.1, 0.4]], "LENGTHS_DIFFER"),
        ([[0.1, 0.4, 0.5, 0.6], ["low"] * 4], "NOT_NUMBERS"),
        (np.empty((0, 4)), "RATERS_TOO_FEW"),
    ],
)
def test_rows_of_scores_that_are_no_table_are_refused(scores, code):
    with pytest.raises(EvaluationError) as caught:
        delong_covariance([0, 1, 0, 1], scores)
    assert caught.value.code == code
