"""Prepared pixels are kept by what they were made from, and nothing else is believed."""

from __future__ import annotations

import importlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import pytest
import torch

from cervispine import Preprocessor, Study, Volume
from cervispine.exceptions import LoadError, ResourceError, UsageError
from cervispine.loading import Loader, registry
from cervispine.preprocessing import cache as module
from cervispine.preprocessing.cache import Cache, StoredPixels

if TYPE_CHECKING:
    from conftest import Painted

SETTINGS = {"size": [2, 2]}
SHAPE = (3, 2, 2)


class Preparing:
    """Gives every study pixels of its own, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, study: Study) -> np.ndarray:
        self.asked.append(study.uid)
        first = float(study.uid.rsplit(".", 1)[-1])
        return first + np.arange(12, dtype=np.float32).reshape(SHAPE)


@pytest.fixture
def studies(tmp_path: Path, painted: Painted) -> list[Study]:
    """Return studies whose only file the test may touch."""
    whole = painted.cohort("T2")[0]
    made = []
    for number in range(5):
        file = tmp_path / f"image-{number}.dcm"
        file.write_bytes(b"pixels")
        series = attrs.evolve(whole.series[0], files=(file,))
        made.append(attrs.evolve(whole, uid=f"1.2.{number}", series=(series,)))
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "deep" / "cache", SETTINGS)


def read(cache: Cache, studies: list[Study]) -> tuple[StoredPixels, list[str]]:
    preparing = Preparing()
    return cache.pixels(studies, preparing, SHAPE), preparing.asked


def firsts(pixels: StoredPixels) -> list[float]:
    return pixels[torch.arange(len(pixels))][:, 0, 0, 0].tolist()


def test_what_was_prepared_once_is_not_prepared_again(cache: Cache, studies: list[Study]) -> None:
    pixels, asked = read(cache, studies)
    assert asked == [study.uid for study in studies]
    assert firsts(pixels) == [0, 1, 2, 3, 4]
    some = pixels[torch.tensor([4, 1, 1])]
    assert some.dtype == torch.float32
    assert some.shape == (3, *SHAPE)
    assert some[:, 0, 0, 0].tolist() == [4, 1, 1]
    # Another fold: other studies of the same, in another order, one of them twice.
    again, asked = read(Cache(cache.folder, SETTINGS), [studies[3], studies[0], studies[3]])
    assert asked == []
    assert firsts(again) == [3, 0, 3]


def test_only_what_is_missing_is_prepared(cache: Cache, studies: list[Study]) -> None:
    read(cache, studies[:2])
    pixels, asked = read(cache, studies[::-1])
    assert sorted(asked) == [study.uid for study in studies[2:]]
    assert firsts(pixels) == [4, 3, 2, 1, 0]


def test_a_file_holds_some_studies_and_what_is_written_survives_an_interruption(
    cache: Cache, studies: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILE_BYTES", 2 * 4 * 12)

    class Interrupted(Preparing):
        def __call__(self, study: Study) -> np.ndarray:
            if len(self.asked) == 3:
                raise KeyboardInterrupt
            return super().__call__(study)

    with pytest.raises(KeyboardInterrupt):
        cache.pixels(studies, Interrupted(), SHAPE)
    pixels, asked = read(cache, studies)
    assert asked == [study.uid for study in studies[2:]]
    assert firsts(pixels) == [0, 1, 2, 3, 4]
    assert len(pixels.files) == 3
    assert len(list(cache.folder.glob("*.npy"))) == 3


def test_the_files_are_mapped(cache: Cache, studies: list[Study]) -> None:
    pixels, _ = read(cache, studies)
    assert all(isinstance(file, np.memmap) for file in pixels.files)


def test_pixels_are_held_where_the_memory_holds_them(
    cache: Cache, studies: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, _ = read(cache, studies)
    held = pixels.held()
    assert isinstance(held, torch.Tensor)
    assert torch.equal(held, pixels[torch.arange(5)])
    monkeypatch.setattr(module, "free_memory", lambda: 2 * 5 * 4 * 12 - 1)
    assert pixels.held() is pixels
    monkeypatch.undo()
    assert module.free_memory() > 2**20


def test_other_settings_version_study_or_file_are_not_it(
    cache: Cache, studies: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = studies[0]
    read(cache, [study])
    assert read(Cache(cache.folder, {"size": [2, 3]}), [study])[1]
    assert read(cache, [attrs.evolve(study, uid="1.2.77")])[1]
    series = attrs.evolve(study.series[0], pixel_hash="another")
    assert read(cache, [attrs.evolve(study, series=(series,))])[1]
    with monkeypatch.context() as patch:
        patch.setattr("cervispine.preprocessing.cache.__version__", "0.0.0")
        assert read(Cache(cache.folder, SETTINGS), [study])[1]
    assert not read(cache, [study])[1]
    status = study.series[0].files[0].stat()
    os.utime(study.series[0].files[0], ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
    assert read(cache, [study])[1]


def only(cache: Cache, pattern: str) -> Path:
    (path,) = cache.folder.glob(pattern)
    return path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda cache: only(cache, "*.npy").write_bytes(b""),
        lambda cache: only(cache, "*.npy").write_bytes(b"\x93NUMPY"),
        lambda cache: only(cache, "*.npy").write_bytes(only(cache, "*.npy").read_bytes()[:-7]),
        lambda cache: only(cache, "*.npy").unlink(),
        lambda cache: np.save(only(cache, "*.npy"), np.zeros((1, *SHAPE))),
        lambda cache: np.save(only(cache, "*.npy"), np.zeros((2, *SHAPE), np.float32)),
        lambda cache: np.save(only(cache, "*.npy"), np.array([{"a": 1}]), allow_pickle=True),
        lambda cache: flip(only(cache, "*.npy")),
        lambda cache: only(cache, "*.json").write_text("{"),
        lambda cache: only(cache, "*.json").write_text("[" * 10_000),
        lambda cache: only(cache, "*.json").write_text('{"format": "another"}'),
        lambda cache: only(cache, "*.json").write_text(" " * 2**23),
        lambda cache: only(cache, "*.json").unlink(),
        lambda cache: only(cache, "*.json").write_text(
            json.dumps({"format": module.FORMAT, "version": module.VERSION, "rows": [3]})
        ),
    ],
    ids=[
        "empty", "head", "cut", "gone", "float64", "shape", "pickle", "bit", "json", "deep",
        "foreign", "large", "no record", "rows",
    ],
)  # fmt: skip
def test_damaged_and_foreign_files_are_as_good_as_none(
    cache: Cache, studies: list[Study], damage: Callable[[Cache], object]
) -> None:
    read(cache, studies[:1])
    damage(cache)
    pixels, asked = read(cache, studies[:1])
    assert asked == [studies[0].uid]
    assert firsts(pixels) == [0]
    assert read(cache, studies[:1])[1] == []


def test_two_that_fill_one_folder_prepare_each_study_once(
    cache: Cache, studies: list[Study], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILE_BYTES", 2 * 4 * 12)
    asked: list[str] = []
    answers = []

    def fill() -> None:
        pixels, mine = read(Cache(cache.folder, SETTINGS), studies)
        asked.extend(mine)
        answers.append(firsts(pixels))

    threads = [threading.Thread(target=fill) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[0, 1, 2, 3, 4]] * 4
    assert sorted(asked) == [study.uid for study in studies]


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
    assert torch.equal(Preprocessor(size=(64, 64), spacing=2.0).prepared(cohort), plain)
    names = [path.name for path in preprocessor.cache.iterdir()]  # type: ignore[union-attr]
    assert len([name for name in names if name != ".lock"]) == 2
    assert not any(painted.identifier in name for name in names)

    def refuse(*arguments: object) -> Volume:
        raise AssertionError("the study was read again")

    monkeypatch.setattr(Loader, "read", refuse)
    assert torch.equal(preprocessor.transform(cohort), plain)
    assert torch.equal(preprocessor.prepared(cohort), plain)
    monkeypatch.setattr(module, "free_memory", lambda: 0)
    stored = preprocessor.prepared(cohort)
    assert isinstance(stored, StoredPixels)
    assert torch.equal(stored[torch.arange(len(cohort))], plain)
    with pytest.raises(AssertionError, match="read again"):
        Preprocessor(size=(64, 32), spacing=2.0, cache=tmp_path / "cache").transform(cohort)


@pytest.fixture
def cached(tmp_path: Path) -> Callable[..., Preprocessor]:
    """Return what makes preprocessors that share a folder."""

    def made(**parameters: Any) -> Preprocessor:
        usual = {"size": (64, 64), "spacing": 2.0, "cache": tmp_path / "cache"}
        return Preprocessor(**(usual | parameters))

    return made


@pytest.fixture
def Bright(install: Callable[..., None]) -> Any:  # noqa: N802 - it gives a class
    """Install a loader that reads other values than the one it comes from."""
    install("loader_bright")
    # What an earlier test installed was another copy of it.
    for kept in (registry.made_once, registry._with_version):
        kept.cache_clear()
    return importlib.import_module("bright_loader").BrightLoader


@pytest.mark.parametrize("named", ["as a parameter", "by the series", "as an object"])
def test_pixels_that_another_loader_read_are_not_taken(
    Bright: Any,
    painted: Painted,
    cached: Callable[..., Preprocessor],
    named: str,
) -> None:
    cohort = painted.cohort("T2")
    plain = cached().transform(cohort)
    study, loader = cohort[0], None
    if named == "by the series":
        series = attrs.evolve(study.series[0], loader="bright-loader:bright")
        study = attrs.evolve(study, series=(series,))
    else:
        loader = "bright" if named == "as a parameter" else Bright()
    bright = cached(loader=loader, cache=None).transform([study])
    assert not torch.equal(bright, plain)
    for _ in range(2):
        assert torch.equal(cached(loader=loader).transform([study]), bright)
        assert torch.equal(cached().transform(cohort), plain)


def test_another_version_or_parameter_of_a_loader_reads_anew(
    Bright: Any,
    painted: Painted,
    cached: Callable[..., Preprocessor],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cohort = painted.cohort("T2")
    read = []
    whole = Bright.read

    def counted(loader: Any, *arguments: Any, **options: Any) -> Volume:
        read.append(loader.power)
        return whole(loader, *arguments, **options)

    monkeypatch.setattr(Bright, "read", counted)
    for loader in ("bright", "bright-loader:bright", Bright(power=3.0)):
        for _ in range(2):
            cached(loader=loader).transform(cohort)
    assert read == [2, 3]
    (metadata,) = tmp_path.glob("loader_bright/*.dist-info/METADATA")
    metadata.write_text(metadata.read_text().replace("Version: 1.0", "Version: 1.1"))
    # A new process would see it so.
    registry._with_version.cache_clear()
    cached(loader="bright").transform(cohort)
    assert read == [2, 3, 2]


def test_a_loader_without_name_and_version_is_refused_with_a_cache(
    painted: Painted, cached: Callable[..., Preprocessor]
) -> None:
    class Nameless(Loader):
        pass

    cohort = painted.cohort("T2")
    plain = cached(cache=None).transform(cohort)
    assert torch.equal(cached(loader=Nameless(), cache=None).transform(cohort), plain)
    for act in (cached(loader=Nameless()).transform, cached(loader=Nameless()).prepared):
        with pytest.raises(UsageError, match="entry point") as caught:
            act(cohort)
        assert caught.value.code == "LOADER_UNNAMED"
    assert torch.equal(cached(loader=Loader()).transform(cohort), plain)


def test_a_file_that_is_gone_is_refused_as_without_a_cache(
    painted: Painted, cached: Callable[..., Preprocessor], tmp_path: Path
) -> None:
    study = painted.cohort("T2")[0]
    files = (tmp_path / "gone", *study.series[0].files[1:])
    lost = attrs.evolve(study, series=(attrs.evolve(study.series[0], files=files),))
    with pytest.raises(LoadError) as caught:
        cached().transform([lost])
    assert caught.value.code == "FILE_UNREADABLE"
