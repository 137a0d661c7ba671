"""Progress: a bar on a terminal, a line now and then in a log, nothing where silence is asked."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from cervispine import progress as module
from cervispine.progress import LOG_INTERVAL, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(module, "time", made)
    return made


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "cervispine.progress")
    return caplog


def test_a_log_has_a_line_now_and_then_and_at_the_end(
    clock: Clock, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("reading headers") as report:
        for done in range(1, 101):
            clock.now += LOG_INTERVAL / 40
            report(done, 100)
    assert log.messages == [f"reading headers: {done} of 100" for done in (40, 80, 100)]
    assert stream.getvalue() == ""


def test_silence_is_silence(
    clock: Clock, log: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("reading headers", shown=False) as report:
        clock.now += 10 * LOG_INTERVAL
        report(1, 1)
    assert log.messages == []
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("stream", "shown"),
    [(Terminal, None), (Terminal, True), (io.StringIO, True)],
    ids=["terminal", "terminal, asked for", "asked for"],
)
def test_a_bar_counts_on_standard_error(
    log: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stream: type[io.StringIO],
    shown: bool | None,
) -> None:
    made = stream()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", made)
    with progress("making phantoms", shown=shown) as report:
        report(3, 7)
        report(7, 7)
    assert "making phantoms" in made.getvalue()
    assert "7/7" in made.getvalue()
    assert log.messages == []
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("shown", [None, True, False])
def test_an_error_inside_goes_on_its_way(
    monkeypatch: pytest.MonkeyPatch, shown: bool | None
) -> None:
    def interrupted() -> None:
        with progress("reading headers", shown=shown) as report:
            report(1, 2)
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(KeyboardInterrupt):
        interrupted()
