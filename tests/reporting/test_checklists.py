"""The checklists: every item of the standards, what the run knows, and blanks for the rest."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cervispine import Comparison
from cervispine.exceptions import DataError
from cervispine.reporting import save_checklists
from cervispine.reporting.checklists import CHECKLISTS, COLUMNS, read_items
from cervispine.reporting.facts import facts_of

Make = Callable[..., Any]


def numbers(*lettered: str, last: int) -> list[str]:
    """Return the numbers of a standard: 1 to ``last``, some with letters ("15abcd")."""
    letters = {re.sub(r"\D", "", each): re.sub(r"\d", "", each) for each in lettered}
    return [
        f"{number}{letter}"
        for number in map(str, range(1, last + 1))
        for letter in letters.get(number, "") or [""]
    ]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("claim-2024", numbers(last=44)),
        ("stard-ai", numbers("15abcd", "16abc", "17ab", "26ab", "40ab", last=40)),
        ("tripod-ai", numbers("3abc", "5ab", "6abc", "8abc", "9abc", "12abcdefg", "18abcdef",
                              "20abc", "23ab", "27abc", last=27)),
    ],
)  # fmt: skip
def test_every_item_of_a_standard_is_there_once_and_in_order(name: str, wanted: list[str]) -> None:
    items = read_items(name)
    assert [item.number for item in items] == wanted
    assert all(item.section and item.asks for item in items)


def test_every_subject_is_known_and_asked_for(comparison: Comparison, make_run: Make) -> None:
    facts = facts_in(make_run(comparison))
    asked = {fact for name in CHECKLISTS for item in read_items(name) for fact in item.facts}
    assert asked <= set(facts)
    assert set(facts) - asked == set()


def facts_in(run: Path, **more: Any) -> dict[str, str]:
    manifest = json.loads((run / "manifest.json").read_text())
    comparison = json.loads((run / "comparison.json").read_text())
    return facts_of(manifest | more, comparison, heatmaps=False)


def rows(run: Path, name: str) -> dict[str, dict[str, str]]:
    with (run / "checklists" / f"{name}.csv").open(newline="") as stream:
        return {row["item"]: row for row in csv.DictReader(stream)}


def test_what_the_run_knows_stands_there_and_the_rest_is_blank(
    comparison: Comparison, make_run: Make
) -> None:
    run = make_run(comparison)
    written = save_checklists(run)
    assert {path.name for path in written} == {
        f"{name}.{ending}" for name in CHECKLISTS for ending in ("csv", "md")
    }
    claim, stard, tripod = (rows(run, name) for name in CHECKLISTS)
    assert "130 files found = 120 used + 4 rejected + 6 ignored" in claim["8"]["from the run"]
    assert "rejected GEOMETRY_MISSING 4" in claim["8"]["from the run"]
    assert "resnet34 (cervispine 0.1.0)" in claim["22"]["from the run"]
    assert "resnet34 0.4321" in stard["15c"]["from the run"]
    assert "No external test was made" in stard["29"]["from the run"]
    assert "train 24 (12 OPLL; 12 DSS)" in tripod["12a"]["from the run"]
    model = comparison.models["resnet34"]
    missed = round((1 - model.sensitivity.value) * 12)
    assert f"resnet34 missed {missed} and" in stard["30"]["from the run"]
    for table, item in ((claim, "44"), (claim, "16"), (stard, "36"), (stard, "6"), (tripod, "19")):
        assert table[item]["from the run"] == "", item
    for table in (claim, stard, tripod):
        assert {row["by the authors"] + row["page"] for row in table.values()} == {""}


def test_what_people_wrote_stays(comparison: Comparison, make_run: Make) -> None:
    run = make_run(comparison)
    save_checklists(run)
    path = run / "checklists" / "stard-ai.csv"
    path.write_text("ours")
    (run / "checklists" / "stard-ai.md").unlink()
    assert [each.name for each in save_checklists(run)] == ["stard-ai.md"]
    assert path.read_text() == "ours"


def test_markdown_is_a_table_that_names_cannot_break(make_comparison: Make, make_run: Make) -> None:
    hostile = "a | b <script> [x](http://y)"
    run = make_run(make_comparison(models=("resnet34", hostile)), models={
        hostile: {"backbone": hostile, "epoch": 1, "epochs": 1, "precision": "float32",
                  "device": "cpu", "threshold": 0.5, "band": None, "advice": {}}})  # fmt: skip
    save_checklists(run)
    for name in CHECKLISTS:
        text = (run / "checklists" / f"{name}.md").read_text()
        assert not re.search(r"(?<!\\)<script|(?<!\\)\]\(http", text)
        table = [line for line in text.splitlines() if line.startswith("| ")]
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {len(COLUMNS) + 1}
        assert len(table) == len(read_items(name)) + 2


def test_phantoms_are_called_phantoms(comparison: Comparison, make_run: Make) -> None:
    run = make_run(comparison, synthetic=True)
    save_checklists(run)
    for name in CHECKLISTS:
        assert "**Synthetic phantoms, no patients" in (run / f"checklists/{name}.md").read_text()
    assert "no patients" in rows(run, "claim-2024")["7"]["from the run"]


def test_a_given_split_and_what_was_left_out_are_told(
    comparison: Comparison, make_run: Make
) -> None:
    run = make_run(comparison)
    drawn = {"preset": "quick", "seed": 7, "loader": "l", "stratify": ["site", "sex"]}
    told = facts_in(run, configuration=drawn)
    assert "with seed 7; the same shares of site, sex in each part" in told["drawn"]
    assert "would have stopped the run" in told["missing"]
    told = facts_in(run, configuration=drawn | {"split": "abc", "allow_missing": True})
    assert told["drawn"] == "Given by the authors as a file."
    assert "left out and counted" in told["missing"]


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RUN_INCOMPLETE"):
        save_checklists(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_not_decided_is_counted(comparison: Comparison, make_run: Make) -> None:
    told = facts_in(make_run(comparison))["indeterminate"]
    assert "resnet34 was undecided for 7 of 20 and found 1 unlike its training" in told
