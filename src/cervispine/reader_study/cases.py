"""Whom readers read, whom they learn from, and what a model says of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs

from cervispine.exceptions import DataError, LabelError, UsageError
from cervispine.reader_study.aids import Aid, read_aids
from cervispine.reader_study.design import ARMS, Design
from cervispine.records import Cohort, Study
from cervispine.records.identifiers import unmatched_rows
from cervispine.records.labels import read_labels
from cervispine.records.tables import Row, raise_faults, read_table

__all__ = ["Case", "Materials", "choose_cases"]


@attrs.frozen(kw_only=True)
class Materials:
    """What a reader study is made of, beside its design.

    Parameters
    ----------
    cohort
        The studies, with the sequences to show.
    sequences
        Which, in the order in which they are offered.
    title
        What readers see above their cases.
    cases
        A table with the column ``patient``: who is read; None for the whole cohort. Where it has
        the column ``part``, as split.csv, its test patients are.
    training
        A table ``patient,label`` and, if there, ``type``: who is read first, with feedback.
    scores, model, heatmaps
        What readers are shown in the aided arm; see ``read_aids``.
    """

    cohort: Cohort
    sequences: tuple[str, ...] = ("T2",)
    title: str = "Reader study"
    cases: Path | None = None
    training: Path | None = None
    scores: Path | None = None
    model: str | None = None
    heatmaps: Path | None = None


@attrs.frozen(kw_only=True)
class Case:
    """One patient of a reader study.

    Parameters
    ----------
    number
        From 1, in the order of the cohort.
    study
        The images.
    lesson
        The patient's row in the table of the training; None for those who are read.
    aid
        What a model says; None without an aided arm.
    """

    number: int
    study: Study
    lesson: Row | None
    aid: Aid | None

    @property
    def lesson_type(self) -> str | None:
        """The type of OPLL that a training case teaches, if its table says."""
        return None if self.lesson is None else self.lesson.cells.get("type") or None


def choose_cases(design: Design, materials: Materials) -> list[Case]:
    """Return the cases of a study, those of the training among them.

    Raises
    ------
    DataError
        ``PATIENT_REPEATED``: two studies of one patient; heat maps that are missing.
    LabelError
        A table that names patients who are not in the cohort.
    UsageError
        An aided arm without scores.
    """
    cohort = materials.cohort
    if len(set(cohort.patients)) < len(cohort):
        raise DataError(
            f"{len(cohort) - len(set(cohort.patients))} patients have more than one study",
            where="the cohort",
            advice="readers read patients: leave one study of each",
            code="PATIENT_REPEATED",
        )
    lessons = _lessons(materials)
    wanted = _wanted(materials)
    chosen = [
        study
        for study in cohort
        if study.patient in lessons or wanted is None or study.patient in wanted
    ]
    aids: dict[str, Aid] = {}
    if design.arms == ARMS:
        if materials.scores is None:
            raise UsageError("an aided arm needs --scores", where="arms")
        aids = read_aids(
            [study.patient for study in chosen],
            materials.scores,
            model=materials.model,
            heatmaps=materials.heatmaps,
        )
    return [
        Case(
            number=number,
            study=study,
            lesson=lessons.get(study.patient),
            aid=aids.get(study.patient),
        )
        for number, study in enumerate(chosen, start=1)
    ]


def _lessons(materials: Materials) -> dict[str, Row]:
    if materials.training is None:
        return {}
    table = read_labels(materials.training)
    _refuse_strangers(table.rows, materials.cohort, table.source, "LABELS")
    return {row["patient"]: row for row in table.rows}


def _wanted(materials: Materials) -> set[str] | None:
    if materials.cases is None:
        return None
    table = read_table(materials.cases, required=("patient",), code="CASES")
    rows = table.rows
    if "part" in table.columns:
        rows = tuple(row for row in rows if row["part"] == "test")
    _refuse_strangers(rows, materials.cohort, table.source, "CASES")
    if not rows:
        raise LabelError("no patient to read", where=table.source, code="CASES_ROWS")
    return {row["patient"] for row in rows}


def _refuse_strangers(rows: Sequence[Row], cohort: Cohort, where: str, code: str) -> None:
    unmatched = unmatched_rows(rows, set(cohort.patients))
    faults = unmatched.faults()
    faults += [f"row {row.number}: no study of this patient" for row in unmatched.strangers]
    raise_faults(faults, where=where, code=unmatched.code_of_faults(f"{code}_UNMATCHED"))
