"""The paper's figures are those that its abstract prints."""

from __future__ import annotations

import pytest

from cervispine.reporting.published import CITATION, PUBLISHED


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
