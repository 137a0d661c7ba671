"""Every file under a folder, in an order that nothing but the names decides."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cervispine.exceptions import LoadError
from cervispine.records import Problem

__all__ = ["find_files"]


def find_files(folder: str | Path) -> tuple[list[Path], list[Problem]]:
    """Return every regular file under a folder, at any depth, in sorted order.

    Links to folders are followed, each folder once, so that a loop of links ends. An intake names
    a file by its number in this list, counted from 1: its name may be a patient's.

    Parameters
    ----------
    folder
        Where to look.

    Returns
    -------
    files : list of Path
    problems : list of Problem
        Folders that could not be read, and sockets, pipes, devices and broken links.

    Raises
    ------
    LoadError
        ``PATH_NOT_FOUND`` or ``NOT_A_FOLDER``.
    """
    folder = Path(folder)
    if not folder.is_dir():
        exists = folder.exists()
        raise LoadError(
            "this is a file, not a folder" if exists else "there is nothing at this path",
            where=str(folder),
            advice="give the folder that holds the DICOM files, at any depth",
            code="NOT_A_FOLDER" if exists else "PATH_NOT_FOUND",
        )
    files: list[Path] = []
    problems: list[Problem] = []
    seen: set[tuple[int, int]] = set()

    def unreadable(_: OSError) -> None:
        problems.append(
            Problem(code="FOLDER_UNREADABLE", reason="a folder cannot be opened", files=0)
        )

    for parent, folders, names in os.walk(folder, followlinks=True, onerror=unreadable):
        status = Path(parent).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        # A walk through the names in order meets the real folder and a link to it in the same
        # order everywhere.
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            try:
                regular = stat.S_ISREG(path.stat().st_mode)
            except OSError:
                regular = False
            if regular:
                files.append(path)
            else:
                problems.append(
                    Problem(
                        code="NOT_A_FILE",
                        reason="a broken link, pipe, socket or device",
                        fate="ignored",
                    )
                )
    return sorted(files), problems
