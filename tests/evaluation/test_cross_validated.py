"""The mean area of folds, against DeLong's own and a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cervispine.evaluation import auc, cross_validated_auc
from cervispine.exceptions import EvaluationError, MismatchedCasesError, StatisticsWarning


def draw(seed: int, cases: int = 90, folds: int = 3) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    truth = np.arange(cases) % 3 == 0
    fold = np.arange(cases) // 3 % folds
    # Each fold's model has a scale of its own.
    scores = (generator.normal(size=cases) + 1.2 * truth) * (1 + fold) + 5 * fold
    return truth.astype(int), scores, fold


def test_one_fold_is_the_area_itself() -> None:
    truth, scores, _ = draw(0)
    own, whole = cross_validated_auc(truth, scores, np.zeros(90)), auc(truth, scores)
    assert (own.value, own.low, own.high) == pytest.approx((whole.value, whole.low, whole.high))


def test_it_is_the_mean_of_the_folds_whatever_their_scales() -> None:
    truth, scores, fold = draw(1)
    areas = [roc_auc_score(truth[fold == k], scores[fold == k]) for k in range(3)]
    estimate = cross_validated_auc(truth, scores, fold)
    assert estimate.value == pytest.approx(np.mean(areas))
    rescaled = cross_validated_auc(truth, np.exp(scores / (1 + fold) - fold), fold)
    assert rescaled.value == pytest.approx(estimate.value)
    # Pooled, the scales are taken for evidence.
    assert auc(truth, scores).value < estimate.value - 0.05
    names = np.array(["one", "two", "three"])[fold]
    assert cross_validated_auc(truth, scores, names) == estimate


@pytest.mark.filterwarnings("ignore:.*parted completely")
def test_its_interval_holds_the_true_area() -> None:
    true, held = 0.801927, 0  # Phi(1.2 / sqrt 2)
    for seed in range(400):
        estimate = cross_validated_auc(*draw(seed + 10))
        assert estimate.low is not None
        assert estimate.high is not None
        held += estimate.low <= true <= estimate.high
    assert 0.90 <= held / 400 <= 0.98


def test_where_no_interval_can_be_had_it_is_said() -> None:
    truth = np.array([1, 0, 0, 1, 1, 0])
    scores = np.array([0.5, 0.2, 0.6, 0.7, 0.4, 0.5])
    with pytest.warns(StatisticsWarning, match="one case of a class"):
        assert cross_validated_auc(truth, scores, [0, 0, 0, 1, 1, 1]).low is None
    with pytest.warns(StatisticsWarning, match="no fold's area varies"):
        assert (
            cross_validated_auc([0, 0, 1, 1] * 2, [1, 2, 3, 4] * 2, [0] * 4 + [1] * 4).low is None
        )


def test_folds_that_are_parted_completely_are_told() -> None:
    truth, scores, fold = draw(3)
    scores = np.where(fold == 1, 10.0 * truth, scores)
    with pytest.warns(StatisticsWarning, match="1 of 3 folds are parted completely"):
        estimate = cross_validated_auc(truth, scores, fold)
    assert estimate.low is not None
    assert "too short" in estimate.note


def test_what_is_no_cross_validation_is_refused() -> None:
    with pytest.raises(EvaluationError) as refusal:
        cross_validated_auc([0, 1, 0, 0], [1, 2, 3, 4], [0, 0, 1, 1])
    assert refusal.value.code == "SINGLE_CLASS"
    with pytest.raises(MismatchedCasesError):
        cross_validated_auc([0, 1, 0, 1], [1, 2, 3, 4], [0, 0])
