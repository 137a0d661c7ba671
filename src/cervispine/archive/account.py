"""What became of an archive: found = done + quarantined + rejected + ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs

from cervispine.archive.store import Outcome
from cervispine.records import IntakeReport, Problem, Study
from cervispine.records.files import write_text
from cervispine.records.intake import problems_table

__all__ = ["Account"]


@attrs.frozen(kw_only=True)
class Account:
    """The account of an archive, in files and in studies.

    Parameters
    ----------
    intake
        What became of every file when the archive was indexed.
    studies
        Those that could be used by their headers.
    done, done_files
        How many of them have a probability, and how many files these have.
    rejected, quarantined
        Those that have none, and why: by their content, or for another reason. Items are the
        series, each with the number of its files.

    Raises
    ------
    AssertionError
        When the account does not add up, which is a fault of cervispine, never of the data.
    """

    intake: IntakeReport
    studies: int
    done: int
    done_files: int
    rejected: tuple[Problem, ...]
    quarantined: tuple[Problem, ...]

    def __attrs_post_init__(self) -> None:
        counts = self.to_dict()
        for counted in counts.values():
            parts = sum(number for name, number in counted.items() if name != "found")
            if counted["found"] != parts:
                raise AssertionError(f"the account does not add up: {counts}")

    @classmethod
    def of(
        cls, intake: IntakeReport, studies: Sequence[Study], outcomes: Sequence[Outcome]
    ) -> Account:
        """Count studies and what they came to, in the same order."""
        problems: dict[str, list[Problem]] = {"rejected": [], "quarantined": []}
        done_files = 0
        for study, outcome in zip(studies, outcomes, strict=True):
            files = len({path for series in study.series for path in series.files})
            if outcome.fate == "done":
                done_files += files
            else:
                problems[outcome.fate].append(
                    Problem(
                        code=outcome.code,
                        reason=outcome.reason,
                        item=" ".join(series.uid for series in study.series),
                        files=files,
                    )
                )
        return cls(
            intake=intake,
            studies=len(studies),
            done=sum(outcome.fate == "done" for outcome in outcomes),
            done_files=done_files,
            rejected=tuple(problems["rejected"]),
            quarantined=tuple(problems["quarantined"]),
        )

    def to_dict(self) -> dict[str, dict[str, int]]:
        """Return the counts of files and of studies."""
        quarantined = sum(problem.files for problem in self.quarantined)
        refused = sum(problem.files for problem in self.rejected)
        return {
            "files": {
                "found": self.intake.found,
                "done": self.done_files,
                "quarantined": quarantined,
                "rejected": self.intake.rejected + refused,
                "ignored": self.intake.ignored,
            },
            "studies": {
                "found": self.studies,
                "done": self.done,
                "quarantined": len(self.quarantined),
                "rejected": len(self.rejected),
            },
        }

    @property
    def refused(self) -> int:
        """How many items were rejected or set aside."""
        taken_in = sum(problem.fate == "rejected" for problem in self.intake.problems)
        return taken_in + len(self.rejected) + len(self.quarantined)

    def summary(self) -> str:
        """Return the account as text: the sums first, then one line a code."""
        lines = []
        for what, counts in self.to_dict().items():
            parts = [f"{number} {name}" for name, number in counts.items() if name != "found"]
            lines.append(f"{counts['found']} {what} found = {' + '.join(parts)}")
        reasons = [("quarantined", each) for each in self.quarantined]
        reasons += [("rejected", each) for each in self.rejected]
        reasons += [(each.fate, each) for each in self.intake.problems]
        files: Counter[tuple[str, str]] = Counter()
        example: dict[tuple[str, str], str] = {}
        for fate, problem in reasons:
            files[fate, problem.code] += problem.files
            example.setdefault((fate, problem.code), problem.reason)
        lines += [
            f"  {fate:11} {code:27} {files[fate, code]:6} files: {reason}"
            for (fate, code), reason in sorted(example.items())
        ]
        return "\n".join(lines)

    def save(self, folder: Path) -> None:
        """Write rejected.csv and quarantined.csv, ``item,code,reason``."""
        rejected = [*self.intake.problems, *self.rejected]
        write_text(folder / "rejected.csv", problems_table(rejected))
        write_text(folder / "quarantined.csv", problems_table(self.quarantined))
