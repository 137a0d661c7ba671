"""What became of every file that was found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import attrs

from cervispine.records.files import write_text
from cervispine.records.written import csv_text

__all__ = ["IntakeReport", "Problem", "problems_table"]


@attrs.frozen(kw_only=True)
class Problem:
    """One item that was not used, or is to be known about, and why.

    Parameters
    ----------
    code
        A stable code in capitals, for example "GEOMETRY_MISSING".
    reason
        One sentence without anything that names a patient.
    item
        The UID of the series, or "file N": the N-th file of the folder in sorted order.
    fate
        "rejected": it should have been usable and is not. "ignored": it was never meant.
        "noted": it is used all the same.
    files
        How many files are concerned.
    """

    code: str
    reason: str
    item: str = ""
    fate: Literal["rejected", "ignored", "noted"] = "rejected"
    files: int = 1


@attrs.frozen(kw_only=True)
class IntakeReport:
    """The account of an intake: found = used + rejected + ignored, in files.

    Parameters
    ----------
    found, used
        Counts of files.
    problems
        What was not used, or is to be known about, and why.
    identity
        What the headers say of who the patients are, counted over all files read as MR: notes
        about the whole, which concern no file's fate.
    unused_patients
        Patients with files of which no study could be used. They are kept in memory, so that a
        row about them is not taken for a slip of the pen, and are never printed or written.

    Raises
    ------
    AssertionError
        When the account does not add up, which is a fault of the loader, never of the data.
    """

    found: int
    used: int
    problems: tuple[Problem, ...] = attrs.field(default=(), repr=False)
    identity: tuple[Problem, ...] = attrs.field(default=(), repr=False)
    unused_patients: frozenset[str] = attrs.field(default=frozenset(), repr=False)

    def __attrs_post_init__(self) -> None:
        if self.found != self.used + self.rejected + self.ignored:
            raise AssertionError(
                f"intake does not add up: {self.found} found, {self.used} used, "
                f"{self.rejected} rejected, {self.ignored} ignored"
            )

    def _files(self, fate: str) -> int:
        return sum(problem.files for problem in self.problems if problem.fate == fate)

    @property
    def rejected(self) -> int:
        """Files that should have been usable and are not."""
        return self._files("rejected")

    @property
    def ignored(self) -> int:
        """Files that were never meant: other planes, other sequences, no images."""
        return self._files("ignored")

    def summary(self) -> str:
        """Return the account as text: the sum first, then one line a code."""
        lines = [
            f"{self.found} files found = {self.used} used "
            f"+ {self.rejected} rejected + {self.ignored} ignored"
        ]
        counts: Counter[tuple[str, str]] = Counter()
        listed = (*self.problems, *self.identity)
        for problem in listed:
            counts[problem.fate, problem.code] += problem.files
        for (fate, code), files in sorted(counts.items()):
            example = next(p for p in listed if (p.fate, p.code) == (fate, code))
            size = f"{files:6} files: " if files else ""
            lines.append(f"  {fate:8} {code:27} {size}{example.reason}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the account as JSON can hold it, without naming any item.

        ``found``, ``used``, ``rejected``, ``ignored``: counts of files. ``reasons``: for each
        fate and code its ``files`` and, as an example, the commonest ``reason``.
        """
        by_code: dict[tuple[str, str], list[Problem]] = {}
        for problem in self.problems:
            by_code.setdefault((problem.fate, problem.code), []).append(problem)
        reasons = [
            {
                "fate": fate,
                "code": code,
                "files": sum(problem.files for problem in problems),
                "reason": Counter(problem.reason for problem in problems).most_common(1)[0][0],
            }
            for (fate, code), problems in by_code.items()
        ]
        return {
            "found": self.found,
            "used": self.used,
            "rejected": self.rejected,
            "ignored": self.ignored,
            "reasons": sorted(reasons, key=lambda each: (-each["files"], each["code"])),
        }

    def to_csv(self, path: str | Path) -> None:
        """Write ``item,code,reason`` for everything rejected or ignored, a row an item."""
        write_text(Path(path), problems_table(self.problems))


def problems_table(problems: Iterable[Problem]) -> str:
    """Return ``item,code,reason`` as CSV, a row an item; what is only noted is left out."""
    refused = (problem for problem in problems if problem.fate != "noted")
    return csv_text(
        ["item", "code", "reason"], ([each.item, each.code, each.reason] for each in refused)
    )
