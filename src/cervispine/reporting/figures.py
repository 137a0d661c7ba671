"""Figures as files: SVG for papers and pages, PNG for slides, each bearing its mark."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from cervispine.records.files import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["MARK", "MARK_COLOUR", "save_figure"]

#: Stands in every picture of a run without data, which may be taken out of its page.
MARK = "Synthetic phantoms, no patients"

#: Behind a mark, under white letters: contrast 7.7 to 1.
MARK_COLOUR = "#8a3b00"

#: Of PNG, dots an inch: a figure then fills a slide, or a column at print quality.
DPI = 200


def save_figure(figure: Figure, folder: Path, name: str, *, mark: str = "") -> None:
    """Write a figure as ``name.svg`` and ``name.png``; the same figure gives the same bytes.

    Parameters
    ----------
    figure
        With constrained layout, so that the mark finds room.
    folder
        Is there.
    name
        Of the files, without an ending.
    mark
        Stands above the figure, in the picture itself: for instance that it is synthetic.

    Raises
    ------
    ResourceError
        When a file cannot be written.
    """
    import matplotlib as mpl

    if mark:
        box = {"facecolor": MARK_COLOUR, "edgecolor": MARK_COLOUR, "pad": 2.5}
        figure.suptitle(mark, size="medium", color="white", fontweight="bold", bbox=box)
    # Text stays text, and neither date nor random ids make two equal figures differ.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cervispine"}):
        for ending, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, dpi=DPI, metadata=metadata, facecolor="white")
            write_bytes(folder / f"{name}.{ending}", buffer.getvalue())
