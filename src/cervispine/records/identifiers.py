"""Joining tables with images: by equal identifiers alone, and why a row was not joined.

A spreadsheet turns ``00123`` into ``123``, ``1E5`` into ``1.00E+05`` and ``3-4`` into a date, and
nobody can turn them back. Such rows are never joined; they are told apart from rows of patients
who are simply not there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

import attrs

from cervispine.records.tables import Row

__all__ = ["Unmatched", "unmatched_rows"]

ROWS_SHOWN = 20

#: What is suspected, in the order in which it is looked for.
SUSPICIONS = {
    "ID_LEADING_ZERO_SUSPECT": "but for zeros in front it is an identifier that has no row",
    "ID_LOOKALIKE": "but for case, width, accents, dashes, spaces or quotation marks it is an "
    "identifier that has no row",
    "ID_EXCEL_DAMAGE": "it is a number, a date or an error of a spreadsheet, while identifiers "
    "have no row",
}

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
EXCEL_DAMAGE = re.compile(
    r"\d([.,]\d+)?E[+-]?\d+"  # 1.23E+11
    rf"|\d{{1,2}}[- ]({_MONTHS})[a-z]*([- ]\d{{2,4}})?"  # 3-Apr
    rf"|({_MONTHS})[a-z]*[- ]\d{{2,4}}"  # Apr-03
    r"|\d{1,4}[/.-]\d{1,2}[/.-]\d{1,4}( \d{1,2}:\d{2}(:\d{2})?)?"  # 03/04/2021
    r"|\d{1,2}月\d{1,2}日"
    r"|\d{1,2}:\d{2}(:\d{2})?"  # 1:30
    r"|#(N/A|NAME\?|REF!|VALUE!|NUM!|#+)"
    r"|TRUE|FALSE",
    re.IGNORECASE | re.ASCII,
)

#: Excel keeps so many digits of a number and writes zeros for the rest.
EXCEL_DIGITS = 15


@attrs.frozen
class Unmatched:
    """The rows whose identifier is not among those known.

    Parameters
    ----------
    strangers
        Rows about whom nothing is known.
    suspects
        By the code of what is suspected, the rows whose identifier was probably damaged.
    """

    strangers: tuple[Row, ...]
    suspects: dict[str, tuple[Row, ...]]

    def __len__(self) -> int:
        return len(self.strangers) + sum(map(len, self.suspects.values()))

    def faults(self) -> list[str]:
        """Return one fault for each suspicion, with its rows."""
        return [
            f"{code}: {len(rows)} row(s), {_numbers(rows)}: {SUSPICIONS[code]}"
            for code, rows in self.suspects.items()
        ]

    def code_of_faults(self, otherwise: str) -> str:
        """Return the code of the one suspicion that explains every row, or another."""
        if self.strangers or len(self.suspects) != 1:
            return otherwise
        return next(iter(self.suspects))


def unmatched_rows(rows: Iterable[Row], known: Collection[str]) -> Unmatched:
    """Return the rows whose patient is not known, those probably damaged apart.

    Parameters
    ----------
    rows
        Of a table with the column ``patient``.
    known
        The identifiers there are. A row is suspected only while some of them have no row, and of
        a spreadsheet's damage only where no identifier that has a row is written like it.
    """
    rows = list(rows)
    lonely = set(known) - {row["patient"] for row in rows} - {""}
    usual = {_shape(identifier) for identifier in set(known) - lonely}
    looks = {_look(identifier) for identifier in lonely}
    zeros = {_without_zeros(identifier) for identifier in lonely}
    digits = {each[:EXCEL_DIGITS] for each in lonely if each.isdigit()}
    strangers: list[Row] = []
    suspects: dict[str, list[Row]] = {code: [] for code in SUSPICIONS}
    for row in rows:
        identifier = row["patient"]
        if identifier in known:
            continue
        if _without_zeros(identifier) in zeros:
            suspects["ID_LEADING_ZERO_SUSPECT"].append(row)
        elif _look(identifier) in looks:
            suspects["ID_LOOKALIKE"].append(row)
        elif lonely and (
            (EXCEL_DAMAGE.fullmatch(identifier) and _shape(identifier) not in usual)
            or _is_rounded(identifier, digits)
        ):
            suspects["ID_EXCEL_DAMAGE"].append(row)
        else:
            strangers.append(row)
    return Unmatched(
        tuple(strangers), {code: tuple(found) for code, found in suspects.items() if found}
    )


def _numbers(rows: Collection[Row]) -> str:
    numbers = ", ".join(str(row.number) for row in list(rows)[:ROWS_SHOWN])
    more = len(rows) - ROWS_SHOWN
    return f"rows {numbers}" + (f" and {more} more" if more > 0 else "")


def _without_zeros(identifier: str) -> str:
    # A column of numbers with one gap comes out of many programs as 123.0.
    return identifier.removesuffix(".0").lstrip("0")


def _shape(identifier: str) -> str:
    """Return how an identifier is written, whatever its digits are."""
    return re.sub(r"[0-9]", "9", identifier)


def _look(identifier: str) -> str:
    """Return an identifier without what two people would overlook, or a program would change."""
    kept = [
        "-" if unicodedata.category(each) == "Pd" else each
        for each in unicodedata.normalize("NFKC", identifier)
        if each.isprintable() and each != " "
    ]
    return _without_zeros("".join(kept).casefold().lstrip("=").strip("'\""))


def _is_rounded(identifier: str, digits: Collection[str]) -> bool:
    return (
        identifier.isdigit()
        and len(identifier) > EXCEL_DIGITS
        and not identifier[EXCEL_DIGITS:].strip("0")
        and identifier[:EXCEL_DIGITS] in digits
    )
