"""CLAIM 2024, STARD-AI and TRIPOD+AI, filled in with what a run knows.

The lists (``claim-2024.csv`` ...) hold the number of each item as the standard numbers it, the
section, what is asked in our own words, and the subjects of :mod:`cervispine.reporting.facts`
that answer it or part of it. What only people know has no subject, and stays blank.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import attrs

from cervispine.records.files import make_folder, write_text
from cervispine.records.markdown import markdown_table
from cervispine.records.written import csv_text
from cervispine.reporting.facts import facts_of
from cervispine.reporting.finished import finished_run, saved_json

__all__ = ["CHECKLISTS", "Checklist", "Item", "read_items", "save_checklists"]

COLUMNS = ("item", "section", "asks", "from the run", "by the authors", "page")


@attrs.frozen
class Checklist:
    """A reporting standard: its name, where it was published, and how sure its numbers are."""

    name: str
    source: str
    numbers: str


@attrs.frozen
class Item:
    """An item of a checklist: its number there, what it asks, and which facts answer it."""

    number: str
    section: str
    asks: str
    facts: tuple[str, ...]


CHECKLISTS = {
    "claim-2024": Checklist(
        "CLAIM 2024",
        "Tejani et al., Radiol Artif Intell 2024;6(4):e240300, doi 10.1148/ryai.240300",
        "Numbers are from a summary of others and were not compared with the published table: "
        "check them there before you cite them.",
    ),
    "stard-ai": Checklist(
        "STARD-AI",
        "Sounderajah et al., Nat Med 2025;31:3283-3289, doi 10.1038/s41591-025-03953-8",
        "Numbers are from a copy that others compared with the published table.",
    ),
    "tripod-ai": Checklist(
        "TRIPOD+AI",
        "Collins et al., BMJ 2024;385:e078378, doi 10.1136/bmj-2023-078378",
        "Numbers are from a copy of the published list.",
    ),
}


def read_items(name: str) -> list[Item]:
    """Return the items of one of the ``CHECKLISTS``, in their order."""
    text = (files(__name__) / f"{name}.csv").read_text(encoding="utf-8")
    return [
        Item(row["number"], row["section"], row["asks"], tuple(row["facts"].split()))
        for row in csv.DictReader(io.StringIO(text))
    ]


def save_checklists(run: str | Path) -> tuple[Path, ...]:
    """Write each checklist as CSV and Markdown into ``checklists/`` of a run, as far as it knows.

    A file that is there is left as it is: people may have written in it.

    Parameters
    ----------
    run
        Folder of a finished experiment.

    Returns
    -------
    tuple of Path
        The files written now.

    Raises
    ------
    DataError
        When the folder is not that of a finished run (``RUN_INCOMPLETE``).
    ResourceError
        When the folder cannot be written.
    """
    folder = Path(run)
    with finished_run(folder):
        manifest, comparison = (
            saved_json(folder, name) for name in ("manifest.json", "comparison.json")
        )
        facts = facts_of(manifest, comparison, heatmaps=(folder / "heatmaps").is_dir())
    target = make_folder(folder / "checklists")
    written = []
    for name, checklist in CHECKLISTS.items():
        rows = [_row(item, facts) for item in read_items(name)]
        for ending, text in (
            ("csv", csv_text(COLUMNS, rows)),
            ("md", _markdown(checklist, rows, synthetic=manifest["synthetic"])),
        ):
            path = target / f"{name}.{ending}"
            if not path.exists():
                write_text(path, text)
                written.append(path)
    return tuple(written)


def _row(item: Item, facts: Mapping[str, str]) -> list[str]:
    known = " ".join(facts[name] for name in item.facts if facts[name])
    return [item.number, item.section, item.asks, known, "", ""]


def _markdown(checklist: Checklist, rows: list[list[str]], *, synthetic: bool) -> str:
    mark = (
        "**Synthetic phantoms, no patients: nothing here is of people.**\n\n" if synthetic else ""
    )
    known = sum(bool(row[3]) for row in rows)
    return (
        f"# {checklist.name}, as far as the run knows\n\n{mark}"
        f"{checklist.source}. The items are in our own words, numbered as the standard numbers "
        f"them. {checklist.numbers} Answer from the standard itself.\n\n"
        f"Of {len(rows)} items the run says something of {known}; that is not to say that they "
        "are answered. The others, and the pages, are for the authors.\n\n"
        f"{markdown_table(COLUMNS, rows)}\n"
    )
