"""The CSV files that people bring: read strictly, every fault listed at once.

Identifiers are text (``00123`` stays ``00123``); vocabularies are exact; faults are named by
the row of the file, as a spreadsheet counts them, and never by what an identifier says.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import attrs

from cervispine.exceptions import LabelError

__all__ = ["Row", "Table", "plain_cell", "raise_faults", "read_table", "safe_cell"]

#: How many faults an error lists before it only counts the rest.
FAULTS_SHOWN = 20

#: What makes a spreadsheet take a cell for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@attrs.frozen
class Row:
    """One row: its number in the file, counting the header as 1, and its cells by column."""

    number: int
    cells: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@attrs.frozen
class Table:
    """A CSV file read as text.

    Parameters
    ----------
    path
        Where it was read from.
    columns
        The names in its header.
    rows
        Its rows, in order.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(path: str | Path, *, required: Sequence[str], code: str) -> Table:
    """Read a UTF-8 CSV file whose first row names the columns.

    Parameters
    ----------
    path
        The file.
    required
        Columns that must be there.
    code
        Beginning of the error codes, for example "LABELS".

    Raises
    ------
    LabelError
        ``<code>_UNREADABLE``, ``<code>_COLUMNS`` or ``<code>_ROWS``.
    """
    path = Path(path)
    try:
        # utf-8-sig: Excel writes a byte order mark in front.
        text = path.read_text(encoding="utf-8-sig")
        lines = list(csv.reader(io.StringIO(text, newline="")))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = {UnicodeDecodeError: "is not UTF-8 text", csv.Error: "is no CSV"}.get(
            type(error), "cannot be read"
        )
        raise LabelError(
            f"the table {reason}",
            where=str(path),
            advice="save it as 'CSV UTF-8' and give its path",
            code=f"{code}_UNREADABLE",
        ) from error
    columns = tuple(name.strip() for name in lines[0]) if lines else ()
    missing = [name for name in required if name not in columns]
    if missing or len(set(columns)) < len(columns):
        what = f"the columns {missing} are missing" if missing else "two columns share a name"
        raise LabelError(
            f"{what}; the header has {list(columns)}",
            where=str(path),
            advice=f"the first row must name the columns {','.join(required)}, with commas between",
            code=f"{code}_COLUMNS",
        )
    rows, faults = [], []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) == len(columns):
            rows.append(
                Row(number, {c: plain_cell(v) for c, v in zip(columns, cells, strict=True)})
            )
        else:
            faults.append(f"row {number}: {len(cells)} cells for {len(columns)} columns")
    if not rows and not faults:
        faults.append("the table has no rows")
    raise_faults(faults, path=path, code=f"{code}_ROWS")
    return Table(path, columns, tuple(rows))


def raise_faults(faults: Iterable[str], *, path: Path, code: str) -> None:
    """Raise one error that lists every fault found in a table, or do nothing.

    Raises
    ------
    LabelError
        With the given code, when there is any fault.
    """
    listed = list(faults)
    if not listed:
        return
    shown = listed[:FAULTS_SHOWN]
    if len(listed) > len(shown):
        shown.append(f"and {len(listed) - len(shown)} more")
    raise LabelError(
        f"{len(listed)} fault(s) in the table:\n    " + "\n    ".join(shown),
        where=str(path),
        advice="correct these rows; nothing was guessed and nothing was dropped",
        code=code,
    )


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet will not run as a formula."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def plain_cell(text: str) -> str:
    """Return the text of a cell, without spaces around it nor the mark of :func:`safe_cell`."""
    text = text.strip()
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA_STARTS) else text
