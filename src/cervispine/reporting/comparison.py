"""A comparison as JSON, tables (CSV, LaTeX) and figures (SVG)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from cervispine.records.files import make_folder, write_bytes, write_json, write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cervispine.evaluation import Comparison

__all__ = ["save_comparison"]


def save_comparison(comparison: Comparison, folder: Path, *, title: str = "") -> None:
    """Write ``comparison.json``, ``comparison.txt``, ``tables/`` and ``figures/``.

    The tables are CSV and LaTeX; the figures (SVG) are ``roc`` and, where there is something
    to draw, ``differences``, ``calibration`` and ``decision``.

    Parameters
    ----------
    comparison
        What is saved.
    folder
        Where; it is made when it is not there.
    title
        Stands above every figure, for instance that it is of phantoms.

    Raises
    ------
    ResourceError
        When the folder cannot be written.
    """
    from cervispine.evaluation.plotting import figure_of

    make_folder(folder)
    write_json(folder / "comparison.json", comparison.to_dict())
    write_text(folder / "comparison.txt", comparison.summary() + "\n")
    tables = make_folder(folder / "tables")
    for ending, texts in (("csv", comparison.to_csv()), ("tex", comparison.to_latex())):
        for name, text in texts.items():
            write_text(tables / f"{name}.{ending}", text)
    figures = make_folder(folder / "figures")
    for kind in comparison.figures:
        figure = figure_of(comparison, kind)
        if title:
            figure.suptitle(title, fontsize="medium")
        write_bytes(figures / f"{kind}.svg", _svg(figure))


def _svg(figure: Figure) -> bytes:
    import matplotlib as mpl

    buffer = io.BytesIO()
    # Text stays text, and neither date nor random ids make two equal figures differ.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cervispine"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return buffer.getvalue()
