"""cross_validate: every patient is tested once, by a model that never saw it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervispine.exceptions import UsageError
from cervispine.experiment.data import (
    Source,
    check_source,
    find_source,
    index_source,
    source_settings,
)
from cervispine.experiment.folder import RunFolder
from cervispine.experiment.folds import CrossValidation, Fold, Part
from cervispine.experiment.models import trained_model
from cervispine.experiment.presets import Preset, find_preset, preset_settings
from cervispine.experiment.tuning import Candidate, candidates_of, plain_grid, tuned
from cervispine.records import Key
from cervispine.records.files import write_json, write_text
from cervispine.records.written import csv_text

if TYPE_CHECKING:
    from cervispine.classification import OPLLClassifier
    from cervispine.preprocessing import Preprocessor
    from cervispine.records import Cohort

__all__ = ["cross_validate"]


def cross_validate(
    data: str | Path | None = None,
    *,
    out: str | Path,
    labels: str | Path | None = None,
    allow_missing: bool = False,
    backbone: str = "resnet50",
    preset: str | Preset = "quick",
    folds: int = 5,
    repeats: int = 1,
    stratify: Sequence[str] = (),
    grid: Mapping[str, Sequence[Any]] | None = None,
    inner_folds: int = 3,
    loader: str = "dicom",
    saved: str | Path | None = None,
    key: str | Path | None = None,
    verify: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    progress: bool | None = None,
) -> CrossValidation:
    """Cross-validate a way of training, in folds that never part what belongs together.

    Images are prepared once. With a grid each fold chooses its parameters on its own training
    patients, by folds within them, so that no test patient has a say.

    Parameters
    ----------
    data, labels, allow_missing, preset, loader, saved, key, verify, progress
        As for :func:`~cervispine.run_experiment`.
    out
        Folder of the run.
    backbone
        Name of an installed backbone.
    folds
        How many parts.
    repeats
        How often the parts are drawn anew.
    stratify
        Columns of ``labels`` whose values have the same share of each fold and each validation
        part, within each label.
    grid
        Values of some parameters of :class:`~cervispine.OPLLClassifier`; each combination is tried.
    inner_folds
        Of the training patients of a fold, where there is a grid.
    seed
        Decides the phantoms, the folds and every training.
    resume
        Continue a run that was interrupted: what is done is kept.

    Raises
    ------
    CervispineError
        Each with its code; see the reference of error codes.
    """
    settings = find_preset(preset)
    tables = {"labels": labels, "verify": verify}
    check_source(data, labels, tables, loader)
    if repeats < 1 or folds < 2 or inner_folds < 2:
        raise UsageError("folds and inner folds are at least 2, repeats at least 1")
    values = plain_grid(grid)
    candidates = candidates_of(values, _maker(settings, backbone, None, seed, progress))
    secret = None if key is None else Key.open(key, outside=out)
    run = RunFolder(
        Path(out),
        {
            **source_settings(data, tables, loader=loader, allow_missing=allow_missing, key=secret),
            **preset_settings(preset),
            "backbone": backbone,
            "folds": folds,
            "repeats": repeats,
            "stratify": list(stratify),
            "grid": values,
            "inner_folds": inner_folds,
            "seed": seed,
        },
    )
    with run.opened(resume=resume):
        source = find_source(
            run, data, labels=labels, verify=verify, saved=saved, loader=loader,
            settings=settings, seed=seed, progress=progress,
        )  # fmt: skip
        cohort, _ = index_source(run, source, stratify, allow_missing, progress)
        # All that can be refused is refused before anything is trained.
        plan = [
            _plan(cohort, folds, inner_folds if len(candidates) > 1 else 0, stratify, seed + repeat)
            for repeat in range(repeats)
        ]
        preprocessor = _prepared(run, cohort, settings)
        make = _maker(settings, backbone, preprocessor, seed, progress)
        tested = [
            _test(run, part, inner, (repeat, number), candidates, make, secret)
            for repeat, parts in enumerate(plan, start=1)
            for number, (part, inner) in enumerate(parts, start=1)
        ]
        result = CrossValidation.of(
            run.path, backbone, tested, intake=cohort.intake, synthetic=cohort.synthetic
        )
        write_text(run.path / "predictions.csv", _table(result))
        write_json(run.path / "cross-validation.json", result.to_dict())
        write_text(run.path / "cross-validation.txt", result.summary() + "\n")
        run.finish(_account(cohort, settings, source))
    return result


def _maker(
    settings: Preset,
    backbone: str,
    preprocessor: Preprocessor | None,
    seed: int,
    progress: bool | None,
) -> Callable[[Candidate], OPLLClassifier]:
    from cervispine.classification import OPLLClassifier

    def make(candidate: Candidate) -> OPLLClassifier:
        parameters = {"backbone": backbone, **settings.classifier, **candidate}
        return OPLLClassifier(preprocessor=preprocessor, seed=seed, progress=progress, **parameters)

    return make


def _prepared(run: RunFolder, cohort: Cohort, settings: Preset) -> Preprocessor:
    """Return a preprocessor whose cache holds every study: folds only look them up."""
    from cervispine.preprocessing import Preprocessor

    preprocessor = Preprocessor(**settings.preprocessor, cache=run.path / "cache")
    with run.timed("prepare"):
        preprocessor.transform(cohort)
    return preprocessor


def _plan(
    cohort: Cohort, folds: int, inner_folds: int, stratify: Sequence[str], seed: int
) -> list[tuple[Part, list[Part]]]:
    """Return the folds of one repeat, each with the folds of its training patients."""
    plan = []
    for held in cohort.folds(folds, stratify=stratify, seed=seed):
        part = Part.of(cohort, held, stratify, seed)
        inner: Sequence[Cohort] = ()
        if inner_folds:
            inner = part.training.folds(inner_folds, stratify=stratify, seed=seed)
        plan.append((part, [Part.of(part.training, each, stratify, seed) for each in inner]))
    return plan


def _test(
    run: RunFolder,
    part: Part,
    inner: Sequence[Part],
    place: tuple[int, int],
    candidates: Sequence[Candidate],
    make: Callable[[Candidate], OPLLClassifier],
    key: Key | None,
) -> Fold:
    """Tune, train and test one fold."""
    repeat, number = place
    name = f"repeat-{repeat}-fold-{number}"
    with run.timed(f"tune {name}"):
        chosen, areas = tuned(run.path / "tuning" / name, candidates, make, inner)
    with run.timed(f"train {name}"):
        classifier = make(chosen).set_params(validation=part.validation)
        model = trained_model(run.path / "models" / name, classifier, part.training, key)
    with run.timed(f"test {name}"):
        predictions = model.classify(part.held, key=key)
    return Fold(
        repeat=repeat,
        fold=number,
        truth=part.held.labels,
        predictions=predictions,
        parameters=chosen,
        inner_areas=tuple(areas),
    )


def _table(result: CrossValidation) -> str:
    """Return the scores as CSV; each fold has a threshold of its own, so there are no calls."""
    repeated = result.folds[-1].repeat > 1
    rows = []
    for fold in result.folds:
        of = fold.predictions
        model = f"{result.backbone} {fold.repeat}" if repeated else result.backbone
        rows += [
            [patient, model, score, float(of.threshold), fold.repeat, fold.fold]
            for patient, score in zip(of.patients, of.probabilities.tolist(), strict=True)
        ]
    return csv_text(["patient", "model", "score", "threshold", "repeat", "fold"], rows)


def _account(cohort: Cohort, settings: Preset, source: Source) -> dict[str, Any]:
    intake = cohort.intake
    assert intake is not None
    return {
        "synthetic": cohort.synthetic,
        "phantom": source.phantom,
        "preprocessor": settings.preprocessor,
        "classifier": settings.classifier,
        "intake": intake.to_dict(),
    }
