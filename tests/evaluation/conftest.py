"""Reference values beside the tests, and the complete example: 3 models, 3 surgeons."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cervispine.evaluation import ReaderTable

GOLDEN = Path(__file__).parent / "golden"
MODELS = ("resnet34", "resnet50", "resnet101")
SURGEONS = ("surgeon1", "surgeon2", "surgeon3")


def read_columns(path: Path) -> dict[str, Any]:
    """A CSV file by column; numbers where every cell is one."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns: dict[str, Any] = {}
    for name in rows[0]:
        texts = [row[name] for row in rows]
        try:
            columns[name] = np.array([float(text) for text in texts])
        except ValueError:
            columns[name] = texts
    return columns


@pytest.fixture(scope="session")
def expected():
    """Load a file of reference values by its name."""
    return lambda name: json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def columns():
    """Load an input of the reference values by its name."""
    return lambda name: read_columns(GOLDEN / "inputs" / f"{name}.csv")


@pytest.fixture(scope="session")
def study(columns):
    return columns("study171")


@pytest.fixture(scope="session")
def truth_by_patient(study):
    return dict(zip(study["patient"], study["label"].astype(int), strict=True))


@pytest.fixture(scope="session")
def scores_by_patient(study):
    return {model: dict(zip(study["patient"], study[model], strict=True)) for model in MODELS}


@pytest.fixture
def readers_csv(tmp_path, study):
    """readers.csv of the example, in long form."""
    lines = ["patient,reader,call,rating"]
    for place, patient in enumerate(study["patient"]):
        for surgeon in SURGEONS:
            call, rating = (int(study[f"{surgeon}_{kind}"][place]) for kind in ("call", "rating"))
            lines.append(f"{patient},{surgeon},{call},{rating}")
    path = tmp_path / "readers.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def readers(readers_csv):
    return ReaderTable.from_csv(readers_csv)
