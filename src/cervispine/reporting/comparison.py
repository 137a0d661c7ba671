"""A comparison as JSON, tables (CSV) and figures (SVG)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from cervispine.records.files import make_folder, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cervispine.evaluation import Comparison

__all__ = ["save_comparison"]


def save_comparison(comparison: Comparison, folder: Path) -> None:
    """Write ``comparison.json``, ``comparison.txt``, ``tables/*.csv`` and ``figures/roc.svg``.

    Raises
    ------
    ResourceError
        When the folder cannot be written.
    """
    from matplotlib.figure import Figure

    write_json(folder / "comparison.json", comparison.to_dict())
    write_text(folder / "comparison.txt", comparison.summary() + "\n")
    tables = make_folder(folder / "tables")
    for name, table in comparison.tables().items():
        write_text(tables / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
    figure = Figure(figsize=(6.4, 6.0), layout="constrained")
    comparison.plot(ax=figure.subplots())
    write_bytes(make_folder(folder / "figures") / "roc.svg", _svg(figure))


def _svg(figure: Figure) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    # Text stays text, and neither date nor random ids make two equal figures differ.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cervispine"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return buffer.getvalue()
