"""The model card: what the record knows, and nothing that names anybody."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cervispine import Cohort, OPLLClassifier
from cervispine.classification.card import model_card
from cervispine.classification.storage import save_test
from cervispine.exceptions import ModelFormatError

ESTIMATE = {"value": 0.8, "low": 0.7, "high": 0.9, "n": 40, "method": "", "note": ""}
HOSTILE = "[click](http://evil) <script>alert(1)</script> | `x`"


def values_of_a_test(**more: Any) -> dict[str, Any]:
    usual = {
        "figures": {"auc": ESTIMATE, "sensitivity": ESTIMATE | {"low": None}, "ppv": None},
        "strata": [
            {"stratum": "type", "level": "segmental", "positives": 7, "negatives": 0,
             "sensitivity": ESTIMATE, "specificity": None},
        ],
        "participants": {"patients": 40, "studies": 40, "series": 40, "synthetic": 0,
                         "classes": {"OPLL": 16, "DSS": 24}, "scanners": {"GE, 3 T": 40}},
        "intake": {"found": 50, "used": 40, "rejected": 7, "ignored": 3, "reasons": [
            {"fate": "rejected", "code": "GEOMETRY_MISSING", "files": 7, "reason": "no place"},
            {"fate": "noted", "code": "UNIT_ASSUMED", "files": 40, "reason": "mm"},
        ]},
        "data_sha256": "d" * 64,
        "split_sha256": "5" * 64,
    }  # fmt: skip
    return usual | more


@pytest.fixture
def folder(fitted: OPLLClassifier, tmp_path: Path) -> Path:
    return fitted.save(tmp_path / "model")


def card_of(folder: Path) -> str:
    return (folder / "README.md").read_text(encoding="utf-8")


def config_of(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return config


def test_at_fit_it_knows_the_data_and_the_validation_figures(
    folder: Path, fitted: OPLLClassifier
) -> None:
    card, record = card_of(folder), config_of(folder)["record"]
    assert fitted.intended_use in card
    assert f"SHA-256 `{record['split_sha256']}`" in card
    counts = [record[part]["patients"] for part in ("training", "validation")]
    assert f"| patients | {counts[0]} | {counts[1]} |" in card
    for value in record["training"]["scanners"]:
        assert f"| scanner (series): {value} |" in card
    area = record["validated"]["auc"]
    assert f"| AUC | {area['value']:.3f} (" in card
    assert re.search(r"\| sensitivity \| \d\.\d{3} \(\d\.\d{3} to \d\.\d{3}; n = \d+\) \|", card)
    assert "flatter the model, and no test is known." in card
    assert "the training images were synthetic phantoms" in card


def test_the_validation_figures_are_those_of_the_validation_part(
    fitted: OPLLClassifier, cohort: Cohort
) -> None:
    said = fitted.record_["validated"]
    assert said["auc"]["value"] == pytest.approx(
        fitted.history_[fitted.record_["best_epoch"] - 1]["auc"]
    )
    part = fitted.record_["validation"]["classes"]
    assert (said["sensitivity"]["n"], said["specificity"]["n"]) == (part["OPLL"], part["DSS"])


def test_the_intake_of_a_cohort_is_told(folder: Path, cohort: Cohort) -> None:
    assert cohort.intake is not None
    record = config_of(folder)["record"]
    told = f"{cohort.intake.found} files found = {cohort.intake.used} used"
    assert (told in card_of(folder)) == (record["intake"] is not None)
    assert "is not recorded" in model_card(
        config_of(folder) | {"record": record | {"intake": None}}, [{"loss": 0.5, "auc": 0.5}] * 99
    )


def test_a_test_adds_its_figures_and_exclusions(folder: Path) -> None:
    save_test(folder, values_of_a_test())
    card = card_of(folder)
    assert "- 50 files found = 40 used + 7 rejected + 3 ignored" in card
    assert r"rejected, GEOMETRY\_MISSING: 7 files" in card
    assert "UNIT" not in card
    assert "0.800 (0.700 to 0.900; n = 40)" in card
    assert "| type segmental | 7 | 0.800 (0.700 to 0.900; n = 40) | - |" in card
    assert f"`{'d' * 64}`" in card
    assert f"`{'5' * 64}`" in card
    assert "read once, at the end" in card
    assert json.loads((folder / "tested.json").read_text())["format"] == "cervispine/tested"
    OPLLClassifier.load(folder)


def test_new_weights_have_not_been_tested(folder: Path, fitted: OPLLClassifier) -> None:
    save_test(folder, values_of_a_test())
    fitted.save(folder)
    assert not (folder / "tested.json").exists()
    assert "no test is known" in card_of(folder)


def test_names_cannot_write_into_the_card(folder: Path) -> None:
    participants = values_of_a_test()["participants"] | {"site": {HOSTILE: 40}}
    save_test(folder, values_of_a_test(participants=participants))
    card = card_of(folder)
    assert not re.search(r"(?<!\\)<script", card)
    assert not re.search(r"(?<!\\)\]\(http", card)
    (row,) = (line for line in card.splitlines() if "click" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError):
        save_test(tmp_path, values_of_a_test())
    assert list(tmp_path.iterdir()) == []
