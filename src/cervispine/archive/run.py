"""infer_archive: index, read what is missing, merge, count."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np

from cervispine import __version__
from cervispine.archive.account import Account
from cervispine.archive.store import Outcome, Store
from cervispine.archive.work import Reading, Stamped, load_model
from cervispine.exceptions import UsageError
from cervispine.loading.stamps import stamp_of
from cervispine.progress import Report
from cervispine.progress import progress as progress_of
from cervispine.records import Key, Predictions
from cervispine.records.files import alone_in, make_folder, write_json, write_text
from cervispine.records.predictions import table_of

if TYPE_CHECKING:
    from cervispine.classification import Ensemble, OPLLClassifier
    from cervispine.records import Cohort, Study

__all__ = ["ArchiveRun", "infer_archive"]

FORMAT = "cervispine/archive"
VERSION = 1
MANIFEST = "manifest.json"


@attrs.frozen(kw_only=True, eq=False)
class ArchiveRun:
    """An archive that was read: where it lies and what became of it.

    Parameters
    ----------
    folder
        The run folder.
    predictions
        Of the studies that were read, in the order of the cohort.
    account
        What became of every file and every study.
    """

    folder: Path
    predictions: Predictions
    account: Account

    def summary(self) -> str:
        """Return the account as text, and what the model says of the studies."""
        return f"{self.account.summary()}\n{self.predictions.summary()}"


def infer_archive(
    model: str | Path,
    data: str | Path,
    *,
    out: str | Path,
    workers: int = 1,
    scheduler: str | None = None,
    threads: int = 1,
    timeout: float = 300.0,
    tries: int = 3,
    retry: bool = False,
    loader: str = "dicom",
    saved: str | Path | None = None,
    key: str | Path | None = None,
    allow_training_patients: bool = False,
    verify: str | Path | None = None,
    progress: bool | None = None,
) -> ArchiveRun:
    """Read every study of an archive with a saved model, however often it is interrupted.

    The same call again reads only what is missing. Each study is published by itself, under a hash
    of its bytes and of the model, so the number of workers, their deaths and the order of the work
    leave the result what it is.

    Parameters
    ----------
    model
        Folder of a saved model.
    data
        Folder, zip or DICOMDIR, or what the loader takes.
    out
        Folder of the run; with a scheduler, one that every worker sees under this path, as it must
        see ``model`` and ``data``.
    workers
        Processes on this machine; 0 reads in this one, without Dask, and a study that ends its
        process ends the run.
    scheduler
        Address of a Dask scheduler whose workers are used instead.
    threads
        That each process computes with. More than one may change the last digits.
    timeout
        Seconds after which a study that is being read has hung.
    tries
        So many processes may die of a study before it is set aside.
    retry
        Try again what was set aside.
    loader, saved, verify
        As for :func:`~cervispine.run_experiment`.
    key
        That of the training: other images of the same patients are known again.
    allow_training_patients
        Read also those the model was fitted on; else they are rejected.
    progress
        True for bars, False for silence, None for bars on a terminal.

    Raises
    ------
    ModelError
        The model is refused.
    DataError
        The archive is refused as a whole, or holds nothing that can be used.
    UsageError
        The folder holds what another model said (``RESUME_MISMATCH``); another process works in it
        (``RUN_LOCKED``); ``EXTRA_MISSING``.
    ResourceError
        ``WORKERS_MISSING``; the results cannot be written.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM; the same call continues.
    """
    if workers < 0 or threads < 1 or tries < 1 or not timeout > 0:
        raise UsageError("workers is from 0, threads and tries from 1, and timeout above 0")
    if scheduler is None and workers == 0:
        timeout = 0.0
    folder = make_folder(Path(out)).resolve()
    secret = None if key is None else Key.open(key, outside=out, make=False)
    with alone_in(folder):
        classifier, model_hash = load_model(Path(model))
        _begin(folder, model_hash)
        store = Store(folder)
        store.prepare()
        store.sweep()
        if retry:
            store.release()
        cohort = _index(data, classifier, loader, verify, saved, progress)
        reading = Reading(
            model=Path(model).resolve(),
            model_hash=model_hash,
            folder=folder,
            loader=classifier.preprocessor_.settings().get("loader", ""),
            threads=threads,
            tries=tries,
            timeout=timeout or None,
        )
        stamped = [(stamp_of(study, reading.identity), study) for study in cohort]
        outcomes = _kept(store, stamped)
        if not allow_training_patients:
            outcomes |= _trained_on(classifier, stamped, secret)
        missing = [(stamp, study) for stamp, study in stamped if stamp not in outcomes]
        with progress_of("reading the archive", shown=progress) as report:
            _read(reading, missing, workers, scheduler, len(stamped), report)
        store.sweep()
        outcomes |= _kept(store, missing)
        run = _merge(folder, classifier, cohort, [outcomes[stamp] for stamp, _ in stamped])
        write_json(folder / MANIFEST, _manifest(model_hash, "finished", run.account))
    return run


def _merge(
    folder: Path, classifier: OPLLClassifier | Ensemble, cohort: Cohort, outcomes: Sequence[Outcome]
) -> ArchiveRun:
    """Write the tables of a run from what its studies came to, in their order."""
    assert cohort.intake is not None
    account = Account.of(cohort.intake, cohort, outcomes)
    account.save(folder)
    done = [pair for pair in zip(cohort, outcomes, strict=True) if pair[1].fate == "done"]
    strange = [outcome.out_of_distribution for _, outcome in done]
    unlike = [outcome.unlike_training for _, outcome in done]
    band = classifier.band_
    predictions = Predictions(
        patients=tuple(study.patient for study, _ in done),
        probabilities=np.array([outcome.probability for _, outcome in done], dtype=np.float64),
        threshold=classifier.threshold_,
        band=None if band is None else (band.low, band.high),
        out_of_distribution=None if None in strange else np.array(strange, dtype=np.float64),
        unlike_training=None if None in unlike else tuple(each or () for each in unlike),
        model=classifier.name,
        provenance=classifier.record_,
    )
    write_text(folder / "predictions.csv", _table(predictions, [study for study, _ in done]))
    return ArchiveRun(folder=folder, predictions=predictions, account=account)


def _index(
    data: str | Path,
    classifier: OPLLClassifier | Ensemble,
    loader: str,
    verify: str | Path | None,
    saved: str | Path | None,
    progress: bool | None,
) -> Cohort:
    from cervispine.classification.inputs import warn_of_other_loaders
    from cervispine.loading import index_with

    # Workers start elsewhere, and a relative path would mean another file to them.
    source = Path(data).resolve() if Path(data).exists() else data
    with progress_of("reading headers", shown=progress) as report:
        cohort = index_with(
            loader,
            source,
            sequences=classifier.preprocessor_.sequences,
            progress=report,
            manifest=None if verify is None else Path(verify),
            saved=None if saved is None else Path(saved),
        )
    warn_of_other_loaders(classifier.record_, cohort, classifier.preprocessor_)
    return cohort


def _read(
    reading: Reading,
    missing: Sequence[Stamped],
    workers: int,
    scheduler: str | None,
    total: int,
    report: Report,
) -> None:
    """Have whoever was asked for read what is missing."""
    from cervispine.archive.workers import hand_out, read_here, workers_here, workers_of

    done = total - len(missing)
    report(done, total)

    def through(more: int) -> None:
        nonlocal done
        done += more
        report(done, total)

    if not missing:
        return
    if scheduler is None and workers == 0:
        read_here(reading, missing, through)
        return
    with workers_here(workers) if scheduler is None else workers_of(scheduler) as client:
        hand_out(client, reading, missing, through)


def _trained_on(
    classifier: OPLLClassifier | Ensemble, stamped: Sequence[Stamped], key: Key | None
) -> dict[str, Outcome]:
    """Return the studies that the model was fitted on, as rejected."""
    known = classifier.trained_on_.known([study for _, study in stamped], key)
    rejected = Outcome(
        fate="rejected", code="LEAKAGE_TRAINING", reason="the model was fitted on this study"
    )
    return {stamp: rejected for stamp, _ in itertools.compress(stamped, known)}


def _kept(store: Store, stamped: Iterable[Stamped]) -> dict[str, Outcome]:
    """Return what is known of studies, without reading them."""
    keys = store.known_keys()
    kept = {}
    for stamp, _ in stamped:
        outcome = store.find(keys[stamp]) if stamp in keys else None
        outcome = outcome or store.quarantined(stamp)
        if outcome is not None:
            kept[stamp] = outcome
    return kept


def _begin(folder: Path, model_hash: str) -> None:
    """Write the manifest of a run that begins, or refuse a folder that holds another."""
    path = folder / MANIFEST
    if path.exists():
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            same = (before["format"], before["model"]) == (FORMAT, model_hash)
        except (OSError, ValueError, LookupError, TypeError):
            same = False
        if not same:
            raise UsageError(
                "the folder holds what another model said of an archive",
                where=str(folder),
                advice="choose another folder for each model",
                code="RESUME_MISMATCH",
            )
    write_json(path, _manifest(model_hash, "started", None))


def _manifest(model_hash: str, state: str, account: Account | None) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "state": state,
        "model": model_hash,
        "cervispine": __version__,
        **({} if account is None else account.to_dict()),
    }


def _table(predictions: Predictions, studies: Sequence[Study]) -> str:
    """Return ``scores.csv`` with a column ``study``: an archive holds patients repeatedly."""
    columns = predictions.columns()
    patients = columns.pop("patient")
    return table_of([{"patient": patients, "study": [study.uid for study in studies], **columns}])
