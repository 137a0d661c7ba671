"""report.html, made from the files of a run alone, readable offline."""

from __future__ import annotations

import base64
import csv
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cervispine.evaluation.tables import EMPTY, MARK_COLUMN
from cervispine.records.files import write_text
from cervispine.reporting import wording
from cervispine.reporting.cases import KINDS
from cervispine.reporting.finished import finished_run, saved_json
from cervispine.reporting.flow import flow_of
from cervispine.reporting.pages import render
from cervispine.reporting.published import CITATION, PUBLISHED

__all__ = ["HEATMAPS", "write_report"]

#: Folder of a run whose pictures stand beside the cases of the same name, where it is there.
HEATMAPS = "heatmaps"

#: An interval in brackets, or a name with hyphens in it.
UNBROKEN = re.compile(r"(\([^()]* to [^()]*\)|\w+(?:-\w+)+)")

#: The name of a picture in a table: of its own folder, and nothing else.
PICTURE = re.compile(r"[\w.-]+\.png")


def write_report(run: str | Path) -> Path:
    """Write ``report.html`` into a run folder, from what the run saved there.

    Nothing is computed: figures, tables and pictures are taken as they are. Where the folder
    holds ``heatmaps/``, the heat map of a case stands beside it.

    Parameters
    ----------
    run
        Folder of a finished experiment.

    Returns
    -------
    Path
        Of the page: one file, without scripts and without anything from the network.

    Raises
    ------
    DataError
        When the folder is not that of a finished run (``RUN_INCOMPLETE``).
    ResourceError
        When the page cannot be written.
    """
    from jinja2 import UndefinedError

    folder = Path(run)
    # What the page needs and the files do not hold is an error too.
    with finished_run(folder, UndefinedError):
        page = render(
            "report.html",
            _read_run(folder),
            interval=wording.interval,
            percent=_percent,
            settings=_settings,
            unbroken=_unbroken,
        )
    path = folder / "report.html"
    write_text(path, page)
    return path


def _read_run(folder: Path) -> dict[str, Any]:
    manifest = saved_json(folder, "manifest.json")
    if manifest["state"] != "finished":
        raise ValueError("the run has not finished")
    comparison = saved_json(folder, "comparison.json")
    cases = _read_cases(folder)
    with_heatmaps = any(case["heatmap"] for case in cases)
    return {
        "manifest": manifest,
        "comparison": comparison,
        "asked": wording.asked(comparison, manifest),
        "found": wording.found(comparison, manifest),
        "depth": wording.depth(comparison),
        "limits": wording.limits(comparison, manifest, heatmaps=with_heatmaps),
        "flow": flow_of(manifest),
        "figures": _read_figures(folder / "figures", wording.described(comparison, manifest)),
        "tables": _read_tables(folder / "tables"),
        "cases": cases,
        "heatmaps": with_heatmaps,
        "published": PUBLISHED,
        "citation": CITATION,
    }


def _read_figures(folder: Path, described: dict[str, str]) -> dict[str, dict[str, str]]:
    """Return address and description of each figure that is there; every run has the first two.

    A page runs nothing that a picture holds, which a figure in its own markup would not promise.
    """
    figures = {}
    for kind, text in described.items():
        path = folder / f"{kind}.svg"
        if path.is_file() or kind in ("flow", "roc"):
            content = path.read_bytes()
            if b"<svg" not in content:
                raise ValueError("a figure is not SVG")
            figures[kind] = {"address": _address(content, "svg+xml"), "text": text}
    return figures


def _read_tables(folder: Path) -> dict[str, list[dict[str, str]]]:
    return {path.stem: _without_empty(_read_rows(path)) for path in sorted(folder.glob("*.csv"))}


def _without_empty(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Leave out the columns in which no row has anything, and the mark, which the page bears."""
    filled = {column for row in rows for column, cell in row.items() if cell != EMPTY}
    filled.discard(MARK_COLUMN)
    return [{column: cell for column, cell in row.items() if column in filled} for row in rows]


def _read_cases(folder: Path) -> list[dict[str, str]]:
    cases = _read_rows(folder / "cases" / "cases.csv")
    for case in cases:
        # The page may be shown to others: it says nothing of who a case is.
        del case["patient"]
        if not PICTURE.fullmatch(case["file"]):
            raise ValueError("a case has no picture of the run")
        case["image"] = _address((folder / "cases" / case["file"]).read_bytes(), "png")
        heatmap = folder / HEATMAPS / case["file"]
        case["heatmap"] = _address(heatmap.read_bytes(), "png") if heatmap.is_file() else ""
    # The most instructive first, whatever the order of the file.
    order = list(KINDS)
    return sorted(cases, key=lambda case: order.index(case["kind"]))


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _address(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _unbroken(text: str) -> Markup:
    """Keep intervals and hyphenated names in one line, for a table would break them anywhere."""
    pieces = UNBROKEN.split(text)
    kept = Markup('<span class="whole">{}</span>')
    return Markup("").join(
        kept.format(piece) if place % 2 else piece for place, piece in enumerate(pieces)
    )


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())
