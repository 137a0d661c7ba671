"""Which session of a reader is open, when the next one will be, and how far each is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import attrs
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cervispine.reader_study.schema import ReadingRow, SessionRow
from cervispine.reader_study.store import as_text, as_time

__all__ = ["Sessions", "open_readings", "readings_of"]


@attrs.frozen
class Sessions:
    """The sessions of one reader at one moment.

    Parameters
    ----------
    rows
        In order; the training, where there is one, is the first.
    washout
        Days from the end of one session of the study to the beginning of the next.
    now
        The moment.
    """

    rows: tuple[SessionRow, ...]
    washout: timedelta
    now: datetime

    @classmethod
    def of(cls, session: Session, reader: int, washout: float, now: datetime) -> Sessions:
        """Read them."""
        rows = select(SessionRow).where(SessionRow.reader == reader).order_by(SessionRow.number)
        return cls(tuple(session.scalars(rows)), timedelta(days=washout), now)

    @property
    def current(self) -> SessionRow | None:
        """The first session that is not locked, if its time has come."""
        waiting = next((row for row in self.rows if row.locked is None), None)
        if waiting is None:
            return None
        opens = self.opens(waiting)
        return waiting if opens is None or opens <= self.now else None

    @property
    def finished(self) -> bool:
        """Whether all are locked."""
        return all(row.locked for row in self.rows)

    def opens(self, row: SessionRow) -> datetime | None:
        """Return when the washout after the session before is over."""
        if row.number <= 1:
            return None
        before = next(each for each in self.rows if each.number == row.number - 1)
        return None if before.locked is None else as_time(before.locked) + self.washout

    def state(self, row: SessionRow) -> str:
        """Return "locked", "open", "washout" (its day is known) or "later"."""
        if row.locked:
            return "locked"
        if row is self.current:
            return "open"
        return "later" if self.opens(row) is None else "washout"

    def told(self, session: Session, reader: int) -> list[dict[str, Any]]:
        """Return what reader and administrator are told of each; no answers are in it."""
        counts = _counts(session, reader)
        return [
            {
                "number": row.number,
                "state": self.state(row),
                "opens": None if (opens := self.opens(row)) is None else as_text(opens),
                "opened": row.opened,
                "locked": row.locked,
                **counts[row.number],
            }
            for row in self.rows
        ]


def readings_of(session: Session, current: SessionRow) -> list[ReadingRow]:
    """Return the list of a session, in its order."""
    return list(
        session.scalars(
            select(ReadingRow)
            .where(ReadingRow.reader == current.reader, ReadingRow.session == current.number)
            .order_by(ReadingRow.position)
        )
    )


def open_readings(session: Session, reader: int, number: int) -> int:
    """Return how many cases of a session are not answered."""
    count = (
        select(func.count())
        .select_from(ReadingRow)
        .where(
            ReadingRow.reader == reader,
            ReadingRow.session == number,
            ReadingRow.state != "done",
        )
    )
    return int(session.scalar(count) or 0)


def _counts(session: Session, reader: int) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    rows = session.execute(
        select(ReadingRow.session, ReadingRow.state, ReadingRow.seconds).where(
            ReadingRow.reader == reader
        )
    )
    for number, state, seconds in rows:
        counts = found.setdefault(number, {"total": 0, "done": 0, "deferred": 0, "seconds": 0.0})
        counts["total"] += 1
        counts["seconds"] = round(counts["seconds"] + seconds, 1)
        if state in ("done", "deferred"):
            counts[state] += 1
    return found
