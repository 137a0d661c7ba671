"""What a reader may see, say and lock, and when."""

from __future__ import annotations

from typing import Any

import attrs
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from cervispine.reader_study.answers import Answer, gaps
from cervispine.reader_study.design import ARMS, TRAINING
from cervispine.reader_study.schema import CaseRow, ImageRow, ReadingRow, SessionRow
from cervispine.reader_study.sessions import Sessions, open_readings, readings_of
from cervispine.reader_study.store import Person, Store, as_text, as_time, write_audit

__all__ = ["DeniedError", "Desk"]

#: Seconds that the two clocks of browser and server may differ between two reports of time.
CLOCKS_DIFFER = 2.0


class DeniedError(Exception):
    """What a reader may not do.

    Parameters
    ----------
    status
        Of HTTP: 404 for what is not this reader's, 409 for what is not so now.
    reason
        A word that the page knows.
    more
        What else the page is told.
    """

    def __init__(self, status: int, reason: str, **more: Any) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.more = more


@attrs.frozen
class Desk:
    """Where readers read: the rules between them and the database.

    Parameters
    ----------
    store
        The study's database.
    """

    store: Store

    @property
    def scale(self) -> tuple[int, int]:
        """The lowest and the highest rating."""
        low, high = self.store.configuration["rating_scale"]
        return int(low), int(high)

    def overview(self, person: Person) -> dict[str, Any]:
        """Return a reader's sessions: how far each is, and which is open now."""
        with self.store.reads() as session:
            sessions = self._sessions(session, person)
            current = sessions.current
            return {
                "reader": person.name,
                "title": self.store.configuration["title"],
                "rating_scale": list(self.scale),
                "current": None if current is None else current.number,
                "sessions": sessions.told(session, person.number),
            }

    def list_of(self, person: Person) -> dict[str, Any]:
        """Return the list of the session that is open, without what is in it."""
        with self.store.reads() as session:
            current = self._open_session(session, person)
            readings = readings_of(session, current)
            return {
                "session": current.number,
                "readings": [{"id": row.id, "state": row.state} for row in readings],
            }

    def show(self, person: Person, reading: str) -> dict[str, Any]:
        """Return what is shown of one case, and what the reader has said of it.

        The case after the last one answered may be asked for, so that it can be loaded before.
        """
        with self.store.reads() as session:
            row = self._mine(session, person, reading)
            case = session.get_one(CaseRow, row.case)
            images = session.scalars(
                select(ImageRow).where(ImageRow.case == row.case).order_by(ImageRow.place)
            ).all()
            return {
                "id": row.id,
                "session": row.session,
                "position": row.position,
                "total": session.scalar(
                    select(func.count()).where(
                        ReadingRow.reader == row.reader, ReadingRow.session == row.session
                    )
                ),
                "state": row.state,
                "answer": Answer(**row.answer).model_dump(),
                "images": [
                    {
                        "place": image.place,
                        "sequence": image.sequence,
                        "shape": image.shape,
                        "spacing": image.spacing,
                        "window": image.window,
                        "slope": image.slope,
                        "intercept": image.intercept,
                    }
                    for image in images
                ],
                "aid": _aid(row, case),
                "feedback": _feedback(row, case),
            }

    def image(self, person: Person, reading: str, place: int) -> tuple[int, str]:
        """Return the number of a case and the digest of one of its images."""
        with self.store.reads() as session:
            row = self._mine(session, person, reading)
            image = session.get(ImageRow, (row.case, place))
            if image is None:
                raise DeniedError(404, "unknown")
            return row.case, image.digest

    def heatmap(self, person: Person, reading: str) -> tuple[int, str]:
        """Return the number of a case and the digest of its heat map, in the aided arm alone."""
        with self.store.reads() as session:
            row = self._mine(session, person, reading)
            case = session.get_one(CaseRow, row.case)
            if row.arm != ARMS[1] or case.heatmap is None:
                raise DeniedError(404, "unknown")
            return row.case, case.heatmap

    def begin(self, person: Person, reading: str) -> None:
        """Note that a case is on the screen; the first time opens its session too."""
        with self.store.writes() as session:
            row = self._mine(session, person, reading, next_too=False)
            current = self._open_session(session, person)
            now = self.store.now()
            if current.opened is None:
                current.opened = now
                self._log(session, person, "session opened", None, {"session": current.number})
            first = row.opened is None
            row.opened = row.opened or now
            row.timed = now
            self._log(session, person, "case opened", row.id, {"again": not first})

    def spend(self, person: Person, reading: str, seconds: float) -> None:
        """Add to the time that a case was on the screen, never more than has passed."""
        with self.store.writes() as session:
            row = self._mine(session, person, reading, next_too=False)
            self._add_time(row, seconds)

    def say(
        self, person: Person, reading: str, answer: Answer, *, complete: bool, seconds: float
    ) -> dict[str, Any]:
        """Keep what a reader says of a case; where it is complete, the case is done.

        Returns
        -------
        dict
            The state of the case, and in training what is true of it.
        """
        missing = gaps(answer, self.scale) if complete else []
        if missing:
            raise DeniedError(422, "incomplete", missing=missing)
        low, high = self.scale
        if answer.rating is not None and not low <= answer.rating <= high:
            raise DeniedError(422, "incomplete", missing=["rating"])
        with self.store.writes() as session:
            row = self._mine(session, person, reading, next_too=False)
            if row.opened is None:
                raise DeniedError(409, "unopened")
            if row.session == TRAINING and row.state == "done":
                # The truth was shown: what is said from now on is no reading.
                raise DeniedError(409, "locked")
            self._add_time(row, seconds)
            said = answer.model_dump()
            changed = said != row.answer
            row.answer = said
            if complete:
                row.state, row.answered = "done", self.store.now()
            elif row.state == "done" and changed:
                if missing := gaps(answer, self.scale):
                    row.state, row.answered = "deferred", None
                else:
                    row.answered = self.store.now()
            detail = {"answer": said, "state": row.state, "seconds": round(row.seconds, 1)}
            if changed or complete:
                self._log(session, person, "answered" if complete else "drafted", row.id, detail)
            session.flush()
            if row.session == TRAINING and not open_readings(session, person.number, TRAINING):
                self._lock(session, person, TRAINING)
            case = session.get_one(CaseRow, row.case)
            return {"state": row.state, "feedback": _feedback(row, case)}

    def defer(self, person: Person, reading: str) -> None:
        """Leave a case for later, on purpose: it stays open, and the session with it."""
        with self.store.writes() as session:
            row = self._mine(session, person, reading, next_too=False)
            if row.opened is None:
                raise DeniedError(409, "unopened")
            if row.state == "new":
                row.state = "deferred"
                self._log(session, person, "left for later", row.id, {})

    def lock(self, person: Person) -> None:
        """Close the open session for ever."""
        with self.store.writes() as session:
            current = self._open_session(session, person)
            if open_ones := open_readings(session, person.number, current.number):
                raise DeniedError(409, "unanswered", count=open_ones)
            self._lock(session, person, current.number)

    def progress(self) -> list[dict[str, Any]]:
        """Return how far each reader is; what they said is not in it."""
        people = self.store.people()
        with self.store.reads() as session:
            return [
                {
                    "number": person.number,
                    "reader": person.name,
                    "last": session.scalar(
                        select(func.max(ReadingRow.timed)).where(ReadingRow.reader == person.number)
                    ),
                    "sessions": self._sessions(session, person).told(session, person.number),
                }
                for person in people
            ]

    def _mine(
        self, session: Session, person: Person, reading: str, *, next_too: bool = True
    ) -> ReadingRow:
        """Return a case of the open session that this reader may see."""
        current = self._open_session(session, person)
        row = session.get(ReadingRow, reading)
        if row is None or (row.reader, row.session) != (current.reader, current.number):
            # Another reader's, another session's, or none: the answer is the same.
            raise DeniedError(404, "unknown")
        furthest = session.scalar(
            select(func.min(ReadingRow.position)).where(
                ReadingRow.reader == current.reader,
                ReadingRow.session == current.number,
                ReadingRow.state == "new",
            )
        )
        if furthest is not None and row.position > furthest + next_too:
            raise DeniedError(409, "too early")
        return row

    def _sessions(self, session: Session, person: Person) -> Sessions:
        washout = self.store.configuration["washout"]
        return Sessions.of(session, person.number, washout, self.store.clock())

    def _open_session(self, session: Session, person: Person) -> SessionRow:
        sessions = self._sessions(session, person)
        if sessions.current is None:
            raise DeniedError(409, "finished" if sessions.finished else "washout")
        return sessions.current

    def _add_time(self, row: ReadingRow, seconds: float) -> None:
        if row.timed is None:
            return
        now = self.store.clock()
        passed = (now - as_time(row.timed)).total_seconds() + CLOCKS_DIFFER
        row.seconds += max(0.0, min(seconds, passed))
        row.timed = as_text(now)

    def _lock(self, session: Session, person: Person, number: int) -> None:
        session.flush()
        row = session.get_one(SessionRow, (person.number, number))
        row.locked = self.store.now()
        self._log(session, person, "session locked", None, {"session": number})

    def _log(
        self,
        session: Session,
        person: Person,
        action: str,
        reading: str | None,
        detail: dict[str, Any],
    ) -> None:
        write_audit(session, self.store.now(), person.name, action, reading, detail)


def _aid(row: ReadingRow, case: CaseRow) -> dict[str, Any] | None:
    if row.arm != ARMS[1]:
        return None
    return {
        "probability": case.probability,
        "advice": case.advice,
        "heatmap": case.heatmap is not None,
    }


def _feedback(row: ReadingRow, case: CaseRow) -> dict[str, Any] | None:
    if row.session != TRAINING or row.state != "done":
        return None
    return {"label": case.label, "type": case.type}
