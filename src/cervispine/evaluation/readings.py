"""A table of readings (who read which case how, and what is true) as arrays, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import attrs
import numpy as np
from numpy.typing import ArrayLike

from cervispine.evaluation.checking import Binary, Scores, as_binary, as_scores, as_truth
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
        Leave out the cases that lack a reading, where otherwise they are an error.

    Raises
    ------
    EvaluationError
        ``READINGS_COLUMNS``; ``READINGS_TRUTH`` where rows of one case disagree; those of
        truth and values.
    MismatchedCasesError
        ``READINGS_DUPLICATED``, ``READINGS_MISSING``.
    """
    missing = [name for name in (*_NAMES, "truth", value) if name not in table]
    if missing:
        raise EvaluationError(
            f"no column {', '.join(missing)}",
            where="table",
            advice=f"a row is one reading: case, reader, modality, truth and {value}",
            code="READINGS_COLUMNS",
        )
    values = as_binary(table[value], value) if value == "call" else as_scores(table[value], value)
    truth = as_binary(table["truth"], "truth")
    places, names = [], []
    for name in _NAMES:
        place, found = _numbered(table[name])
        if len(place) != len(truth):
            raise MismatchedCasesError(
                f"{len(place)} values of {name} for {len(truth)} of truth",
                where="table",
                code="LENGTHS_DIFFER",
            )
        places.append(place)
        names.append(found)
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
        raise MismatchedCasesError(
            f"{int(np.isnan(grid).sum())} of {grid.size} readings are missing, "
            f"of {int((~complete).sum())} of {len(cases)} cases",
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


def _numbered(column: Any) -> tuple[Binary, list[str]]:
    """Return the place of each value among the distinct ones, and these as text."""
    numbers: dict[str, int] = {}
    texts = [str(value) for value in np.asarray(column, dtype=object).tolist()]
    places = np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int64)
    return places, list(numbers)


def _refuse_rows(
    wrong: Any, kind: type[EvaluationError], what: str, advice: str, *, code: str
) -> None:
    rows: Sequence[int] = (np.flatnonzero(wrong) + 1).tolist()
    if not rows:
        return
    listed = ", ".join(str(row) for row in rows[:_LISTED])
    more = f" and {len(rows) - _LISTED} more" if len(rows) > _LISTED else ""
    raise kind(
        f"{what}: rows {listed}{more}, counted from 1 without the header",
        where="table",
        advice=advice,
        code=code,
    )
