"""A study is known without being read, and by another name once anything of it has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
import pytest

from cervispine import Study
from cervispine.loading import Loader
from cervispine.loading.registry import with_version
from cervispine.loading.stamps import stamp_of


@pytest.fixture
def study(good: Path) -> Study:
    return Loader().index(good)[0]


def test_a_stamp_is_the_same_as_long_as_nothing_changes(study: Study, good: Path) -> None:
    stamp = stamp_of(study, "a model")
    assert stamp == stamp_of(Loader().index(good)[0], "a model")
    assert stamp != stamp_of(study, "another model")
    assert study.patient not in stamp


@pytest.mark.parametrize(
    "change",
    [
        {"loader": "cervispine:nifti"},
        {"loader": "lab-loader:lab"},
        {"pixel_hash": "another"},
        {"content_hashes": ("0", "1", "2", "3", "4")},
        {"frames": (0, 1, 2, 3, 4)},
        {"uid": "1.2.77"},
    ],
    ids=str,
)
def test_another_loader_or_series_has_another_stamp(study: Study, change: dict[str, Any]) -> None:
    series = attrs.evolve(study.series[0], **change)
    other = attrs.evolve(study, series=(series,))
    assert stamp_of(other, "a model") != stamp_of(study, "a model")


def test_a_changed_or_lost_file_changes_the_stamp(study: Study) -> None:
    stamps = {stamp_of(study, "")}
    path = study.series[0].files[0]
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    stamps.add(stamp_of(study, ""))
    path.unlink()
    stamps.add(stamp_of(study, ""))
    assert len(stamps) == 3


def test_a_loader_is_known_by_its_distribution_and_version() -> None:
    assert with_version("dicom") == with_version("cervispine:dicom") == "cervispine:dicom 0.1.0"
    assert with_version("absent") == "absent (not installed)"
