"""What pydicom says while cervispine reads is kept in: it quotes values, and they name patients.

Files are read in several threads, and what Python offers to silence warnings for a while belongs
to the whole process: of two threads that overlap, the last one out would put back the silence of
the other. So nothing is ever put back. Warnings that come from the modules of pydicom are ignored
for good, and its log lines only of those threads that read.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import warnings
from collections.abc import Iterator

__all__ = ["quiet_pydicom"]

#: Modules whose warnings quote values: highdicom's are of the results that we write.
MODULES = r"(pydicom|highdicom)(\.|$)"

#: The same as Python keeps it: first of all filters, it decides before any other.
FILTER = ("ignore", None, Warning, re.compile(MODULES), 0)

#: All loggers of pydicom; a filter of the first would not see what the others log.
LOGGERS = ("pydicom", "pydicom.pixels.decoders.base", "pydicom.pixels.utils")


class _Depth(threading.local):
    """How many ``quiet_pydicom`` a thread is within."""

    value = 0


_depth = _Depth()
_lock = threading.Lock()


@contextlib.contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's warnings and log lines in; those of anybody else pass."""
    _ignore_warnings()
    _depth.value += 1
    try:
        yield
    finally:
        _depth.value -= 1


def _ignore_warnings() -> None:
    with _lock:
        # Whoever set other filters meanwhile, as each test of pytest does, set them before this.
        if warnings.filters[:1] != [FILTER]:
            warnings.filterwarnings("ignore", module=MODULES)


def _is_not_reading(_: logging.LogRecord) -> bool:
    return _depth.value == 0


# At once, so that also filters that another thread puts back in the middle of a read have it.
_ignore_warnings()
for name in LOGGERS:
    logging.getLogger(name).addFilter(_is_not_reading)
