"""A comparison from files: labels.csv, scores.csv, readers.csv."""

from __future__ import annotations

import math
from pathlib import Path

from cervispine.evaluation.comparison import Comparison
from cervispine.evaluation.evaluator import Evaluator
from cervispine.evaluation.readers import ReaderTable
from cervispine.evaluation.thresholds import Threshold
from cervispine.exceptions import UsageError
from cervispine.records.labels import CLASSES, read_labels
from cervispine.records.tables import raise_faults, read_table

__all__ = ["compare_files", "read_scores"]


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
    table = read_table(path, required=("patient", "model", "score"), code="SCORES")
    scores: dict[str, dict[str, float]] = {}
    called: dict[str, dict[str, list[float]]] = {}
    faults = []
    for row in table.rows:
        model, score = row["model"], _finite(row["score"])
        of_model = scores.setdefault(model, {})
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
            faults.append(f"model {model}: a score called 0 is not below every score called 1")
        # Nothing called 1: any threshold above every score says the same.
        point = lowest if by_call["1"] else math.nextafter(max(by_call["0"]), math.inf)
        thresholds[model] = Threshold(point, "from the calls in the scores file")
    raise_faults(faults, path=table.path, code="SCORES_INVALID")
    return scores, thresholds


def compare_files(
    truth: str | Path,
    scores: str | Path,
    readers: str | Path | None = None,
    *,
    threshold: float | None = None,
    evaluator: Evaluator | None = None,
) -> Comparison:
    """Compare models and readers from the files that people bring.

    Parameters
    ----------
    truth
        ``patient,label`` and any column; a column ``type`` becomes a stratum. It may hold
        patients that were not scored: those of a training part.
    scores
        ``patient,model,score`` and, if there, ``call``.
    readers
        ``patient,reader,call`` and/or ``rating``; None to compare the models alone.
    threshold
        Of every model: a score at or above it is a call. It must come from other data, and
        is needed where the scores come without calls.
    evaluator
        None for ``Evaluator()``.

    Raises
    ------
    LabelError
        A file has faults: all of them at once, by row.
    UsageError
        There are neither calls nor a threshold (``THRESHOLD_MISSING``).
    MismatchedCasesError
        The files are not of the same patients.
    """
    by_model, thresholds = read_scores(scores)
    if threshold is not None:
        thresholds = {model: Threshold(threshold, "given by the user") for model in by_model}
    if not thresholds:
        raise UsageError(
            "the scores come without calls, and no threshold was given",
            where=str(scores),
            advice="give --threshold, chosen on other data, or a column call (0 or 1)",
            code="THRESHOLD_MISSING",
        )
    scored = next(iter(by_model.values()))
    rows = {row["patient"]: row for row in read_labels(truth).rows if row["patient"] in scored}
    labels = {patient: CLASSES.index(row["label"]) for patient, row in rows.items()}
    types = {patient: row.cells["type"] for patient, row in rows.items() if row.cells.get("type")}
    if readers is None:
        table = ReaderTable.without_readers(labels)
    else:
        table = ReaderTable.from_csv(readers).select(labels)
    return (evaluator or Evaluator()).compare(
        labels,
        by_model,
        table,
        thresholds=thresholds,
        strata={"type": types} if types else None,
    )


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
