"""The files of a finished run, and the error where a folder does not hold them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cervispine.exceptions import DataError

__all__ = ["finished_run", "saved_json"]


def saved_json(folder: Path, name: str) -> Any:
    """Return what a JSON file of a run folder holds."""
    return json.loads((folder / name).read_text(encoding="utf-8"))


@contextmanager
def finished_run(folder: Path, *lacking: type[Exception]) -> Iterator[None]:
    """Refuse a folder when what is read inside is missing or is something else.

    Parameters
    ----------
    folder
        That is read.
    lacking
        Further errors that say so.

    Raises
    ------
    DataError
        When the folder is not that of a finished run (``RUN_INCOMPLETE``).
    """
    reasons: tuple[type[Exception], ...] = (OSError, ValueError, LookupError, TypeError, *lacking)
    try:
        yield
    except reasons as error:
        raise DataError(
            "the folder does not hold a finished run",
            where=str(folder),
            advice="cervispine experiment --resume finishes a run that was interrupted",
            code="RUN_INCOMPLETE",
        ) from error
