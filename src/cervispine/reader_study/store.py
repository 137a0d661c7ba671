"""A study's database: its people, their links, its audit log."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
from sqlalchemy import select
from sqlalchemy.orm import Session

from cervispine.exceptions import DataError, UsageError
from cervispine.reader_study.schema import (
    AuditRow,
    Base,
    FactRow,
    LoginRow,
    ReaderRow,
    open_engine,
)

__all__ = [
    "ADMINISTRATOR",
    "ADMINISTRATOR_NAME",
    "DATABASE",
    "Person",
    "Store",
    "as_text",
    "as_time",
]

DATABASE = "study.sqlite"
FORMAT = "cervispine/reader-study"
VERSION = 1

#: The number of the administrator among the readers.
ADMINISTRATOR = 0
ADMINISTRATOR_NAME = "administrator"

#: How long a browser stays signed in.
SIGNED_IN = timedelta(days=60)

_TOKEN_BYTES = 32
_FIRST = "0" * 64


def _now() -> datetime:
    return datetime.now(UTC)


def as_text(moment: datetime) -> str:
    """Return a moment as the database and the tables write it: UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def as_time(text: str) -> datetime:
    """Return the moment that was written."""
    return datetime.fromisoformat(text)


@attrs.frozen
class Person:
    """Who a call comes from.

    Parameters
    ----------
    number
        Of the reader; 0 for the administrator.
    name
        The reader's name.
    """

    number: int
    name: str

    @property
    def is_administrator(self) -> bool:
        """Whether it is who runs the study, and sees no answers."""
        return self.number == ADMINISTRATOR


class Store:
    """The database of one study.

    Parameters
    ----------
    folder
        The study's folder, with a database that ``create`` made.
    clock
        Gives the time; for tests.

    Raises
    ------
    UsageError
        ``STUDY_MISSING``: there is no study in the folder.
    DataError
        ``STUDY_INVALID``: the database is of another kind or version, or damaged.
    """

    def __init__(self, folder: Path, *, clock: Callable[[], datetime] = _now) -> None:
        self.folder = folder
        self.clock = clock
        path = folder / DATABASE
        if not path.is_file():
            raise UsageError(
                "there is no reader study in this folder",
                where=str(folder),
                advice="`cervispine read serve COHORT --readers a,b,c --out FOLDER` makes one",
                code="STUDY_MISSING",
            )
        self._engine = open_engine(path)
        try:
            with self.reads() as session:
                facts = {row.name: row.value for row in session.scalars(select(FactRow))}
            if (facts["format"]["name"], facts["format"]["version"]) != (FORMAT, VERSION):
                raise ValueError
        except Exception as error:
            raise DataError(
                f"this is no reader study of version {VERSION}: {type(error).__name__}",
                where=str(path),
                advice="use the version of cervispine that made it, or a copy of the folder",
                code="STUDY_INVALID",
            ) from None
        self.configuration: Mapping[str, Any] = facts["configuration"]

    @classmethod
    def create(
        cls,
        folder: Path,
        configuration: Mapping[str, Any],
        rows: Callable[[], Iterator[Base]],
        *,
        clock: Callable[[], datetime] = _now,
    ) -> Store:
        """Make the database whole, or not at all.

        Parameters
        ----------
        folder
            The study's folder.
        configuration
            Everything that decides the study, as JSON can hold it.
        rows
            Gives the readers, cases, images, sessions and readings.
        clock
            Gives the time; for tests.
        """
        path = folder / DATABASE
        unfinished = folder / f".{DATABASE}"
        for name in (unfinished, *(Path(f"{unfinished}{end}") for end in ("-wal", "-shm"))):
            name.unlink(missing_ok=True)
        # What the file says of patients is for its owner alone, from the first byte.
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        engine = open_engine(unfinished)
        Base.metadata.create_all(engine)
        with Session(engine.execution_options(writes=True)) as session, session.begin():
            session.add(FactRow(name="format", value={"name": FORMAT, "version": VERSION}))
            session.add(FactRow(name="configuration", value=dict(configuration)))
            for row in rows():
                session.add(row)
            write_audit(session, as_text(clock()), "cervispine", "made", None, dict(configuration))
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        engine.dispose()
        unfinished.replace(path)
        return cls(folder, clock=clock)

    @contextmanager
    def reads(self) -> Iterator[Session]:
        """Give a session that sees one state of the database."""
        with Session(self._engine) as session:
            yield session

    @contextmanager
    def writes(self) -> Iterator[Session]:
        """Give a session whose changes are on the disk when it ends, or are not made."""
        with (
            Session(self._engine.execution_options(writes=True)) as session,
            session.begin(),
        ):
            yield session

    def close(self) -> None:
        """Let go of the file."""
        self._engine.dispose()

    def now(self) -> str:
        """Return the time, as text."""
        return as_text(self.clock())

    def people(self) -> list[Person]:
        """Return the readers, in the order of the design."""
        with self.reads() as session:
            rows = session.scalars(select(ReaderRow).order_by(ReaderRow.number))
            return [Person(row.number, row.name) for row in rows if row.number != ADMINISTRATOR]

    def make_link(self, number: int, *, by: str = "cervispine") -> str:
        """Return a new token of one person, good for one use; older unused ones are no more."""
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        with self.writes() as session:
            person = session.get_one(ReaderRow, number)
            old = select(LoginRow).where(LoginRow.reader == number, LoginRow.kind == "link")
            for row in session.scalars(old):
                session.delete(row)
            session.add(
                LoginRow(digest=_digest(token), reader=number, kind="link", made=self.now())
            )
            write_audit(session, self.now(), by, "link made", None, {"for": person.name})
        return token

    def enter(self, token: str) -> tuple[str, Person] | None:
        """Exchange the token of a link for that of a cookie, once."""
        with self.writes() as session:
            row = session.get(LoginRow, _digest(token))
            if row is None or row.kind != "link":
                return None
            cookie = secrets.token_urlsafe(_TOKEN_BYTES)
            person = session.get_one(ReaderRow, row.reader)
            session.delete(row)
            session.add(
                LoginRow(digest=_digest(cookie), reader=row.reader, kind="cookie", made=self.now())
            )
            write_audit(session, self.now(), person.name, "signed in", None, {})
            return cookie, Person(person.number, person.name)

    def leave(self, cookie: str) -> None:
        """Forget a cookie."""
        with self.writes() as session:
            row = session.get(LoginRow, _digest(cookie))
            if row is not None and row.kind == "cookie":
                person = session.get_one(ReaderRow, row.reader)
                session.delete(row)
                write_audit(session, self.now(), person.name, "signed out", None, {})

    def who(self, cookie: str) -> Person | None:
        """Return whose cookie it is."""
        with self.reads() as session:
            row = session.get(LoginRow, _digest(cookie))
            if row is None or row.kind != "cookie":
                return None
            if self.clock() - as_time(row.made) > SIGNED_IN:
                return None
            person = session.get_one(ReaderRow, row.reader)
            return Person(person.number, person.name)

    def audit(self) -> list[AuditRow]:
        """Return the audit log, after checking that no row was changed or taken out.

        Raises
        ------
        DataError
            ``AUDIT_BROKEN``: a row is not what it was when it was written.
        """
        with self.reads() as session:
            rows = list(session.scalars(select(AuditRow).order_by(AuditRow.number)))
            session.expunge_all()
        before = _FIRST
        for place, row in enumerate(rows, start=1):
            before = _chained(before, row)
            if row.number != place or row.digest != before:
                raise DataError(
                    f"row {place} of the audit log is not what was written",
                    where=DATABASE,
                    advice="somebody or something changed the database; find a copy from before",
                    code="AUDIT_BROKEN",
                )
        return rows


def write_audit(
    session: Session, at: str, actor: str, action: str, reading: str | None, detail: dict[str, Any]
) -> None:
    """Add a row to the audit log, in the same transaction as what it tells of."""
    last = session.scalars(select(AuditRow).order_by(AuditRow.number.desc()).limit(1)).first()
    row = AuditRow(
        number=1 if last is None else last.number + 1,
        at=at,
        actor=actor,
        action=action,
        reading=reading,
        detail=json.dumps(detail, sort_keys=True, ensure_ascii=False),
    )
    row.digest = _chained(_FIRST if last is None else last.digest, row)
    session.add(row)
    session.flush()


def _chained(before: str, row: AuditRow) -> str:
    told = [before, row.number, row.at, row.actor, row.action, row.reading, row.detail]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
