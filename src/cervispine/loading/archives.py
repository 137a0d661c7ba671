"""A zip to plain files: the one place that unpacks, and refuses an archive that is not plain.

Nothing is written before every entry has been looked at; no name that an archive holds becomes
the name of a file; bytes are counted while they are inflated, since headers may lie.
"""

from __future__ import annotations

import atexit
import io
import os
import re
import shutil
import stat
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from cervispine.exceptions import LoadError, UsageError
from cervispine.loading.intake import NESTED, Found, FoundFile, is_nested
from cervispine.loading.limits import Limits
from cervispine.records import Problem
from cervispine.records.files import make_folder, unwritable

__all__ = ["is_archive", "unpack"]

#: PS3.10 of DICOM allows these two; the others take memory that the archive chooses.
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

#: An archive may always inflate to this, however small it is: blank images compress well.
ALWAYS_ALLOWED = 64 * 2**20

#: Bits that say that an entry, its key or the directory is encrypted.
ENCRYPTED = 0x1 | 0x40 | 0x2000

#: No entry of the directory of an archive needs more: names have at most 64 KiB, and few have 300.
DIRECTORY_ENTRY = 1024

#: How far from the end zipfile looks for the directory: a comment of 64 KiB may follow it.
SMALLEST_DIRECTORY = 2**17

CHUNK = 2**20

#: What zipfile raises for bytes that are no zip, or not the one they were.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, ValueError, RuntimeError,
)  # fmt: skip


def is_archive(path: Path) -> bool:
    """Say whether a file is called a zip."""
    return path.suffix.lower() == ".zip"


def unpack(
    path: Path,
    limits: Limits,
    *,
    into: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Unpack a zip into a folder, under numbers in place of names.

    Parameters
    ----------
    path
        The archive. Archives inside it are not opened.
    limits
        How many entries and bytes it may hold.
    into
        An empty folder, made where it does not exist; None for a private temporary folder, which
        is removed when the process ends.
    progress
        Called with the number of files unpacked and their number in all.

    Returns
    -------
    Found
        The files unpacked; its problems are archives, and files beyond ``limits.file_bytes``.

    Raises
    ------
    LoadError
        ``ARCHIVE_UNSAFE`` when an entry could lie outside the folder, is no plain file, has the
        name of another one, is encrypted or compressed in an unusual way, or when the archive
        holds or inflates to more than the limits allow: nothing of it is left on the disk.
        ``ARCHIVE_DAMAGED`` when it cannot be read.
    UsageError
        ``OUTPUT_TAKEN`` when the folder is not empty.
    ResourceError
        ``OUTPUT_UNWRITABLE``.
    """
    try:
        stream = _Guarded(path, limits)
    except OSError as error:
        raise LoadError(
            f"the archive cannot be read: {type(error).__name__}",
            where=str(path),
            advice="check permissions; copy it again",
            code="FILE_UNREADABLE",
        ) from None
    try:
        with stream, zipfile.ZipFile(stream) as archive:
            stream.opening = False
            allowed = max(limits.inflation * path.stat().st_size, ALWAYS_ALLOWED)
            allowed = min(allowed, limits.archive_bytes)
            members = _checked(archive.infolist(), path, allowed)
            folder = _private_folder() if into is None else _empty_folder(into)
            try:
                return _write(archive, members, path, folder, limits, allowed, progress)
            except BaseException:
                for file in folder.iterdir():
                    file.unlink()
                raise
    except DAMAGE:
        raise LoadError(
            "the archive is damaged",
            where=str(path),
            advice="copy or export it again",
            code="ARCHIVE_DAMAGED",
        ) from None


class _Guarded(io.BufferedReader):
    """An archive whose directory, which zipfile reads in one go, is bounded beforehand."""

    opening = True

    def __init__(self, path: Path, limits: Limits) -> None:
        super().__init__(io.FileIO(path))
        self._path = path
        self._entries = limits.archive_entries

    def read(self, size: int | None = -1, /) -> bytes:
        if not self.opening:
            return super().read(size)
        rest = os.fstat(self.fileno()).st_size - self.tell()
        wanted = rest if size is None or size < 0 else min(size, rest)
        if wanted > max(self._entries * DIRECTORY_ENTRY, SMALLEST_DIRECTORY):
            raise _unsafe(self._path, "its directory is longer than its entries can be")
        content = super().read(wanted)
        if content.count(b"PK\1\2") > self._entries:
            raise _unsafe(self._path, f"it holds more than {self._entries} entries")
        return content


def _unsafe(path: Path, reason: str) -> LoadError:
    return LoadError(
        f"the archive is not safe to unpack: {reason}",
        where=str(path),
        advice="find out who made it; pack plain files anew, or give the folder they lie in",
        code="ARCHIVE_UNSAFE",
    )


def _checked(entries: Iterable[zipfile.ZipInfo], path: Path, allowed: int) -> list[zipfile.ZipInfo]:
    """Return the files of an archive, in the order of their names, or refuse all of it."""
    files: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for entry in entries:
        if fault := _fault_of(entry):
            raise _unsafe(path, fault)
        name = _plain(entry.filename)
        folders.update(str(parent) for parent in PurePosixPath(name).parents)
        if entry.is_dir():
            folders.add(name)
        elif name in files:
            raise _unsafe(path, "two entries have one name, but for upper and lower case")
        else:
            files[name] = entry
    if folders & files.keys():
        raise _unsafe(path, "one name is that of a file and of a folder")
    if sum(entry.file_size for entry in files.values()) > allowed:
        raise _unsafe(path, f"it says that it holds more than {allowed} bytes")
    if sum(entry.compress_size for entry in files.values()) > path.stat().st_size:
        raise _unsafe(path, "its entries overlap")
    return [files[name] for name in sorted(files)]


def _fault_of(entry: zipfile.ZipInfo) -> str:
    """Say what makes an entry unsafe; nothing where it is a plain file or folder."""
    name = entry.filename.replace("\\", "/")
    if name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
        return "the name of an entry leads out of it"
    if not name or "\0" in entry.orig_filename:
        return "an entry has a name that is none"
    # The upper half holds what kind of file it was on Unix, or nothing.
    if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "an entry is a link, a pipe or a device"
    if entry.flag_bits & ENCRYPTED:
        return "it is encrypted"
    if entry.compress_type not in METHODS:
        return "it is compressed in another way than deflate"
    return ""


def _plain(name: str) -> str:
    """Return a name as a file system might take it that knows neither case nor composition."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return unicodedata.normalize("NFC", "/".join(parts)).casefold()


def _write(
    archive: zipfile.ZipFile,
    members: Sequence[zipfile.ZipInfo],
    archive_path: Path,
    folder: Path,
    limits: Limits,
    allowed: int,
    progress: Callable[[int, int], None] | None,
) -> Found:
    files: list[FoundFile] = []
    problems: list[Problem] = []
    for number, entry in enumerate(members, start=1):
        if is_nested(entry.filename):
            problems.append(NESTED)
        elif entry.file_size > limits.file_bytes:
            reason = f"an entry of an archive has {entry.file_size} bytes"
            problems.append(Problem(code="DECODE_BUDGET", reason=reason))
        else:
            path = folder / f"{number:07}"
            with archive.open(entry) as source:
                written = _copy(source, path, allowed)
            if written is None:
                raise _unsafe(archive_path, "it inflates to more than it says")
            if written != entry.file_size:
                raise zipfile.BadZipFile
            allowed -= written
            files.append(FoundFile(entry.filename, str(path), written, entry.CRC))
        if progress is not None:
            progress(number, len(members))
    return Found(files=files, problems=problems)


def _copy(source: IO[bytes], path: Path, allowed: int) -> int | None:
    """Inflate one entry into a new file; return its size, None as soon as it is not allowed."""
    written = 0
    try:
        target = path.open("xb")
    except OSError as error:
        raise unwritable(path.parent, error) from error
    with target:
        while chunk := source.read(CHUNK):
            written += len(chunk)
            if written > allowed:
                return None
            try:
                target.write(chunk)
                target.flush()
            except OSError as error:
                raise unwritable(path.parent, error) from error
    return written


def _empty_folder(folder: Path) -> Path:
    if any(make_folder(folder).iterdir()):
        raise UsageError(
            "the folder to unpack into is not empty",
            where=str(folder),
            advice="choose an empty one, or index it: the archive may be unpacked there already",
            code="OUTPUT_TAKEN",
        )
    return folder


def _private_folder() -> Path:
    """Return a new folder that only this user can enter, and that ends with this process."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="cervispine-"))
    except OSError as error:
        raise unwritable(Path(tempfile.gettempdir()), error) from error
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, owner: int) -> None:
    # A worker process is born with its parent's duties and is not to do this one.
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
