"""The readers' calls and ratings: the file readers.csv, checked once and frozen.

One row for each patient and reader, with the columns ``patient``, ``reader``
and ``call`` (0/1), ``rating`` (ordinal from 1 to 5, or 0 to 100), or both.
Identifiers are text: ``00123`` stays ``00123``.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.checking import join
from cervispine.exceptions import DataWarning, LabelError, UsageError
from cervispine.records.tables import Row, Table, number_in, read_table, table_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ReaderTable"]

_REQUIRED = ("patient", "reader")
_VALUES = ("call", "rating")
_SCALE = (0.0, 100.0)
_LISTED = 20


@attrs.frozen
class _Fault:
    code: str
    reason: str
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.rows:
            return f"{self.code}: {self.reason}"
        listed = ", ".join(str(row) for row in self.rows[:_LISTED])
        more = f" and {len(self.rows) - _LISTED} more" if len(self.rows) > _LISTED else ""
        return f"{self.code}: {self.reason} (rows {listed}{more})"


@attrs.frozen(repr=False)
class ReaderTable:
    """What some readers said of some patients, every reader of every patient.

    Make one with ``from_csv`` or ``from_frame``.

    Parameters
    ----------
    patients
        The patients' identifiers, in order of first appearance.
    readers
        The readers' names, in order of first appearance.
    dropped
        How many patients complete-case analysis left out.
    ignored_columns
        The columns of the file that were not used.
    """

    patients: tuple[str, ...]
    readers: tuple[str, ...]
    dropped: int
    ignored_columns: tuple[str, ...]
    _calls: Mapping[str, Mapping[str, int]] = attrs.field(alias="calls")
    _ratings: Mapping[str, Mapping[str, float]] = attrs.field(alias="ratings")

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        *,
        complete_cases: bool = False,
        rating_scale: tuple[float, float] = _SCALE,
        patients: Collection[str] | None = None,
    ) -> ReaderTable:
        """Read a CSV file.

        Parameters
        ----------
        path
            The file.
        complete_cases
            Leave out patients that some reader did not read, and count them in
            ``dropped``, where otherwise they are an error.
        rating_scale
            The lowest and the highest rating there is; a rating outside is an error.
        patients
            Of whom the table is to be; None for all. Of others the readers may have left
            out whatever they like.

        Raises
        ------
        LabelError
            With every fault found and its row numbers (the header is row 1):
            ``READERS_UNREADABLE``, ``READERS_COLUMNS``, ``READERS_ROWS``,
            ``READERS_ID_MISSING``, ``READERS_ROW_DUPLICATED``, ``READERS_CALL_INVALID``,
            ``READERS_RATING_INVALID``, ``READERS_VALUE_MISSING``, ``READERS_CASE_MISSING``;
            ``READERS_INVALID`` when they are of several kinds.

        Warns
        -----
        DataWarning
            Readers whose ratings contradict their calls (``READERS_RATING_INVERTED``).
        """
        table = read_table(path, required=_REQUIRED, code="READERS", numbers=_VALUES)
        return cls._from_table(table, complete_cases, rating_scale, patients)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        complete_cases: bool = False,
        rating_scale: tuple[float, float] = _SCALE,
        patients: Collection[str] | None = None,
    ) -> ReaderTable:
        """Take a table in memory; row numbers in errors count its rows from 1.

        Read identifiers as text (``pandas.read_csv(..., dtype={"patient": str})``): a column
        of numbers has lost the zeros of ``00123`` and is refused (``ID_NOT_TEXT``). Other
        parameters and errors are as in ``from_csv``.
        """
        table = table_of(frame, required=_REQUIRED, code="READERS")
        return cls._from_table(table, complete_cases, rating_scale, patients)

    @classmethod
    def without_readers(cls, patients: Iterable[str]) -> ReaderTable:
        """Return the table of patients that nobody read: models are compared alone."""
        return cls(
            patients=tuple(patients),
            readers=(),
            dropped=0,
            ignored_columns=(),
            calls={},
            ratings={},
        )

    @classmethod
    def _from_table(
        cls,
        table: Table,
        complete_cases: bool,
        rating_scale: tuple[float, float],
        wanted: Collection[str] | None,
    ) -> ReaderTable:
        where = table.source
        if not any(column in table.columns for column in _VALUES):
            # Other names than those wanted may be patients, where rows and columns are exchanged.
            reason = f"no column call or rating among the {len(table.columns)} of the table"
            _refuse([_Fault("READERS_COLUMNS", reason)], where)
        if not rating_scale[0] < rating_scale[1]:
            raise UsageError(
                f"a rating scale goes from low to high, got {rating_scale}", where="rating_scale"
            )
        draft = _Draft([column for column in _VALUES if column in table.columns], rating_scale)
        for row in table.rows:
            draft.add(row)
        faults = draft.faults()
        readers = tuple(draft.readers)
        patients = tuple(each for each in draft.patients if wanted is None or each in wanted)
        incomplete, gaps = _gaps(draft, readers, patients)
        if not complete_cases:
            faults.extend(gaps)
        if faults:
            _refuse(faults, where)
        kept = tuple(patient for patient in patients if patient not in incomplete)
        if not kept:
            among = "" if wanted is None else f" of the {len(wanted)} to be compared"
            reason = f"no patient{among} was read by every reader"
            _refuse([_Fault("READERS_CASE_MISSING", reason)], where)
        used = {*_REQUIRED, *_VALUES}
        read = cls(
            patients=kept,
            readers=readers,
            dropped=len(incomplete),
            ignored_columns=tuple(column for column in table.columns if column not in used),
            calls=_tables(draft.values.get("call", {}), readers, kept, int),
            ratings=_tables(draft.values.get("rating", {}), readers, kept, float),
        )
        read._warn_of_inversion()
        return read

    def _warn_of_inversion(self) -> None:
        """Warn of ratings that fall where a reader calls OPLL: how sure of the call, perhaps."""
        calls, ratings = self.calls(), self.ratings()
        inverted = [
            reader
            for reader in calls.keys() & ratings.keys()
            if 0 < calls[reader].sum() < len(self.patients)
            and ratings[reader][calls[reader] == 1].mean()
            < ratings[reader][calls[reader] == 0].mean()
        ]
        if inverted:
            fault = _Fault(
                "READERS_RATING_INVERTED",
                f"{len(inverted)} of {len(self.readers)} readers rate lower what they call OPLL "
                f"than what they do not: {', '.join(sorted(inverted))}. A rating says how sure a "
                "reader is of OPLL, and not of the call",
            )
            warnings.warn(str(fault), DataWarning, stacklevel=4)

    def calls(self, patients: Iterable[Hashable] | None = None) -> dict[str, NDArray[np.int64]]:
        """Return the 0/1 calls of each reader who gave them, in the order of the patients.

        Parameters
        ----------
        patients
            Exactly the patients of the table, in any order; its own order when not given.

        Raises
        ------
        MismatchedCasesError
            ``CASES_MISMATCHED`` when the patients are not those of the table.
        """
        cases = self._order(patients)
        return {
            reader: np.array([values[case] for case in cases], dtype=np.int64)
            for reader, values in self._calls.items()
        }

    def ratings(self, patients: Iterable[Hashable] | None = None) -> dict[str, NDArray[np.float64]]:
        """Return the ratings of each reader who gave them; otherwise as ``calls``."""
        cases = self._order(patients)
        return {
            reader: np.array([values[case] for case in cases], dtype=np.float64)
            for reader, values in self._ratings.items()
        }

    def select(self, patients: Iterable[Hashable]) -> ReaderTable:
        """Return the same table of some of its patients, in the order given.

        Raises
        ------
        LabelError
            ``READERS_CASE_MISSING`` when a patient is not in the table.
        """
        chosen = tuple(str(patient) for patient in patients)
        unknown = len(set(chosen) - set(self.patients))
        if unknown:
            raise LabelError(
                f"{unknown} of {len(chosen)} patients were not read",
                where="readers",
                advice="identifiers are text, so 00123 and 123 differ",
                code="READERS_CASE_MISSING",
            )
        return attrs.evolve(
            self,
            patients=chosen,
            calls={
                reader: {patient: values[patient] for patient in chosen}
                for reader, values in self._calls.items()
            },
            ratings={
                reader: {patient: values[patient] for patient in chosen}
                for reader, values in self._ratings.items()
            },
        )

    def __repr__(self) -> str:
        kinds = [
            name for name, held in (("calls", self._calls), ("ratings", self._ratings)) if held
        ]
        dropped = f", {self.dropped} incomplete patients left out" if self.dropped else ""
        return (
            f"<ReaderTable: {len(self.readers)} readers of {len(self.patients)} patients, "
            f"{' and '.join(kinds)}{dropped}>"
        )

    def _order(self, patients: Iterable[Hashable] | None) -> list[str]:
        if patients is None:
            return list(self.patients)
        return join(list(patients), {case: case for case in self.patients}, "readers")


class _Draft:
    """The table while its rows are read: its values so far, and its faults."""

    def __init__(self, columns: Sequence[str], scale: tuple[float, float]) -> None:
        self.columns = columns
        self.scale = scale
        self.readers: dict[str, None] = {}
        self.patients: dict[str, None] = {}
        self.rows: dict[tuple[str, str], int] = {}
        self.values: dict[str, dict[tuple[str, str], float | None]] = {c: {} for c in columns}
        self._faults: dict[tuple[str, str], list[int]] = {}

    def add(self, row: Row) -> None:
        number, (patient, reader) = row.number, (row[name] for name in _REQUIRED)
        if not patient or not reader:
            self._fault("READERS_ID_MISSING", "patient or reader is blank", number)
            return
        if (patient, reader) in self.rows:
            self._fault("READERS_ROW_DUPLICATED", "the same patient and reader again", number)
            return
        self.rows[patient, reader] = number
        self.patients[patient] = self.readers[reader] = None
        for column in self.columns:
            self.values[column][patient, reader] = self._number(column, row[column], number)

    def faults(self) -> list[_Fault]:
        return [_Fault(*kind, tuple(rows)) for kind, rows in self._faults.items()]

    def _number(self, column: str, text: str, row: int) -> float | None:
        if not text:
            return None
        value = number_in(text)
        if column == "call" and value not in (0.0, 1.0):
            self._fault("READERS_CALL_INVALID", "a call is neither 0 nor 1", row)
        elif column == "rating" and (value is None or not self.scale[0] <= value <= self.scale[1]):
            reason = f"a rating is no number from {self.scale[0]:g} to {self.scale[1]:g}"
            self._fault("READERS_RATING_INVALID", reason, row)
        return value

    def _fault(self, code: str, reason: str, row: int) -> None:
        self._faults.setdefault((code, reason), []).append(row)


def _gaps(
    draft: _Draft, readers: Sequence[str], patients: Sequence[str]
) -> tuple[set[str], list[_Fault]]:
    """Return those of the patients with a gap, and the faults that the gaps are.

    A reader may give calls only or ratings only; a column that a reader uses at
    all must be full.
    """
    among = set(patients)
    used = {
        (column, reader)
        for column, values in draft.values.items()
        for (patient, reader), value in values.items()
        if value is not None and patient in among
    }
    incomplete: set[str] = set()
    blank_rows: list[int] = []
    unread = dict.fromkeys(readers, 0)
    first_rows: dict[str, int] = {}
    for (patient, _), row in draft.rows.items():
        first_rows.setdefault(patient, row)
    named: list[int] = []
    for patient in patients:
        if any((patient, reader) not in draft.rows for reader in readers):
            named.append(first_rows[patient])
        for reader in readers:
            if (patient, reader) not in draft.rows:
                unread[reader] += 1
                incomplete.add(patient)
                continue
            given = [values[patient, reader] is not None for values in draft.values.values()]
            wanted = [(column, reader) in used for column in draft.columns]
            if not any(wanted) or any(w and not g for w, g in zip(wanted, given, strict=True)):
                blank_rows.append(draft.rows[patient, reader])
                incomplete.add(patient)
    faults = []
    if blank_rows:
        reason = "call or rating is blank"
        faults.append(_Fault("READERS_VALUE_MISSING", reason, tuple(sorted(blank_rows))))
    if any(unread.values()):
        counts = ", ".join(f"reader {i + 1}: {unread[r]}" for i, r in enumerate(readers))
        reason = f"patients without a row for some reader ({counts}), who first stand in"
        faults.append(_Fault("READERS_CASE_MISSING", reason, tuple(sorted(named))))
    return incomplete, faults


def _tables(
    values: Mapping[tuple[str, str], float | None],
    readers: Sequence[str],
    patients: Sequence[str],
    kind: type,
) -> dict[str, dict[str, Any]]:
    """By reader and patient, for the readers who gave such a value."""
    return {
        reader: {patient: kind(values[patient, reader]) for patient in patients}
        for reader in readers
        if any(values.get((patient, reader)) is not None for patient in patients)
    }


def _refuse(faults: Sequence[_Fault], where: str) -> None:
    codes = {fault.code for fault in faults}
    raise LabelError(
        "the readers' table is refused:\n  " + "\n  ".join(map(str, faults)),
        where=where,
        advice="correct the rows named; to leave out patients with gaps: --complete-cases where a "
        "command has it, in Python complete_cases=True",
        code=codes.pop() if len(codes) == 1 else "READERS_INVALID",
    )
