"""The command that compares: any models' scores with readers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cervispine.cli.options import Out, Readers, names_in

__all__ = ["compare"]


def compare(
    *,
    truth: Annotated[Path, typer.Option(help="labels.csv: patient,label (OPLL or DSS).")],
    scores: Annotated[Path, typer.Option(help="scores.csv: patient,model,score[,call].")],
    readers: Readers = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Scores at or above it are calls; needed where scores.csv has none."),
    ] = None,
    strata: Annotated[
        str | None,
        typer.Option(help="Columns of labels.csv, with commas; without it, those of few levels."),
    ] = None,
    complete_cases: Annotated[
        bool, typer.Option("--complete-cases", help="Leave out patients a reader did not read.")
    ] = False,
    rating_scale: Annotated[
        tuple[float, float], typer.Option(help="Lowest and highest rating there is.")
    ] = (0, 100),
    prevalence: Annotated[
        float | None,
        typer.Option(help="Share of diseased in practice; adds predictive values there."),
    ] = None,
    out: Out,
) -> None:
    """Compare models' scores with readers.

    Any models' scores will do, of the same patients that the readers read; torch is not needed.
    """
    from cervispine.evaluation import compare_files
    from cervispine.records.files import make_folder
    from cervispine.reporting import save_comparison

    comparison = compare_files(
        truth,
        scores,
        readers,
        threshold=threshold,
        strata=None if strata is None else names_in(strata),
        complete_cases=complete_cases,
        rating_scale=rating_scale,
        prevalence=prevalence,
    )
    save_comparison(comparison, make_folder(out))
    print(comparison.summary())
