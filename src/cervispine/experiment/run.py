"""run_experiment: data, split, training, test, comparison, report."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from cervispine.exceptions import DataError, UsageError
from cervispine.experiment.folder import RunFolder, read_split, write_split
from cervispine.experiment.presets import Preset, find_preset
from cervispine.progress import progress as progress_of
from cervispine.records import CLASSES, Key
from cervispine.records.files import write_text
from cervispine.records.predictions import scores_table

if TYPE_CHECKING:
    from cervispine.evaluation import Comparison, ReaderTable
    from cervispine.preprocessing import Preprocessor
    from cervispine.records import Cohort, Predictions

__all__ = ["Experiment", "run_experiment"]

logger = logging.getLogger("cervispine.experiment")

BACKBONES = ("resnet34", "resnet50", "resnet101")

#: Goes with every figure of a run without data, wherever it is taken.
SYNTHETIC = "synthetic phantoms and simulated readers: no figure here is of patients"


@attrs.frozen(kw_only=True, eq=False)
class Experiment:
    """A design run once: where it lies and what came out.

    Parameters
    ----------
    folder
        The run folder: manifest, split, predictions, comparison, models, report.
    parts
        The cohort in its parts: train, validation, test.
    predictions
        What each backbone says of the test part.
    comparison
        Models and readers on the same test patients.
    report
        Path of the HTML report.
    """

    folder: Path
    parts: Mapping[str, Cohort] = attrs.field(repr=False)
    predictions: Mapping[str, Predictions] = attrs.field(repr=False)
    comparison: Comparison = attrs.field(repr=False)
    report: Path

    def summary(self) -> str:
        """Return the comparison as text, the sample first."""
        return self.comparison.summary()


@attrs.frozen(kw_only=True)
class _Data:
    """Where the data of a run lie."""

    dicom: Path
    labels: Path
    readers: Path | None
    synthetic: bool


def run_experiment(
    data: str | Path | None = None,
    *,
    out: str | Path,
    labels: str | Path | None = None,
    allow_missing: bool = False,
    readers: str | Path | None = None,
    backbones: Sequence[str] = BACKBONES,
    preset: str = "quick",
    split: str | Path | None = None,
    saved: str | Path | None = None,
    key: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    progress: bool | None = None,
) -> Experiment:
    """Run the design of Qu et al. 2024 on a cohort: train, test on patients never seen, compare.

    Parameters
    ----------
    data
        Folder, zip or DICOMDIR; None for the phantom cohort, which is synthetic throughout.
    out
        Folder of the run.
    labels
        labels.csv, ``patient,label``; needed with ``data``.
    allow_missing
        Leave out studies without a row and rows without images, and count them; otherwise they
        are an error.
    readers
        readers.csv, ``patient,reader,call`` and/or ``rating``; without it the models are
        compared with each other alone.
    backbones
        Names of installed backbones.
    preset
        "quick" or "paper".
    split
        split.csv, ``patient,part``; None to draw one by patient and label.
    saved
        File that keeps what was read of the data; see :meth:`cervispine.Loader.index`.
    key
        File of a secret key, made where there is none; outside ``out``. With it the models know
        their training patients again, and not only the images.
    seed
        Decides the phantoms, the split and every training.
    resume
        Continue a run that was interrupted: what is done is kept.
    progress
        True for bars, False for silence, None for bars on a terminal.

    Raises
    ------
    CervispineError
        Each with its code; see the reference of error codes.
    """
    from cervispine.backbones import load_backbone
    from cervispine.reporting import write_report

    settings = find_preset(preset)
    if data is not None and labels is None:
        raise UsageError(
            "data were given without labels",
            advice="give a CSV file with the columns patient,label (OPLL or DSS): --labels",
            code="LABELS_MISSING",
        )
    if data is None and (labels is not None or readers is not None or split is not None):
        raise UsageError("labels, readers and split belong to data; the phantom brings its own")
    if not backbones or len(set(backbones)) < len(backbones):
        raise UsageError("name at least one backbone, and each only once")
    for name in backbones:
        load_backbone(name)
    secret = None if key is None else Key.open(key, outside=out)

    run = RunFolder(
        Path(out),
        {
            "data": "phantom" if data is None else str(Path(data).resolve()),
            "allow_missing": allow_missing,
            "preset": preset,
            "backbones": list(backbones),
            "seed": seed,
            "key": None if secret is None else secret.fingerprint,
            **{
                name: None if path is None else _hash(Path(path))
                for name, path in (("labels", labels), ("readers", readers), ("split", split))
            },
        },
    )
    with run.opened(resume=resume):
        if data is None:
            source = _phantom(run, settings, seed, progress)
        else:
            source = _Data(
                dicom=Path(data),
                labels=Path(str(labels)),
                readers=None if readers is None else Path(readers),
                synthetic=False,
            )
        cohort = _index(run, source, allow_missing, saved, progress)
        parts = _split(run, cohort, settings, split, allow_missing, seed)
        table = _readers(source, parts["test"])
        preprocessor, predictions = _train(run, parts, settings, backbones, secret, seed, progress)
        with run.timed("compare"):
            comparison = _compare(run, source, parts["test"], predictions, table)
        with run.timed("report"):
            _save_cases(run, source, parts["test"], predictions, preprocessor)
            run.finish(_account(source, parts, settings))
            report = write_report(run.path)
        run.finish(_account(source, parts, settings))
    return Experiment(
        folder=run.path, parts=parts, predictions=predictions, comparison=comparison, report=report
    )


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(
            "the file cannot be read", where=str(path), advice="check its path", code="FILE_MISSING"
        ) from error


def _phantom(run: RunFolder, settings: Preset, seed: int, progress: bool | None) -> _Data:
    from cervispine.phantom import Phantom

    with run.timed("phantom"), progress_of("making phantoms", shown=progress) as report:
        written = Phantom(**settings.phantom, seed=seed).write(
            run.path / "phantom", progress=report
        )
    return _Data(
        dicom=written.dicom, labels=written.labels, readers=written.readers, synthetic=True
    )


def _index(
    run: RunFolder,
    source: _Data,
    allow_missing: bool,
    saved: str | Path | None,
    progress: bool | None,
) -> Cohort:
    from cervispine.loading import Loader

    with run.timed("index"), progress_of("reading headers", shown=progress) as report:
        cohort = Loader().index(source.dicom, saved=saved, progress=report)
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
    return cohort


def _split(
    run: RunFolder,
    cohort: Cohort,
    settings: Preset,
    split: str | Path | None,
    allow_missing: bool,
    seed: int,
) -> dict[str, Cohort]:
    if split is not None:
        parts = read_split(split, cohort, allow_missing=allow_missing)
    else:
        is_size = len(cohort) == settings.phantom["n_opll"] + settings.phantom["n_dss"]
        rest, test = cohort.split(settings.test if is_size else settings.test_share, seed=seed)
        train, validation = rest.split(0.15, seed=seed)
        parts = {"train": train, "validation": validation, "test": test}
    write_split(run.path / "split.csv", parts)
    return parts


def _readers(source: _Data, test: Cohort) -> ReaderTable:
    from cervispine.evaluation import ReaderTable

    if source.readers is None:
        return ReaderTable.without_readers(test.patients)
    return ReaderTable.from_csv(source.readers).select(test.patients)


def _train(
    run: RunFolder,
    parts: Mapping[str, Cohort],
    settings: Preset,
    backbones: Sequence[str],
    key: Key | None,
    seed: int,
    progress: bool | None,
) -> tuple[Preprocessor, dict[str, Predictions]]:
    """Train each backbone on the same patients and let it read the test part.

    A model folder that is there is a model that was finished; a checkpoint that is there is a
    training that was not.
    """
    from cervispine.classification import OPLLClassifier
    from cervispine.classification.checkpoints import has_checkpoint
    from cervispine.preprocessing import Preprocessor

    preprocessor = Preprocessor(**settings.preprocessor, cache=run.path / "cache")
    predictions = {}
    for name in backbones:
        folder = run.path / "models" / name.replace(":", "-")
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        with run.timed(f"train {name}"):
            if (folder / "config.json").is_file():
                classifier = OPLLClassifier.load(folder)
            else:
                classifier = OPLLClassifier(
                    backbone=name,
                    preprocessor=preprocessor,
                    validation=parts["validation"].patients,
                    seed=seed,
                    progress=progress,
                    **settings.classifier,
                ).fit(
                    [*parts["train"], *parts["validation"]],
                    run_dir=unfinished,
                    resume=has_checkpoint(unfinished),
                    key=key,
                )
                classifier.save(folder)
                shutil.rmtree(unfinished)
        with run.timed(f"test {name}"):
            # A model that was loaded knows the settings, not this run's cache.
            classifier.preprocessor_ = preprocessor
            predictions[name] = classifier.classify(parts["test"], key=key)
    return preprocessor, predictions


def _compare(
    run: RunFolder,
    source: _Data,
    test: Cohort,
    predictions: Mapping[str, Predictions],
    table: ReaderTable,
) -> Comparison:
    from cervispine.evaluation import Evaluator, Threshold
    from cervispine.reporting import save_comparison

    write_text(run.path / "predictions.csv", scores_table(predictions.values()))
    truth = dict(zip(test.patients, test.labels.tolist(), strict=True))
    types = {study.patient: study.attributes.get("type") or "" for study in test}
    comparison = Evaluator().compare(
        truth,
        {
            name: dict(zip(each.patients, each.probabilities.tolist(), strict=True))
            for name, each in predictions.items()
        },
        table,
        thresholds={
            name: Threshold(each.threshold, "Youden, validation part")
            for name, each in predictions.items()
        },
        strata={"type": types} if any(types.values()) else None,
    )
    if source.synthetic:
        comparison = attrs.evolve(comparison, notes=(SYNTHETIC, *comparison.notes))
    save_comparison(comparison, run.path, title="Synthetic phantoms" if source.synthetic else "")
    return comparison


def _save_cases(
    run: RunFolder,
    source: _Data,
    test: Cohort,
    predictions: Mapping[str, Predictions],
    preprocessor: Preprocessor,
) -> None:
    from cervispine.reporting import save_cases

    name, last = list(predictions.items())[-1]
    mark = "synthetic phantom" if source.synthetic else ""
    save_cases(run.path / "cases", test, last, preprocessor, model=name, mark=mark)


def _account(source: _Data, parts: Mapping[str, Cohort], settings: Preset) -> dict[str, Any]:
    """Return what the manifest says of the data."""
    intake = parts["test"].intake
    assert intake is not None
    return {
        "synthetic": source.synthetic,
        "phantom": settings.phantom if source.synthetic else None,
        "preprocessor": settings.preprocessor,
        "classifier": settings.classifier,
        "intake": {
            "found": intake.found,
            "used": intake.used,
            "rejected": intake.rejected,
            "ignored": intake.ignored,
        },
        "parts": {
            part: {CLASSES[label]: int(np.sum(cohort.labels == label)) for label in (1, 0)}
            for part, cohort in parts.items()
        },
    }
