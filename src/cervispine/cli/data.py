"""The commands about data: make them up, and say what is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cervispine.cli.options import (
    AllowMissing,
    Data,
    Labels,
    LoaderName,
    Saved,
    Seed,
    Strict,
    Verify,
    end_strictly,
    index_folder,
)
from cervispine.exceptions import NoImagesError, UsageError
from cervispine.progress import progress

if TYPE_CHECKING:
    from cervispine.records import Cohort

__all__ = ["index", "phantom"]


def phantom(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    patients: Annotated[
        int, typer.Option(min=2, help="How many; 272 of 684 have OPLL, as in the paper.")
    ] = 684,
    difficulty: Annotated[float, typer.Option(min=0, max=1, help="0 is easy, 1 is hard.")] = 0.5,
    t1: Annotated[bool, typer.Option("--t1", help="Write a T1 series beside each T2.")] = False,
    seed: Seed = 0,
) -> None:
    """Write a cohort of synthetic patients as DICOM.

    Beside the images stand their truth (masks and measures), labels.csv, and readers.csv with
    what simulated readers would have said.
    """
    from cervispine.phantom import Phantom

    n_opll = round(patients * 272 / 684)
    cohort = Phantom(
        n_opll=n_opll,
        n_dss=patients - n_opll,
        difficulty=difficulty,
        seed=seed,
        sequences=["T2", "T1"] if t1 else ["T2"],
    )
    with progress("making phantoms") as report:
        written = cohort.write(folder, progress=report)
    print(f"{n_opll} OPLL and {patients - n_opll} DSS phantoms, synthetic, no patients:")
    for name in ("dicom", "labels", "readers", "truth"):
        print(f"  {name:8} {getattr(written, name)}")


def index(
    data: Data,
    labels: Labels = None,
    allow_missing: AllowMissing = False,
    loader: LoaderName = "dicom",
    saved: Saved = None,
    verify: Verify = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for intake.html, rejected.csv and data-manifest.json."),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            envvar="CERVISPINE_KEY",
            help="Secret file beside your data, made if absent: studies get their pseudonyms.",
        ),
    ] = None,
    strict: Strict = False,
) -> None:
    """Say what is there, what is refused and why.

    Writes nothing without --out or --saved. With --out one page shows every study, and a manifest
    keeps which bytes they are made of.
    """
    from cervispine.records import Cohort, IntakeReport
    from cervispine.records.labels import read_labels
    from cervispine.records.tables import listing

    if out is not None and out.absolute().is_relative_to(Path(data).absolute()):
        raise UsageError(
            "the page would lie among the files that it is about",
            where="--out",
            advice="name a folder outside the data",
        )
    if labels is not None:
        read_labels(labels)  # a fault of its own is told before the headers are read
    try:
        cohort = index_folder(data, loader=loader, saved=saved, verify=verify)
    except NoImagesError as error:
        # Where nothing is left, what was refused and why is wanted most.
        if out is not None and isinstance(error.intake, IntakeReport):
            _save(Cohort((), error.intake), out, key)
        raise
    try:
        if labels is not None:
            cohort = cohort.with_labels(labels, allow_missing=allow_missing)
    finally:
        # Also where the labels are refused: what became of the files may be the reason.
        print(cohort.summary())
    if pairs := cohort.near_duplicates():
        title = f"  noted    NEAR_DUPLICATE           {len(pairs)} pairs of studies look alike:"
        print(listing(title, [pair.item for pair in pairs]))
    if out is not None:
        _save(cohort, out, key)
    end_strictly(cohort.intake, strict)


def _save(cohort: Cohort, out: Path, key: Path | None) -> None:
    from cervispine.records import Key
    from cervispine.reporting import save_intake

    secret = None if key is None else Key.open(key, outside=out)
    with progress("drawing studies") as report:
        page = save_intake(cohort, out, key=secret, progress=report)
    print(f"\nThe page is {page}")
