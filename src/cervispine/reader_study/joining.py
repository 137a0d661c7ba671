"""Readers who join a study: their own lists, and nobody else's changed."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from sqlalchemy import select
from sqlalchemy.orm import Session

from cervispine.exceptions import UsageError
from cervispine.reader_study.design import TRAINING, Design, Slot, plan
from cervispine.reader_study.schema import (
    Base,
    CaseRow,
    FactRow,
    ReaderRow,
    ReadingRow,
    SessionRow,
)
from cervispine.reader_study.store import Store, write_audit

__all__ = ["add_readers", "rows_of_reader"]

_READING_BYTES = 16


def add_readers(store: Store, readers: Sequence[str]) -> tuple[str, ...]:
    """Let more readers into a study that was made already.

    A new reader's lists are those that the study's seed gives the name, as if it had been there
    from the beginning; where there is an aided arm the reader begins with the half that keeps the
    arms balanced. Nobody else's order, link or answer changes, and the audit log says who came and
    when.

    Parameters
    ----------
    store
        The study.
    readers
        All who read it: those who did before, in any order, and those who are new.

    Returns
    -------
    tuple of str
        Who is new; empty where all were there.

    Raises
    ------
    UsageError
        ``RESUME_MISMATCH``: a reader of the study is not named, for none can be taken out; or this
        version draws the orders otherwise than the one that made the study. Names that
        :class:`Design` does not allow.
    """
    with store.writes() as session:
        fact = session.get_one(FactRow, "configuration")
        before = _design_of(fact.value)
        if missing := [name for name in before.readers if name not in readers]:
            raise UsageError(
                f"{', '.join(missing)} read this study, and cannot be taken out",
                where="--readers",
                advice="name everybody who reads it, and whoever is new",
                code="RESUME_MISMATCH",
            )
        new = tuple(name for name in readers if name not in before.readers)
        if not new:
            return ()
        design = attrs.evolve(before, readers=(*before.readers, *new))
        slots = _plan(session, design)
        _refuse_other_orders(session, slots, before.readers)
        for number, name in enumerate(design.readers, start=1):
            if name in new:
                session.add_all(rows_of_reader(number, name, design, slots))
                detail = {"number": number, "reader": name}
                write_audit(session, store.now(), "cervispine", "reader added", None, detail)
        fact.value = configuration = {**fact.value, "readers": list(design.readers)}
    store.configuration = configuration
    return new


def rows_of_reader(number: int, name: str, design: Design, slots: Sequence[Slot]) -> Iterator[Base]:
    """Return what the database holds of a reader who has not begun.

    Parameters
    ----------
    number
        Of the reader, from 1.
    name
        The reader's name.
    design
        The study.
    slots
        What ``plan`` returned; those of other readers are passed over.
    """
    mine = [slot for slot in slots if slot.reader == name]
    yield ReaderRow(number=number, name=name)
    first = TRAINING if any(slot.session == TRAINING for slot in mine) else 1
    for session in range(first, design.sessions + 1):
        yield SessionRow(reader=number, number=session)
    for slot in mine:
        yield ReadingRow(
            id=secrets.token_hex(_READING_BYTES),
            reader=number,
            session=slot.session,
            position=slot.position,
            case=slot.case,
            arm=slot.arm,
            repeated=slot.repeated,
            state="new",
            answer={},
            seconds=0.0,
        )


def _design_of(configuration: Mapping[str, Any]) -> Design:
    given: dict[str, Any] = {}
    for field in attrs.fields(Design):
        value = configuration[field.name]
        # JSON knows no tuples.
        given[field.name] = tuple(value) if isinstance(value, list) else value
    return Design(**given)


def _plan(session: Session, design: Design) -> tuple[Slot, ...]:
    """Return the lists of a study from the cases that its database holds."""
    cases = session.scalars(select(CaseRow).order_by(CaseRow.number)).all()
    return plan(
        design,
        [case.number for case in cases if case.label is None],
        training=[case.number for case in cases if case.label is not None],
        aided=[
            case.number for case in cases if case.label is not None and case.probability is not None
        ],
    )


def _refuse_other_orders(session: Session, slots: Sequence[Slot], readers: Sequence[str]) -> None:
    """Raise when those who read already would be given other lists now.

    Then somebody new would get other repeats than they, or the same half as the reader who should
    have the other.
    """
    numbers = {name: number for number, name in enumerate(readers, start=1)}
    drawn = {
        (numbers[slot.reader], slot.session, slot.position, slot.case, slot.arm, slot.repeated)
        for slot in slots
        if slot.reader in numbers
    }
    kept = {
        (row.reader, row.session, row.position, row.case, row.arm, row.repeated)
        for row in session.scalars(select(ReadingRow))
    }
    if drawn != kept:
        raise UsageError(
            "the lists of those who read already would be drawn otherwise now",
            where="--readers",
            advice="add readers with the versions of cervispine and NumPy that made the study",
            code="RESUME_MISMATCH",
        )
