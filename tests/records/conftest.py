"""Values made by hand: no file is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cervispine import Series, Study
from cervispine.records import Geometry


def make_geometry(**more: Any) -> Geometry:
    """Return a sagittal stack of 3 mm, rows to posterior; any value can be another."""
    usual = {
        "origin": (-8.0, -10.0, 12.0),
        "row_cosine": (0.0, 1.0, 0.0),
        "column_cosine": (0.0, 0.0, -1.0),
        "slice_step": (-3.0, 0.0, 0.0),
        "pixel_spacing": (0.9, 0.6),
    }
    return Geometry(**(usual | more))  # type: ignore[arg-type]


def make_series(**more: Any) -> Series:
    """Return a T2 series of two slices; any value can be another."""
    usual = {
        "uid": "1.2.3.1",
        "plane": "sagittal",
        "sequence": "T2",
        "files": (Path("one.dcm"), Path("two.dcm")),
        "shape": (2, 24, 20),
        "geometry": make_geometry(),
        "transfer_syntaxes": ("1.2.840.10008.1.2.1",),
    }
    return Series(**(usual | more))


def make_study(patient: str = "canary", uid: str = "1.2.3", **more: Any) -> Study:
    """Return a study, of one series where something is said that belongs to a series."""
    names = {"frame_of_reference_uid", "pixel_hash", "appearance"}
    ids = {name: more.pop(name) for name in names & more.keys()}
    series = (make_series(**ids),) if ids else ()
    return Study(**({"patient": patient, "uid": uid, "series": series} | more))


@pytest.fixture(scope="session")
def geometry() -> Callable[..., Geometry]:
    return make_geometry


@pytest.fixture(scope="session")
def series() -> Callable[..., Series]:
    return make_series


@pytest.fixture(scope="session")
def study() -> Callable[..., Study]:
    return make_study
