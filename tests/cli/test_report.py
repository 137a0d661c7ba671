"""cervispine report: of a run, and of what is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


def test_the_report_of_a_run_is_made(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def write(folder: Path) -> Path:
        asked.append(folder)
        return folder / "report.html"

    monkeypatch.setattr("cervispine.reporting.write_report", write)
    lists = [(tmp_path / "checklists" / "claim.md",), ()]
    monkeypatch.setattr("cervispine.reporting.save_checklists", lambda _: lists.pop(0))
    code, out, _ = run("report", tmp_path)
    assert (code, asked) == (0, [tmp_path])
    assert str(tmp_path / "report.html") in out
    assert str(tmp_path / "checklists") in out
    # The second time there is nothing to fill in that was not there.
    assert "checklists" not in run("report", tmp_path)[1]


def test_what_is_no_run_is_refused(run: Run, tmp_path: Path) -> None:
    code, _, err = run("report", tmp_path)
    assert code == 3
    assert "RUN_INCOMPLETE" in err
    assert list(tmp_path.iterdir()) == []
