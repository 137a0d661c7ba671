"""The table of who is in each part, as files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cervispine import Comparison
from cervispine.reporting.figures import MARK
from cervispine.reporting.participants import participant_rows


@pytest.mark.parametrize("synthetic", [True, False])
def test_a_table_of_phantoms_says_so_wherever_it_is_copied(
    comparison: Comparison, make_run: Callable[..., Path], synthetic: bool
) -> None:
    run = make_run(comparison, synthetic=synthetic)
    with (run / "tables" / "participants.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    marked = {"data": MARK} if synthetic else {}
    plain = participant_rows(json.loads((run / "manifest.json").read_text()))
    assert rows == [{**row, **marked} for row in plain]
    assert (MARK in (run / "tables" / "participants.tex").read_text()) == synthetic
