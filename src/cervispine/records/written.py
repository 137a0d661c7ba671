"""The tables that cervispine writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Container, Iterable
from typing import Any

import numpy as np

from cervispine.records.tables import safe_cell

__all__ = ["csv_text"]


def csv_text(
    columns: Iterable[str], rows: Iterable[Iterable[Any]], *, printed: Container[str] = ()
) -> str:
    """Return a table as CSV: text that no spreadsheet runs, floats that read back as they were.

    Parameters
    ----------
    columns
        Their names.
    rows
        As many cells each; None is an empty one.
    printed
        Columns of texts of our own making, numbers as they are printed: what begins with a minus
        sign there is no formula.
    """
    names = list(columns)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        cells = zip(names, row, strict=True)
        writer.writerow([_text(cell, own=name in printed) for name, cell in cells])
    return buffer.getvalue()


def _text(cell: Any, *, own: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell if own else safe_cell(cell)
    if isinstance(cell, np.generic):
        cell = cell.item()
    return repr(cell)  # that of a float reads back as the same float
