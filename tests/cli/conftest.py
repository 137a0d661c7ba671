"""The command line, run in the process of the test."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cervispine.cli import main
from cervispine.phantom import PhantomCohort

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in this process: exit code, standard output, standard error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["cervispine", *map(str, arguments)])
        # The command line shows warnings in its own way, and other tests must not inherit it.
        monkeypatch.setattr("warnings.showwarning", lambda *_, **__: None)
        before = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as ended:
            main()
        signal.signal(signal.SIGTERM, before)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return int(ended.value.code or 0), printed.out, printed.err

    return call


@pytest.fixture
def labels(phantom: PhantomCohort, tmp_path: Path) -> Callable[[Callable[[str], str]], Path]:
    def edited(edit: Callable[[str], str]) -> Path:
        path = tmp_path / "labels.csv"
        path.write_text(edit(phantom.labels.read_text()))
        return path

    return edited
