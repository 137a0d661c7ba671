"""Whatever somebody calls their data to the files in it: a folder, a zip, a DICOMDIR, a list."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from cervispine.exceptions import LoadError, UsageError
from cervispine.loading.archives import is_archive, unpack
from cervispine.loading.dicomdir import find_listed, is_dicomdir
from cervispine.loading.intake import Found, FoundFile, file_of, find_files
from cervispine.loading.limits import Limits
from cervispine.records import Problem

__all__ = ["Source", "find", "paths_of"]

ADVICE = "give a folder of DICOM files, a zip of one, a DICOMDIR, or a list of these"

#: What can be indexed.
Source = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]


def find(
    source: Source,
    limits: Limits,
    *,
    unpack_into: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Find the files of a source.

    Parameters
    ----------
    source
        A folder, a zip, a DICOMDIR, a DICOM file, or any number of these. What is given twice,
        or lies in a folder that is given too, counts once.
    limits
        How much an archive or a DICOMDIR may hold.
    unpack_into
        Where an archive is unpacked; see :func:`~cervispine.loading.archives.unpack`.
    progress
        Called while an archive is unpacked.

    Raises
    ------
    LoadError
        ``PATH_NOT_FOUND``, ``NOT_A_FOLDER``, ``FILE_UNREADABLE``, ``ARCHIVE_UNSAFE``,
        ``ARCHIVE_DAMAGED`` or ``DICOMDIR_UNSAFE``.
    UsageError
        ``OUTPUT_TAKEN``, or a folder to unpack several archives into.
    """
    paths = paths_of(source)
    if len(paths) == 1:
        return _find_one(next(iter(paths)), limits, unpack_into, progress)
    if unpack_into is not None:
        raise UsageError("unpack_into is for one archive, not for a list")
    files: dict[str, FoundFile] = {}
    problems: list[Problem] = []
    for path in paths:
        if not is_archive(path) and any(parent in paths for parent in path.parents):
            continue
        found = _find_one(path, limits, None, progress)
        problems += found.problems
        # Two folders, or two archives, may hold files of one name.
        files |= {file.path: file._replace(name=f"{path}/{file.name}") for file in found.files}
    return Found(files=files.values(), problems=problems)


def _find_one(
    path: Path,
    limits: Limits,
    unpack_into: str | os.PathLike[str] | None,
    progress: Callable[[int, int], None] | None,
) -> Found:
    try:
        status = path.stat()
    except OSError:
        raise LoadError(
            "there is nothing at this path", where=str(path), advice=ADVICE, code="PATH_NOT_FOUND"
        ) from None
    if stat.S_ISREG(status.st_mode) and is_archive(path):
        into = None if unpack_into is None else Path(unpack_into)
        return unpack(path, limits, into=into, progress=progress)
    if unpack_into is not None:
        raise UsageError("unpack_into is for an archive, and this is none", where=str(path))
    if stat.S_ISDIR(status.st_mode):
        return find_files(path)
    if not stat.S_ISREG(status.st_mode):
        raise LoadError(
            "this is neither a file nor a folder",
            where=str(path),
            advice=ADVICE,
            code="NOT_A_FOLDER",
        )
    if is_dicomdir(path):
        return find_listed(path, limits)
    return Found(files=[file_of(path.name, str(path), status)])


def paths_of(source: Source) -> dict[Path, None]:
    """Return a source as absolute paths in order, each once.

    Raises
    ------
    UsageError
        When there is none.
    """
    given = [source] if isinstance(source, (str, os.PathLike)) else source
    # A dictionary keeps the order; absolute() follows no link, and a link is what was meant.
    paths = dict.fromkeys(sorted(Path(path).absolute() for path in given))
    if not paths:
        raise UsageError("there is no path in the list to index")
    return paths
