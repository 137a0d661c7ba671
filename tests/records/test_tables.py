"""The CSV files that people bring: every fault at once, by row, naming nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine.exceptions import LabelError, UsageError
from cervispine.records.tables import (
    FAULTS_SHOWN,
    FORMULA_STARTS,
    number_in,
    plain_cell,
    raise_faults,
    read_table,
    safe_cell,
    table_of,
    word_fault,
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
    assert table.source == str(path)
    assert table.columns == ("patient", "label", "note")
    assert [row.number for row in table.rows] == [2, 5]
    assert [row["patient"] for row in table.rows] == ["00123", "7"]
    assert [row["note"] for row in table.rows] == ["a, b", "é"]


def test_two_columns_of_one_name_are_refused(path: Path) -> None:
    path.write_text("patient,label,label\ncanary,OPLL,DSS\n")
    error = refused(path)
    assert error.code == "LABELS_COLUMNS"
    assert "two columns share a name: columns 2, 3" in error.what


def test_rows_of_another_length_are_all_listed(path: Path) -> None:
    path.write_text("patient,label\ncanary\na,OPLL\ncanary,OPLL,more\nb,OPLL,, \n")
    error = refused(path)
    assert error.code == "LABELS_ROWS"
    assert "row 2: 1 cells for 2 columns" in error.what
    assert "row 4: a value in column 3, which has no name" in error.what
    assert "row 3" not in error.what
    assert "row 5" not in error.what
    path.write_text("patient,label\n,\n\n")
    assert "the table has no rows" in refused(path).what


def test_what_excel_leaves_at_the_end_does_no_harm(path: Path) -> None:
    path.write_text("patient,,label,site,,\n1,,OPLL,x,,\n2,,DSS\n,,,,,\n,,,,,\n")
    table = read_table(path, required=("patient", "label"), code="LABELS")
    assert table.columns == ("patient", "label", "site")
    assert [dict(row.cells) for row in table.rows] == [
        {"patient": "1", "label": "OPLL", "site": "x"},
        {"patient": "2", "label": "DSS", "site": ""},
    ]
    path.write_text("patient,,label\n1,canary,OPLL\n")
    assert "row 2: a value in column 2, which has no name" in refused(path).what


@pytest.mark.parametrize(
    ("mark", "name"),
    [
        ("\u00a0", "NO-BREAK SPACE (U+00A0)"),
        ("\u3000", "IDEOGRAPHIC SPACE (U+3000)"),
        ("\u200b", "ZERO WIDTH SPACE (U+200B)"),
        ("\ufeff", "ZERO WIDTH NO-BREAK SPACE (U+FEFF)"),
        ("\u202e", "RIGHT-TO-LEFT OVERRIDE (U+202E)"),
        ("\t", "a control character (U+0009)"),
        ("\n", "a control character (U+000A)"),
        ("\ufffd", "REPLACEMENT CHARACTER (U+FFFD)"),
    ],
)
@pytest.mark.parametrize("where", ["{0}canary", "can{0}ary", "canary{0}"])
def test_what_nobody_sees_in_an_identifier_is_refused(
    path: Path, mark: str, name: str, where: str
) -> None:
    path.write_text(f'patient,label,note\n"{where.format(mark)}",OPLL,"{mark}"\n', newline="")
    error = refused(path)
    assert error.code == "LABELS_ROWS"
    assert error.what.splitlines()[1:] == [f"    row 2: the patient holds {name}"]


def scores(path: Path, delimiter: str, *texts: str) -> list[str]:
    path.write_text(f"patient{delimiter}score\n" + "".join(f"1{delimiter}{t}\n" for t in texts))
    table = read_table(path, required=("patient", "score"), code="SCORES", numbers=("score",))
    return [row["score"] for row in table.rows]


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_decimal_commas_become_points_where_they_are_nothing_else(
    path: Path, delimiter: str
) -> None:
    assert scores(path, delimiter, "0,5", "1", "-1,25e-3") == ["0.5", "1", "-1.25e-3"]
    assert scores(path, delimiter, "1,234", "0,5") == ["1.234", "0.5"]
    assert scores(path, delimiter, "0,123") == ["0.123"]
    assert scores(path, delimiter, "0.5", "1.234") == ["0.5", "1.234"]
    for texts, told in (
        (("0,5", "0.5"), "some numbers have a comma and some a point"),
        (("1,234", "12,345,678"), "decimals or thousands"),
        (("1.234,5", "0,5"), "some numbers have a comma and some a point"),
    ):
        with pytest.raises(LabelError, match=told) as caught:
            scores(path, delimiter, *texts)
        assert caught.value.code == "SCORES_ROWS"


def test_between_commas_a_comma_is_no_decimal_comma(path: Path) -> None:
    assert scores(path, ",", '"0,5"') == ["0,5"]
    assert number_in("0,5") is None


@pytest.mark.parametrize(
    ("text", "number"),
    [("1", 1.0), ("-.5", -0.5), ("1.", 1.0), ("+1e-3", 0.001), ("1_0", None), ("nan", None),
     ("inf", None), ("1e999", None), ("\uff11", None), ("", None), (" 1", None), ("0x1", None)],
)  # fmt: skip
def test_a_number_is_written_in_digits(text: str, number: float | None) -> None:
    assert number_in(text) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_reads_back(number: float) -> None:
    assert number_in(repr(number)) == number


def test_a_slip_of_a_word_is_quoted_and_nothing_else(path: Path) -> None:
    words = ("DSS", "OPLL")
    assert word_fault("label", "OPLL", words) is None
    for slip in ("opll", "OPLL ", "\uff2f\uff30\uff2c\uff2c", "OPLL\u200b", "'OPLL"):
        assert word_fault("label", slip, words) == f"label {slip!r}: did you mean OPLL?"
    assert word_fault("label", "canary", words) == "the label is none of DSS, OPLL"
    assert word_fault("label", " ", words) == "the label is empty"


def test_tables_in_memory_are_taken_as_text() -> None:
    frame = pd.DataFrame({"label": ["OPLL", "DSS"], "patient": ["00123", "7"], "age": [61, None]})
    table = table_of(frame, required=("patient", "label"), code="LABELS")
    assert [row.number for row in table.rows] == [1, 2]
    assert [dict(row.cells) for row in table.rows] == [
        {"label": "OPLL", "patient": "00123", "age": "61.0"},
        {"label": "DSS", "patient": "7", "age": ""},
    ]
    mapping = table_of({"00123": "OPLL"}, required=("patient", "label"), code="LABELS")
    assert [dict(row.cells) for row in mapping.rows] == [{"patient": "00123", "label": "OPLL"}]


def test_a_frame_gives_the_rows_of_its_file(path: Path) -> None:
    cells = [["a ", "OPLL", "'=1"], ["", "", ""], [" 00123", "DSS", " x"]]
    frame = pd.DataFrame(cells, columns=["patient", " label", "site"])
    frame.to_csv(path, index=False)
    tables = [
        table_of(each, required=("patient", "label"), code="LABELS") for each in (frame, path)
    ]
    assert tables[0].columns == tables[1].columns == ("patient", "label", "site")
    assert [row.cells for row in tables[0].rows] == [row.cells for row in tables[1].rows]
    assert [row["patient"] for row in tables[0].rows] == ["a", "00123"]
    assert [row.number for row in tables[0].rows] == [1, 3]


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (pd.DataFrame({"patient": [123], "label": ["OPLL"]}), "ID_NOT_TEXT"),
        ({123: "OPLL"}, "ID_NOT_TEXT"),
        (pd.DataFrame({"patient": ["123"]}), "LABELS_COLUMNS"),
        (pd.DataFrame({"patient": [], "label": []}), "LABELS_ROWS"),
        ({}, "LABELS_ROWS"),
        (pd.DataFrame([["", None]], columns=["patient", "label"]), "LABELS_ROWS"),
        (pd.DataFrame({"patient": ["canary\u200b"], "label": ["OPLL"]}), "LABELS_ROWS"),
        ({"canary\u200b": "OPLL"}, "LABELS_ROWS"),
        (
            pd.DataFrame([["7", "OPLL", "DSS"]], columns=["patient", "label", "label"]),
            "LABELS_COLUMNS",
        ),
        (
            pd.DataFrame([["7", "OPLL", "canary"]], columns=["patient", "label", ""]),
            "LABELS_ROWS",
        ),
    ],
)
def test_tables_in_memory_are_refused_like_files(source: Any, code: str) -> None:
    with pytest.raises(LabelError) as caught:
        table_of(source, required=("patient", "label"), code="LABELS")
    assert caught.value.code == code
    assert "123," not in caught.value.what
    assert "canary" not in str(caught.value)
    with pytest.raises(UsageError, match="a path, a mapping or a data frame"):
        table_of([("1", "OPLL")], required=("patient", "label"), code="LABELS")  # type: ignore[arg-type]


def test_a_long_list_of_faults_ends_with_a_count() -> None:
    raise_faults([], where="labels.csv", code="LABELS_ROWS")
    with pytest.raises(LabelError) as caught:
        raise_faults(
            (f"fault {n}" for n in range(FAULTS_SHOWN + 5)), where="labels.csv", code="LABELS_ROWS"
        )
    lines = caught.value.what.splitlines()
    assert caught.value.where == "labels.csv"
    assert lines[0].startswith(f"{FAULTS_SHOWN + 5} fault(s)")
    assert lines[-1].strip() == "and 5 more"
    assert len(lines) == FAULTS_SHOWN + 2


@given(st.text() | st.text(alphabet="'=+x"))
def test_a_cell_is_safe_and_reads_back(text: str) -> None:
    text = text.strip()
    assert not safe_cell(text).startswith(FORMULA_STARTS)
    assert plain_cell(safe_cell(text)) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x"])
def test_a_formula_is_marked(text: str) -> None:
    assert safe_cell(text) == "'" + text
    assert plain_cell(f" '{text} ") == text
    assert plain_cell("'quoted'") == "'quoted'"
