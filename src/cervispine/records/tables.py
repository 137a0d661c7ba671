"""The tables that people bring: read strictly, every fault listed at once.

Identifiers are text (``00123`` stays ``00123``); vocabularies are exact; faults are named by
the row of the file, as a spreadsheet counts them, and never by what an identifier says.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import attrs

from cervispine.exceptions import LabelError, UsageError
from cervispine.records.dialects import read_sheet, same_word

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Row",
    "Table",
    "TableLike",
    "listing",
    "number_in",
    "plain_cell",
    "raise_faults",
    "read_table",
    "safe_cell",
    "table_of",
    "word_fault",
]

#: The path of a CSV file, the two columns of a table as a mapping, or a data frame.
TableLike: TypeAlias = "str | Path | Mapping[str, str] | pd.DataFrame"

#: How many faults an error lists before it only counts the rest.
FAULTS_SHOWN = 20

#: What makes a spreadsheet take a cell for a formula; the wide forms, one in Japanese.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", *"\uff1d\uff0b\uff0d\uff20")

MARK = "'"

#: Python's own float() also takes 1_0, nan, infinity and the digits of other scripts.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?", re.ASCII)
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+", re.ASCII)


@attrs.frozen
class Row:
    """One row: its number as a spreadsheet shows it, and its cells by column."""

    number: int
    cells: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.cells[column]


@attrs.frozen
class Table:
    """A table read as text.

    Parameters
    ----------
    source
        The path it was read from, or what it is.
    columns
        The names in its header.
    rows
        Its rows, in order.
    """

    source: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_table(
    path: str | Path,
    *,
    required: Sequence[str],
    code: str,
    exact: Sequence[str] = (),
    numbers: Sequence[str] = (),
) -> Table:
    """Read a CSV file whose first row names the columns.

    UTF-8, or UTF-16 with its mark; commas, semicolons or tabs. Rows that are blank and columns
    without name and values are passed over. Columns that are not required may be missing at the
    end of a row, as Excel leaves them.

    Parameters
    ----------
    path
        The file.
    required
        Columns that must be there.
    code
        Beginning of the error codes, for example "LABELS".
    exact
        Columns of words: spaces around them are not taken off.
    numbers
        Columns of numbers, where they are there: a decimal comma becomes a point.

    Raises
    ------
    LabelError
        ``<code>_UNREADABLE``, ``<code>_COLUMNS`` or ``<code>_ROWS``.
    """
    path = Path(path)
    sheet = read_sheet(path, required=required, code=code)
    columns = _columns_of(sheet.header, where=str(path), code=code)
    rows, faults = _rows_of(sheet.header, sheet.rows, required=required, exact=exact)
    if sheet.delimiter != ",":
        for column in set(numbers) & set(columns):
            rows, more = _with_points(rows, column)
            faults += more
    raise_faults(faults, where=str(path), code=f"{code}_ROWS")
    return Table(str(path), columns, tuple(rows))


def table_of(
    source: TableLike, *, required: Sequence[str], code: str, exact: Sequence[str] = ()
) -> Table:
    """Read a CSV file, or take a table in memory as strictly; its rows then count from 1.

    Parameters
    ----------
    source
        A path; a mapping from the first required column to the second; or a data frame, whose
        missing values are empty cells.
    required, code, exact
        As in :func:`read_table`.

    Raises
    ------
    UsageError
        It is none of these.
    LabelError
        As in :func:`read_table`; identifiers that are not text (``ID_NOT_TEXT``).
    """
    if isinstance(source, (str, Path)):
        return read_table(source, required=required, code=code, exact=exact)
    if isinstance(source, Mapping):
        header = tuple(required[:2])
        content = list(source.items())
    elif hasattr(source, "itertuples"):
        header = tuple(str(column).strip(" ") for column in source.columns)
        blank = source.astype(object).where(source.notna(), "")
        content = list(blank.itertuples(index=False, name=None))
    else:
        raise UsageError(f"a table is a path, a mapping or a data frame, not {type(source)}")
    where = f"the {type(source).__name__} given"
    columns = _columns_of(header, where=where, code=code)
    if missing := [name for name in required if name not in columns]:
        raise LabelError(f"the columns {missing} are missing", where=where, code=f"{code}_COLUMNS")
    identifier = required[0]
    place = header.index(identifier)
    if any(not isinstance(cells[place], str) for cells in content):
        raise LabelError(
            f"the column {identifier} holds numbers, which have lost the zeros of 00123",
            where=where,
            advice=f"read it as text: pandas.read_csv(..., dtype={{{identifier!r}: str}})",
            code="ID_NOT_TEXT",
        )
    texts = enumerate((tuple(map(str, cells)) for cells in content), start=1)
    rows, faults = _rows_of(header, texts, required=required, exact=exact)
    raise_faults(faults, where=where, code=f"{code}_ROWS")
    return Table(where, columns, tuple(rows))


def raise_faults(faults: Iterable[str], *, where: str, code: str) -> None:
    """Raise one error that lists every fault found in a table, or do nothing.

    Raises
    ------
    LabelError
        With the given code, when there is any fault.
    """
    listed = list(faults)
    if listed:
        raise LabelError(
            listing(f"{len(listed)} fault(s) in the table:", listed),
            where=where,
            advice="correct these rows; nothing was guessed and nothing was dropped",
            code=code,
        )


def listing(title: str, items: Sequence[str]) -> str:
    """Return a title and the first items below it; of a long list, how many more there are."""
    shown = list(items[:FAULTS_SHOWN])
    if len(items) > len(shown):
        shown.append(f"and {len(items) - len(shown)} more")
    return "\n    ".join([title, *shown])


def word_fault(what: str, word: str, words: Sequence[str]) -> str | None:
    """Return what is wrong with a word of a vocabulary, quoting it only if it is a slip of one.

    Parameters
    ----------
    what
        What the word is, for example "label".
    word
        As it stands in the cell.
    words
        The vocabulary, exact.
    """
    if word in words:
        return None
    if not word.strip():
        return f"the {what} is empty"
    for meant in words:
        if same_word(word, meant):
            return f"{what} {word!r}: did you mean {meant}?"
    return f"the {what} is none of {', '.join(words)}"


def number_in(text: str) -> float | None:
    """Return the finite number that a cell holds in digits, or None."""
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def safe_cell(text: str) -> str:
    """Return text that a spreadsheet will not run as a formula."""
    return MARK + text if text.startswith((MARK, *FORMULA_STARTS)) else text


def plain_cell(text: str) -> str:
    """Return the text of a cell, without spaces around it nor the mark of :func:`safe_cell`."""
    text = text.strip()
    marked = text.startswith(MARK) and text[1:].startswith((MARK, *FORMULA_STARTS))
    return text[1:] if marked else text


def _columns_of(header: Sequence[str], *, where: str, code: str) -> tuple[str, ...]:
    """Return the names in a header, without the columns that have none."""
    columns = tuple(name for name in header if name)
    if len(set(columns)) < len(columns):
        # By number, since a name that stands for no column may be a patient's.
        places = [place for place, name in enumerate(header, start=1) if columns.count(name) > 1]
        raise LabelError(
            f"two columns share a name: columns {', '.join(map(str, places))}",
            where=where,
            advice="give each column a name of its own",
            code=f"{code}_COLUMNS",
        )
    return columns


def _rows_of(
    header: Sequence[str],
    sheet: Iterable[tuple[int, Sequence[str]]],
    *,
    required: Sequence[str],
    exact: Sequence[str],
) -> tuple[list[Row], list[str]]:
    """Return the rows that are not blank, and what is wrong with them."""
    names = [(place, name) for place, name in enumerate(header) if name]
    named = {place for place, _ in names}
    rows: list[Row] = []
    faults: list[str] = []
    for number, cells in sheet:
        if not any(cell.strip() for cell in cells):
            continue
        if any(name in required and place >= len(cells) for place, name in names):
            faults.append(f"row {number}: {len(cells)} cells for {len(names)} columns")
            continue
        faults += [
            f"row {number}: a value in column {place + 1}, which has no name"
            for place, cell in enumerate(cells)
            if place not in named and cell.strip()
        ]
        values = {name: cells[place] if place < len(cells) else "" for place, name in names}
        faults += [
            f"row {number}: the {name} holds {invisible}"
            for name in required
            if (invisible := _invisible(values[name].strip(" ")))
        ]
        kept = {n: cell if n in exact else plain_cell(cell) for n, cell in values.items()}
        rows.append(Row(number, kept))
    if not rows and not faults:
        faults.append("the table has no rows")
    return rows, faults


def _invisible(text: str) -> str:
    """Name the first character of a text that nobody sees, or that stands for a lost one."""
    for each in text:
        if each == "�" or not (each.isprintable() or each == " "):
            return f"{unicodedata.name(each, 'a control character')} (U+{ord(each):04X})"
    return ""


def _with_points(rows: Sequence[Row], column: str) -> tuple[list[Row], list[str]]:
    """Write a column of numbers with points, if commas can only be its decimal commas."""
    commas = [row[column] for row in rows if COMMA_NUMBER.fullmatch(row[column])]
    if not commas:
        return list(rows), []
    if any("." in row[column] for row in rows):
        return list(rows), [f"column {column}: some numbers have a comma and some a point"]
    if all(THOUSANDS.fullmatch(text) for text in commas):
        reason = "a comma may stand before decimals or thousands: write points, or no comma"
        return list(rows), [f"column {column}: {reason}"]
    return [
        attrs.evolve(row, cells={**row.cells, column: row[column].replace(",", ".")})
        if COMMA_NUMBER.fullmatch(row[column])
        else row
        for row in rows
    ], []
