"""A study's folder to readers.csv, agreement, aided against unaided, audit log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from sqlalchemy import select

from cervispine.evaluation import MRMC, Estimate, mrmc
from cervispine.evaluation.agreement import estimate_cohen_kappa
from cervispine.evaluation.components import Effect
from cervispine.exceptions import DataError, EvaluationError
from cervispine.reader_study.design import ARMS, TRAINING
from cervispine.reader_study.schema import CaseRow, ReaderRow, ReadingRow, SessionRow
from cervispine.reader_study.store import Store
from cervispine.records.files import make_folder, write_json, write_text
from cervispine.records.identifiers import unmatched_rows
from cervispine.records.labels import CLASSES, read_labels
from cervispine.records.tables import raise_faults
from cervispine.records.written import csv_text

if TYPE_CHECKING:
    from cervispine.reader_study.schema import AuditRow

__all__ = ["Exported", "export_study"]

COLUMNS = (
    "patient", "reader", "call", "rating", "seconds", "arm", "session", "type", "levels",
    "quality", "comment", "opened", "answered", "position", "repeated",
)  # fmt: skip

AUDIT = ("number", "at", "actor", "action", "reading", "detail", "digest")

READINGS = ("case", "reader", "modality", "truth", "rating", "call")

#: What is not written every time; those of an export before go.
AT_TIMES = (
    "readers.csv", "readers-aided.csv", "agreement.csv", "readings.csv",
    "aided-against-unaided.json",
)  # fmt: skip


@attrs.frozen(kw_only=True)
class Exported:
    """What was exported, and where.

    Parameters
    ----------
    files
        What was written.
    reads
        How many readings of the study there are, and how many were exported.
    open_sessions
        How many sessions of the study are not locked.
    kappas
        By reader and arm, the agreement with oneself on repeated cases; in its place, why there is
        none.
    comparison
        Aided against unaided, where both were read and the truth is known; in its place, why
        there is none.
    """

    files: tuple[Path, ...]
    reads: tuple[int, int]
    open_sessions: int
    kappas: Mapping[tuple[str, str], Estimate | str]
    comparison: MRMC | str | None = None

    def summary(self) -> str:
        """Return it as text, the sample first."""
        total, exported = self.reads
        lines = [f"{exported} of {total} readings exported"]
        if self.open_sessions:
            lines.append(
                f"  {self.open_sessions} sessions are not locked: answers may still change"
            )
        if self.kappas:
            lines.append("agreement of readers with themselves, on cases that came twice:")
            lines += [f"  {reader}, {arm}: {kappa}" for (reader, arm), kappa in self.kappas.items()]
        if isinstance(self.comparison, str):
            lines.append(f"aided against unaided: {self.comparison}")
        elif self.comparison is not None:
            lines.append(self.comparison.summary())
        return "\n".join([*lines, *(f"  {path}" for path in self.files)])


@attrs.frozen(kw_only=True)
class _Read:
    patient: str
    reader: str
    row: ReadingRow

    def cells(self) -> list[Any]:
        answer, row = self.row.answer, self.row
        return [
            self.patient, self.reader, answer["call"], answer["rating"],
            round(row.seconds, 1), row.arm, row.session, answer["type"] or "",
            " ".join(answer["levels"]), answer["quality"], answer["comment"],
            row.opened, row.answered, row.position + 1, int(row.repeated),
        ]  # fmt: skip


def export_study(
    store: Store, folder: Path, *, labels: Path | None = None, unfinished: bool = False
) -> Exported:
    """Write what the readers said.

    ``readers.csv`` holds one row a patient and reader: the first reading without aid, what
    ``cervispine compare`` reads; ``readers-aided.csv`` those with the aid; ``reads.csv`` every
    reading, repeated ones too; ``agreement.csv`` each reader's agreement with oneself;
    ``audit.csv`` who did what when. With ``labels``, ``readings.csv`` is what
    :func:`~cervispine.evaluation.mrmc` reads, and with both arms ``aided-against-unaided.json``
    what it says: of readers in general, or of the one reader there is. Nothing is written before
    all of it is known; what an export before left there and this one has not, goes.

    Parameters
    ----------
    store
        The study.
    folder
        To write into.
    labels
        labels.csv.
    unfinished
        Export also what was said in sessions that are not locked.

    Raises
    ------
    DataError
        ``SESSIONS_OPEN``: sessions that are not locked, and ``unfinished`` was not asked for;
        ``AUDIT_BROKEN``.
    LabelError
        ``LABELS_UNMATCHED``: a patient who was read has no label.
    ResourceError
        The folder cannot be written.
    """
    audit = store.audit()
    reads, total, open_sessions = _reads(store)
    if open_sessions and not unfinished:
        raise DataError(
            f"{open_sessions} sessions are not locked: {len(reads)} of {total} readings are done",
            where=str(store.folder),
            advice="wait until readers lock them, or --unfinished exports what there is",
            code="SESSIONS_OPEN",
        )
    firsts = [read for read in reads if not read.row.repeated]
    kappas = _kappas(reads)
    readings, comparison = None, None
    if labels is not None:
        readings = _readings(firsts, labels)
        comparison = _compare(readings, complete_cases=unfinished)
    make_folder(folder)
    for name in AT_TIMES:
        (folder / name).unlink(missing_ok=True)
    files = []
    for arm, name in zip(ARMS, ("readers.csv", "readers-aided.csv"), strict=True):
        of_arm = [read for read in firsts if read.row.arm == arm]
        if of_arm:
            files.append(_table(folder / name, COLUMNS, (read.cells() for read in of_arm)))
    files.append(_table(folder / "reads.csv", COLUMNS, (read.cells() for read in reads)))
    if kappas:
        files.append(_agreement(folder / "agreement.csv", kappas))
    files.append(_table(folder / "audit.csv", AUDIT, map(_audit_cells, audit)))
    if readings is not None:
        files.append(_table(folder / "readings.csv", READINGS, readings))
    if isinstance(comparison, MRMC):
        write_json(folder / "aided-against-unaided.json", comparison.to_dict())
        files.append(folder / "aided-against-unaided.json")
    return Exported(
        files=tuple(files),
        reads=(total, len(reads)),
        open_sessions=open_sessions,
        kappas=kappas,
        comparison=comparison,
    )


def _reads(store: Store) -> tuple[list[_Read], int, int]:
    """Return the readings that are done, how many there are in all, and the open sessions."""
    with store.reads() as session:
        patients = {row.number: row.patient for row in session.scalars(select(CaseRow))}
        names = {row.number: row.name for row in session.scalars(select(ReaderRow))}
        rows = session.scalars(
            select(ReadingRow)
            .where(ReadingRow.session != TRAINING)
            .order_by(ReadingRow.reader, ReadingRow.session, ReadingRow.position)
        ).all()
        open_sessions = session.scalars(
            select(SessionRow).where(SessionRow.number != TRAINING, SessionRow.locked.is_(None))
        ).all()
        session.expunge_all()
    reads = [
        _Read(patient=patients[row.case], reader=names[row.reader], row=row)
        for row in rows
        if row.state == "done"
    ]
    return reads, len(rows), len(open_sessions)


def _kappas(reads: Sequence[_Read]) -> dict[tuple[str, str], Estimate | str]:
    """Return each reader's agreement with oneself, of the calls on cases that came twice."""
    calls: dict[tuple[str, str], dict[tuple[str, int], dict[bool, int]]] = {}
    for read in reads:
        pairs = calls.setdefault((read.reader, read.row.arm), {})
        twice = pairs.setdefault((read.patient, read.row.session), {})
        twice[read.row.repeated] = read.row.answer["call"]
    found: dict[tuple[str, str], Estimate | str] = {}
    for who, pairs in calls.items():
        both = [pair for pair in pairs.values() if len(pair) == 2]
        if not both:
            continue
        try:
            found[who] = estimate_cohen_kappa(
                [pair[False] for pair in both], [pair[True] for pair in both]
            )
        except EvaluationError as error:
            found[who] = f"none of {len(both)} cases: {error.what}"
    return found


def _agreement(path: Path, kappas: Mapping[tuple[str, str], Estimate | str]) -> Path:
    rows = [
        [reader, arm, "", "", "", "", kappa]
        if isinstance(kappa, str)
        else [reader, arm, kappa.n, kappa.value, kappa.low, kappa.high, kappa.method]
        for (reader, arm), kappa in kappas.items()
    ]
    return _table(path, ("reader", "arm", "cases", "kappa", "low", "high", "method"), rows)


def _readings(firsts: Sequence[_Read], labels: Path) -> list[tuple[Any, ...]]:
    """Return the rows of readings.csv: each first reading, with the truth."""
    table = read_labels(labels)
    truth = {row["patient"]: CLASSES.index(row["label"]) for row in table.rows}
    read = {each.patient for each in firsts}
    unmatched = unmatched_rows(table.rows, read)
    faults = unmatched.faults()
    if missing := len(read - set(truth)):
        faults.append(f"{missing} patients who were read have no row")
        code = unmatched.code_of_faults("LABELS_UNMATCHED")
        raise_faults(faults, where=table.source, code=code)
    return [
        (
            each.patient, each.reader, each.row.arm, truth[each.patient],
            each.row.answer["rating"], each.row.answer["call"],
        )
        for each in sorted(firsts, key=lambda each: ARMS.index(each.row.arm), reverse=True)
    ]  # fmt: skip


def _compare(readings: Sequence[Sequence[Any]], *, complete_cases: bool) -> MRMC | str | None:
    """Return aided against unaided where both were read, or why that cannot be told."""
    columns = {name: [row[place] for row in readings] for place, name in enumerate(READINGS)}
    if {*columns["modality"]} != {*ARMS}:
        return None
    # One reader is no sample of readers, and can be spoken of alone.
    readers: Effect = "random" if len({*columns["reader"]}) > 1 else "fixed"
    try:
        return mrmc(columns, readers=readers, complete_cases=complete_cases)
    except EvaluationError as error:
        return f"none: {error.what}"


def _audit_cells(row: AuditRow) -> list[Any]:
    detail = json.loads(row.detail)
    return [
        row.number, row.at, row.actor, row.action, row.reading or "",
        json.dumps(detail, ensure_ascii=False, sort_keys=True), row.digest,
    ]  # fmt: skip


def _table(path: Path, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> Path:
    write_text(path, csv_text(columns, rows))
    return path
