"""The Evaluator on one model alone."""

import json

import pytest

from cervispine.evaluation import Evaluator, proportion
from cervispine.exceptions import MismatchedCasesError, StatisticsWarning


@pytest.fixture
def evaluation(study):
    return Evaluator().evaluate(study["label"], study["resnet34"], threshold=0.5)


def test_evaluate_answers_later(evaluation):
    assert evaluation.calibration.slope == pytest.approx(2.0993, abs=1e-3)
    assert evaluation.brier.low < evaluation.brier.value < evaluation.brier.high
    assert evaluation.to_frame().loc["auc", "value"] == evaluation.auc.value
    assert json.loads(json.dumps(evaluation.to_dict(), allow_nan=False))["cases"] == 171
    assert "AUC" in evaluation._repr_html_()
    assert evaluation.curve.sensitivity[-1] == 1


def test_scores_that_are_no_probabilities_have_no_calibration(study):
    result = Evaluator().evaluate(study["label"], study["resnet34"] * 10 - 5, threshold=0.0)
    assert result.calibration is None
    assert result.brier is None
    assert result.sensitivity is not None


def test_clustered_cases_widen_the_intervals(columns):
    data = columns("clustered")
    evaluator = Evaluator(seed=1)
    arguments = (data["label"], data["score_a"])
    plain = evaluator.evaluate(*arguments, threshold=0.0)
    grouped = evaluator.evaluate(*arguments, threshold=0.0, groups=data["patient"])
    assert grouped.auc.high - grouped.auc.low > plain.auc.high - plain.auc.low
    assert grouped.sensitivity.value == plain.sensitivity.value
    assert "by cluster" in grouped.sensitivity.method
    again = evaluator.evaluate(*arguments, threshold=0.0, groups=data["patient"])
    assert again.to_dict() == grouped.to_dict()


@pytest.mark.filterwarnings("ignore:.*NPV.*undefined")
def test_clusters_that_are_all_right_still_have_an_interval():
    truth, scores = [1, 1, 1, 1, 0, 0], [0.9, 0.8, 0.9, 0.7, 0.6, 0.8]
    groups = ["p", "p", "q", "q", "r", "s"]
    result = Evaluator().evaluate(truth, scores, threshold=0.5, groups=groups)
    assert result.sensitivity.value == 1
    assert result.sensitivity.low == pytest.approx(0.3424, abs=1e-3)  # Wilson, 2 of 2


@pytest.mark.filterwarnings("ignore:.*AUC")
def test_clusters_that_are_all_alike_still_have_an_interval():
    # Of each patient one image is called right and one wrong.
    truth, scores = [1, 1] * 20 + [0, 0] * 20, [0.6, 0.4] * 40
    groups = [place // 2 for place in range(80)]
    result = Evaluator().evaluate(truth, scores, threshold=0.5, groups=groups)
    wanted = proportion(10, 20)
    for rate in (result.sensitivity, result.specificity):
        assert (rate.value, rate.n, rate.method) == (0.5, 40, "Wilson of the clusters")
        assert (rate.low, rate.high) == pytest.approx((wanted.low, wanted.high))


@pytest.mark.filterwarnings("ignore:.*AUC")
def test_one_cluster_that_holds_a_class_is_one_trial():
    truth, scores = [1] * 5 + [0] * 9, [0.9, 0.8, 0.7, 0.1, 0.2, *[0.1] * 8, 0.6]
    groups = ["p"] * 5 + [f"n{place}" for place in range(9)]
    result = Evaluator().evaluate(truth, scores, threshold=0.5, groups=groups)
    assert result.sensitivity.value == 0.6
    assert result.sensitivity.low < 0.15 < 0.9 < result.sensitivity.high


@pytest.mark.filterwarnings("ignore:.*AUC")
@pytest.mark.parametrize(("sure", "value"), [(1.0, 0.0), (0.7, 0.09)])
def test_a_brier_score_that_no_resample_changes_has_an_interval(sure, value):
    truth = [1] * 20 + [0] * 30
    scores = [sure if label else 1 - sure for label in truth]
    brier = Evaluator().evaluate(truth, scores, threshold=0.5).brier
    assert brier.value == pytest.approx(value)
    assert brier.method == "Wilson of the cases"
    assert brier.low <= brier.value < brier.value + 0.05 < brier.high


def test_no_positive_call_leaves_the_ppv_undefined(study):
    with pytest.warns(StatisticsWarning, match="PPV: undefined"):
        result = Evaluator().evaluate(study["label"], study["resnet34"], threshold=2.0)
    assert result.ppv is None
    assert result.sensitivity.value == 0
    assert result.to_dict()["ppv"] is None


def test_a_case_given_twice_is_refused(study):
    patients = ["P1", *study["patient"][1:-1], "P1"]
    with pytest.raises(MismatchedCasesError) as caught:
        Evaluator().evaluate(study["label"], study["resnet34"], threshold=0.5, cases=patients)
    assert caught.value.code == "CASES_DUPLICATED"


def test_arrays_cannot_be_joined_without_their_cases(study, truth_by_patient):
    with pytest.raises(MismatchedCasesError) as caught:
        Evaluator().evaluate(truth_by_patient, study["resnet34"], threshold=0.5)
    assert caught.value.code == "CASES_MISSING"
