"""readers.csv: what is taken, and every fault that is refused."""

import pickle
import warnings

import attrs
import numpy as np
import pandas as pd
import pytest

import cervispine
from cervispine.evaluation import ReaderTable
from cervispine.exceptions import DataWarning, LabelError, MismatchedCasesError

HEADER = "patient,reader,call,rating\n"
ROWS = {
    ("00123", "A"): "1,5",
    ("00123", "B"): "0,2",
    ("00007", "A"): "0,1",
    ("00007", "B"): "0,3",
}


def write(path, rows=ROWS, header=HEADER):
    lines = [f"{patient},{reader},{values}\n" for (patient, reader), values in rows.items()]
    path.write_text(header + "".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "readers.csv"


def refusal(path, text, **options):
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LabelError) as caught:
        ReaderTable.from_csv(path, **options)
    return caught.value


def test_identifiers_stay_text(path):
    table = ReaderTable.from_csv(write(path))
    assert table.patients == ("00123", "00007")
    assert table.readers == ("A", "B")
    assert table.dropped == 0
    assert cervispine.ReaderTable is ReaderTable


def test_values_come_in_the_order_asked_for(path):
    table = ReaderTable.from_csv(write(path))
    calls, ratings = table.calls(["00007", "00123"]), table.ratings()
    assert calls["A"].tolist() == [0, 1]
    assert calls["A"].dtype == np.int64
    assert ratings["B"].tolist() == [2.0, 3.0]
    assert ratings["B"].dtype == np.float64


def test_the_order_of_the_rows_does_not_matter(path):
    table = ReaderTable.from_csv(write(path))
    turned = ReaderTable.from_csv(write(path, dict(reversed(ROWS.items()))))
    for reader in table.readers:
        np.testing.assert_array_equal(table.calls()[reader], turned.calls(table.patients)[reader])


def test_a_byte_order_mark_blanks_and_further_columns_do_no_harm(path):
    path.write_text(
        "\ufeffpatient,reader,note,call\n00123, A ,seen twice,1\n00007,A,,0\n", encoding="utf-8"
    )
    table = ReaderTable.from_csv(path)
    assert table.ignored_columns == ("note",)
    assert table.calls() == {"A": pytest.approx([1, 0])}
    assert table.ratings() == {}


def test_a_frame_is_taken_like_a_file(path):
    write(path)
    frame = pd.read_csv(path, dtype={"patient": str})
    table, from_file = ReaderTable.from_frame(frame), ReaderTable.from_csv(path)
    assert table.patients == from_file.patients
    for reader in table.readers:
        np.testing.assert_array_equal(table.ratings()[reader], from_file.ratings()[reader])


def test_a_reader_may_give_ratings_only(path):
    rows = {key: value if key[1] == "A" else f",{value[-1]}" for key, value in ROWS.items()}
    table = ReaderTable.from_csv(write(path, rows))
    assert list(table.calls()) == ["A"]
    assert list(table.ratings()) == ["A", "B"]
    frame = pd.read_csv(path, dtype={"patient": str})
    assert list(ReaderTable.from_frame(frame).calls()) == ["A"]


def test_select_keeps_the_order_given(path):
    table = ReaderTable.from_csv(write(path)).select(["00007"])
    assert table.patients == ("00007",)
    assert table.calls()["B"].tolist() == [0]
    with pytest.raises(LabelError) as caught:
        table.select(["00123"])
    assert caught.value.code == "READERS_CASE_MISSING"
    assert "00123" not in str(caught.value).replace("so 00123 and 123 differ", "")


def test_other_patients_are_refused_by_number(path):
    table = ReaderTable.from_csv(write(path))
    with pytest.raises(MismatchedCasesError, match="1 of 2 cases") as caught:
        table.calls(["00007", "x9"])
    assert "x9" not in str(caught.value)


def test_the_table_is_frozen_and_travels(path):
    table = ReaderTable.from_csv(write(path))
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        table.readers = ()
    assert pickle.loads(pickle.dumps(table)).patients == table.patients
    assert "00123" not in repr(table)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("patient,call\nP1,1\n", "READERS_COLUMNS", "['reader'] are missing"),
        ("patient,reader\nP1,A\n", "READERS_COLUMNS", "call or rating"),
        ("", "READERS_COLUMNS", "patient"),
        (HEADER, "READERS_ROWS", "no rows"),
        (HEADER + "P1,A,1,5\nP1,A,1,5\n", "READERS_ROW_DUPLICATED", "rows 3"),
        (HEADER + ",A,1,5\nP1,,1,5\n", "READERS_ID_MISSING", "rows 2, 3"),
        (HEADER + "P1,A,yes,5\n", "READERS_CALL_INVALID", "rows 2"),
        (HEADER + "P1,A,2,5\n", "READERS_CALL_INVALID", "rows 2"),
        (HEADER + "P1,A,1,high\n", "READERS_RATING_INVALID", "rows 2"),
        (HEADER + "P1,A,1,nan\n", "READERS_RATING_INVALID", "rows 2"),
        (HEADER + "P1,A,1,101\n", "READERS_RATING_INVALID", "rows 2"),
        (HEADER + "P1,A,1,-1\n", "READERS_RATING_INVALID", "rows 2"),
        (HEADER + "P1,A,1,5\nP2,A,,3\n", "READERS_VALUE_MISSING", "rows 3"),
        (HEADER + "P1,A,,\n", "READERS_VALUE_MISSING", "rows 2"),
        (HEADER + "P1,A,1,5\nP1,B,1,5\nP2,A,0,1\n", "READERS_CASE_MISSING", "reader 2: 1"),
        (HEADER + "P1,A,1,5,what\n", "READERS_ROWS", "row 2"),
    ],
)
def test_each_fault_is_refused_with_its_rows(path, text, code, words):
    error = refusal(path, text)
    assert error.code == code
    assert words in str(error)
    assert "P1" not in str(error)


def test_all_faults_come_at_once(path):
    text = HEADER + "P1,A,7,5\nP1,A,1,5\nP2,A,1,500\nP3,B,1,1\n"
    error = refusal(path, text)
    assert error.code == "READERS_INVALID"
    for code in ("CALL_INVALID", "ROW_DUPLICATED", "RATING_INVALID", "CASE_MISSING"):
        assert f"READERS_{code}" in str(error)


def test_a_long_list_of_rows_is_cut(path):
    error = refusal(path, HEADER + "".join(f"P{i},A,9,1\n" for i in range(50)))
    assert "and 30 more" in str(error)


def test_what_is_no_text_file_is_refused(tmp_path, path):
    path.write_bytes(b"patient,reader\xff\xfe")
    with pytest.raises(LabelError) as caught:
        ReaderTable.from_csv(path)
    assert caught.value.code == "READERS_UNREADABLE"
    with pytest.raises(LabelError, match="cannot be read"):
        ReaderTable.from_csv(tmp_path / "absent.csv")


def test_complete_cases_leave_out_and_count(path):
    text = HEADER + "P1,A,1,5\nP1,B,1,5\nP2,A,0,1\nP3,A,,4\nP3,B,1,4\n"
    path.write_text(text, encoding="utf-8")
    table = ReaderTable.from_csv(path, complete_cases=True)
    assert table.patients == ("P1",)
    assert table.dropped == 2
    assert "2 incomplete patients left out" in repr(table)


def test_complete_cases_do_not_excuse_faults(path):
    error = refusal(path, HEADER + "P1,A,7,5\nP2,A,1,5\n", complete_cases=True)
    assert error.code == "READERS_CALL_INVALID"


def test_no_complete_case_at_all_is_refused(path):
    error = refusal(path, HEADER + "P1,A,1,5\nP2,B,1,5\n", complete_cases=True)
    assert error.code == "READERS_CASE_MISSING"


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (pd.DataFrame({"patient": ["P1"], "call": [1]}), "READERS_COLUMNS"),
        (pd.DataFrame({"patient": [], "reader": [], "call": []}), "READERS_ROWS"),
        (pd.DataFrame({"patient": ["P1"], "reader": [None], "call": [1]}), "READERS_ID_MISSING"),
        (pd.DataFrame({"patient": ["P1"], "reader": ["A"]}), "READERS_COLUMNS"),
        (pd.DataFrame({"patient": [123], "reader": ["A"], "call": [1]}), "ID_NOT_TEXT"),
        (pd.DataFrame({"patient": [123.0], "reader": ["A"], "call": [1]}), "ID_NOT_TEXT"),
        (pd.DataFrame({"patient": ["P1\u200b"], "reader": ["A"], "call": [1]}), "READERS_ROWS"),
        (
            pd.DataFrame([["P1", "A", 0, 1]], columns=["patient", "reader", "call", "call"]),
            "READERS_COLUMNS",
        ),
    ],
)
def test_faults_of_a_frame_are_refused(frame, code):
    with pytest.raises(LabelError) as caught:
        ReaderTable.from_frame(frame)
    assert caught.value.code == code
    assert "P1" not in str(caught.value)


def test_ratings_that_contradict_the_calls_are_warned_of():
    calls = [1, 1, 0, 0]
    frame = pd.DataFrame(
        {
            "patient": list("abcd") * 3,
            "reader": ["sure of the call"] * 4 + ["sure of OPLL"] * 4 + ["one call"] * 4,
            "call": calls * 2 + [1] * 4,
            "rating": [70, 80, 90, 95, 90, 40, 50, 10, 1, 2, 3, 4],
        }
    )
    with pytest.warns(DataWarning, match=r"INVERTED: 1 of 3 readers .* not: sure of the call\."):
        ReaderTable.from_frame(frame)
    with warnings.catch_warnings(action="error"):
        ReaderTable.from_frame(frame[frame["reader"] == "sure of OPLL"])


def test_patients_that_nobody_read():
    table = ReaderTable.without_readers(["P1", "P2"])
    assert (table.readers, table.calls(["P2", "P1"]), table.ratings()) == ((), {}, {})
    assert "0 readers of 2 patients" in repr(table)
