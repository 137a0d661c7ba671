"""Who is in each part: the first table of a paper, by class, type, sex, age and scanner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cervispine.evaluation.latex import latex_table
from cervispine.evaluation.tables import EMPTY, MARK_COLUMN
from cervispine.records.files import make_folder, write_text
from cervispine.records.written import csv_text
from cervispine.reporting.figures import MARK

__all__ = ["participant_rows", "save_participants"]

TITLE = "Who is in each part"

#: What is counted by value, and what it is called.
GROUPS = {"classes": "", "type": "type", "sex": "sex", "site": "site", "scanners": "series of"}


def participant_rows(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the rows of the table that the manifest of a run tells: a column for each part.

    Raises
    ------
    KeyError
        When the manifest is not that of a finished run.
    """
    parts: dict[str, dict[str, Any]] = {**manifest["participants"], "together": manifest["cohort"]}

    def row(name: str, told: Callable[[dict[str, Any]], str]) -> dict[str, str]:
        return {
            "characteristic": name,
            **{part: told(described) for part, described in parts.items()},
        }

    rows = [row("patients", lambda each: str(each["patients"]))]
    for group, name in GROUPS.items():
        for value in manifest["cohort"].get(group, {}):
            rows.append(row(f"{name} {value}".strip(), _counted(group, value)))
    if any("age" in each for each in parts.values()):
        rows.append(row("age, median (quartiles)", _age))
    return rows


def save_participants(manifest: Mapping[str, Any], folder: Path) -> None:
    """Write ``participants.csv`` and ``participants.tex``.

    Raises
    ------
    ResourceError
        When the folder cannot be written.
    """
    rows = participant_rows(manifest)
    make_folder(folder)
    marked = {MARK_COLUMN: MARK} if manifest["synthetic"] else {}
    lines = [{**row, **marked} for row in rows]
    write_text(folder / "participants.csv", csv_text(lines[0], (row.values() for row in lines)))
    foot = f"{MARK}. " if manifest["synthetic"] else ""
    foot += "In brackets the share of the patients of the part, or quartiles."
    write_text(folder / "participants.tex", latex_table("participants", TITLE, rows, foot))


def _counted(group: str, value: str) -> Callable[[dict[str, Any]], str]:
    def told(described: dict[str, Any]) -> str:
        count = described.get(group, {}).get(value, 0)
        of = described["series"] if group == "scanners" else described["patients"]
        return f"{count} ({100 * count / of:.0f} %)" if of else str(count)

    return told


def _age(described: dict[str, Any]) -> str:
    if "age" not in described:
        return EMPTY
    age = described["age"]
    return f"{age['median']:.0f} ({age['low']:.0f} to {age['high']:.0f})"
