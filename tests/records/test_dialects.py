"""CSV as spreadsheets write it: the same rows from every dialect, and a refusal of the rest."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine.exceptions import LabelError
from cervispine.records import dialects
from cervispine.records.dialects import read_sheet, same_word

PATIENTS = [("patient", "label", "site"), ("00123", "OPLL", "東京; a, b"), ("7", "DSS", 'a "b"\nc')]
ENCODINGS = {
    "UTF-8": lambda text: text.encode(),
    "UTF-8 with mark": lambda text: text.encode("utf-8-sig"),
    "UTF-16 LE": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def quoted(delimiter: str, newline: str) -> str:
    def cell(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    return "".join(delimiter.join(map(cell, row)) + newline for row in PATIENTS)


def refused(path: Path, content: bytes | str) -> LabelError:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(LabelError) as caught:
        read_sheet(path, required=("patient", "label"), code="LABELS")
    assert "canary" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("line", ["", "sep=", '"SEP='])
def test_every_dialect_gives_the_same_rows(
    path: Path, encoding: str, delimiter: str, newline: str, line: str
) -> None:
    first = line and line + delimiter + ('"' if line.startswith('"') else "") + newline
    path.write_bytes(ENCODINGS[encoding](first + quoted(delimiter, newline)))
    sheet = read_sheet(path, required=("patient", "label"), code="LABELS")
    assert sheet.delimiter == delimiter
    assert sheet.header == PATIENTS[0]
    assert sheet.rows == tuple(enumerate(PATIENTS[1:], start=2))


def test_rows_are_counted_as_a_spreadsheet_shows_them(path: Path) -> None:
    path.write_text('sep=;\npatient;label;note\n1;DSS;"two\nlines"\n\n;;\n2;DSS;\n')
    sheet = read_sheet(path, required=("patient", "label"), code="LABELS")
    assert [(number, cells[:1]) for number, cells in sheet.rows] == [
        (2, ("1",)), (3, ()), (4, ("",)), (5, ("2",)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PK\x03\x04rest", "a workbook (.xlsx, .ods)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel"),
        (b"\x1f\x8b\x08", "compressed"),
        (b"%PDF-1.7", "a PDF"),
        ("\ufeffpatient,label\n".encode("utf-32-le"), "UTF-32"),
        ("patient,label\n1,DSS\n".encode("utf-16-le"), "NUL"),
        (b"patient,label\n1,D\0SS\n", "NUL"),
        ("patient,label,氏名\ncanary,DSS,漢字\n".encode("shift-jis"), "not UTF-8 text (Shift-JIS"),
        ("patient,label,氏名\n1,DSS,漢字\n".encode("iso2022-jp"), "ISO-2022-JP"),
        ("patient,label\ncanary,é\n".encode("cp1252"), "not UTF-8 text"),
        (codecs.BOM_UTF16_LE + b"p\0a", "not UTF-16 text"),
        (b"sep=|\npatient|label\n", "a delimiter in its first line"),
        (b'patient,label\n1,DSS\n2,"DSS\n3,DSS\n', "from row 3 on: unexpected end"),
        (b'patient,label\n1,DSS\n"canary"2,DSS\n', "from row 3 on: ',' expected after"),
        (b"patient,label\n1," + b"x" * 200_000, "field larger than field limit"),
    ],
)
def test_what_is_no_such_text_is_refused(path: Path, content: bytes, reason: str) -> None:
    error = refused(path, content)
    assert error.code == "LABELS_UNREADABLE"
    assert reason in error.what
    assert error.advice


def test_a_file_that_is_absent_or_too_large_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(LabelError, match="No such file") as caught:
        read_sheet(path, required=("patient", "label"), code="SPLIT")
    assert caught.value.code == "SPLIT_UNREADABLE"
    monkeypatch.setattr(dialects, "LARGEST_TABLE", 1 << 20)
    assert "more than 1 MiB" in refused(path, b"patient,label\n" + b"\n" * (1 << 20)).what


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "the first row names none of them"),
        ("canary,OPLL\n1,DSS\n", "the first row names none of them"),
        ("patient|label\n", "the first row names none of them"),
        ("\npatient,label\n", "the first row names none of them"),
        ('"patient,label"\n', "the first row names none of them"),
        ("Patient ,label\n", "'Patient' must be written 'patient'; the header has"),
        ("patient;LABEL\n", "'LABEL' must be written 'label'; the header has"),
        ("patient\u200b\tlabel\n", "must be written 'patient'"),
        ("patient,site\n", "['label'] are missing; the header has ['patient'] and 1 other"),
        ("patient,label;x\n", "['label'] are missing"),
        ("patient,label,x;patient;label\n", "commas or semicolons between: it cannot be told"),
        ("sep=;\npatient,label\n", "the first row names none of them"),
    ],
)
def test_a_header_must_name_the_columns_under_one_delimiter(
    path: Path, content: str, told: str
) -> None:
    error = refused(path, content)
    assert error.code == "LABELS_COLUMNS"
    assert told in error.what


def test_a_table_of_one_column_needs_no_delimiter(path: Path) -> None:
    path.write_text("patient\n00123\n\n7\n")
    sheet = read_sheet(path, required=("patient",), code="CASES")
    assert sheet.header == ("patient",)
    assert [cells for _, cells in sheet.rows if cells] == [("00123",), ("7",)]


@given(st.text(min_size=1))
def test_a_word_is_like_itself_in_another_case_and_among_spaces(word: str) -> None:
    assert same_word(f" {word}\u200b ", word)
    assert same_word(f"\u00a0{word}", word)


def test_words_that_differ_only_to_a_program_are_one() -> None:
    assert same_word("\uff2f\uff30\uff2c\uff2c", "opll")
    assert not same_word("OPLL", "DSS")
