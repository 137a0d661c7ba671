"""A table of readings (who read which case how, and what is true) as arrays, checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import ArrayLike, NDArray

from cervispine.evaluation.checking import (
    Binary,
    Scores,
    as_binary,
    as_items,
    as_truth,
    check_same_length,
    is_missing,
)
from cervispine.exceptions import EvaluationError, MismatchedCasesError
from cervispine.records.tables import number_in, raise_faults, read_table

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReadingTable", "Readings", "as_readings", "read_readings"]

ReadingTable: TypeAlias = "Mapping[str, ArrayLike] | pd.DataFrame"

_NAMES = ("case", "reader", "modality")
_LISTED = 20


@attrs.frozen(eq=False)
class Readings:
    """Every reader's reading of every case in every modality.

    Parameters
    ----------
    modalities, readers
        Their names, in order of first appearance.
    truth
        0/1, shape (cases,).
    values
        The readings, shape (modalities, readers, cases).
    dropped
        How many cases were left out because a reading of them is missing.
    """

    modalities: tuple[str, ...]
    readers: tuple[str, ...]
    truth: Binary
    values: Scores
    dropped: int


def read_readings(path: str | Path) -> dict[str, list[str]]:
    """Read a CSV file of readings, one row for each case, reader and modality.

    Parameters
    ----------
    path
        With the columns ``case,reader,modality,truth``, and ``rating``, ``call`` or both.

    Returns
    -------
    dict of str to list of str
        The columns as text: what ``mrmc`` takes.

    Raises
    ------
    LabelError
        ``READINGS_UNREADABLE``, ``READINGS_COLUMNS`` or ``READINGS_ROWS``.
    """
    numbers = ("truth", "rating", "call")
    table = read_table(path, required=(*_NAMES, "truth"), code="READINGS", numbers=numbers)
    raise_faults(
        (
            f"row {row.number}: the {column} is no number"
            for row in table.rows
            for column in numbers
            if column in table.columns and row[column] and number_in(row[column]) is None
        ),
        where=table.source,
        code="READINGS_ROWS",
    )
    return {column: [row[column] for row in table.rows] for column in table.columns}


def as_readings(table: ReadingTable, value: str, *, complete_cases: bool = False) -> Readings:
    """Arrange a long table by modality, reader and case.

    Parameters
    ----------
    table
        A mapping of columns, or a data frame: ``case``, ``reader``, ``modality``, ``truth``
        (0/1) and the column of the values. Rows may come in any order.
    value
        The column of the values: ``"rating"`` or ``"call"``.
    complete_cases
        Leave out the cases that lack a reading, be its value blank or the row not there, where
        otherwise they are an error.

    Raises
    ------
    EvaluationError
        ``READINGS_COLUMNS``; ``READINGS_ROWS`` where a case, reader or modality is blank;
        ``NOT_NUMBERS`` and ``NOT_BINARY``, with the rows; ``READINGS_TRUTH`` where rows of one
        case disagree; ``SINGLE_CLASS``, ``NO_CASES``.
    MismatchedCasesError
        ``READINGS_DUPLICATED``, ``READINGS_MISSING``, ``LENGTHS_DIFFER``.
    """
    missing = [name for name in (*_NAMES, "truth", value) if name not in table]
    if missing:
        raise EvaluationError(
            f"no column {', '.join(missing)}",
            where="table",
            advice=f"a row is one reading: case, reader, modality, truth and {value}",
            code="READINGS_COLUMNS",
        )
    values = _numbers(table[value], value)
    if value == "call":
        _refuse_unlike_0_and_1(values, value, ~np.isnan(values))
    truths = _numbers(table["truth"], "truth")
    _refuse_unlike_0_and_1(truths, "truth", np.ones(truths.shape, dtype=bool))
    truth = as_binary(truths, "truth")
    places, names = [], []
    for name in _NAMES:
        place, found = _numbered(table[name], name)
        places.append(place)
        names.append(found)
    check_same_length(**{"truth": truth, value: values, **dict(zip(_NAMES, places, strict=True))})
    case, reader, modality = places
    cases, readers, modalities = names
    diseased, rows = np.bincount(case, truth), np.bincount(case)
    _refuse_rows(
        ((diseased > 0) & (diseased < rows))[case],
        EvaluationError,
        "the truth of a case is not the same in all its rows",
        "a case is diseased or not, whoever reads it",
        code="READINGS_TRUTH",
    )
    shape = (len(modalities), len(readers), len(cases))
    flat = np.ravel_multi_index((modality, reader, case), shape)
    first = np.zeros(len(flat), dtype=bool)
    first[np.unique(flat, return_index=True)[1]] = True
    _refuse_rows(
        ~first,
        MismatchedCasesError,
        "the same case, reader and modality stand in more than one row",
        "give one reading for each",
        code="READINGS_DUPLICATED",
    )
    grid = np.full(shape, np.nan)
    grid.ravel()[flat] = values
    complete = ~np.isnan(grid).any(axis=(0, 1))
    if not complete.all() and not complete_cases:
        blank = _listed(np.isnan(values))
        raise MismatchedCasesError(
            f"{int(np.isnan(grid).sum())} of {grid.size} readings are missing, "
            f"of {int((~complete).sum())} of {len(cases)} cases"
            + (f"; the {value} is blank in {blank}" if blank else ""),
            where="table",
            advice="every reader reads every case in every modality; complete_cases=True leaves "
            "out the cases with gaps",
            code="READINGS_MISSING",
        )
    if not complete.any():
        raise MismatchedCasesError(
            "no case was read by every reader in every modality",
            where="table",
            advice="this analysis is for readers who read the same cases",
            code="READINGS_MISSING",
        )
    return Readings(
        tuple(modalities),
        tuple(readers),
        as_truth(diseased[complete] > 0),
        grid[:, :, complete],
        int((~complete).sum()),
    )


def _numbers(column: Any, name: str) -> Scores:
    """Return a column as numbers, NaN where a cell is blank."""
    cells = as_items(column, name)
    blank = np.array([is_missing(cell) for cell in cells], dtype=bool)
    numbers = np.array([_number(cell) for cell in cells], dtype=np.float64)
    _refuse_rows(
        ~np.isfinite(numbers) & ~blank,
        EvaluationError,
        f"the {name} is not a finite number",
        "correct these rows; leave a cell blank where there was no reading",
        code="NOT_NUMBERS",
    )
    return numbers


def _number(cell: Any) -> float:
    if isinstance(cell, str):
        number = number_in(cell.strip())
        return np.nan if number is None else number
    try:
        return float(cell)
    except (TypeError, ValueError):
        return np.nan


def _refuse_unlike_0_and_1(values: Scores, name: str, among: NDArray[np.bool_]) -> None:
    _refuse_rows(
        among & (values != 0) & (values != 1),
        EvaluationError,
        f"the {name} is neither 0 nor 1",
        "code 1 as diseased (OPLL), or called so, and 0 as not",
        code="NOT_BINARY",
    )


def _numbered(column: Any, name: str) -> tuple[Binary, list[str]]:
    """Return the place of each value among the distinct ones, and these as text."""
    cells = as_items(column, name)
    _refuse_rows(
        [is_missing(cell) for cell in cells],
        EvaluationError,
        f"the {name} is blank",
        "a row is one reading: say of whom, by whom and in which modality",
        code="READINGS_ROWS",
    )
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(str(cell), len(numbers)) for cell in cells]
    return np.array(places, dtype=np.int64), list(numbers)


def _refuse_rows(
    wrong: ArrayLike, kind: type[EvaluationError], what: str, advice: str, *, code: str
) -> None:
    if listed := _listed(wrong):
        raise kind(f"{what}: {listed}", where="table", advice=advice, code=code)


def _listed(wrong: ArrayLike) -> str:
    """Return the rows that are marked, in words; nothing where there are none."""
    rows: list[int] = (np.flatnonzero(wrong) + 1).tolist()
    if not rows:
        return ""
    listed = ", ".join(map(str, rows[:_LISTED]))
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    return f"rows {listed}{more}, counted from 1 without the header"
