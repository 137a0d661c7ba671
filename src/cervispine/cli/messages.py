"""What is said on standard error, and what is not.

Texts of other libraries quote headers, names of files and paths, and any of these may name a
patient. Only their kind is told.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Any

from cervispine.exceptions import CervispineError, CervispineWarning

__all__ = ["fault_of", "show_logs", "show_warning"]

#: How many of the innermost lines of a fault are named.
LINES = 6


class _OwnWords(logging.Filter):
    """Replace what another library logs by the fact that it logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] != "cervispine":
            record.msg, record.args = f"{record.name} logged: {record.levelname}", ()
            record.exc_info = record.exc_text = record.stack_info = None
        return True


def show_logs(*, verbose: bool) -> None:
    """Send log lines to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_OwnWords())
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=[handler])
    # A terminal has progress bars; a log file gets a line now and then.
    quiet = sys.stderr.isatty() and not verbose
    logging.getLogger("cervispine").setLevel(logging.WARNING if quiet else logging.INFO)


def show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Show a warning of cervispine, and of any other only its kind."""
    if issubclass(category, CervispineWarning):
        print(f"note: {message}", file=sys.stderr)
    else:
        logging.getLogger("cervispine").debug("a %s was given", category.__name__)


def fault_of(error: Exception) -> CervispineError:
    """Return what may be said of an exception that nobody foresaw: its class, and where.

    Modules are named, not files: where somebody keeps a plug-in may say who they are.
    """
    places = [
        f"{frame.f_globals.get('__name__', '?')}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    return CervispineError(
        f"a fault of cervispine or of a plug-in: {type(error).__name__}",
        where=" > ".join(places[-LINES:]),
        advice="report these lines with what `cervispine doctor` prints; --traceback shows "
        "everything, which may name patients",
        code="INTERNAL",
    )
