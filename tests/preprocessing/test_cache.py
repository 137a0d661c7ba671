"""Prepared pixels are kept by what they were made from, and nothing else is believed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
import pytest
import torch

from cervispine import Preprocessor, Study, Volume
from cervispine.exceptions import ResourceError
from cervispine.loading import Loader
from cervispine.preprocessing.cache import Cache

if TYPE_CHECKING:
    from conftest import Painted

SETTINGS = {"size": [32, 32]}
PIXELS = np.arange(12, dtype=np.float32).reshape(3, 2, 2)


@pytest.fixture
def study(tmp_path: Path, painted: Painted) -> Study:
    """Return a study whose only file the test may touch."""
    file = tmp_path / "image.dcm"
    file.write_bytes(b"pixels")
    whole = painted.cohort("T2")[0]
    return attrs.evolve(whole, series=(attrs.evolve(whole.series[0], files=(file,)),))


def test_what_was_put_is_got(tmp_path: Path, study: Study) -> None:
    cache = Cache(tmp_path / "deep" / "cache", SETTINGS)
    assert cache.get(study) is None
    cache.put(study, PIXELS)
    kept = Cache(cache.folder, SETTINGS).get(study)
    assert kept is not None
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, PIXELS)


def test_other_settings_version_study_or_file_are_not_it(
    tmp_path: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path / "cache", SETTINGS)
    cache.put(study, PIXELS)
    assert Cache(cache.folder, {"size": [32, 64]}).get(study) is None
    assert cache.get(attrs.evolve(study, uid="1.2.3")) is None
    series = attrs.evolve(study.series[0], pixel_hash="another")
    assert cache.get(attrs.evolve(study, series=(series,))) is None
    with monkeypatch.context() as patch:
        patch.setattr("cervispine.preprocessing.cache.__version__", "0.0.0")
        assert Cache(cache.folder, SETTINGS).get(study) is None
    assert cache.get(study) is not None
    status = study.series[0].files[0].stat()
    os.utime(study.series[0].files[0], ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    assert cache.get(study) is None


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"no array at all"])
def test_damaged_files_are_as_good_as_none(tmp_path: Path, study: Study, damage: bytes) -> None:
    cache = Cache(tmp_path / "cache", SETTINGS)
    cache.put(study, PIXELS)
    (file,) = cache.folder.iterdir()
    file.write_bytes(damage)
    assert cache.get(study) is None
    file.write_bytes(b"")
    np.save(file, PIXELS.astype(np.float64))
    assert cache.get(study) is None
    np.save(file, np.array([{"hostile": 1}]), allow_pickle=True)
    assert cache.get(study) is None


def test_half_a_file_is_as_good_as_none(tmp_path: Path, study: Study) -> None:
    cache = Cache(tmp_path / "cache", SETTINGS)
    cache.put(study, PIXELS)
    (file,) = cache.folder.iterdir()
    file.write_bytes(file.read_bytes()[:-7])
    assert cache.get(study) is None


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError):
        Cache(tmp_path / "file", SETTINGS)


def test_the_second_time_nothing_is_read_and_all_is_the_same(
    tmp_path: Path, painted: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = painted.cohort("T2")
    preprocessor = Preprocessor(size=(64, 64), spacing=2.0, cache=tmp_path / "cache")
    plain = Preprocessor(size=(64, 64), spacing=2.0).transform(cohort)
    assert torch.equal(preprocessor.transform(cohort), plain)
    names = [path.name for path in preprocessor.cache.iterdir()]  # type: ignore[union-attr]
    assert len(names) == 1
    assert painted.identifier not in names[0]

    def refuse(*arguments: object) -> Volume:
        raise AssertionError("the study was read again")

    monkeypatch.setattr(Loader, "read", refuse)
    assert torch.equal(preprocessor.transform(cohort), plain)
    with pytest.raises(AssertionError, match="read again"):
        Preprocessor(size=(64, 32), spacing=2.0, cache=tmp_path / "cache").transform(cohort)
