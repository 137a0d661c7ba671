"""A comparison from files: labels.csv, scores.csv, readers.csv."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.evaluation.comparison import Comparison
from cervispine.evaluation.judging import check_classes, compare_raters
from cervispine.evaluation.readers import ReaderTable
from cervispine.evaluation.settings import Settings
from cervispine.evaluation.thresholds import Threshold
from cervispine.exceptions import LabelError, UsageError
from cervispine.records.identifiers import unmatched_rows
from cervispine.records.labels import CLASSES, read_labels
from cervispine.records.tables import Row, Table, number_in, raise_faults, read_table

if TYPE_CHECKING:
    from cervispine.evaluation.evaluator import Evaluator

__all__ = ["compare_files", "read_pilot", "read_scores"]

#: A column of more levels is no stratum unless it is asked for, nor one with fewer patients a
#: level: a column of identifiers never becomes one.
MOST_LEVELS = 10
PATIENTS_A_LEVEL = 5


def read_scores(
    path: str | Path,
) -> tuple[dict[str, dict[str, float]], dict[str, Threshold]]:
    """Read ``patient,model,score`` and, where the file has it, ``call``.

    Returns
    -------
    scores : dict
        By model and patient.
    thresholds : dict
        By model, the lowest score that was called 1; empty without the column ``call``.

    Raises
    ------
    LabelError
        With every fault of the file at once (``SCORES_INVALID``): a score that is not a
        finite number, a patient scored twice by one model, calls that no threshold makes.
    """
    return _scores_of(_read_scores(path))


def compare_files(
    truth: str | Path,
    scores: str | Path,
    readers: str | Path | None = None,
    *,
    threshold: float | None = None,
    strata: Sequence[str] | None = None,
    complete_cases: bool = False,
    rating_scale: tuple[float, float] = (0.0, 100.0),
    prevalence: float | None = None,
    evaluator: Evaluator | None = None,
) -> Comparison:
    """Compare models and readers from the files that people bring.

    Parameters
    ----------
    truth
        ``patient,label`` and any column. It may hold patients that were not scored: those
        of a training part.
    scores
        ``patient,model,score`` and, if there, ``call``.
    readers
        ``patient,reader,call`` and/or ``rating``; None to compare the models alone. It may
        hold patients that were not scored.
    threshold
        Of every model: a score at or above it is a call. It must come from other data, and
        is needed where the scores come without calls.
    strata
        Columns of ``truth`` by whose values figures are given. None takes every column
        with 2 to 10 levels and at least five patients a level on average.
    complete_cases
        Leave out patients that some reader did not read, and count them.
    rating_scale
        The lowest and the highest rating there is.
    prevalence
        The share of diseased where the raters will read, for predictive values there.
    evaluator
        None for ``Evaluator()``.

    Raises
    ------
    LabelError
        A file has faults, all of them at once, by row; a scored or read patient has no
        label, a model or a reader lacks one (``SCORES_UNMATCHED``, ``READERS_UNMATCHED``,
        ``READERS_CASE_MISSING``); there is no such column (``LABELS_COLUMNS``).
    EvaluationError
        ``SINGLE_CLASS``, ``SINGLE_CASE``.
    UsageError
        There are neither calls nor a threshold (``THRESHOLD_MISSING``); a prevalence
        outside (0, 1).
    """
    settings = Settings() if evaluator is None else Settings.of(evaluator)
    score_table = _read_scores(scores)
    by_model, thresholds = _scores_of(score_table)
    if threshold is not None:
        thresholds = {model: Threshold(threshold, "given by the user") for model in by_model}
    if not thresholds:
        raise UsageError(
            "the scores come without calls, and no threshold was given",
            where=str(scores),
            advice="give --threshold, chosen on other data, or a column call (0 or 1)",
            code="THRESHOLD_MISSING",
        )
    label_table = read_labels(truth)
    labelled = {row["patient"] for row in label_table.rows}
    _refuse_unlabelled(score_table, labelled, "SCORES")
    _refuse_unscored(score_table, by_model)
    scored = {row["patient"]: row for row in score_table.rows}
    if readers is None:
        table = ReaderTable.without_readers(scored)
    else:
        reader_rows = read_table(readers, required=("patient", "reader"), code="READERS")
        _refuse_unlabelled(reader_rows, labelled, "READERS")
        table = ReaderTable.from_csv(
            readers, complete_cases=complete_cases, rating_scale=rating_scale, patients=scored
        )
        table = _reading(table, score_table, complete_cases)
    compared = set(table.patients)
    rows = [row for row in label_table.rows if row["patient"] in compared]
    labels = {row["patient"]: CLASSES.index(row["label"]) for row in rows}
    _refuse_a_lone_case(label_table, rows)
    columns, notes = _strata_columns(label_table, rows, strata)
    left = len(labelled) - len(scored)
    if left:
        notes.insert(0, f"{left} patients with a label and without scores were left out")
    return compare_raters(
        labels,
        {name: {p: values[p] for p in labels} for name, values in by_model.items()},
        table.select(labels),
        thresholds=thresholds,
        strata={column: {row["patient"]: row[column] for row in rows} for column in columns},
        prevalence=prevalence,
        settings=settings,
        notes=notes,
    )


def _read_scores(path: str | Path) -> Table:
    columns = ("patient", "model", "score")
    return read_table(path, required=columns, code="SCORES", numbers=("score",))


def read_pilot(
    truth: str | Path, scores: str | Path, models: Sequence[str]
) -> tuple[NDArray[np.float64], ...]:
    """Read the truth and the scores of some models, of the patients that were scored.

    Returns
    -------
    tuple of ndarray
        Truth (0/1), then each model's scores, all of shape (patients,) and in one order.

    Raises
    ------
    LabelError
        Faults of the files, as ``compare_files``.
    UsageError
        A model that the file of scores does not have.
    """
    table = _read_scores(scores)
    by_model, _ = _scores_of(table)
    unknown = [model for model in models if model not in by_model]
    if unknown:
        # Not all names are told: where columns were exchanged they are patients.
        close = [n for each in unknown for n in difflib.get_close_matches(each, by_model, n=1)]
        raise UsageError(
            f"no scores of {', '.join(unknown)} among those of {len(by_model)} models",
            where=table.source,
            advice=f"did you mean {', '.join(close)}?" if close else "",
        )
    labelled = read_labels(truth)
    _refuse_unlabelled(table, {row["patient"] for row in labelled.rows}, "SCORES")
    _refuse_unscored(table, by_model)
    first = by_model[models[0]]
    rows = [row for row in labelled.rows if row["patient"] in first]
    columns = [[float(CLASSES.index(row["label"])) for row in rows]]
    columns += [[by_model[model][row["patient"]] for row in rows] for model in models]
    return tuple(np.array(column) for column in columns)


def _scores_of(table: Table) -> tuple[dict[str, dict[str, float]], dict[str, Threshold]]:
    scores: dict[str, dict[str, float]] = {}
    called: dict[str, dict[str, list[float]]] = {}
    first: dict[str, int] = {}
    faults = []
    for row in table.rows:
        model, score = row["model"], number_in(row["score"])
        of_model = scores.setdefault(model, {})
        first.setdefault(model, row.number)
        if not row["patient"] or not model:
            faults.append(f"row {row.number}: the patient or the model is empty")
        if row["patient"] in of_model:
            faults.append(f"row {row.number}: the model has scored this patient already")
        if score is None:
            faults.append(f"row {row.number}: the score is not a finite number")
            continue
        of_model[row["patient"]] = score
        if "call" in table.columns:
            if row["call"] not in ("0", "1"):
                faults.append(f"row {row.number}: the call is not 0 or 1")
                continue
            called.setdefault(model, {"0": [], "1": []})[row["call"]].append(score)
    thresholds = {}
    for model, by_call in called.items():
        lowest = min(by_call["1"], default=math.inf)
        if max(by_call["0"], default=-math.inf) >= lowest:
            faults.append(
                f"the model of row {first[model]}: a score called 0 is not below every one called 1"
            )
        # Nothing called 1: any threshold above every score says the same.
        point = lowest if by_call["1"] else math.nextafter(max(by_call["0"]), math.inf)
        thresholds[model] = Threshold(point, "from the calls in the scores file")
    raise_faults(faults, where=table.source, code="SCORES_INVALID")
    return scores, thresholds


def _refuse_unlabelled(table: Table, labelled: Collection[str], code: str) -> None:
    unmatched = unmatched_rows((row for row in table.rows if row["patient"]), labelled)
    faults = unmatched.faults()
    faults += [f"row {row.number}: the patient has no label" for row in unmatched.strangers]
    raise_faults(faults, where=table.source, code=unmatched.code_of_faults(f"{code}_UNMATCHED"))


def _refuse_unscored(table: Table, by_model: Mapping[str, Mapping[str, float]]) -> None:
    """Every model must have scored every patient that any model scored."""
    first: dict[str, int] = {}
    first_of: dict[str, int] = {}
    for row in table.rows:
        first.setdefault(row["patient"], row.number)
        first_of.setdefault(row["model"], row.number)
    raise_faults(
        (
            f"row {number}: the model of row {first_of[model]} has no score of this patient"
            for patient, number in first.items()
            for model, values in by_model.items()
            if patient not in values
        ),
        where=table.source,
        code="SCORES_UNMATCHED",
    )


def _reading(table: ReaderTable, scores: Table, complete_cases: bool) -> ReaderTable:
    """Return the readers' table of scored patients with how many of them were not read."""
    first: dict[str, Row] = {}
    for row in scores.rows:
        first.setdefault(row["patient"], row)
    read = set(table.patients)
    unread = [row for patient, row in first.items() if patient not in read]
    if not complete_cases:
        faults = (f"row {row.number} of the scores: the readers' table lacks it" for row in unread)
        raise_faults(faults, where=scores.source, code="READERS_CASE_MISSING")
    return attrs.evolve(table, dropped=len(unread))


def _refuse_a_lone_case(table: Table, rows: Sequence[Row]) -> None:
    """Refuse a class of one case, naming its row, before anything is joined."""
    labels = np.array([CLASSES.index(row["label"]) for row in rows], dtype=np.int64)
    least = int(np.argmin(np.bincount(labels, minlength=2)))
    number = next((row.number for row in rows if row["label"] == CLASSES[least]), 0)
    check_classes(labels, f"{table.source}, row {number}")


def _strata_columns(
    table: Table, rows: Sequence[Row], wanted: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Return the columns that become strata, and what is to be said of the others."""
    others = [column for column in table.columns if column not in ("patient", "label")]
    unknown = [column for column in wanted or () if column not in others]
    if unknown:
        raise LabelError(
            f"there is no column {', '.join(unknown)}; the columns are {', '.join(others)}",
            where=table.source,
            advice="name columns of the labels' table",
            code="LABELS_COLUMNS",
        )
    if wanted is not None:
        return list(wanted), []
    levels = {column: len({row[column] for row in rows} - {""}) for column in others}
    most = min(MOST_LEVELS, len(rows) // PATIENTS_A_LEVEL)
    notes = [
        f"no figures by {column}: {count} level{'' if count == 1 else 's'} among "
        f"{len(rows)} patients; ask for it by name if you want them"
        for column, count in levels.items()
        if not 2 <= count <= most
    ]
    return [column for column, count in levels.items() if 2 <= count <= most], notes
