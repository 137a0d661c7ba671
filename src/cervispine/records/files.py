"""Writing files so that a reader never sees half of one, and two writers never the same folder."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cervispine.exceptions import ResourceError, UsageError

__all__ = [
    "LOCK",
    "alone_in",
    "make_folder",
    "refuse_other_file",
    "refuse_taken",
    "unwritable",
    "write_bytes",
    "write_json",
    "write_text",
]

#: Held by the process that works in a folder.
LOCK = ".lock"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a temporary file beside it, then a rename.

    Raises
    ------
    ResourceError
        When the file cannot be written (``OUTPUT_UNWRITABLE``).
    """
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            # mkstemp makes files private to the user; a result is as readable as any other file.
            umask = os.umask(0)
            os.umask(umask)
            Path(temporary).chmod(0o666 & ~umask)
            Path(temporary).replace(path)
            _sync_folder(path.parent)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise unwritable(path, error) from error


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a loss of power, where folders can be synced."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text whole or not at all; see :func:`write_bytes`."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all, refusing NaN and infinity, which JSON does not have."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def make_folder(folder: Path) -> Path:
    """Make a folder and its parents, and make sure that files can be written into it.

    Raises
    ------
    ResourceError
        When it cannot be made or written to (``OUTPUT_UNWRITABLE``).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error
    return folder


def refuse_taken(folder: Path, *, own: Container[str] = ()) -> None:
    """Refuse a folder that holds something: results of two runs must not lie between each other.

    Parameters
    ----------
    folder
        May be absent. Hidden files, as desktops leave them, are of no matter.
    own
        Names of files that may be there.

    Raises
    ------
    UsageError
        ``OUTPUT_TAKEN``.
    """
    if folder.is_dir() and any(
        path.name not in own and not path.name.startswith(".") for path in folder.iterdir()
    ):
        raise UsageError(
            "the folder holds something already",
            where=str(folder),
            advice="name a new folder, or remove this one",
            code="OUTPUT_TAKEN",
        )


def refuse_other_file(path: Path, beginning: str) -> None:
    """Refuse to write over what is there, but for an earlier file of the same kind.

    Parameters
    ----------
    path
        May be absent.
    beginning
        What files of the kind begin with.

    Raises
    ------
    UsageError
        ``OUTPUT_TAKEN``: a folder is there, or a file that begins with something else.
    """
    if path.is_dir():
        found = "this is a folder"
    elif path.exists() and not _begins(path, beginning.encode()):
        found = f"a file is there that does not begin with {beginning}, and would be lost"
    else:
        return
    raise UsageError(found, where=str(path), advice="name a new file", code="OUTPUT_TAKEN")


def _begins(path: Path, beginning: bytes) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(beginning)) == beginning
    except OSError:
        return False


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Make a folder if need be, and hold it for this process alone; a killed one lets go of it.

    Raises
    ------
    UsageError
        Another process holds it (``RUN_LOCKED``).
    ResourceError
        It cannot be made or written to (``OUTPUT_UNWRITABLE``).
    """
    import filelock

    lock = filelock.FileLock(make_folder(folder) / LOCK, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise UsageError(
            "another process is running in this folder",
            where=str(folder),
            advice="wait for it, or choose another folder",
            code="RUN_LOCKED",
        ) from None
    try:
        yield
    finally:
        lock.release()


def unwritable(path: Path, error: OSError) -> ResourceError:
    """Return the error of a file or folder that cannot be written (``OUTPUT_UNWRITABLE``)."""
    return ResourceError(
        f"cannot write here: {error.strerror or type(error).__name__}",
        where=str(path),
        advice="choose a folder that you may write to, on a disk with room",
        code="OUTPUT_UNWRITABLE",
    )
