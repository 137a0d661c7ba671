"""The CSV that spreadsheets and registries write: bytes to rows of text, or a refusal.

What a file does not say for certain is not guessed. Its encoding is UTF-8, or UTF-16 where it
begins with a byte order mark; its delimiter is the one under which the header names the columns
that must be there. Row numbers are those that a spreadsheet shows.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import attrs

from cervispine.exceptions import LabelError

__all__ = ["Sheet", "read_sheet", "same_word"]

#: With the name that a message gives it.
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}

#: A table of 100,000 patients has a tenth of this.
LARGEST_TABLE = 64 * 2**20

#: What a file begins with that only its name makes a CSV.
OTHER_KINDS = {
    b"PK\x03\x04": "a workbook (.xlsx, .ods), whatever its name says",
    b"\xd0\xcf\x11\xe0": "a workbook of an old Excel (.xls), whatever its name says",
    b"\x1f\x8b": "compressed",
    b"%PDF": "a PDF",
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
}

#: Excel's own way of telling the delimiter, which it does not show as a row.
SEPARATOR_LINE = re.compile(r'"?sep=(.)"?(?:\r\n|\n|\r|\Z)', re.IGNORECASE)

SAVE_AS = "save it as 'CSV UTF-8' and give its path"


@attrs.frozen
class Sheet:
    """A CSV file as rows of cells, before anything is known of the columns.

    Parameters
    ----------
    delimiter
        What stands between the cells: a comma, a semicolon or a tab.
    header
        The names in the first row, without spaces around them; those without a name are empty.
    rows
        The other rows with their numbers, the header being row 1.
    """

    delimiter: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]


def read_sheet(path: Path, *, required: Sequence[str], code: str) -> Sheet:
    """Read a CSV file whose first row names the columns.

    Parameters
    ----------
    path
        The file.
    required
        Columns that must be there; they tell the delimiter.
    code
        Beginning of the error codes, for example "LABELS".

    Raises
    ------
    LabelError
        ``<code>_UNREADABLE`` or ``<code>_COLUMNS``.
    """
    try:
        text = _text_of(_bytes_of(path))
        delimiter = None
        if line := SEPARATOR_LINE.match(text):
            text, delimiter = text[line.end() :], line[1]
            if delimiter not in DELIMITERS:
                raise _UnreadableError(
                    "names a delimiter in its first line that is none of , ; or tab"
                )
    except _UnreadableError as error:
        raise LabelError(
            f"the table {error}", where=str(path), advice=error.advice, code=f"{code}_UNREADABLE"
        ) from None
    headers = _headers(text, [delimiter] if delimiter else list(DELIMITERS))
    fitting = [each for each, names in headers.items() if set(required) <= set(names)]
    if len({headers[each] for each in fitting}) == 1:
        # One column, and none of the delimiters in its name: any of them does.
        fitting = fitting[:1]
    if len(fitting) != 1:
        raise LabelError(
            _why_no_header(headers, fitting, required),
            where=str(path),
            advice=f"the first row must name the columns {','.join(required)}, with commas between",
            code=f"{code}_COLUMNS",
        )
    rows: list[tuple[str, ...]] = []
    try:
        rows.extend(tuple(cells) for cells in _reader(text, fitting[0]))
    except csv.Error as error:
        raise LabelError(
            f"the table is no CSV from row {len(rows) + 1} on: {error}",
            where=str(path),
            advice="look for a quotation mark that is not closed; " + SAVE_AS,
            code=f"{code}_UNREADABLE",
        ) from None
    return Sheet(fitting[0], headers[fitting[0]], tuple(enumerate(rows[1:], start=2)))


def same_word(one: str, other: str) -> bool:
    """Whether two words differ at most in case, width, accents' encoding or invisible marks."""
    return _folded(one) == _folded(other)


class _UnreadableError(Exception):
    """What a file is instead of a table, and what to do about it."""

    def __init__(self, what: str, advice: str = SAVE_AS) -> None:
        super().__init__(what)
        self.advice = advice


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_TABLE + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise _UnreadableError(
            f"cannot be read: {reason}", "check its path and permissions"
        ) from None
    if len(content) > LARGEST_TABLE:
        raise _UnreadableError(
            f"has more than {LARGEST_TABLE >> 20} MiB", "leave out what is not used"
        )
    for start, kind in OTHER_KINDS.items():
        if content.startswith(start):
            raise _UnreadableError(f"is {kind}, not text", "open it and " + SAVE_AS)
    return content


def _text_of(content: bytes) -> str:
    marked = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        # Both codecs take the byte order mark off.
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        name = "UTF-16" if marked else "UTF-8"
        others = "" if marked else " (Shift-JIS and the code pages of Windows cannot be told apart)"
        raise _UnreadableError(f"is not {name} text{others}") from None
    if "\0" in text:
        raise _UnreadableError("holds NUL characters: UTF-16 without its mark, or a damaged file")
    if "\x1b" in text:
        raise _UnreadableError("holds escape characters, as ISO-2022-JP does")
    return text


def _reader(text: str, delimiter: str) -> csv._reader:  # type: ignore[name-defined]
    # Strict: otherwise a quotation mark that is never closed swallows the rows after it.
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _headers(text: str, delimiters: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the columns under each delimiter."""
    headers: dict[str, tuple[str, ...]] = {}
    for delimiter in delimiters:
        try:
            rows = list(itertools.islice(_reader(text, delimiter), 1))
        except csv.Error:
            rows = []
        headers[delimiter] = tuple(name.strip(" ") for row in rows for name in row)
    return headers


def _why_no_header(
    headers: dict[str, tuple[str, ...]], fitting: Sequence[str], required: Sequence[str]
) -> str:
    """Say why no delimiter, or more than one, gives the columns.

    Of the first row only the words wanted are quoted: others may be patients, in a table without
    a header or one whose rows are columns.
    """
    if fitting:
        names = " or ".join(DELIMITERS[delimiter] for delimiter in fitting)
        return f"the first row names the columns with {names} between: it cannot be told which"

    def near(names: Sequence[str]) -> list[tuple[str, str]]:
        """Return the required names that stand there, with how they stand there."""
        return [(word, name) for word in required for name in names if same_word(word, name)]

    best = max(headers, key=lambda delimiter: len(near(headers[delimiter])))
    header = headers[best]
    meant = near(header)
    if not meant:
        return f"the columns {list(required)} are missing; the first row names none of them"
    missing = [name for name in required if name not in header]
    slips = [f"{name!r} must be written {word!r}" for word, name in meant if word in missing]
    told = f"; {', '.join(slips)}" if slips else ""
    others = len(header) - len(meant)
    return (
        f"the columns {missing} are missing{told}; the header has "
        f"{[name for _, name in meant]} and {others} other{'' if others == 1 else 's'}"
    )


def _folded(word: str) -> str:
    kept = (each for each in unicodedata.normalize("NFKC", word) if each.isprintable())
    return "".join(kept).casefold().replace(" ", "").strip("'\"")
