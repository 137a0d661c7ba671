"""What several commands share: their options, and what is done with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cervispine.progress import progress

if TYPE_CHECKING:
    from cervispine.records import Cohort, IntakeReport

__all__ = [
    "AllowMissing",
    "AllowTrainingPatients",
    "Data",
    "DataOrPhantoms",
    "KeyFile",
    "KeyOfTraining",
    "Labels",
    "LoaderName",
    "Model",
    "Out",
    "Readers",
    "Resume",
    "Saved",
    "Seed",
    "Strict",
    "Verify",
    "end_strictly",
    "index_folder",
    "names_in",
]

Data = Annotated[
    str, typer.Argument(metavar="DATA", help="Folder, zip, DICOMDIR, or what the loader takes.")
]
DataOrPhantoms = Annotated[
    str | None,
    typer.Argument(metavar="DATA", help="Folder, zip or DICOMDIR; without it, phantoms."),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a saved model.")]
AllowTrainingPatients = Annotated[
    bool, typer.Option("--allow-training-patients", help="Read also those it was trained on.")
]
LoaderName = Annotated[
    str, typer.Option("--loader", help="An installed loader: dicom, nifti, or a plug-in's.")
]
Labels = Annotated[
    Path | None, typer.Option(help="CSV with the columns patient,label (OPLL or DSS).")
]
Readers = Annotated[
    Path | None, typer.Option(help="CSV with the columns patient,reader,call and/or rating.")
]
AllowMissing = Annotated[
    bool,
    typer.Option(
        "--allow-missing", help="Leave out and count studies without a row, rows without images."
    ),
]
Out = Annotated[Path, typer.Option(help="Folder to write into.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="CERVISPINE_KEY",
        help="Secret file beside your data, made if absent: the model recognises its patients.",
    ),
]
KeyOfTraining = Annotated[
    Path | None,
    typer.Option(
        "--key",
        envvar="CERVISPINE_KEY",
        help="Secret file that the training made: other images of its patients are known again.",
    ),
]
Seed = Annotated[int, typer.Option(help="Decides everything random.")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")]
Saved = Annotated[
    Path | None,
    typer.Option(help="File that keeps what was read; a later index reads only what changed."),
]
Verify = Annotated[
    Path | None,
    typer.Option(help="Manifest of the data that are meant (index --out); nothing else is used."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 when any file was rejected.")]


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas between."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def index_folder(
    data: str,
    labels: Path | None = None,
    *,
    loader: str = "dicom",
    verify: Path | None = None,
    sequences: Sequence[str] = ("T2",),
    allow_missing: bool = False,
    saved: Path | None = None,
    shown: bool | None = None,
) -> Cohort:
    """Index a source with a progress bar, and label it where there are labels."""
    from cervispine.loading import index_with
    from cervispine.records.labels import read_labels

    if labels is not None:
        read_labels(labels)  # a fault of its own is told before the headers are read
    with progress("reading headers", shown=shown) as report:
        cohort = index_with(
            loader, data, sequences=sequences, progress=report, manifest=verify, saved=saved
        )
    return cohort if labels is None else cohort.with_labels(labels, allow_missing=allow_missing)


def end_strictly(intake: IntakeReport | None, strict: bool) -> None:
    """End with exit code 1 where that was asked for and something was rejected."""
    if strict and intake is not None and (rejected := _rejected(intake)):
        # What a manifest misses, and folders that cannot be opened, have no files to count.
        print(f"{intake.rejected} files were rejected, for {rejected} reasons", file=sys.stderr)
        raise typer.Exit(1)


def _rejected(intake: IntakeReport) -> int:
    return sum(problem.fate == "rejected" for problem in intake.problems)
