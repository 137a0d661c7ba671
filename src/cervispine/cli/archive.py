"""The command that reads a whole archive."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cervispine.cli.options import (
    AllowTrainingPatients,
    KeyOfTraining,
    LoaderName,
    Model,
    Out,
    Saved,
    Verify,
)

__all__ = ["infer"]


def infer(
    model: Model,
    archive: Annotated[
        str,
        typer.Argument(metavar="ARCHIVE", help="Folder, zip, DICOMDIR, or what the loader takes."),
    ],
    *,
    out: Out,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes on this machine; 0 reads in this one.")
    ] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler whose workers read instead.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="That each process computes with.")] = 1,
    timeout: Annotated[
        float, typer.Option(help="Seconds after which a study that is being read has hung.")
    ] = 300.0,
    tries: Annotated[
        int, typer.Option(min=1, help="Processes that may die of a study until it is set aside.")
    ] = 3,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what was set aside.")] = False,
    loader: LoaderName = "dicom",
    saved: Saved = None,
    key: KeyOfTraining = None,
    allow_training_patients: AllowTrainingPatients = False,
    verify: Verify = None,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Exit with 1 when anything was rejected or set aside."),
    ] = False,
) -> None:
    """Read a whole archive with a saved model.

    The same command again reads only what is missing. A study that ends or hangs the process that
    reads it is set aside, and the others are read.
    """
    from cervispine.archive import infer_archive

    run = infer_archive(
        model,
        archive,
        out=out,
        workers=workers,
        scheduler=scheduler,
        threads=threads,
        timeout=timeout,
        tries=tries,
        retry=retry,
        loader=loader,
        saved=saved,
        key=key,
        allow_training_patients=allow_training_patients,
        verify=verify,
    )
    print(run.summary())
    print(f"\nThe predictions are {run.folder / 'predictions.csv'}")
    if strict and run.account.refused:
        print(f"{run.account.refused} items were rejected or set aside", file=sys.stderr)
        raise typer.Exit(1)
