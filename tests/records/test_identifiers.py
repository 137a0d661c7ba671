"""Identifiers that are not joined: damaged by a spreadsheet, or simply not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine.records.identifiers import unmatched_rows
from cervispine.records.tables import Row


def rows(*patients: str) -> list[Row]:
    return [Row(number, {"patient": name}) for number, name in enumerate(patients, start=2)]


@pytest.mark.parametrize(
    ("written", "meant", "code"),
    [
        ("123", "00123", "ID_LEADING_ZERO_SUSPECT"),
        ("00123", "123", "ID_LEADING_ZERO_SUSPECT"),
        ("123.0", "123", "ID_LEADING_ZERO_SUSPECT"),
        ("123.0", "00123", "ID_LEADING_ZERO_SUSPECT"),
        ("0", "000", "ID_LEADING_ZERO_SUSPECT"),
        ("pat-1", "PAT-1", "ID_LOOKALIKE"),
        ("\uff11\uff12\uff13", "123", "ID_LOOKALIKE"),
        ("P 1", "P1", "ID_LOOKALIKE"),
        ("P\u20131", "P-1", "ID_LOOKALIKE"),
        ('="00123"', "00123", "ID_LOOKALIKE"),
        ("'00123", "00123", "ID_LOOKALIKE"),
        ("e\u0301a", "éa", "ID_LOOKALIKE"),
        ("1.00E+05", "1E5", "ID_EXCEL_DAMAGE"),
        ("1,23E+11", "123456789012", "ID_EXCEL_DAMAGE"),
        ("3-Apr", "3-4", "ID_EXCEL_DAMAGE"),
        ("Apr-03", "4-3", "ID_EXCEL_DAMAGE"),
        ("03/04/2021", "3-4-21", "ID_EXCEL_DAMAGE"),
        ("2021-04-03", "3-4-21", "ID_EXCEL_DAMAGE"),
        ("4月3日", "4-3", "ID_EXCEL_DAMAGE"),
        ("#NAME?", "-P1", "ID_EXCEL_DAMAGE"),
        ("########", "20210403", "ID_EXCEL_DAMAGE"),
        ("1234567890123450", "1234567890123456", "ID_EXCEL_DAMAGE"),
    ],
)
def test_a_damaged_identifier_is_suspected_and_never_joined(
    written: str, meant: str, code: str
) -> None:
    found = unmatched_rows(rows("there", written), {"there", meant})
    assert [row.number for row in found.suspects[code]] == [3]
    assert (len(found), found.code_of_faults("LABELS_UNMATCHED")) == (1, code)
    assert found.faults()[0].startswith(f"{code}: 1 row(s), rows 3: ")
    assert written not in found.faults()[0]
    # Not damaged where the images know it, nor suspected where nobody lacks a row.
    assert len(unmatched_rows(rows(written), {written, meant})) == 0
    assert unmatched_rows(rows(written, meant), {meant}).suspects == {}


def test_who_is_not_there_is_a_stranger() -> None:
    found = unmatched_rows(rows("a", "stranger", "123"), {"a", "00123", "b"})
    assert [row.number for row in found.strangers] == [3]
    assert found.code_of_faults("LABELS_UNMATCHED") == "LABELS_UNMATCHED"
    assert len(found) == 2
    assert unmatched_rows(rows("a"), {"a"}).code_of_faults("LABELS_UNMATCHED") == "LABELS_UNMATCHED"


def test_identifiers_that_look_like_dates_are_no_damage_where_others_of_them_are_joined() -> None:
    found = unmatched_rows(
        rows("01-02-001", "01-02-002", "01-02-003"), {"01-02-001", "01-02-002", "FOREIGN9"}
    )
    assert found.suspects == {}
    assert [row.number for row in found.strangers] == [4]


def test_an_image_without_an_identifier_lacks_no_row() -> None:
    found = unmatched_rows(rows("a", "0", "3-Apr"), {"a", ""})
    assert found.suspects == {}
    assert [row.number for row in found.strangers] == [3, 4]


def test_a_long_list_of_rows_is_counted() -> None:
    found = unmatched_rows(rows(*map(str, range(1, 41))), {f"00{n}" for n in range(1, 41)})
    (fault,) = found.faults()
    assert fault.startswith("ID_LEADING_ZERO_SUSPECT: 40 row(s), rows 2, 3, ")
    assert " and 20 more: " in fault


@given(st.lists(st.text(), unique=True), st.sets(st.text()))
def test_each_row_is_joined_or_told(patients: list[str], known: set[str]) -> None:
    found = unmatched_rows(rows(*patients), known)
    told = {row.number for row in found.strangers}
    for suspects in found.suspects.values():
        told |= {row.number for row in suspects}
    assert told == {row.number for row in rows(*patients) if row["patient"] not in known}
    assert len(found) == len(told)
