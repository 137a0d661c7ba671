"""The files of a cohort: each patient whole or not at all, and never two cohorts in one folder."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as Sequence_
from pathlib import Path

import attrs
import numpy as np

from cervispine.exceptions import ResourceError, UsageError
from cervispine.phantom.canal import severity
from cervispine.phantom.dicom import write_series
from cervispine.phantom.rendering import Rendering, render_sequences
from cervispine.phantom.specification import PatientSpecification, Sequence
from cervispine.records.files import refuse_taken, write_text
from cervispine.records.written import csv_text

__all__ = ["claim_folder", "is_finished", "write_patient", "write_table", "writing"]

README = """This folder is synthetic. It was computed by cervispine's digital phantom.

There are no patients here. Nothing in this folder, no image, label or reading, is evidence about
patients, and no figure computed from it says how a method does on patients. The surgeons in
readers.csv are simulated.

dicom/         one folder a patient, in it one a series (MR Image Storage)
labels.csv     patient, label (OPLL or DSS), type, site, age, sex
readers.csv    patient, reader, call, rating: simulated
truth/         masks (slices in order along their normal, by affine), specification, severity
phantom.json   the settings that made all this
"""

#: What numpy and pydicom leave unsaid when a disk fills up.
NO_REASON = "a file could not be written whole"

#: What a change of the images requires: cohorts of different versions are not mixed.
VERSION = 1


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn what the operating system refuses into an error that says what to do."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ResourceError(
            f"the phantom cohort cannot be written: {error.strerror or NO_REASON}",
            where=str(folder),
            advice="choose a folder you may write to, on a disk with room",
            code="OUTPUT_UNWRITABLE",
        ) from error


def claim_folder(folder: Path, settings: Mapping[str, object]) -> None:
    """Mark a folder as a cohort's own.

    Raises
    ------
    UsageError
        If it holds other files or a cohort of other settings.
    """
    # Tuples become lists in JSON; compare what a reader of the file would see.
    wanted = json.loads(
        json.dumps({"synthetic": True, "version": VERSION, "settings": dict(settings)})
    )
    description = folder / "phantom.json"
    if description.exists():
        try:
            found = json.loads(description.read_text(encoding="utf-8"))
        except ValueError:
            found = None
        if found != wanted:
            raise UsageError(
                "the folder holds a phantom cohort of other settings",
                where=str(description),
                advice="choose another folder, or remove this one",
                code="OUTPUT_TAKEN",
            )
        return
    refuse_taken(folder)
    write_text(folder / "README.txt", README)
    write_text(description, json.dumps(wanted, indent=1) + "\n")


def write_table(path: Path, columns: Sequence_[str], rows: Iterable[Iterable[object]]) -> None:
    """Write a CSV file with a header."""
    write_text(path, csv_text(columns, rows))


def is_finished(folder: Path, name: str) -> bool:
    """Return whether a patient is written; the truth is written last."""
    return (folder / "truth" / f"{name}.json").exists()


def write_patient(
    folder: Path, name: str, patient: PatientSpecification, sequences: Sequence_[Sequence]
) -> None:
    """Render and write one patient: images, masks, then the truth that says it is finished."""
    images, truth = folder / "dicom", folder / "truth"
    images.mkdir(exist_ok=True)
    truth.mkdir(exist_ok=True)
    renderings = render_sequences(patient, sequences)
    # Outside dicom/, so that half a patient is never taken for images.
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as temporary:
        for rendering in renderings:
            write_series(rendering, patient, Path(temporary) / name / rendering.sequence, name=name)
        shutil.rmtree(images / name, ignore_errors=True)
        (Path(temporary) / name).replace(images / name)
        masks = Path(temporary) / "masks.npz"
        first = renderings[0]
        np.savez_compressed(
            masks, plaque=first.plaque, cord=first.cord, affine=first.affine,
            spacing=np.array(first.spacing),
        )  # fmt: skip
        masks.replace(truth / f"{name}.npz")
    write_text(truth / f"{name}.json", json.dumps(_truth(name, patient, renderings[0])) + "\n")


def _truth(name: str, patient: PatientSpecification, rendering: Rendering) -> dict[str, object]:
    """Return all that is known about a patient."""
    narrowing = severity(patient)
    levels = sorted({level for plaque in patient.plaques for level in plaque.levels})
    return {
        "synthetic": True,
        "patient": name,
        "label": patient.label,
        "type": patient.opll_type,
        "levels": levels,
        "thickness_mm": narrowing.plaque_thickness,
        "occupying_ratio": narrowing.occupying_ratio,
        "narrowest_sac_mm": narrowing.narrowest_sac,
        "cord_compression": narrowing.compression,
        "cord_lesion": patient.lesion is not None,
        "mimics": len(patient.mimics),
        "mid_slice": rendering.mid_slice,
        "plaque_pixels": int(rendering.plaque.sum()),
        "specification": attrs.asdict(patient),
    }
