"""A DICOMDIR to the files it lists, each looked up among those that lie beside it.

A DICOMDIR is text from outside: a path in it is never opened (CVE-2026-32711 did), only searched
for in what a walk through its folder found. Records are read one after another, without the
offsets by which they point to each other and which are often wrong.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cervispine.exceptions import LoadError
from cervispine.loading.elements import tags_of
from cervispine.loading.intake import Found, FoundFile, find_files
from cervispine.loading.limits import Limits
from cervispine.loading.parsing import parse, quiet_pydicom
from cervispine.records import Problem

__all__ = ["find_listed", "is_dicomdir"]

RECORDS = "DirectoryRecordSequence"

#: By which records point to each other, in bytes from the beginning of the file. They are not
#: followed, since many are wrong; but all of them lie inside a whole file.
OFFSETS = (
    "OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity",
    "OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity",
    "OffsetOfTheNextDirectoryRecord",
    "OffsetOfReferencedLowerLevelDirectoryEntity",
)

#: Value of RecordInUseFlag for a record that was taken out.
NOT_IN_USE = 0


def is_dicomdir(path: Path) -> bool:
    """Say whether a file is called DICOMDIR, as it must be."""
    return bool(re.fullmatch(r"dicomdir\.?(;\d+)?", path.name, re.IGNORECASE))


def find_listed(path: Path, limits: Limits) -> Found:
    """Find the files that a DICOMDIR lists.

    Parameters
    ----------
    path
        The DICOMDIR; the files lie in its folder, at any depth.
    limits
        How large it may be.

    Returns
    -------
    Found
        The files listed. Its problems are files that are listed and not there
        (``REFERENCE_MISSING``) and how many are there and not listed (``DICOMDIR_UNLISTED``).
        Where the DICOMDIR is damaged, all files of the folder (``DICOMDIR_DAMAGED``).

    Raises
    ------
    LoadError
        ``DICOMDIR_UNSAFE`` when it lists anything outside its folder.
    """
    beside = find_files(path.parent)
    try:
        references = _references(path, limits)
    except LoadError as error:
        note = Problem(
            code="DICOMDIR_DAMAGED",
            reason=f"the DICOMDIR cannot be used, so that all files beside it are: {error.what}",
            fate="noted",
            files=0,
        )
        return Found(files=beside.files, problems=(*beside.problems, note))
    listed, missing = _look_up(references, beside.files, path)
    unlisted = sum(file.name not in listed and file.path != str(path) for file in beside.files)
    problems = [problem for problem in beside.problems if not problem.files]
    if missing:
        reason = "the DICOMDIR lists files that are not there"
        problems.append(Problem(code="REFERENCE_MISSING", reason=reason, files=missing))
    if unlisted:
        reason = "files beside the DICOMDIR that it does not list, and that are left alone"
        problems.append(
            Problem(code="DICOMDIR_UNLISTED", reason=reason, fate="noted", files=unlisted)
        )
    return Found(files=listed.values(), problems=problems)


def _references(path: Path, limits: Limits) -> set[tuple[str, ...]]:
    """Return the path of each file listed, as the parts of ReferencedFileID.

    Raises
    ------
    LoadError
        ``DICOMDIR_DAMAGED`` when there are no records, or some are missing.
    """
    with quiet_pydicom():
        dataset = parse(path, tags_of(RECORDS, *OFFSETS), limits).dataset
        try:
            records = list(dataset.get(RECORDS) or ())
            used = [record for record in records if record.get("RecordInUseFlag") != NOT_IN_USE]
            values = [value for record in used if (value := record.get("ReferencedFileID"))]
            parts = [[value] if isinstance(value, str) else list(value) for value in values]
            offsets = [int(each.get(name) or 0) for each in (dataset, *records) for name in OFFSETS]
        except Exception as error:  # whatever a broken element makes pydicom raise
            raise _damaged(f"a record cannot be parsed ({type(error).__name__})") from None
    if not parts:
        raise _damaged("it lists no files")
    if not offsets[0]:
        raise _damaged("it does not say which of its records is the first")
    if max(offsets) >= path.stat().st_size:
        raise _damaged("some of its records are missing")
    # Some writers put the whole path into one value.
    return {tuple("/".join(map(str, texts)).split("/")) for texts in parts}


def _damaged(reason: str) -> LoadError:
    return LoadError(reason, code="DICOMDIR_DAMAGED")


def _look_up(
    references: set[tuple[str, ...]], files: Sequence[FoundFile], path: Path
) -> tuple[dict[str, FoundFile], int]:
    """Return the files that are referred to, by name, and how many are not there."""
    exact = {file.name: file for file in files}
    # Discs are mounted in lower case, or with the version of a file behind its name.
    folded: dict[str, list[FoundFile]] = defaultdict(list)
    for file in files:
        folded[re.sub(r";\d+$", "", file.name).casefold()].append(file)
    root = path.parent.resolve()
    listed: dict[str, FoundFile] = {}
    missing = 0
    for parts in references:
        name = "/".join(parts)
        if set(parts) & {"", ".."} or ":" in name or "\0" in name:
            raise _unsafe(path)
        alike = folded[name.casefold()]
        found = exact.get(name) or (alike[0] if len(alike) == 1 else None)
        if found is None:
            missing += 1
        elif not Path(found.path).resolve().is_relative_to(root):
            raise _unsafe(path)
        else:
            listed[found.name] = found
    return listed, missing


def _unsafe(path: Path) -> LoadError:
    return LoadError(
        "the DICOMDIR lists files outside its folder",
        where=str(path),
        advice="give the folder itself, if you trust what lies in it",
        code="DICOMDIR_UNSAFE",
    )
