"""labels.csv: which patients have which label, and joining it with the studies of a cohort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import attrs

from cervispine.records.identifiers import EXCEL_DAMAGE, unmatched_rows
from cervispine.records.intake import IntakeReport, Problem
from cervispine.records.study import Study
from cervispine.records.tables import Row, Table, TableLike, raise_faults, table_of, word_fault

__all__ = ["CLASSES", "TYPES", "OPLLType", "label_studies", "read_labels"]

#: The vocabulary of labels.csv; the position is the number: 1 = OPLL.
CLASSES = ("DSS", "OPLL")

#: The types of OPLL, the vocabulary of the column ``type``.
OPLLType = Literal["continuous", "segmental", "mixed", "localized"]
TYPES: tuple[OPLLType, ...] = get_args(OPLLType)


def read_labels(source: TableLike) -> Table:
    """Read a table with the columns ``patient,label``, one row a patient, labels OPLL or DSS.

    A column ``type`` holds one of :data:`TYPES` or nothing, and nothing for DSS.

    Parameters
    ----------
    source
        A CSV file, a mapping from patient to label, or a data frame.

    Raises
    ------
    LabelError
        With every fault of the table at once (``LABELS_INVALID``); for faults of the file
        itself see :func:`~cervispine.records.tables.read_table`.
    """
    table = table_of(source, required=("patient", "label"), code="LABELS", exact=("label",))
    first: dict[str, Row] = {}
    faults = []
    for row in table.rows:
        if not row["patient"]:
            faults.append(f"row {row.number}: the patient is empty")
        elif (before := first.setdefault(row["patient"], row)) is not row:
            same = "the same" if before["label"] == row["label"] else "another"
            damaged = EXCEL_DAMAGE.fullmatch(row["patient"])
            faults.append(
                f"row {row.number}: the patient of row {before.number}, with {same} label"
                + (" (ID_EXCEL_DAMAGE: a spreadsheet may have made one of two)" * bool(damaged))
            )
        if fault := word_fault("label", row["label"], CLASSES) or _type_fault(row):
            faults.append(f"row {row.number}: {fault}")
    raise_faults(faults, where=table.source, code="LABELS_INVALID")
    return table


def _type_fault(row: Row) -> str | None:
    kind = row.cells.get("type")
    if not kind:
        return None
    if row["label"] != "OPLL":
        return "a type of OPLL where the label is DSS"
    return word_fault("type", kind, TYPES)


def label_studies(
    studies: Sequence[Study], intake: IntakeReport | None, table: Table, *, allow_missing: bool
) -> tuple[list[Study], IntakeReport | None]:
    """Give studies the labels and attributes of a table, joining equal identifiers alone.

    Parameters
    ----------
    studies, intake
        Of the cohort. Patients of whom no study could be used are known from the intake.
    table
        What :func:`read_labels` returned.
    allow_missing
        Leave out studies without a row and rows without a study, and count them; otherwise
        they are faults. Rows that were probably damaged are faults in any case.

    Returns
    -------
    studies : list of Study
    intake : IntakeReport or None
        With what was left out, and labelled patients of whom no study could be used.

    Raises
    ------
    LabelError
        ``LABELS_UNMATCHED``, or the one suspicion that explains all.
    """
    rows = {row["patient"]: row for row in table.rows}
    unused = intake.unused_patients if intake is not None else frozenset[str]()
    unmatched = unmatched_rows(table.rows, {study.patient for study in studies} | unused)
    bare = [study for study in studies if study.patient not in rows]
    faults = unmatched.faults()
    if not allow_missing:
        faults += strangers(unmatched.strangers, intake)
        faults += [f"study {study.uid}: no row" for study in bare]
    raise_faults(faults, where=table.source, code=unmatched.code_of_faults("LABELS_UNMATCHED"))

    others = [column for column in table.columns if column not in ("patient", "label")]
    labelled = [
        attrs.evolve(
            study,
            label=CLASSES.index(rows[study.patient]["label"]),
            attributes={column: rows[study.patient][column] for column in others},
        )
        for study in studies
        if study.patient in rows
    ]
    if not labelled:
        raise_faults(["no row has a study"], where=table.source, code="LABELS_UNMATCHED")
    lost = [row for patient, row in rows.items() if patient in unused]
    return labelled, _with_account(intake, bare, lost, unmatched.strangers)


def strangers(rows: Iterable[Row], intake: IntakeReport | None) -> list[str]:
    """Return a fault for each row of a patient of whom the intake found nothing at all."""
    fault = "no study"
    if intake is not None and intake.rejected:
        fault += f" (of {intake.rejected} rejected files some may be this patient's)"
    return [f"row {row.number}: {fault}" for row in rows]


def _with_account(
    intake: IntakeReport | None,
    bare: Sequence[Study],
    lost: Sequence[Row],
    unknown: Sequence[Row],
) -> IntakeReport | None:
    """Return the account with the studies left out, and notes of labels that nothing uses."""
    if intake is None:
        return None
    left_out = [
        Problem(
            code="LABEL_ABSENT",
            reason="a series of a patient without a label",
            item=series.uid,
            fate="ignored",
            files=len(set(series.files)),
        )
        for study in bare
        for series in study.series
    ]
    notes = []
    if lost:
        reason = f"labelled patients of whom no study can be used: {_by_label(lost)}"
        notes.append(Problem(code="PATIENTS_UNUSED", reason=reason, fate="noted", files=0))
    if unknown:
        reason = f"labelled patients of whom there are no images: {_by_label(unknown)}"
        notes.append(Problem(code="PATIENTS_ABSENT", reason=reason, fate="noted", files=0))
    return attrs.evolve(
        intake,
        used=intake.used - sum(problem.files for problem in left_out),
        problems=(*intake.problems, *left_out, *notes),
    )


def _by_label(rows: Iterable[Row]) -> str:
    counts = Counter(row["label"] for row in rows)
    return ", ".join(f"{counts[name]} {name}" for name in sorted(counts, reverse=True))
