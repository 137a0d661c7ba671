"""Telling how far something long has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["Report", "progress"]

logger = logging.getLogger("cervispine.progress")

#: Called with how much is done and how much there is in all.
Report = Callable[[int, int], None]

#: Seconds between two lines in a log file.
LOG_INTERVAL = 15.0


@contextmanager
def progress(description: str, *, shown: bool | None = None) -> Iterator[Report]:
    """Give a function to call with (done, total) while something long goes on.

    Parameters
    ----------
    description
        What is going on, in two or three words.
    shown
        True for a bar, False for silence; None for a bar where standard error is a terminal and
        for log lines where it is not.
    """
    if shown is False:
        yield _silence
    elif shown or sys.stderr.isatty():
        with _bar(description) as report:
            yield report
    else:
        yield _log_lines(description)


def _silence(_done: int, _total: int) -> None:
    """Report nothing."""


@contextmanager
def _bar(description: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(description, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _log_lines(description: str) -> Report:
    last = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= LOG_INTERVAL:
            last = time.monotonic()
            logger.info("%s: %d of %d", description, done, total)

    return report
