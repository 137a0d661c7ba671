"""The cluster of each case: joined by case or taken in order, and never guessed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cervispine.evaluation import (
    Evaluator,
    ReaderTable,
    auc,
    compare_aucs,
    cross_validated_auc,
    delong_covariance,
)
from cervispine.exceptions import EvaluationError

TRUTH = np.array([0, 1] * 12)
SCORES = TRUTH + np.random.default_rng(2).normal(size=24)
CASES = [f"image {place}" for place in range(24)]
PATIENTS = [f"patient {place // 3}" for place in range(24)]
BY_CASE = {
    "truth": dict(zip(CASES, TRUTH.tolist(), strict=True)),
    "scores": dict(zip(CASES, SCORES.tolist(), strict=True)),
    "groups": dict(zip(CASES, PATIENTS, strict=True)),
}
SHUFFLED = pd.Series(BY_CASE["groups"]).sample(frac=1, random_state=1)

IN_ORDER: dict[str, Callable[[Any], Any]] = {
    "Evaluator.evaluate": lambda groups: Evaluator().evaluate(
        TRUTH, SCORES, threshold=0.5, groups=groups
    ),
    "auc": lambda groups: auc(TRUTH, SCORES, groups=groups),
    "compare_aucs": lambda groups: compare_aucs(TRUTH, SCORES, SCORES**2, groups=groups),
    "delong_covariance": lambda groups: delong_covariance(TRUTH, SCORES, groups=groups),
    "cross_validated_auc": lambda groups: cross_validated_auc(TRUTH, SCORES, groups),
}


def evaluate(groups: Any, **cases: Any) -> dict[str, Any]:
    truth, scores = (TRUTH, SCORES) if cases else (BY_CASE["truth"], BY_CASE["scores"])
    result = Evaluator().evaluate(truth, scores, threshold=0.5, groups=groups, **cases)
    return result.to_dict()


def test_groups_by_case_are_joined_with_a_truth_by_case() -> None:
    in_order = evaluate(PATIENTS)
    assert in_order["auc"]["method"] == "DeLong, clustered (Obuchowski)"
    assert evaluate(BY_CASE["groups"]) == in_order
    assert evaluate(SHUFFLED) == in_order
    assert evaluate(SHUFFLED, cases=CASES) == in_order


def test_one_model_and_a_comparison_take_groups_alike() -> None:
    nobody = ReaderTable.without_readers(CASES)
    for groups in (PATIENTS, BY_CASE["groups"], SHUFFLED):
        compared = Evaluator().compare(
            BY_CASE["truth"], {"model": BY_CASE["scores"]}, nobody, thresholds=0.5, groups=groups
        )
        assert compared.models["model"].to_dict() == evaluate(groups)


@pytest.mark.parametrize("function", IN_ORDER)
@pytest.mark.parametrize(
    ("groups", "code"),
    [
        (BY_CASE["groups"], "CASES_MISSING"),
        ([None, *PATIENTS[1:]], "GROUPS_MISSING"),
        ([float("nan"), *range(23)], "GROUPS_MISSING"),
        (["", *PATIENTS[1:]], "GROUPS_MISSING"),
        (pd.Series([pd.NA, *PATIENTS[1:]]), "GROUPS_MISSING"),
        (np.arange(24).reshape(12, 2), "SHAPE"),
        (pd.DataFrame({"patient": PATIENTS}), "SHAPE"),
        ([[1], *PATIENTS[1:]], "SHAPE"),
        ("patient", "SHAPE"),
        (PATIENTS[1:], "LENGTHS_DIFFER"),
    ],
    ids=[
        "a mapping", "None", "NaN", "a blank", "NA", "a table", "a frame", "ragged", "a word",
        "too few",
    ],
)  # fmt: skip
def test_groups_that_are_not_one_for_each_case_are_refused(
    function: str, groups: Any, code: str
) -> None:
    with pytest.raises(EvaluationError) as refusal:
        IN_ORDER[function](groups)
    assert refusal.value.code == code
    assert "patient 1" not in str(refusal.value)


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        ({**BY_CASE["groups"], CASES[3]: None}, "GROUPS_MISSING"),
        (SHUFFLED[1:], "CASES_MISMATCHED"),
        (pd.Series([*PATIENTS, "patient 1"], index=[*CASES, CASES[0]]), "CASES_DUPLICATED"),
        (pd.DataFrame({"patient": PATIENTS}, index=CASES), "SHAPE"),
    ],
    ids=["None", "a case lacks one", "a case twice", "a frame"],
)
def test_groups_by_case_that_do_not_fit_the_truth_are_refused(groups: Any, code: str) -> None:
    with pytest.raises(EvaluationError) as refusal:
        evaluate(groups)
    assert refusal.value.code == code


def test_a_series_goes_by_its_order_where_the_truth_is_an_array() -> None:
    in_order = auc(TRUTH, SCORES, groups=PATIENTS)
    assert auc(pd.Series(TRUTH), SCORES, groups=pd.Series(PATIENTS, index=CASES)) == in_order
