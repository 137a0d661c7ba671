"""Calibration against R's rms, net benefit against its formula."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from cervispine.evaluation import calibration, net_benefit
from cervispine.exceptions import EvaluationError, UsageError

MODELS = ("resnet34", "resnet50", "resnet101")


@pytest.mark.parametrize("model", MODELS)
def test_figures_equal_rms(study, expected, model):
    reference = expected("calibration_decision")["calibration"][model]
    result = calibration(study["label"], study[model])
    assert result.brier == pytest.approx(reference["brier"], abs=1e-8)
    assert result.scaled_brier == pytest.approx(reference["brier_scaled"], abs=1e-8)
    # R's glm stops at a relative change of the deviance of 1e-8.
    assert result.slope == pytest.approx(reference["calibration_slope"], abs=1e-6)
    assert result.joint_intercept == pytest.approx(reference["intercept_joint"], abs=1e-6)
    assert result.intercept == pytest.approx(reference["calibration_in_the_large"], abs=1e-6)
    wanted = reference["ece_10_equal_width_bins_right_closed"]
    assert result.ece == pytest.approx(wanted, abs=1e-8)
    assert result.brier == pytest.approx(brier_score_loss(study["label"], study[model]))
    assert result.bins[:, 2].sum() == result.n == 171


@pytest.mark.parametrize("model", MODELS)
def test_net_benefit_equals_the_formula(study, expected, model):
    reference = expected("calibration_decision")["net_benefit"]
    found = net_benefit(study["label"], study[model], reference["thresholds"])
    np.testing.assert_allclose(found, reference[model], atol=1e-8)
    everybody = net_benefit(study["label"], np.ones(171), reference["thresholds"])
    np.testing.assert_allclose(everybody, reference["treat_all"], atol=1e-8)


def test_perfect_separation_has_no_slope():
    result = calibration([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.7, 0.8, 0.9])
    assert result.slope is None
    assert result.joint_intercept is None
    assert result.intercept == pytest.approx(0, abs=1e-6)
    assert result.to_dict()["slope"] is None


def test_one_probability_for_all_has_no_slope():
    result = calibration([0, 1, 0, 1], [0.25] * 4)
    assert result.slope is None
    assert result.intercept == pytest.approx(np.log(3))


@pytest.mark.parametrize("function", [calibration, lambda t, p: net_benefit(t, p, [0.5])])
def test_what_are_no_probabilities_is_refused(function):
    with pytest.raises(EvaluationError) as caught:
        function([0, 1], [-0.1, 0.5])
    assert caught.value.code == "NOT_PROBABILITIES"


@pytest.mark.parametrize("thresholds", [[0.0], [1.0], [0.5, float("nan")]])
def test_thresholds_of_net_benefit_lie_between_0_and_1(thresholds):
    with pytest.raises(UsageError):
        net_benefit([0, 1], [0.1, 0.5], thresholds)
