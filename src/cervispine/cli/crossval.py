"""The command that tests a way of training on every patient."""

from __future__ import annotations

from typing import Annotated

import typer

from cervispine.cli.options import (
    AllowMissing,
    DataOrPhantoms,
    KeyFile,
    Labels,
    LoaderName,
    Out,
    Resume,
    Saved,
    Seed,
    Strict,
    Verify,
    end_strictly,
    names_in,
)

__all__ = ["crossval"]


def crossval(
    data: DataOrPhantoms = None,
    *,
    out: Out,
    labels: Labels = None,
    allow_missing: AllowMissing = False,
    backbone: Annotated[str, typer.Option(help="An installed backbone.")] = "resnet50",
    preset: Annotated[
        str, typer.Option(help="quick: small images, a short training. paper: 224 px.")
    ] = "quick",
    folds: Annotated[int, typer.Option(min=2, help="How many parts.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="How often they are drawn anew.")] = 1,
    stratify: Annotated[
        str, typer.Option(help="Columns of labels.csv, with commas: each fold gets its share.")
    ] = "",
    grid: Annotated[
        list[str] | None,
        typer.Option(help="name=value,value of a parameter, repeatable; each fold chooses."),
    ] = None,
    inner_folds: Annotated[
        int, typer.Option(min=2, help="Folds within the training patients, to choose by.")
    ] = 3,
    loader: LoaderName = "dicom",
    saved: Saved = None,
    key: KeyFile = None,
    verify: Verify = None,
    seed: Seed = 0,
    resume: Resume = False,
    strict: Strict = False,
) -> None:
    """Test a way of training on every patient, each by a model that never saw it.

    Folds never part what belongs together. Without DATA it runs on synthetic phantoms.
    """
    from cervispine.experiment import cross_validate
    from cervispine.experiment.tuning import read_grid

    result = cross_validate(
        data,
        out=out,
        labels=labels,
        allow_missing=allow_missing,
        backbone=backbone,
        preset=preset,
        folds=folds,
        repeats=repeats,
        stratify=names_in(stratify),
        grid=read_grid(grid or ()),
        inner_folds=inner_folds,
        loader=loader,
        saved=saved,
        key=key,
        verify=verify,
        seed=seed,
        resume=resume,
    )
    print(result.summary())
    print(f"\nThe figures and the scores are in {result.folder}")
    end_strictly(result.intake, strict)
