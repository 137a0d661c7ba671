"""The command that shows what a network looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cervispine.cli.options import (
    Data,
    KeyOfTraining,
    LoaderName,
    Model,
    Out,
    Saved,
    Strict,
    Verify,
    end_strictly,
    index_folder,
    names_in,
)
from cervispine.exceptions import LoadError, UsageError
from cervispine.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cervispine.classification import Heatmap
    from cervispine.records import Cohort, Study

__all__ = ["explain"]

COLUMNS = (
    "file", "patient", "study", "series", "probability", "call", "advice", "slice", "value", "row",
    "column", "left_mm", "posterior_mm", "superior_mm",
)  # fmt: skip

#: Columns of numbers that are rounded to what is known of them.
ROUNDED = {"probability", "value", "left_mm", "posterior_mm", "superior_mm"}


def explain(
    model: Model,
    data: Data,
    *,
    out: Out,
    method: Annotated[
        str, typer.Option(help="grad-cam: one backward pass. occlusion: slow, for any network.")
    ] = "grad-cam",
    patients: Annotated[
        str | None, typer.Option(help="Identifiers, with commas between; without it, all.")
    ] = None,
    dicom: Annotated[
        bool,
        typer.Option(
            "--dicom",
            help="Also a folder of DICOM for each study: report, picture and map, with the "
            "patient's name as in the images. Needs cervispine[dicom-out].",
        ),
    ] = False,
    loader: LoaderName = "dicom",
    saved: Saved = None,
    key: KeyOfTraining = None,
    allow_training_patients: Annotated[
        bool,
        typer.Option("--allow-training-patients", help="Explain also those it was trained on."),
    ] = False,
    verify: Verify = None,
    strict: Strict = False,
) -> None:
    """Show where in each study a model finds its evidence for OPLL.

    Writes, for each study, a picture and the values on the pixels of its series, and one table with
    the strongest pixel of each slice in patient coordinates.
    """
    from cervispine.classification import load_model
    from cervispine.classification.domain import warn_of_strangers
    from cervispine.classification.explaining import check_method
    from cervispine.classification.inputs import warn_of_other_loaders
    from cervispine.dicom_results import highdicom, write_results
    from cervispine.records import Key
    from cervispine.records.files import make_folder, refuse_taken, write_text
    from cervispine.records.tables import listing
    from cervispine.records.written import csv_text

    check_method(method)
    if dicom:
        highdicom()
    refuse_taken(out)
    secret = None if key is None else Key.open(key, make=False)
    classifier = load_model(model)
    sequences = classifier.preprocessor_.sequences
    cohort = index_folder(data, loader=loader, verify=verify, sequences=sequences, saved=saved)
    chosen = cohort if patients is None else _chosen(cohort, names_in(patients))
    warn_of_other_loaders(classifier.record_, chosen, classifier.preprocessor_)
    if not allow_training_patients:
        classifier.trained_on_.refuse(chosen, secret)
    make_folder(out)
    rows: list[tuple[object, ...]] = []
    explained: list[tuple[Study, Sequence[str]]] = []
    refused: list[tuple[str, LoadError]] = []
    try:
        with progress("explaining") as report:
            for number, study in enumerate(chosen, start=1):
                report(number - 1, len(chosen))
                name = f"{number:04d}"
                try:
                    heatmap = classifier.explain(study, method=method)
                except LoadError as error:
                    refused.append((study.uid, error))
                    continue
                explained.append((study, (heatmap.prediction.unlike_training or ((),))[0]))
                heatmap.to_png(out / f"{name}.png")
                heatmap.to_npz(out / f"{name}.npz")
                if dicom:
                    write_results(heatmap, out / name)
                rows += _rows(name, study.patient, heatmap)
            report(len(chosen), len(chosen))
    finally:
        # What was finished before an interruption has its rows.
        write_text(out / "peaks.csv", csv_text(COLUMNS, rows, printed=ROUNDED))
    if not explained:
        raise refused[0][1]
    warn_of_strangers(*zip(*explained, strict=True))
    print(f"{len(explained)} studies, by {method}: {out}")
    if dicom:
        print("the DICOM files name the patient, as the images do")
    if refused:
        reasons = [f"study {uid}: [{error.code}] {error.what}" for uid, error in refused]
        print(listing(f"{len(refused)} studies could not be read:", reasons))
    end_strictly(cohort.intake, strict)
    if strict and refused:
        raise typer.Exit(1)


def _chosen(cohort: Cohort, patients: tuple[str, ...]) -> Cohort:
    if not patients:
        raise UsageError("no patient is named", where="--patients", advice="leave it out for all")
    strangers = set(patients) - set(cohort.patients)
    if strangers:
        raise UsageError(
            f"{len(strangers)} of the {len(set(patients))} patients named have no study here",
            where="--patients",
            advice="identifiers are those of the images' headers, with commas between",
        )
    return cohort.where(lambda study: study.patient in patients)


def _rows(name: str, patient: str, heatmap: Heatmap) -> list[tuple[object, ...]]:
    study = (name, patient, heatmap.study, heatmap.series.uid)
    verdict = (f"{heatmap.probability:.4f}", int(heatmap.called), heatmap.advice)
    peaks = {peak.slice: peak for peak in heatmap.peaks()}
    rows: list[tuple[object, ...]] = []
    for number in heatmap.slices:
        peak = peaks.get(number)
        if peak is None:
            rows.append((*study, *verdict, number, 0, *[""] * 5))
            continue
        _, row, column = peak.index
        position = (f"{value:.2f}" for value in peak.position)
        rows.append((*study, *verdict, number, f"{peak.value:.6g}", row, column, *position))
    return rows
