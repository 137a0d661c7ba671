"""A comparison as JSON, tables (CSV, LaTeX) and figures (SVG, PNG)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from cervispine.records.files import make_folder, write_json, write_text
from cervispine.reporting.figures import save_figure

if TYPE_CHECKING:
    from cervispine.evaluation import Comparison

__all__ = ["save_comparison"]


def save_comparison(comparison: Comparison, folder: Path, *, mark: str = "") -> None:
    """Write ``comparison.json``, ``comparison.txt``, ``tables/`` and ``figures/``.

    The tables are CSV and LaTeX; the figures (SVG and PNG) are ``roc`` and, where there is
    something to draw, ``differences``, ``strata``, ``calibration`` and ``decision``. Those of a
    comparison that was saved there before go, whether this one has them or not.

    Parameters
    ----------
    comparison
        What is saved.
    folder
        Where; it is made when it is not there.
    mark
        Stands in every file, for instance that it is of phantoms.

    Raises
    ------
    ResourceError
        When the folder cannot be written.
    """
    from cervispine.evaluation.plotting import KINDS, figure_of

    if mark:
        comparison = attrs.evolve(comparison, mark=mark)
    make_folder(folder)
    for name in ("tables/T[1-9].*", *(f"figures/{kind}.*" for kind in KINDS)):
        for path in folder.glob(name):
            path.unlink()
    write_json(folder / "comparison.json", comparison.to_dict())
    write_text(folder / "comparison.txt", comparison.summary() + "\n")
    tables = make_folder(folder / "tables")
    for ending, texts in (("csv", comparison.to_csv()), ("tex", comparison.to_latex())):
        for name, text in texts.items():
            write_text(tables / f"{name}.{ending}", text)
    figures = make_folder(folder / "figures")
    for kind in comparison.figures:
        save_figure(figure_of(comparison, kind), figures, kind, mark=comparison.mark)
