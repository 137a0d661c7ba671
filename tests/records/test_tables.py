"""The CSV files that people bring: every fault at once, by row, naming nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine.exceptions import LabelError
from cervispine.records.labels import read_labels
from cervispine.records.tables import (
    FAULTS_SHOWN,
    FORMULA_STARTS,
    plain_cell,
    raise_faults,
    read_table,
    safe_cell,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def refused(path: Path, *required: str) -> LabelError:
    with pytest.raises(LabelError) as caught:
        read_table(path, required=required or ("patient", "label"), code="LABELS")
    assert str(path) in str(caught.value)
    assert "canary" not in str(caught.value)
    return caught.value


def test_text_stays_text_and_rows_keep_their_numbers(path: Path) -> None:
    path.write_bytes('\ufeffpatient, label ,note\n00123,OPLL,"a, b"\n,,\n\n 7 ,DSS,é\n'.encode())
    table = read_table(path, required=("patient", "label"), code="LABELS")
    assert table.path == path
    assert table.columns == ("patient", "label", "note")
    assert [row.number for row in table.rows] == [2, 5]
    assert [row["patient"] for row in table.rows] == ["00123", "7"]
    assert [row["note"] for row in table.rows] == ["a, b", "é"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read"),
        ("patient,label\ncanary,é\n".encode("latin-1"), "is not UTF-8 text"),
        (b'patient,label\n"' + b"canary\n" * 20000, "is no CSV"),
    ],
    ids=["absent", "latin-1", "open quotation mark"],
)
def test_a_file_that_is_no_table_is_refused(path: Path, content: bytes | None, reason: str) -> None:
    if content is not None:
        path.write_bytes(content)
    error = refused(path)
    assert error.code == "LABELS_UNREADABLE"
    assert reason in error.what


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("", "['patient', 'label'] are missing"),
        ("patient;label", "['patient', 'label'] are missing"),
        ("Patient,label", "['patient'] are missing"),
        ("patient,label,label", "two columns share a name"),
    ],
)
def test_a_header_that_lacks_or_doubles_a_column_is_refused(
    path: Path, header: str, told: str
) -> None:
    path.write_text(f"{header}\ncanary,OPLL\n" if header else "")
    error = refused(path)
    assert error.code == "LABELS_COLUMNS"
    assert told in error.what


def test_rows_of_another_length_are_all_listed(path: Path) -> None:
    path.write_text("patient,label\ncanary\na,OPLL\ncanary,OPLL,more\n")
    error = refused(path)
    assert error.code == "LABELS_ROWS"
    assert "row 2: 1 cells for 2 columns" in error.what
    assert "row 4: 3 cells for 2 columns" in error.what
    assert "row 3" not in error.what
    path.write_text("patient,label\n,\n\n")
    assert "the table has no rows" in refused(path).what


def test_labels_are_refused_with_every_fault(path: Path) -> None:
    path.write_text("patient,label\ncanary,OPLL\n,DSS\ncanary,DSS\nx,opll\ny,\n")
    with pytest.raises(LabelError) as caught:
        read_labels(path)
    assert caught.value.code == "LABELS_INVALID"
    assert caught.value.what.splitlines() == [
        "4 fault(s) in the table:",
        "    row 3: the patient is empty",
        "    row 4: the patient of row 2",
        "    row 5: label 'opll' is not OPLL or DSS",
        "    row 6: label '' is not OPLL or DSS",
    ]
    assert "canary" not in str(caught.value)


def test_labels_without_fault_are_read(path: Path) -> None:
    path.write_text("patient,label,type\n2,OPLL,mixed\n1,DSS,\n")
    rows = read_labels(path).rows
    assert [(row["patient"], row["label"], row["type"]) for row in rows] == [
        ("2", "OPLL", "mixed"),
        ("1", "DSS", ""),
    ]


def test_a_long_list_of_faults_ends_with_a_count(path: Path) -> None:
    raise_faults([], path=path, code="LABELS_ROWS")
    with pytest.raises(LabelError) as caught:
        raise_faults((f"fault {n}" for n in range(FAULTS_SHOWN + 5)), path=path, code="LABELS_ROWS")
    lines = caught.value.what.splitlines()
    assert lines[0].startswith(f"{FAULTS_SHOWN + 5} fault(s)")
    assert lines[-1].strip() == "and 5 more"
    assert len(lines) == FAULTS_SHOWN + 2


@given(st.text().map(str.strip).filter(lambda text: not text.startswith("'")))
def test_a_cell_is_safe_and_reads_back(text: str) -> None:
    assert not safe_cell(text).startswith(FORMULA_STARTS)
    assert plain_cell(safe_cell(text)) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_a_formula_is_marked(text: str) -> None:
    assert safe_cell(text) == "'" + text
    assert plain_cell(f" '{text} ") == text
    assert plain_cell("'quoted'") == "'quoted'"
