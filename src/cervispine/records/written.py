"""The tables that cervispine writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any

from cervispine.records.tables import safe_cell

__all__ = ["csv_text"]


def csv_text(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """Return a table as CSV: text that no spreadsheet runs, floats that read back as they were.

    None is an empty cell.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(map(_cells, rows))
    return buffer.getvalue()


def _cells(row: Iterable[Any]) -> list[str]:
    # repr of a float reads back as the same float.
    return [
        "" if value is None else safe_cell(value) if isinstance(value, str) else repr(value)
        for value in row
    ]
