"""What an archive has come to: one file a study, each published whole or not at all.

    results/KK/KEY.json      read, or refused by its content; KEY hashes the bytes and the model
    quarantine/STAMP.json    could not be read for a reason that is not its content
    attempts/STAMP.PROCESS   a process is reading it, or died of it
    known.txt                STAMP KEY a line: which key a study had when it was last hashed

A stamp is made of names, sizes and times, so what is done is known without reading the archive; a
key is made of the bytes, so what is published is true of them. Everything but ``results`` may be
lost: it is made anew.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import attrs

from cervispine.records.files import make_folder, unwritable, write_bytes

__all__ = ["Outcome", "Store"]

FORMAT = "cervispine/result"
VERSION = 1


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(values)


@attrs.frozen(kw_only=True)
class Outcome:
    """What became of one study.

    Parameters
    ----------
    fate
        "done": it has a probability. "rejected": its content is refused, now and always.
        "quarantined": it could not be read, and may be tried again.
    probability
        Of the positive class, calibrated; None where it was not read.
    out_of_distribution, unlike_training
        As in :class:`~cervispine.Predictions`; None where the model cannot tell.
    code, reason
        Why it was not read; empty where it was.
    """

    fate: Literal["done", "rejected", "quarantined"]
    probability: float | None = None
    out_of_distribution: float | None = None
    unlike_training: tuple[str, ...] | None = attrs.field(
        default=None, converter=attrs.converters.optional(_texts)
    )
    code: str = ""
    reason: str = ""

    def __attrs_post_init__(self) -> None:
        assert (self.fate == "done") == (self.probability is not None) == (not self.code)


class Store:
    """The folder in which outcomes are kept.

    Parameters
    ----------
    folder
        Of the run; every process that reads the archive sees it under this path.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self) -> None:
        """Make the folders.

        Raises
        ------
        ResourceError
            When they cannot be made or written to.
        """
        for name in ("results", "quarantine", "attempts"):
            make_folder(self.folder / name)

    def publish(self, key: str, outcome: Outcome) -> None:
        """Keep what a study's content came to; the same key always gives the same bytes."""
        path = self._result(key)
        try:
            path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(path.parent, error) from error
        write_bytes(path, _encoded(key, outcome))

    def find(self, key: str) -> Outcome | None:
        """Return what a content came to; None where it is not known, or its file is damaged."""
        return _decoded(self._result(key), key)

    def quarantine(self, stamp: str, outcome: Outcome) -> None:
        """Set a study aside."""
        write_bytes(self._aside(stamp), _encoded(stamp, outcome))

    def quarantined(self, stamp: str) -> Outcome | None:
        """Return why a study was set aside; None where it was not."""
        return _decoded(self._aside(stamp), stamp)

    def release(self) -> None:
        """Forget what was set aside, so that it is tried again."""
        for path in (self.folder / "quarantine").glob("*.json"):
            path.unlink(missing_ok=True)

    @contextmanager
    def attempt(self, stamp: str) -> Iterator[Path]:
        """Leave a mark while a study is read; it stays where the process dies of it."""
        mark = self.folder / "attempts" / f"{stamp}.{os.getpid()}-{uuid.uuid4().hex[:8]}"
        try:
            mark.touch()
        except OSError as error:
            raise unwritable(mark, error) from error
        try:
            yield mark
        finally:
            mark.unlink(missing_ok=True)

    def attempts(self, stamp: str) -> list[Path]:
        """Return the marks of those that are reading a study, or died of it."""
        return sorted((self.folder / "attempts").glob(f"{stamp}.*"))

    def sweep(self) -> None:
        """Remove what processes left that are no more: marks, and files half written."""
        for mark in (self.folder / "attempts").iterdir():
            mark.unlink(missing_ok=True)
        for name in ("results/*", "quarantine"):
            for half in self.folder.glob(f"{name}/.*"):
                half.unlink(missing_ok=True)

    def known_keys(self) -> dict[str, str]:
        """Return the key that each stamp had."""
        try:
            text = (self.folder / "known.txt").read_text(encoding="ascii", errors="replace")
        except OSError:
            return {}
        pairs = (line.split() for line in text.splitlines())
        # The last line may have been torn.
        return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and len(pair[1]) == 64}

    def remember(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add stamps and their keys to those that are known."""
        lines = "".join(f"{stamp} {key}\n" for stamp, key in pairs)
        try:
            with (self.folder / "known.txt").open("a", encoding="ascii") as stream:
                # A torn last line must not swallow the next one.
                stream.write(f"\n{lines}" if stream.tell() else lines)
        except OSError as error:
            raise unwritable(self.folder / "known.txt", error) from error

    def _result(self, key: str) -> Path:
        # No folder of a million files.
        return self.folder / "results" / key[:2] / f"{key}.json"

    def _aside(self, stamp: str) -> Path:
        return self.folder / "quarantine" / f"{stamp}.json"


def _encoded(name: str, outcome: Outcome) -> bytes:
    content = {"format": FORMAT, "version": VERSION, "name": name} | attrs.asdict(outcome)
    return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()


def _decoded(path: Path, name: str) -> Outcome | None:
    try:
        content = json.loads(path.read_bytes())
        head = [content.pop(key) for key in ("format", "version", "name")]
        outcome = Outcome(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, AssertionError):
        return None
    return outcome if head == [FORMAT, VERSION, name] else None
