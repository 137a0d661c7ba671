"""The file of a saved index: values under keys, whole after every interruption.

SQLite, since it keeps what was committed whatever happens, and runs nothing that it holds once
triggers and views are refused. Each value is sealed with its key, so that damage is found; a seal
is no secret, and what a hostile file says is to be checked by whoever reads it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from cervispine.exceptions import CervispineError, LoadError, UsageError
from cervispine.records.files import unwritable

__all__ = ["Store", "invalid", "seal"]

#: Written into the head of the file: "cspi", and the version of the tables below.
APPLICATION_ID = 0x63737069
SCHEMA_VERSION = 1

SCHEMA = (
    "CREATE TABLE settings (value TEXT)",
    "CREATE TABLE readings (name BLOB, kind TEXT, size INTEGER, stamp TEXT, seal TEXT, "
    "value TEXT, PRIMARY KEY (name, kind)) WITHOUT ROWID",
    "CREATE TABLE outcomes (loader TEXT PRIMARY KEY, files TEXT, seal TEXT, value TEXT) "
    "WITHOUT ROWID",
)

PRAGMAS = (
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "secure_delete = ON",
    "temp_store = MEMORY",
    "locking_mode = EXCLUSIVE",
)

#: Seconds between two moments at which what was put in so far is safe on the disk.
COMMIT_INTERVAL = 2.0

#: What SQLite calls a disk that is full, read-only, broken or not ours.
UNWRITABLE = (
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH,
)  # fmt: skip

#: Name, kind, size and stamp: of which file a value is, and as what it was then.
ReadingKey = tuple[bytes, str, int, str]

#: For which loader, and of which files.
OutcomeKey = tuple[str, str]


class Store:
    """Readings of files and outcomes of loaders, as text, in a file for this process alone.

    Parameters
    ----------
    path
        The file; made where it does not exist, and then readable by its owner alone.
    settings
        Under what the values were made. A file of other settings is emptied.

    Raises
    ------
    LoadError
        ``SAVED_INDEX_INVALID`` from any method.
    UsageError
        ``RUN_LOCKED`` when another process uses the file.
    ResourceError
        ``OUTPUT_UNWRITABLE`` from any method.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self.path = path
        self._committed = time.monotonic()
        with self._translated():
            self._database = _open(path)
            try:
                self._begin(settings)
            except BaseException:
                self._database.close()
                raise

    def close(self) -> None:
        """Keep what was put in."""
        with self._translated(), contextlib.closing(self._database):
            self._database.commit()

    def reading(self, key: ReadingKey) -> str | None:
        """Return what a file gave when it was as it is now."""
        return self._get(
            "SELECT seal, value FROM readings "
            "WHERE name = ? AND kind = ? AND size = ? AND stamp = ?",
            key,
        )

    def put_reading(self, key: ReadingKey, value: str) -> None:
        """Keep what a file gave, in place of what it gave before."""
        self._put("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?, ?, ?)", key, value)

    def outcome(self, key: OutcomeKey) -> str | None:
        """Return what these files came to for a loader."""
        return self._get("SELECT seal, value FROM outcomes WHERE loader = ? AND files = ?", key)

    def put_outcome(self, key: OutcomeKey, value: str) -> None:
        """Keep what files came to for a loader, in place of what others came to."""
        self._put("INSERT OR REPLACE INTO outcomes VALUES (?, ?, ?, ?)", key, value)

    def keep_only(self, names: Iterable[bytes]) -> None:
        """Forget the readings of all other files."""
        with self._translated():
            self._database.execute("CREATE TEMP TABLE kept (name BLOB PRIMARY KEY) WITHOUT ROWID")
            rows = ((name,) for name in names)
            self._database.executemany("INSERT OR IGNORE INTO kept VALUES (?)", rows)
            self._database.execute("DELETE FROM readings WHERE name NOT IN kept")
            self._database.execute("DROP TABLE kept")

    def _begin(self, settings: str) -> None:
        if self._database.execute("SELECT value FROM settings").fetchall() != [(settings,)]:
            for table in ("settings", "readings", "outcomes"):
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608  one of three words
            self._database.execute("INSERT INTO settings VALUES (?)", (settings,))

    def _get(self, query: str, key: tuple[object, ...]) -> str | None:
        with self._translated():
            row = self._database.execute(query, key).fetchone()
        if row is None:
            return None
        written, value = row
        if not isinstance(value, str) or written != seal(key, value):
            raise invalid(self.path)
        return value

    def _put(self, statement: str, key: tuple[object, ...], value: str) -> None:
        with self._translated():
            self._database.execute(statement, (*key, seal(key, value), value))
            if time.monotonic() - self._committed > COMMIT_INTERVAL:
                self._database.commit()
                self._database.execute("BEGIN IMMEDIATE")
                self._committed = time.monotonic()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _error_of(self.path, error) from None
        except UnicodeDecodeError:
            raise invalid(self.path) from None


def seal(key: tuple[object, ...], value: str) -> str:
    """Return what changes with a value, or with what it is about."""
    content = f"{key}{value}".encode("utf-8", "surrogateescape")
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _open(path: Path) -> sqlite3.Connection:
    """Open the file for this process alone, and make sure that it holds our tables and no more."""
    try:
        # SQLite would make it readable by everybody.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with path.open("rb") as stream:
            head = stream.read(100)
    except OSError as error:
        raise unwritable(path, error) from error
    if head and not (
        head.startswith(b"SQLite format 3\0")
        and int.from_bytes(head[68:72], "big") == APPLICATION_ID
        and int.from_bytes(head[60:64], "big") == SCHEMA_VERSION
    ):
        raise invalid(path)
    database = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        for pragma in PRAGMAS:
            database.execute(f"PRAGMA {pragma}")
        database.execute("BEGIN EXCLUSIVE")
        if not head:
            for statement in SCHEMA:
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        rows = database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
        if sorted(sql for (sql,) in rows) != sorted(SCHEMA):
            raise invalid(path)
    except BaseException:
        database.close()
        raise
    return database


def invalid(path: Path) -> LoadError:
    """Return the error of a file that is no saved index (``SAVED_INDEX_INVALID``)."""
    return LoadError(
        "this is no saved index, or a damaged one, or one of another version",
        where=str(path),
        advice="name another file, or remove it if it is one: it is made anew, at no loss but time",
        code="SAVED_INDEX_INVALID",
    )


def _error_of(path: Path, error: sqlite3.Error) -> CervispineError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return UsageError(
            "another process uses this saved index",
            where=str(path),
            advice="wait for it, or name another file",
            code="RUN_LOCKED",
        )
    if code in UNWRITABLE:
        return unwritable(path, OSError(0, str(error)))
    return invalid(path)
