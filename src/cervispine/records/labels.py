"""labels.csv: which patients have which label."""

from __future__ import annotations

from pathlib import Path

from cervispine.records.tables import Table, raise_faults, read_table

__all__ = ["CLASSES", "read_labels"]

#: The vocabulary of labels.csv; the position is the number: 1 = OPLL.
CLASSES = ("DSS", "OPLL")


def read_labels(path: str | Path) -> Table:
    """Read a table with the columns ``patient,label``, one row a patient, labels OPLL or DSS.

    Raises
    ------
    LabelError
        With every fault of the file at once (``LABELS_INVALID``); for faults of the table
        itself see :func:`~cervispine.records.tables.read_table`.
    """
    table = read_table(path, required=("patient", "label"), code="LABELS")
    first_row: dict[str, int] = {}
    faults = []
    for row in table.rows:
        if not row["patient"]:
            faults.append(f"row {row.number}: the patient is empty")
        elif row["patient"] in first_row:
            faults.append(f"row {row.number}: the patient of row {first_row[row['patient']]}")
        first_row.setdefault(row["patient"], row.number)
        if row["label"] not in CLASSES:
            faults.append(f"row {row.number}: label {row['label']!r} is not OPLL or DSS")
    raise_faults(faults, path=table.path, code="LABELS_INVALID")
    return table
