"""Whoever joins a study gets what the study would have given, and changes nothing for others."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra `reader` is not installed")
from sqlalchemy import select

from cervispine import Cohort
from cervispine.exceptions import UsageError
from cervispine.reader_study import Design, add_readers
from cervispine.reader_study.cases import Materials
from cervispine.reader_study.schema import ReaderRow, ReadingRow, SessionRow
from cervispine.reader_study.store import Store
from cervispine.reader_study.study import make_study

from .conftest import Site

Rows = dict[str, list[tuple[object, ...]]]


def lists(store: Store, *, with_ids: bool) -> Rows:
    """Return the list of each reader, in its order."""
    with store.reads() as session:
        names = {row.number: row.name for row in session.scalars(select(ReaderRow))}
        rows = session.scalars(select(ReadingRow).order_by(ReadingRow.session, ReadingRow.position))
        found: Rows = {}
        for row in rows:
            planned = (row.session, row.position, row.case, row.arm, row.repeated)
            entry = (*planned, row.id, row.state) if with_ids else planned
            found.setdefault(names[row.reader], []).append(entry)
        return found


def test_a_new_reader_changes_nothing_for_the_others(
    plain: Site, patients: Cohort, tmp_path: Path
) -> None:
    ann = plain.browser(1)
    ann.read(ann.list()[0]["id"])
    before = lists(plain.store, with_ids=True)
    assert add_readers(plain.store, ("dee", "cy", "bob", "ann")) == ("dee",)
    after = lists(plain.store, with_ids=True)
    assert {name: after[name] for name in before} == before
    # The list is that of a study which had the reader from the beginning.
    design = Design(readers=("ann", "bob", "cy", "dee"), repeats=2, seed=7)
    whole = make_study(tmp_path / "whole", design, Materials(cohort=patients))
    try:
        assert lists(plain.store, with_ids=False) == lists(whole, with_ids=False)
    finally:
        whole.close()
    added = [row for row in plain.store.audit() if row.action == "reader added"]
    assert len(added) == 1
    assert '"dee"' in added[0].detail
    # Four may read now, and the newcomer's own link lets in.
    dee = plain.browser(4)
    assert dee.read(dee.list()[0]["id"]).status_code == 200


def test_those_who_were_there_are_not_added_again(plain: Site) -> None:
    assert add_readers(plain.store, ("ann", "bob", "cy")) == ()
    assert not [row for row in plain.store.audit() if row.action == "reader added"]


def test_nobody_is_taken_out(plain: Site) -> None:
    with pytest.raises(UsageError, match="RESUME_MISMATCH"):
        add_readers(plain.store, ("ann", "cy", "dee"))
    with plain.store.reads() as session:
        assert len(session.scalars(select(ReaderRow)).all()) == 4


def test_a_new_reader_of_an_aided_study_has_training_and_both_sessions(aided: Site) -> None:
    add_readers(aided.store, ("ann", "bob", "cy"))
    with aided.store.reads() as session:
        numbers = session.scalars(
            select(SessionRow.number).where(SessionRow.reader == 3).order_by(SessionRow.number)
        ).all()
    assert list(numbers) == [0, 1, 2]
