"""run_experiment: data, split, training, test, comparison, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cervispine.exceptions import UsageError
from cervispine.experiment.account import account_of, model_folder, save_tests
from cervispine.experiment.data import (
    Source,
    check_source,
    find_source,
    index_source,
    source_settings,
)
from cervispine.experiment.folder import RunFolder, read_split, write_split
from cervispine.experiment.heatmaps import save_heatmaps
from cervispine.experiment.models import trained_model
from cervispine.experiment.presets import Preset, find_preset, preset_settings
from cervispine.records import Key
from cervispine.records.files import write_text
from cervispine.records.predictions import scores_table

if TYPE_CHECKING:
    from cervispine.evaluation import Comparison, ReaderTable
    from cervispine.preprocessing import Preprocessor
    from cervispine.records import Cohort, Manifest, Predictions
    from cervispine.reporting.cases import Case
    from cervispine.reporting.history import History

__all__ = ["Experiment", "run_experiment"]

BACKBONES = ("resnet34", "resnet50", "resnet101")

#: Goes with every figure of a run without data, wherever it is taken.
SYNTHETIC = "synthetic phantoms: no figure here is of patients"
SIMULATED = "synthetic phantoms and simulated readers: no figure here is of patients"


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


def run_experiment(
    data: str | Path | None = None,
    *,
    out: str | Path,
    labels: str | Path | None = None,
    allow_missing: bool = False,
    readers: str | Path | None = None,
    backbones: Sequence[str] = BACKBONES,
    preset: str | Preset = "quick",
    split: str | Path | None = None,
    stratify: Sequence[str] = (),
    loader: str = "dicom",
    saved: str | Path | None = None,
    key: str | Path | None = None,
    verify: str | Path | None = None,
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
        "quick" or "paper", which decide the size of the images and the length of the training;
        or a :class:`~cervispine.experiment.Preset` of your own. "quick" is for a first look: for
        a study of patients use "paper" or your own.
    split
        split.csv, ``patient,part``; None to draw one by patient and label.
    stratify
        Columns of ``labels`` whose values have the same share of each part that is drawn.
    loader
        Name of the installed loader that indexes ``data``; the phantom is DICOM.
    saved
        File that keeps what was read of the data; see :meth:`cervispine.Loader.index`.
    key
        File of a secret key, made where there is none; outside ``out``. With it the models know
        their training patients again, and not only the images.
    verify
        Manifest of the data that are meant, as ``cervispine index --out`` writes it: nothing else
        is used.
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
    from cervispine.reporting import HEATMAPS, save_checklists, write_report

    settings = find_preset(preset)
    tables = {"labels": labels, "readers": readers, "split": split, "verify": verify}
    check_source(data, labels, tables, loader)
    if split is not None and stratify:
        raise UsageError("a split that is given is not drawn; stratify belongs to one that is")
    if not backbones or len(set(backbones)) < len(backbones):
        raise UsageError("name at least one backbone, and each only once")
    for name in backbones:
        load_backbone(name)
    secret = None if key is None else Key.open(key, outside=out)

    run = RunFolder(
        Path(out),
        {
            **source_settings(data, tables, loader=loader, allow_missing=allow_missing, key=secret),
            **preset_settings(preset),
            "backbones": list(backbones),
            "stratify": list(stratify),
            "seed": seed,
        },
    )
    with run.opened(resume=resume):
        source = find_source(
            run, data, labels=labels, readers=readers, verify=verify, saved=saved, loader=loader,
            settings=settings, seed=seed, progress=progress,
        )  # fmt: skip
        cohort, manifest = index_source(run, source, stratify, allow_missing, progress)
        parts = _split(run, cohort, settings, split, stratify, allow_missing, seed)
        table = _readers(source, parts["test"])
        preprocessor, predictions, histories = _train(
            run, parts, manifest, settings, backbones, secret, seed, progress
        )
        with run.timed("compare"):
            comparison = _compare(run, source, parts["test"], predictions, table)
        account = account_of(source, parts, settings, manifest, predictions)
        save_tests(run.path, account, comparison)
        with run.timed("figures"):
            cases = _save_pictures(
                run, account, parts["test"], predictions, table, preprocessor, histories
            )
        with run.timed("heat maps"):
            model = model_folder(run.path, list(predictions)[-1])
            save_heatmaps(run.path / HEATMAPS, model, cases, progress=progress)
        run.finish(account)
        save_checklists(run.path)
        report = write_report(run.path)
    return Experiment(
        folder=run.path, parts=parts, predictions=predictions, comparison=comparison, report=report
    )


def _split(
    run: RunFolder,
    cohort: Cohort,
    settings: Preset,
    split: str | Path | None,
    stratify: Sequence[str],
    allow_missing: bool,
    seed: int,
) -> dict[str, Cohort]:
    if split is not None:
        parts = read_split(split, cohort, allow_missing=allow_missing)
    else:
        is_size = len(cohort) == settings.phantom["n_opll"] + settings.phantom["n_dss"]
        size = settings.test if is_size else settings.test_share
        rest, test = cohort.split(size, stratify=stratify, seed=seed)
        train, validation = rest.split(0.15, stratify=stratify, seed=seed)
        parts = {"train": train, "validation": validation, "test": test}
    write_split(run.path / "split.csv", parts)
    return parts


def _readers(source: Source, test: Cohort) -> ReaderTable:
    from cervispine.evaluation import ReaderTable

    if source.readers is None:
        return ReaderTable.without_readers(test.patients)
    return ReaderTable.from_csv(source.readers).select(test.patients)


def _train(
    run: RunFolder,
    parts: Mapping[str, Cohort],
    manifest: Manifest,
    settings: Preset,
    backbones: Sequence[str],
    key: Key | None,
    seed: int,
    progress: bool | None,
) -> tuple[Preprocessor, dict[str, Predictions], dict[str, History]]:
    """Train each backbone on the same patients and let it read the test part."""
    from cervispine.classification import OPLLClassifier
    from cervispine.loading import refuse_changed
    from cervispine.preprocessing import Preprocessor

    preprocessor = Preprocessor(**settings.preprocessor, cache=run.path / "cache")
    predictions: dict[str, Predictions] = {}
    histories: dict[str, History] = {}
    for name in backbones:
        folder = model_folder(run.path, name)
        classifier = OPLLClassifier(
            backbone=name,
            preprocessor=preprocessor,
            validation=parts["validation"].patients,
            seed=seed,
            progress=progress,
            **settings.classifier,
        )
        with run.timed("verify"):
            refuse_changed([study for part in parts.values() for study in part], manifest)
        with run.timed(f"train {name}"):
            model = trained_model(folder, classifier, [*parts["train"], *parts["validation"]], key)
        with run.timed("verify"):
            refuse_changed(parts["test"], manifest)
        with run.timed(f"test {name}"):
            predictions[name] = model.classify(parts["test"], key=key)
        histories[name] = model.history_
    return preprocessor, predictions, histories


def _compare(
    run: RunFolder,
    source: Source,
    test: Cohort,
    predictions: Mapping[str, Predictions],
    table: ReaderTable,
) -> Comparison:
    from cervispine.evaluation import Evaluator, Threshold
    from cervispine.reporting import MARK, save_comparison

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
    if test.synthetic:
        note = SYNTHETIC if source.phantom is None else SIMULATED
        comparison = attrs.evolve(comparison, notes=(note, *comparison.notes))
    save_comparison(comparison, run.path, mark=MARK if test.synthetic else "")
    return comparison


def _save_pictures(
    run: RunFolder,
    account: Mapping[str, Any],
    test: Cohort,
    predictions: Mapping[str, Predictions],
    table: ReaderTable,
    preprocessor: Preprocessor,
    histories: Mapping[str, History],
) -> list[Case]:
    """Save what the report shows beside the comparison: who it was of, history and cases."""
    from cervispine.reporting import (
        MARK,
        choose_cases,
        save_cases,
        save_flow,
        save_history,
        save_participants,
    )

    figures = run.path / "figures"
    mark = MARK if test.synthetic else ""
    save_participants(account, run.path / "tables")
    save_flow(account, figures, mark=mark)
    kept = {name: each.provenance["best_epoch"] for name, each in predictions.items()}
    save_history(histories, kept, figures, mark=mark)
    cases = choose_cases(test, predictions, table if table.readers else None)
    mark = "synthetic phantom" if test.synthetic else ""
    save_cases(run.path / "cases", cases, preprocessor, mark=mark)
    return cases
