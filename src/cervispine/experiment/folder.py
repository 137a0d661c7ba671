"""The run folder: lock, manifest, split.csv, what makes a run resumable."""

from __future__ import annotations

import hashlib
import itertools
import json
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cervispine.exceptions import LabelError, UsageError
from cervispine.records import Cohort, Study
from cervispine.records.files import alone_in, write_json, write_text
from cervispine.records.identifiers import unmatched_rows
from cervispine.records.labels import strangers
from cervispine.records.tables import Row, raise_faults, read_table, word_fault
from cervispine.records.written import csv_text

__all__ = ["PARTS", "RunFolder", "read_split", "write_split"]

FORMAT = "cervispine/run"
VERSION = 1
PARTS = ("train", "validation", "test")

#: What lies in the folder of a run that has begun to train.
BEGUN = ("models/*/*", "tuning/*/*")

#: The distributions whose versions can change a result.
RECORDED = ("cervispine", "torch", "torchvision", "numpy", "pydicom", "scikit-learn", "scipy")

#: Those of them that a training must keep from its beginning to its end.
DECISIVE = ("cervispine", "torch")


class RunFolder:
    """A folder that holds one run, and knows whether it is the same run that continues.

    Parameters
    ----------
    path
        Where the run is kept.
    configuration
        Everything that decides the result, as JSON can hold it.
    """

    def __init__(self, path: Path, configuration: Mapping[str, Any]) -> None:
        self.path = path
        self.configuration = json.loads(json.dumps(configuration))
        self.seconds: dict[str, float] = {}
        self.resumed = False

    @property
    def manifest_path(self) -> Path:
        """Where the manifest is."""
        return self.path / "manifest.json"

    @contextmanager
    def opened(self, *, resume: bool) -> Iterator[RunFolder]:
        """Hold the folder for this process alone, and check that it may be used.

        Raises
        ------
        ResourceError
            The folder cannot be written.
        UsageError
            Another process runs in it (``RUN_LOCKED``); it holds a run that has begun to train
            (``RUN_EXISTS``);
            there is nothing to resume, or another configuration or version (``RESUME_MISMATCH``).
        """
        with alone_in(self.path):
            self._check(resume=resume)
            self.resumed = resume
            self._write("started")
            yield self

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the wall time of a step to the manifest."""
        start = time.monotonic()
        yield
        self.seconds[step] = round(self.seconds.get(step, 0) + time.monotonic() - start, 1)

    def finish(self, found: Mapping[str, Any]) -> None:
        """Write the manifest of a run that is done."""
        self._write("finished", found)

    def _check(self, *, resume: bool) -> None:
        if not self.manifest_path.is_file():
            if resume:
                raise UsageError(
                    "there is no run here to resume",
                    where=str(self.path),
                    advice="start it without --resume",
                    code="RESUME_MISMATCH",
                )
            return
        if not resume:
            # A run whose data were refused lost nothing that anyone would miss: once they are
            # mended the same command works.
            if not any(any(self.path.glob(begun)) for begun in BEGUN):
                return
            raise UsageError(
                "the folder holds a run already",
                where=str(self.path),
                advice="choose another folder; --resume continues a run that was interrupted",
                code="RUN_EXISTS",
            )
        try:
            manifest = json.loads(self.manifest_path.read_text(encoding="utf-8"))
            self.seconds = dict(manifest["seconds"])
            before, now = dict(manifest["configuration"]), self.configuration
            made_with = {name: str(manifest["versions"][name]) for name in DECISIVE}
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise UsageError(
                "the manifest of the run here cannot be read, so it is unknown what to continue",
                where=str(self.manifest_path),
                advice="start anew in another folder",
                code="RESUME_MISMATCH",
            ) from error
        changed = sorted(name for name in {*before, *now} if before.get(name) != now.get(name))
        if changed:
            raise UsageError(
                f"the run here was started with other values of {', '.join(changed)}",
                where=str(self.path),
                advice="resume with the same command, or start anew in another folder",
                code="RESUME_MISMATCH",
            )
        # Half of the models of one version and half of another's are no experiment.
        if others := {name: made for name, made in made_with.items() if made != version(name)}:
            said = [f"{name} {made}, and here is {version(name)}" for name, made in others.items()]
            raise UsageError(
                f"the run here was started with {'; '.join(said)}",
                where=str(self.path),
                advice="install the versions it was started with, or start anew in another folder",
                code="RESUME_MISMATCH",
            )

    def _write(self, state: str, found: Mapping[str, Any] | None = None) -> None:
        manifest = {
            "format": FORMAT,
            "version": VERSION,
            "state": state,
            "configuration": self.configuration,
            "versions": {name: version(name) for name in RECORDED},
            "python": platform.python_version(),
            "machine": platform.machine(),
            "seconds": self.seconds,
            "files": {
                path.name: hashlib.sha256(path.read_bytes()).hexdigest()
                for path in sorted(self.path.glob("*.csv"))
            },
            **(found or {}),
        }
        write_json(self.manifest_path, manifest)


def write_split(path: Path, parts: Mapping[str, Cohort]) -> None:
    """Write ``patient,part`` for every patient of every part."""
    rows = ([patient, part] for part in PARTS for patient in sorted(set(parts[part].patients)))
    write_text(path, csv_text(["patient", "part"], rows))


def read_split(
    path: str | Path, cohort: Cohort, *, allow_missing: bool = False
) -> dict[str, Cohort]:
    """Divide a cohort as a ``patient,part`` file says.

    Parameters
    ----------
    path
        The file.
    cohort
        Every patient of it needs a row.
    allow_missing
        Rows of patients who are not in the cohort are passed over.

    Raises
    ------
    LabelError
        Unknown parts, patients listed twice (``SPLIT_INVALID``), patients without a row or rows
        without a study (``SPLIT_UNMATCHED``, or the one suspicion that explains all), a part
        that is empty or lacks a class (``SPLIT_INVALID``).
    LeakageError
        Two parts share a patient or an image.
    """
    table = read_table(path, required=("patient", "part"), code="SPLIT", exact=("part",))
    first: dict[str, Row] = {}
    faults = []
    for row in table.rows:
        if fault := word_fault("part", row["part"], PARTS):
            faults.append(f"row {row.number}: {fault}")
        if not row["patient"]:
            faults.append(f"row {row.number}: the patient is empty")
        elif (before := first.setdefault(row["patient"], row)) is not row:
            faults.append(f"row {row.number}: the patient of row {before.number}")
    raise_faults(faults, where=table.source, code="SPLIT_INVALID")
    part_of = {patient: row["part"] for patient, row in first.items()}
    unused = cohort.intake.unused_patients if cohort.intake is not None else frozenset[str]()
    unmatched = unmatched_rows(table.rows, {*cohort.patients, *unused})
    faults = unmatched.faults()
    if not allow_missing:
        faults += strangers(unmatched.strangers, cohort.intake)
    faults += [f"study {study.uid}: no row" for study in cohort if study.patient not in part_of]
    raise_faults(faults, where=table.source, code=unmatched.code_of_faults("SPLIT_UNMATCHED"))

    parts = {part: cohort.where(_in_part(part_of, part)) for part in PARTS}
    if empty := [part for part in PARTS if not len(parts[part])]:
        raise LabelError(f"no patient is in {empty}", where=str(path), code="SPLIT_INVALID")
    for one, other in itertools.combinations(PARTS, 2):
        parts[one].refuse_leakage(parts[other])
    # Found now, and not when a network has been trained for hours and is to be tested.
    if single := [part for part in PARTS if len({study.label for study in parts[part]}) < 2]:
        raise LabelError(
            f"all patients in {single} are of the same class",
            where=str(path),
            advice="each part needs patients of both classes",
            code="SPLIT_INVALID",
        )
    return parts


def _in_part(part_of: Mapping[str, str], part: str) -> Callable[[Study], bool]:
    return lambda study: part_of[study.patient] == part
