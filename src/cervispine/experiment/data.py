"""The data of a run: where they lie, what is in them, and that they stay what they were."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cervispine.exceptions import DataError, UsageError
from cervispine.experiment.folder import RunFolder
from cervispine.experiment.presets import Preset
from cervispine.progress import progress as progress_of
from cervispine.records import CLASSES, Key, Manifest
from cervispine.records.files import write_text
from cervispine.records.labels import read_labels

if TYPE_CHECKING:
    from cervispine.records import Cohort

__all__ = ["Source", "check_source", "find_source", "index_source", "source_settings"]

logger = logging.getLogger("cervispine.experiment")

#: Name of the manifest of the data in a run folder.
DATA_MANIFEST = "data-manifest.json"


@attrs.frozen(kw_only=True)
class Source:
    """Where the data of a run lie; ``phantom`` is how they were made, where the run made them."""

    images: str | Path
    labels: Path
    readers: Path | None
    phantom: Mapping[str, Any] | None = None
    manifest: Path | None = None
    saved: Path | None = None
    loader: str = "dicom"


def check_source(
    data: str | Path | None,
    labels: str | Path | None,
    tables: Mapping[str, str | Path | None],
    loader: str,
) -> None:
    """Raise where what was named of the data cannot be meant.

    Raises
    ------
    UsageError
        Data without labels (``LABELS_MISSING``); tables without data.
    LoaderError
        There is no such loader.
    """
    from cervispine.loading import build_loader

    if data is not None and labels is None:
        raise UsageError(
            "data were given without labels",
            advice="give a CSV file with the columns patient,label (OPLL or DSS): --labels",
            code="LABELS_MISSING",
        )
    if data is None and any(path is not None for path in tables.values()):
        *names, last = tables
        raise UsageError(
            f"{', '.join(names)} and {last} belong to data; the phantom brings its own"
        )
    if data is None and loader != "dicom":
        raise UsageError(f"the phantom is DICOM, and the loader asked for is {loader!r}")
    build_loader(loader)


def source_settings(
    data: str | Path | None,
    tables: Mapping[str, str | Path | None],
    *,
    loader: str,
    allow_missing: bool,
    key: Key | None,
) -> dict[str, Any]:
    """Return what a run that is resumed must have been given of its data.

    Not their path, which may say whose they are; their content is in the manifest.

    Raises
    ------
    UsageError
        A table cannot be read (``FILE_MISSING``).
    """
    from cervispine.loading import find_loader

    return {
        "data": "phantom" if data is None else "given",
        "loader": find_loader(loader).qualified_name,
        "allow_missing": allow_missing,
        "key": None if key is None else key.fingerprint,
        **{name: None if path is None else _hash_file(Path(path)) for name, path in tables.items()},
    }


def _hash_file(path: Path) -> str:
    """Return the SHA-256 of a file that was named, hexadecimal.

    Raises
    ------
    UsageError
        When it cannot be read (``FILE_MISSING``).
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            "the file cannot be read", where=str(path), advice="check its path", code="FILE_MISSING"
        ) from error


def _make_phantoms(run: RunFolder, settings: Preset, seed: int, progress: bool | None) -> Source:
    """Write the phantom cohort into the run folder."""
    from cervispine.phantom import Phantom

    with run.timed("phantom"), progress_of("making phantoms", shown=progress) as report:
        written = Phantom(**settings.phantom, seed=seed).write(
            run.path / "phantom", progress=report
        )
    return Source(
        images=written.dicom,
        labels=written.labels,
        readers=written.readers,
        phantom=settings.phantom,
    )


def find_source(
    run: RunFolder,
    data: str | Path | None,
    *,
    labels: str | Path | None,
    readers: str | Path | None = None,
    verify: str | Path | None,
    saved: str | Path | None,
    loader: str,
    settings: Preset,
    seed: int,
    progress: bool | None,
) -> Source:
    """Return where the data lie; phantoms, made now, where none were given."""
    if data is None:
        return _make_phantoms(run, settings, seed, progress)
    return Source(
        images=data,
        labels=Path(str(labels)),
        readers=None if readers is None else Path(readers),
        manifest=None if verify is None else Path(verify),
        saved=None if saved is None else Path(saved),
        loader=loader,
    )


def index_source(
    run: RunFolder,
    source: Source,
    stratify: Sequence[str],
    allow_missing: bool,
    progress: bool | None,
) -> tuple[Cohort, Manifest]:
    """Index and label the data, and write down which bytes they are.

    Raises
    ------
    DataError
        When the data are refused, or no longer those that the run began with. A table that has a
        fault of its own is refused before the headers are read, which may take an hour.
    UsageError
        The labels have no such column to stratify by.
    """
    from cervispine.evaluation import ReaderTable
    from cervispine.loading import index_with

    columns = read_labels(source.labels).columns
    if lacking := [name for name in stratify if name not in columns]:
        raise UsageError(
            f"the labels' table has no column {', '.join(lacking)}",
            where=str(source.labels),
            advice="stratify by columns that it has",
        )
    if source.readers is not None:
        ReaderTable.from_csv(source.readers)
    with run.timed("index"), progress_of("reading headers", shown=progress) as report:
        cohort = index_with(
            source.loader,
            source.images,
            progress=report,
            manifest=source.manifest,
            saved=source.saved,
        )
    assert cohort.intake is not None
    cohort.intake.to_csv(run.path / "rejected.csv")
    try:
        cohort = cohort.with_labels(source.labels, allow_missing=allow_missing)
    finally:
        # Also where the labels are refused: what became of the files may be the reason.
        write_text(run.path / "cohort.txt", cohort.summary() + "\n")
        logger.info("%s", cohort.summary())
    if len(classes := {CLASSES[label] for label in cohort.labels.tolist()}) < 2:
        raise DataError(
            f"every study is labelled {', '.join(classes)}: there is nothing to tell apart",
            where=str(source.labels),
            advice="bring patients of both classes",
            code="SINGLE_CLASS",
        )
    repeated = len(cohort) - len(set(cohort.patients))
    if repeated:
        raise DataError(
            f"{repeated} patients have a second study, and every figure counts patients",
            advice="leave one study of each patient in the folder, by a rule you can state",
            code="PATIENT_REPEATED",
        )
    phantoms = sum(study.synthetic for study in cohort)
    if 0 < phantoms < len(cohort):
        raise DataError(
            f"{phantoms} of {len(cohort)} studies are phantoms of cervispine, the others are not",
            advice="a figure of both is of neither: leave one of the two out of the folder",
            code="PHANTOMS_MIXED",
        )
    return _sealed(run, cohort, progress)


def _sealed(run: RunFolder, cohort: Cohort, progress: bool | None) -> tuple[Cohort, Manifest]:
    """Return the cohort, every later read of which is checked against the run's manifest."""
    from cervispine.loading import make_manifest, refuse_changed, seal

    path = run.path / DATA_MANIFEST
    with run.timed("verify"), progress_of("hashing files", shown=progress) as report:
        if run.resumed and path.is_file():
            manifest = Manifest.load(path)
            refuse_changed(cohort, manifest, whole=True, progress=report)
        else:
            manifest = make_manifest(cohort, progress=report)
            manifest.save(path)
    return seal(cohort, manifest), manifest
