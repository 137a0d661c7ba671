"""Every file under a folder, in an order that nothing but the names decides."""

from __future__ import annotations

import contextlib
import gc
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import attrs

from cervispine.exceptions import AmbiguousSeriesError, GeometryError, LoadError, PixelError
from cervispine.records import Problem

__all__ = [
    "ARCHIVES",
    "NESTED",
    "NIFTI",
    "Found",
    "FoundFile",
    "file_of",
    "find_files",
    "is_nested",
    "nothing_collected",
    "raise_first",
]

_ERRORS: dict[str, type[LoadError]] = {
    "GEOMETRY_MISSING": GeometryError,
    "GEOMETRY_INVALID": GeometryError,
    "SLICE_DUPLICATE": GeometryError,
    "SPACING_IRREGULAR": GeometryError,
    "SERIES_MIXED": AmbiguousSeriesError,
    "UID_CONFLICT": AmbiguousSeriesError,
    "DICOM_TRUNCATED": PixelError,
    "NIFTI_TRUNCATED": PixelError,
    "IMAGE_DEGENERATE": PixelError,
}

#: Archives that lie among the files are not opened: they may be bombs, or copies of the rest.
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")

#: NIfTI, which is compressed one image a file; no archive.
NIFTI = (".nii", ".nii.gz")

FOLDER_UNREADABLE = Problem(code="FOLDER_UNREADABLE", reason="a folder cannot be opened", files=0)

NOT_A_FILE = Problem(
    code="NOT_A_FILE",
    reason="a broken link, pipe, socket or device, or too long a name",
    fate="ignored",
)

NESTED = Problem(
    code="ARCHIVE_NESTED",
    reason="an archive among the files is not opened: index it by itself",
    fate="ignored",
)


class FoundFile(NamedTuple):
    """One regular file; a bare tuple, since there may be a hundred thousand.

    Parameters
    ----------
    name
        What it is called inside its source, with "/" between folders. Never shown.
    path
        Where it can be opened.
    size
        In bytes.
    stamp
        Changes when the content does: when it last did, ns since 1970, or a checksum.
    changed
        When content, name or rights last changed, ns since 1970; 0 where the stamp is a checksum.
    """

    name: str
    path: str
    size: int
    stamp: int
    changed: int = 0


def _in_order(files: Iterable[FoundFile]) -> tuple[FoundFile, ...]:
    return tuple(sorted(files))


def _as_tuple(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(problems)


@attrs.frozen(kw_only=True)
class Found:
    """What there is to read: files in the order of their names, and what was no file.

    An intake names a file by its number in this order, counted from 1: its name may be a
    patient's.
    """

    files: tuple[FoundFile, ...] = attrs.field(
        converter=_in_order, repr=lambda files: f"<{len(files)} files>"
    )
    problems: tuple[Problem, ...] = attrs.field(default=(), converter=_as_tuple)

    @property
    def count(self) -> int:
        """How many files there are, with those that cannot be read."""
        return len(self.files) + sum(p.files for p in self.problems if p.fate != "noted")


@contextlib.contextmanager
def nothing_collected() -> Iterator[None]:
    """Make many values that are all kept without a search for garbage among them.

    Python looks through all objects of the process whenever their number has grown by a fourth,
    which took longer than making them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@nothing_collected()
def find_files(folder: str | Path) -> Found:
    """Find every regular file under a folder, at any depth.

    Links to folders are followed, each folder once, so that a loop of links ends.

    Parameters
    ----------
    folder
        Where to look.

    Returns
    -------
    Found
        Its problems are folders that could not be read, archives, which are not opened, and
        sockets, pipes, devices, broken links and names that are too long.
    """
    files: list[FoundFile] = []
    problems: list[Problem] = []
    # The folders still to be entered, the next one last, each with the name of what is in it.
    # A walk through the names in order meets the real folder and a link to it in the same order
    # everywhere.
    waiting = [(os.fspath(folder), "")]
    seen: set[tuple[int, int]] = set()
    while waiting:
        path, name = waiting.pop()
        inside: list[tuple[str, str]] = []
        try:
            status = os.stat(path)  # noqa: PTH116  making a Path takes as long as looking
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            _look_into(path, name, inside, files, problems)
        except OSError:
            problems.append(FOLDER_UNREADABLE)
        waiting += sorted(inside, reverse=True)
    return Found(files=files, problems=problems)


def _look_into(
    folder: str,
    name: str,
    inside: list[tuple[str, str]],
    files: list[FoundFile],
    problems: list[Problem],
) -> None:
    """Add the folders in a folder to ``inside``, and what else is in it to files and problems."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                if entry.is_dir():
                    inside.append((entry.path, f"{name}{entry.name}/"))
                    continue
                status = entry.stat()
                regular = stat.S_ISREG(status.st_mode)
            except OSError:
                regular = False
            if not regular:
                problems.append(NOT_A_FILE)
            elif is_nested(entry.name):
                problems.append(NESTED)
            else:
                files.append(file_of(name + entry.name, entry.path, status))


def is_nested(name: str) -> bool:
    """Say whether a file among the files is called an archive."""
    return name.lower().endswith(ARCHIVES) and not name.lower().endswith(NIFTI)


def file_of(name: str, path: str, status: os.stat_result) -> FoundFile:
    """Describe a file; a tool that restores the time of its content still changes the other."""
    return FoundFile(name, path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def raise_first(problems: Iterable[Problem]) -> None:
    """Raise the first rejection as an error, or do nothing.

    Raises
    ------
    LoadError
        Of the class that belongs to its code.
    """
    for problem in problems:
        if problem.fate == "rejected":
            raise _ERRORS.get(problem.code, LoadError)(
                problem.reason,
                where=problem.item,
                advice="mend or remove it, or index with on_problem='quarantine'",
                code=problem.code,
            )
