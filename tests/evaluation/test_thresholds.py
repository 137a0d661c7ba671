"""Operating points against R's pROC, chosen on validation data and applied to test data."""

import math

import numpy as np
import pytest

from cervispine.evaluation import Evaluator, Threshold, choose_threshold
from cervispine.exceptions import EvaluationError, UsageError

MODELS = ("resnet34", "resnet50", "resnet101")


def counts_at(data, model, threshold):
    called, diseased = data[model] >= threshold, data["label"] == 1
    return {
        "tp": int((called & diseased).sum()),
        "fn": int((~called & diseased).sum()),
        "fp": int((called & ~diseased).sum()),
        "tn": int((~called & ~diseased).sum()),
    }


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({}, "youden_observed_score_threshold"),
        ({"rule": "sensitivity", "at": 0.9}, "fixed_sens_0.90"),
    ],
)
def test_points_chosen_on_validation_equal_the_reference(columns, expected, model, arguments, key):
    validation, test = columns("study_validation150"), columns("study171")
    reference = expected("threshold_from_validation")["test_counts"][model][key]
    threshold = choose_threshold(validation["label"], validation[model], **arguments)
    assert threshold == pytest.approx(reference["threshold"], abs=1e-12)
    counts = counts_at(test, model, threshold)
    assert counts == {name: reference[name] for name in counts}


@pytest.mark.parametrize("name", ["study171", "ratings5"])
def test_points_of_the_test_data_equal_proc(columns, expected, name):
    data = columns(name)
    for rater, values in expected(f"roc_{name}")["singles"].items():
        best = choose_threshold(data["label"], data[rater])
        called = data[rater] >= best
        sensitivity = called[data["label"] == 1].mean()
        specificity = (~called)[data["label"] == 0].mean()
        assert sensitivity + specificity == pytest.approx(values["youden_best"]["youden"])
        at = choose_threshold(data["label"], data[rater], rule="sensitivity", at=0.9)
        assert at == pytest.approx(values["threshold_sens_ge_0.90"]["threshold"])


def test_the_lowest_of_equals_is_chosen():
    assert choose_threshold([0, 1, 0, 1], [1.0, 2.0, 3.0, 4.0]) == 2.0


def test_specificity_takes_the_lowest_score_that_has_it():
    truth, scores = [0, 0, 0, 0, 1, 1], [1.0, 2.0, 3.0, 4.0, 3.5, 5.0]
    assert choose_threshold(truth, scores, rule="specificity", at=0.75) == 3.5
    assert choose_threshold(truth, scores, rule="specificity", at=1.0) == 5.0


def test_a_specificity_that_no_score_has_is_refused():
    with pytest.raises(EvaluationError) as caught:
        choose_threshold([0, 0, 1], [1.0, 2.0, 2.0], rule="specificity", at=0.9)
    assert caught.value.code == "THRESHOLD_UNREACHABLE"


@pytest.mark.parametrize(
    "arguments",
    [
        {"at": 0.9},
        {"rule": "sensitivity"},
        {"rule": "specificity", "at": 1.5},
        {"rule": "accuracy", "at": 0.9},
    ],
)
def test_rules_that_cannot_be_meant_are_refused(arguments):
    with pytest.raises(UsageError):
        choose_threshold([0, 1], [0.2, 0.7], **arguments)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None, "0.5"])
def test_a_threshold_is_a_finite_number(value):
    for make in (Threshold, lambda value: Threshold(value, "validation part")):
        with pytest.raises(UsageError, match="finite number"):
            make(value)


def test_a_threshold_of_any_number_is_kept_as_a_float():
    assert type(Threshold(np.float32(0.5)).value) is float
    result = Evaluator().evaluate([0, 1, 0, 1], [0, 1, 2, 3], threshold=np.int64(1))
    assert result.threshold == Threshold(1.0)
