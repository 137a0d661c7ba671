"""What reading each file gave, kept between two indexes, so that only what is new is read.

What comes out of a saved index is checked to be of the kinds of values that went in; what it says
of an image is checked once more against the image when its pixels are read.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Self

import attrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.preconf.json import make_converter

from cervispine.exceptions import CervispineError, UsageError
from cervispine.loading.headers import Header
from cervispine.loading.intake import Found, FoundFile, nothing_collected
from cervispine.loading.limits import Limits
from cervispine.loading.sources import Source, paths_of
from cervispine.loading.store import Store, invalid
from cervispine.records import IntakeReport, Problem, Series, Study

__all__ = ["NoIndex", "Outcome", "Reading", "SavedIndex", "open_index"]

#: File systems count the time of a change in steps. A file that changed within one step before
#: it was read may change again without a trace, and is not remembered; ns.
STEP_OF_TIME = 50_000_000

#: What reading a file gives: a header for each slice, or why there is none.
Reading = tuple[Header, ...] | Problem


@attrs.frozen
class Outcome:
    """What an index comes to."""

    studies: tuple[Study, ...]
    intake: IntakeReport


class NoIndex:
    """An index that remembers nothing: every file is read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End; nothing is kept."""

    def reading(
        self,
        number: int,  # noqa: ARG002  needed to remember
        read: Callable[[], Reading],
    ) -> Reading:
        """Return what reading the N-th file gives, counted from 1."""
        return read()

    def facts(
        self,
        path: str,  # noqa: ARG002
        kind: str,  # noqa: ARG002
        compute: Callable[[], tuple[str, ...]],
    ) -> tuple[str, ...]:
        """Return what is known of a file beside its headers, such as a hash of its pixels."""
        return compute()

    def outcome(self, loader: str, decide: Callable[[], Outcome]) -> Outcome:  # noqa: ARG002
        """Return what all files come to for a loader, described by its parameters."""
        return decide()


class SavedIndex(NoIndex):
    """An index in a file; a context manager, which keeps what was read however it ends.

    Parameters
    ----------
    path
        The file, made where it does not exist, readable by this user alone: it holds
        identifiers of patients.
    found
        The files to index. One is read again when its size or a time of its has changed.
    limits
        The budgets under which files are read; what was read under others is read again.

    Raises
    ------
    LoadError
        ``SAVED_INDEX_INVALID``, also later, when a value turns out to be damaged.
    UsageError, ResourceError
        See :class:`~cervispine.loading.store.Store`.
    """

    def __init__(self, path: Path, found: Found, limits: Limits) -> None:
        self._found = found
        #: False once something was read that is not to be remembered.
        self._complete = True
        self._converter = make_converter(detailed_validation=False, forbid_extra_keys=True)
        # A path is kept as the number of its file, which says nothing and is right after a move.
        files = override(
            rename="files",
            unstruct_hook=lambda paths: [self._numbers[path] for path in paths],
            struct_hook=lambda numbers, _: tuple(found.files[number].path for number in numbers),
        )
        self._converter.register_unstructure_hook(
            Series, make_dict_unstructure_fn(Series, self._converter, _files=files)
        )
        self._converter.register_structure_hook(
            Series, make_dict_structure_fn(Series, self._converter, _files=files)
        )
        fields = [
            field.name for record in (Header, Study, Series) for field in attrs.fields(record)
        ]
        versions = [version("cervispine"), version("pydicom")]
        self._store = Store(path, json.dumps([versions, fields, attrs.asdict(limits)]))

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def reading(self, number: int, read: Callable[[], Reading]) -> Reading:
        """Return what the N-th file gave before, or read it."""
        file = self._found.files[number - 1]
        saved = self._store.reading(_key(file, "headers"))
        if saved is not None:
            with self._trusting_nothing():
                return self._reading_of(number, saved)
        result = read()
        if isinstance(result, Problem) and result.code == "FILE_UNREADABLE":
            # It may be readable next time, and look the same.
            self._complete = False
        else:
            kind = "problem" if isinstance(result, Problem) else "headers"
            values = self._converter.unstructure(result)
            if kind == "headers":
                # Where a file lies, it does not say; and that may be somewhere else next time.
                values = [{**each, "path": ""} for each in values]
            self._remember(file, "headers", json.dumps([kind, values]))
        return result

    def facts(
        self, path: str, kind: str, compute: Callable[[], tuple[str, ...]]
    ) -> tuple[str, ...]:
        """Return what was found out before, or find it out."""
        file = self._found.files[self._numbers[path]]
        saved = self._store.reading(_key(file, kind))
        if saved is not None:
            with self._trusting_nothing():
                return self._converter.loads(saved, tuple[str, ...])
        facts = compute()
        self._remember(file, kind, json.dumps(facts))
        return facts

    def outcome(self, loader: str, decide: Callable[[], Outcome]) -> Outcome:
        """Return what these very files came to before, or decide it."""
        key = loader, self._digest()
        saved = self._store.outcome(key)
        if saved is not None:
            with self._trusting_nothing(), nothing_collected():
                return self._converter.loads(saved, Outcome)
        outcome = decide()
        self._store.keep_only(os.fsencode(file.name) for file in self._found.files)
        if self._complete:
            self._store.put_outcome(key, self._converter.dumps(outcome))
        return outcome

    def _reading_of(self, number: int, saved: str) -> Reading:
        kind, values = json.loads(saved)
        if kind == "problem":
            return self._converter.structure(values, Problem)
        path = self._found.files[number - 1].path
        return tuple(self._converter.structure({**each, "path": path}, Header) for each in values)

    def _remember(self, file: FoundFile, kind: str, value: str) -> None:
        # The stamp of an archive's entry is a checksum, which is no time of late.
        if time.time_ns() - max(file.stamp, file.changed) < STEP_OF_TIME:
            self._complete = False
        else:
            self._store.put_reading(_key(file, kind), value)

    def _digest(self) -> str:
        """Return a hash of all that was found: names, sizes, times, and what was no file."""
        names = "\0".join([file.name for file in self._found.files])
        numbers = [file[2:] for file in self._found.files]
        listing = f"{names}\0\0{numbers}{self._found.problems}"
        return hashlib.sha256(os.fsencode(listing)).hexdigest()

    @functools.cached_property
    def _numbers(self) -> dict[str, int]:
        """The number of each file, by its path, counted from 0."""
        return {file.path: number for number, file in enumerate(self._found.files)}

    @contextlib.contextmanager
    def _trusting_nothing(self) -> Iterator[None]:
        try:
            yield
        except CervispineError:
            raise
        except Exception:  # whatever a value of the wrong kind makes anybody raise
            raise invalid(self._store.path) from None


def open_index(
    saved: str | os.PathLike[str] | None, source: Source, found: Found, limits: Limits
) -> NoIndex:
    """Return the saved index, or one that remembers nothing where none is wanted.

    Raises
    ------
    UsageError
        When it would lie among the files of the source, to which nothing is ever added.
    """
    if saved is None:
        return NoIndex()
    path = Path(saved).absolute()
    if any(given in (path, *path.parents) for given in paths_of(source)):
        raise UsageError(
            "the saved index would lie among the files that it is about",
            where=str(path),
            advice="name a file outside the data",
        )
    return SavedIndex(path, found, limits)


def _key(file: FoundFile, kind: str) -> tuple[bytes, str, int, str]:
    return os.fsencode(file.name), kind, file.size, f"{file.stamp}.{file.changed}"
