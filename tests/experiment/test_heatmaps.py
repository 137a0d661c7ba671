"""Heat maps of the cases: one a case, or none where the network cannot be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cervispine import Cohort, OPLLClassifier
from cervispine.exceptions import BackboneContractError, CervispineError, LoadError, UsageError
from cervispine.experiment.heatmaps import save_heatmaps
from cervispine.reporting.cases import Case


def case(cohort: Cohort) -> Case:
    return Case(
        name="resnet34-missed-1", kind="missed", study=cohort[0], call=0, score=0.1, threshold=0.5,
        models="resnet34 0.10",
    )  # fmt: skip


def explaining(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    class Model:
        def explain(self, _: Any) -> Any:
            raise error

    monkeypatch.setattr(OPLLClassifier, "load", lambda _: Model())


@pytest.mark.parametrize(
    "error",
    [
        UsageError("the backbone names no layer to draw a map from"),
        BackboneContractError("the layer gives no maps"),
    ],
    ids=["no layer", "no maps"],
)
def test_a_network_without_maps_leaves_none(
    cohort: Cohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: CervispineError,
) -> None:
    explaining(monkeypatch, error)
    save_heatmaps(tmp_path / "heatmaps", tmp_path, [case(cohort)], progress=False)
    assert not (tmp_path / "heatmaps").exists()
    assert f"no heat maps: {error.what}" in caplog.text


def test_a_study_that_cannot_be_read_is_not_passed_over(
    cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    explaining(monkeypatch, LoadError("gone"))
    with pytest.raises(LoadError):
        save_heatmaps(tmp_path / "heatmaps", tmp_path, [case(cohort)], progress=False)
