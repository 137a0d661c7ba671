"""The tables of a study's database, and what the database itself forbids.

Two promises are kept by the database and not by the code above it: the audit log only grows, and
nothing said in a locked session changes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import DDL, JSON, Engine, ForeignKey, Index, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

__all__ = [
    "AuditRow",
    "Base",
    "CaseRow",
    "FactRow",
    "ImageRow",
    "LoginRow",
    "ReaderRow",
    "ReadingRow",
    "SessionRow",
    "open_engine",
]

#: Seconds that a call waits while another writes.
PATIENCE = 15


class Base(DeclarativeBase):
    """Of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class FactRow(Base):
    """What is so for the whole study: its configuration."""

    __tablename__ = "fact"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[dict[str, Any]]


class ReaderRow(Base):
    """One reader; number 0 is the administrator."""

    __tablename__ = "reader"
    number: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)


class CaseRow(Base):
    """One case, with what a training case teaches and what a model says of it."""

    __tablename__ = "case"
    number: Mapped[int] = mapped_column(primary_key=True)
    patient: Mapped[str] = mapped_column(unique=True)
    label: Mapped[str | None]
    type: Mapped[str | None]
    probability: Mapped[float | None]
    advice: Mapped[int | None]
    heatmap: Mapped[str | None]


class ImageRow(Base):
    """One sequence of a case, as it lies in the folder of images."""

    __tablename__ = "image"
    case: Mapped[int] = mapped_column(ForeignKey("case.number"), primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    sequence: Mapped[str]
    shape: Mapped[list[Any]]
    spacing: Mapped[list[Any]]
    window: Mapped[list[Any]]
    slope: Mapped[float]
    intercept: Mapped[float]
    digest: Mapped[str]


class SessionRow(Base):
    """One session of one reader; 0 is the training."""

    __tablename__ = "session"
    reader: Mapped[int] = mapped_column(ForeignKey("reader.number"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    opened: Mapped[str | None]
    locked: Mapped[str | None]


class ReadingRow(Base):
    """One case in one reader's list, and what the reader says of it.

    The identifier is random: it says nothing of the case, and a case that comes again has another.
    """

    __tablename__ = "reading"
    id: Mapped[str] = mapped_column(primary_key=True)
    reader: Mapped[int] = mapped_column(ForeignKey("reader.number"))
    session: Mapped[int]
    position: Mapped[int]
    case: Mapped[int] = mapped_column(ForeignKey("case.number"))
    arm: Mapped[str]
    repeated: Mapped[bool]
    #: "new", "deferred" (left for later, on purpose) or "done".
    state: Mapped[str] = mapped_column(default="new")
    answer: Mapped[dict[str, Any]] = mapped_column(default=dict)
    opened: Mapped[str | None]
    answered: Mapped[str | None]
    timed: Mapped[str | None]
    seconds: Mapped[float] = mapped_column(default=0.0)
    __table_args__ = (Index("list", "reader", "session", "position", unique=True),)


class LoginRow(Base):
    """A link that was not used yet, or a cookie; only hashes are kept."""

    __tablename__ = "login"
    digest: Mapped[str] = mapped_column(primary_key=True)
    reader: Mapped[int] = mapped_column(ForeignKey("reader.number"))
    kind: Mapped[str]
    made: Mapped[str]


class AuditRow(Base):
    """What was done, by whom, when; each row's hash covers the row before."""

    __tablename__ = "audit"
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[str]
    actor: Mapped[str]
    action: Mapped[str]
    reading: Mapped[str | None]
    detail: Mapped[str]
    digest: Mapped[str]


def _trigger(text: str, verb: str) -> DDL:
    return DDL(text.format(verb=verb))  # type: ignore[no-untyped-call]


_ONLY_GROWS = """
CREATE TRIGGER audit_{verb} BEFORE {verb} ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END
"""
_LOCKED = """
CREATE TRIGGER reading_{verb} BEFORE {verb} ON reading
WHEN (SELECT locked FROM session WHERE reader = OLD.reader AND number = OLD.session) IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the session is locked'); END
"""
_STAYS_LOCKED = """
CREATE TRIGGER session_{verb} BEFORE {verb} ON session WHEN OLD.locked IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'the session is locked'); END
"""
for _table, _text in (("audit", _ONLY_GROWS), ("reading", _LOCKED), ("session", _STAYS_LOCKED)):
    for _verb in ("UPDATE", "DELETE"):
        event.listen(Base.metadata.tables[_table], "after_create", _trigger(_text, _verb))


def open_engine(path: Path) -> Engine:
    """Return the engine of a database file, made if absent, in which what is committed stays.

    ``engine.execution_options(writes=True)`` takes the lock for writing at the start, so that two
    writers wait for each other instead of failing.
    """
    engine = create_engine(f"sqlite+pysqlite:///{path}", connect_args={"timeout": PATIENCE})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # The driver's own transactions begin too late for the lock to be of use.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
