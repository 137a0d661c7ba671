"""Tables that spreadsheets may open and that read back as they were."""

from __future__ import annotations

import csv
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cervispine.records.tables import plain_cell
from cervispine.records.written import csv_text

cells = st.one_of(
    st.none(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["C", "Z"])),
)


@given(rows=st.lists(st.tuples(cells, cells), max_size=5))
def test_what_was_written_is_read(rows: list[tuple[object, object]]) -> None:
    header, *read = csv.reader(io.StringIO(csv_text(["one", "other"], rows)))
    assert header == ["one", "other"]
    assert len(read) == len(rows)
    for written, found in zip(rows, read, strict=True):
        for cell, text in zip(written, found, strict=True):
            if cell is None:
                assert text == ""
            elif isinstance(cell, str):
                assert plain_cell(text) == cell
            else:
                assert type(cell)(text) == cell


def test_no_text_is_a_formula_and_a_number_stays_one() -> None:
    text = csv_text(["cell"], [["=1+1"], ["-HYPERLINK(1)"], [-0.5]])
    assert text.splitlines() == ["cell", "'=1+1", "'-HYPERLINK(1)", "-0.5"]


def test_a_printed_number_keeps_its_sign_beside_a_name_that_is_no_formula() -> None:
    text = csv_text(
        ["name", "difference"], [["-a", "-0.10 (-0.20 to +0.00)"]], printed=["difference"]
    )
    assert text.splitlines() == ["name,difference", "'-a,-0.10 (-0.20 to +0.00)"]


def test_numbers_of_numpy_are_numbers() -> None:
    text = csv_text(["cell"], [[np.float64(0.1)], [np.int64(-3)], [np.bool_(True)]])
    assert text.splitlines() == ["cell", "0.1", "-3", "True"]
