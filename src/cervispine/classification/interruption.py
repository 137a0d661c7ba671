"""Ctrl-C and SIGTERM at a moment of the training's own choosing."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Self

__all__ = ["Interruption"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Within it the first signal is kept until asked for; a second one interrupts at once.

    Batch systems announce the end of a job by SIGTERM, people by Ctrl-C. Both let the step
    that runs come to its end, so that a checkpoint can be written. Signals reach the main thread
    alone; in any other this does nothing.

    Attributes
    ----------
    requested : bool
        Whether a signal has come.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
