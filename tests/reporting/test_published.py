"""The paper's figures are those that its abstract prints."""

from __future__ import annotations

import pytest

from cervispine.reporting.published import CITATION, PUBLISHED
from cervispine.reporting.wording import depth


def test_the_figures_of_the_abstract() -> None:
    printed = {name: (each.auc, each.accuracy) for name, each in PUBLISHED.items()}
    assert printed == {
        "resnet34": (0.914, 0.9298),
        "resnet50": (0.942, 0.9532),
        "resnet101": (0.971, 0.9766),
    }
    assert "37941120" in CITATION


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_accuracy_is_a_whole_number_of_the_171_test_patients(name: str) -> None:
    right = PUBLISHED[name].accuracy * 171
    assert right == pytest.approx(round(right), abs=171 * 0.00005)


@pytest.mark.parametrize(
    ("areas", "said"),
    [
        ((0.9, 0.91, 0.92), "was the best"),
        ((0.9, 0.93, 0.92), "was not the best"),
        ((0.92, 0.9, 0.92), "was level with the best"),
        ((1.0, 1.0, 1.0), "was level with the best"),
        ((0.93, 0.93, 0.92), "was not the best"),
    ],
)
def test_whether_the_deepest_was_the_best(areas: tuple[float, ...], said: str) -> None:
    raters = [
        {"kind": "model", "name": name, "auc": {"value": area}}
        for name, area in zip(PUBLISHED, areas, strict=True)
    ]
    told = depth({"raters": raters, "model_against_model": []})
    assert f"The deepest network {said} in AUC; between the depths no difference" in told
