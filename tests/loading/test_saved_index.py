"""A saved index: nothing is read twice, no change is missed, nothing hostile is believed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cervispine.exceptions import CervispineError, LoadError, ResourceError, UsageError
from cervispine.loading import Limits, Loader, loader, parsing, saved, store


@pytest.fixture
def data(tmp_path: Path, Series: Any) -> Path:
    """Return a folder of three studies, a text and a copied file, old enough to be remembered."""
    folder = tmp_path / "data"
    for number in range(3):
        Series(patient=f"P{number}", study=f"1.2.{number}", series=f"1.2.{number}.1").write(
            folder / str(number)
        )
    (folder / "notes.txt").write_text("no image")
    shutil.copyfile(next(folder.glob("0/*")), folder / "copy")
    time.sleep(saved.STEP_OF_TIME / 1e9)
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Return a list of the files that are parsed from now on."""
    paths: list[Path] = []
    inner = parsing.parse

    def parse(path: str | Path, *arguments: Any, **options: Any) -> Any:
        paths.append(Path(path))
        return inner(path, *arguments, **options)

    for module in ("headers", "pixels"):
        monkeypatch.setattr(f"cervispine.loading.{module}.parse", parse)
    return paths


def as_dict(cohort: Any) -> tuple[Any, ...]:
    return cohort.studies, cohort.intake


def test_a_second_index_reads_nothing(data: Path, tmp_path: Path, opened: list[Path]) -> None:
    plain = Loader().index(data)
    first = Loader().index(data, saved=tmp_path / "saved")
    assert len(opened) > 30
    opened.clear()
    second = Loader().index(data, saved=tmp_path / "saved")
    assert opened == []
    assert as_dict(plain) == as_dict(first) == as_dict(second)
    assert Loader().read(second[0]).pixels.shape == (5, 24, 20)


@pytest.mark.parametrize("elements", [{"PixelSpacing": None}, {"ImageType": ["DERIVED"]}])
def test_what_cannot_be_used_is_remembered_as_it_was(
    data: Path, tmp_path: Path, Series: Any, elements: dict[str, Any], opened: list[Path]
) -> None:
    Series(study="1.2.9", series="1.2.9.1", elements=elements).write(data / "9")
    time.sleep(saved.STEP_OF_TIME / 1e9)
    plain = Loader().index(data, saved=tmp_path / "saved")
    change(tmp_path / "saved", "DELETE FROM outcomes")
    opened.clear()
    assert as_dict(Loader().index(data, saved=tmp_path / "saved")) == as_dict(plain)
    assert opened == []
    assert len(plain.intake.problems) >= 2  # type: ignore[union-attr]


def test_other_parameters_need_no_reading_either(
    data: Path, tmp_path: Path, opened: list[Path]
) -> None:
    Loader().index(data, saved=tmp_path / "saved")
    opened.clear()
    other = Loader(spacing_tolerance=0.02).index(data, saved=tmp_path / "saved")
    assert opened == []
    assert as_dict(other) == as_dict(Loader(spacing_tolerance=0.02).index(data))
    opened.clear()
    Loader(limits=Limits(rows=100)).index(data, saved=tmp_path / "saved")
    assert len(opened) > 17


def test_only_what_changed_is_read(
    data: Path, tmp_path: Path, Series: Any, opened: list[Path]
) -> None:
    Loader().index(data, saved=tmp_path / "saved")
    changed = next(data.glob("1/*"))
    times = changed.stat()
    content = changed.read_bytes()
    # The same size, and a tool that puts the time of the content back.
    changed.write_bytes(content.replace(b"-8.000000", b"-8.500000"))
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    next(data.glob("2/*")).unlink()
    new = Series(patient="P9", study="1.2.9", series="1.2.9.1").write(data / "9")
    # What has moved is what was there, under a number that is no longer its own.
    time.sleep(saved.STEP_OF_TIME / 1e9)
    opened.clear()
    again = Loader().index(data, saved=tmp_path / "saved")
    headers = {changed, *new}
    assert headers <= set(opened)
    # Beside their headers only the middle slices of series that are not as they were.
    assert len(set(opened) - headers) <= 1
    assert as_dict(again) == as_dict(Loader().index(data))
    opened.clear()
    assert as_dict(Loader().index(data, saved=tmp_path / "saved")) == as_dict(again)
    assert opened == []


def test_what_is_gone_is_forgotten(data: Path, tmp_path: Path, Series: Any) -> None:
    Series(patient="FORGETME", study="1.2.8", series="1.2.8.1").write(data / "8")
    time.sleep(saved.STEP_OF_TIME / 1e9)
    Loader().index(data, saved=tmp_path / "saved")
    assert b"FORGETME" in (tmp_path / "saved").read_bytes()
    shutil.rmtree(data / "8")
    Loader().index(data, saved=tmp_path / "saved")
    assert b"FORGETME" not in (tmp_path / "saved").read_bytes()


def test_a_file_that_has_just_changed_is_not_remembered(
    data: Path, tmp_path: Path, Series: Any, opened: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved, "STEP_OF_TIME", 3600 * 10**9)
    Loader().index(data, saved=tmp_path / "saved")
    opened.clear()
    Loader().index(data, saved=tmp_path / "saved")
    assert len(opened) > 17


def test_a_moved_folder_is_the_same(data: Path, tmp_path: Path, opened: list[Path]) -> None:
    first = Loader().index(data, saved=tmp_path / "saved")
    data.rename(tmp_path / "moved")
    opened.clear()
    second = Loader().index(tmp_path / "moved", saved=tmp_path / "saved")
    assert opened == []
    assert second.intake == first.intake
    assert all(
        path.is_relative_to(tmp_path / "moved") and path.is_file()
        for study in second
        for path in study.series[0].files
    )


def test_a_zip_is_unpacked_and_not_read(data: Path, tmp_path: Path, opened: list[Path]) -> None:
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in data.rglob("*"):
            zipped.write(path, path.relative_to(data))
    first = Loader().index(archive, saved=tmp_path / "saved")
    opened.clear()
    second = Loader().index(archive, saved=tmp_path / "saved")
    assert opened == []
    assert second.patients == first.patients
    assert Loader().read(second[0]).pixels.shape == (5, 24, 20)


def test_an_interrupted_index_goes_on(data: Path, tmp_path: Path, opened: list[Path]) -> None:
    def interrupt(done: int, _: int) -> None:
        if done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Loader().index(data, saved=tmp_path / "saved", progress=interrupt)
    assert len(opened) == 8
    opened.clear()
    cohort = Loader().index(data, saved=tmp_path / "saved")
    assert len(opened) == 17 - 8 + 3  # and the middle slice of each study
    assert as_dict(cohort) == as_dict(Loader().index(data))


def test_a_killed_index_goes_on(data: Path, tmp_path: Path, opened: list[Path]) -> None:
    code = (
        "import os, signal, sys\n"
        "from cervispine import Loader\n"
        "from cervispine.loading import store\n"
        "store.COMMIT_INTERVAL = 0.0\n"
        "def kill(done, _):\n"
        "    if done == int(sys.argv[3]): os.kill(os.getpid(), signal.SIGKILL)\n"
        "Loader().index(sys.argv[1], saved=sys.argv[2], progress=kill)\n"
    )
    for when in ("3", "9", "14"):
        done = subprocess.run([sys.executable, "-c", code, data, tmp_path / "saved", when])
        assert done.returncode == -signal.SIGKILL
    cohort = Loader().index(data, saved=tmp_path / "saved")
    assert len(opened) <= 17 - 14 + 3
    assert as_dict(cohort) == as_dict(Loader().index(data))


def test_it_is_for_its_owner_alone_and_not_among_the_data(data: Path, tmp_path: Path) -> None:
    Loader().index(data, saved=tmp_path / "saved")
    assert stat.S_IMODE((tmp_path / "saved").stat().st_mode) == 0o600
    for path in (data / "saved", data / "0" / "saved", next(data.glob("0/*"))):
        with pytest.raises(UsageError, match="among the files"):
            Loader().index(data, saved=path)
    with pytest.raises(ResourceError):
        Loader().index(data, saved=tmp_path / "nowhere" / "saved")


def test_two_processes_do_not_share_it(data: Path, tmp_path: Path) -> None:
    def nested(done: int, _: int) -> None:
        if done == 2:
            Loader().index(data, saved=tmp_path / "saved")

    with pytest.raises(UsageError) as caught:
        Loader().index(data, saved=tmp_path / "saved", progress=nested)
    assert caught.value.code == "RUN_LOCKED"


@pytest.mark.parametrize("content", [b"patient,label\n", b"SQLite format 3\0" + b"\0" * 200])
def test_another_file_is_refused_and_left_alone(data: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(LoadError) as caught:
        Loader().index(data, saved=tmp_path / "labels.csv")
    assert caught.value.code == "SAVED_INDEX_INVALID"
    assert (tmp_path / "labels.csv").read_bytes() == content


def change(path: Path, *statements: str) -> None:
    database = sqlite3.connect(path)
    for statement in statements:
        database.execute(statement)
    database.commit()
    database.close()


def rewrite(path: Path, alter: Callable[[str], Any], *, table: str = "readings") -> None:
    """Alter saved values as somebody would who knows how they are sealed."""
    database = sqlite3.connect(path)
    if table == "readings":
        database.execute("DELETE FROM outcomes")
    columns = "name, kind, size, stamp" if table == "readings" else "loader, files"
    where = columns.replace(", ", " = ? AND ") + " = ?"
    for *key, value in database.execute(f"SELECT {columns}, value FROM {table}").fetchall():
        if table == "outcomes" or value.startswith('["headers"'):
            value = alter(value)
            row = (store.seal(tuple(key), value), value, *key)
            database.execute(f"UPDATE {table} SET seal = ?, value = ? WHERE {where}", row)
    database.commit()
    database.close()


def with_element(name: str, value: Any) -> Callable[[str], str]:
    def alter(text: str) -> str:
        kind, headers = json.loads(text)
        return json.dumps([kind, [header | {name: value} for header in headers]])

    return alter


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER DELETE ON readings BEGIN DELETE FROM settings; END",
        "CREATE VIEW more AS SELECT * FROM readings",
        "UPDATE outcomes SET value = '{}'",
        "UPDATE outcomes SET value = x'ff00'",
        "UPDATE outcomes SET value = replace(value, 'P0', 'P9')",
        "PRAGMA user_version = 99",
        "PRAGMA application_id = 99",
    ],
)
def test_one_that_was_tampered_with_is_refused(data: Path, tmp_path: Path, statement: str) -> None:
    Loader().index(data, saved=tmp_path / "saved")
    change(tmp_path / "saved", statement)
    with pytest.raises(LoadError) as caught:
        Loader().index(data, saved=tmp_path / "saved")
    assert caught.value.code == "SAVED_INDEX_INVALID"


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: "[" + text,
        lambda text: "[" * 100_000,
        lambda text: text.replace('"found": 17', '"found": 18'),
        lambda text: text.replace('"files": [', '"files": [999999, '),
        lambda text: text.replace('"studies": [', '"studies": [null, '),
    ],
)
def test_an_outcome_that_is_none_is_refused(
    data: Path, tmp_path: Path, alter: Callable[[str], Any]
) -> None:
    Loader().index(data, saved=tmp_path / "saved")
    rewrite(tmp_path / "saved", alter, table="outcomes")
    with pytest.raises(LoadError) as caught:
        Loader().index(data, saved=tmp_path / "saved")
    assert caught.value.code == "SAVED_INDEX_INVALID"


@pytest.mark.parametrize(
    "alter",
    [
        lambda _: "null",
        lambda _: '["headers", [{}]]',
        with_element("position", "no numbers"),
        with_element("rows", "many"),
        with_element("intruder", 1),
    ],
)
def test_a_header_that_is_none_is_refused(
    data: Path, tmp_path: Path, alter: Callable[[str], Any]
) -> None:
    Loader().index(data, saved=tmp_path / "saved")
    rewrite(tmp_path / "saved", alter)
    with pytest.raises(LoadError) as caught:
        Loader().index(data, saved=tmp_path / "saved")
    assert caught.value.code == "SAVED_INDEX_INVALID"


def test_a_lie_about_an_image_is_found_when_it_is_read(data: Path, tmp_path: Path) -> None:
    Loader().index(data, saved=tmp_path / "saved")
    rewrite(tmp_path / "saved", with_element("pixel_spacing", [0.5, 0.5]))
    cohort = Loader().index(data, saved=tmp_path / "saved")
    with pytest.raises(LoadError) as caught:
        Loader().read(cohort[0])
    assert caught.value.code == "CHANGED_SINCE_INDEX"


def test_any_damage_is_met_by_refusal_or_without_effect(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "saved"
    plain = Loader().index(data, saved=path)
    content = path.read_bytes()
    generator = np.random.default_rng(0)
    codes = set()
    for number in range(120):
        length = int(generator.integers(1, len(content))) if number % 4 == 0 else len(content)
        damaged = bytearray(content[:length])
        for place in generator.integers(0, length, 12):
            damaged[place] = generator.integers(256)
        path.write_bytes(damaged)
        try:
            cohort = Loader().index(data, saved=path)
        except CervispineError as error:
            codes.add(error.code)
        else:
            assert as_dict(cohort) == as_dict(plain)
    assert "SAVED_INDEX_INVALID" in codes
    assert codes <= {"SAVED_INDEX_INVALID", "OUTPUT_UNWRITABLE"}


def test_a_full_disk_is_told(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Loader().index(data, saved=tmp_path / "saved")
    inner = sqlite3.connect

    def small(*arguments: Any, **options: Any) -> sqlite3.Connection:
        database = inner(*arguments, **options)
        database.execute("PRAGMA max_page_count = 3")
        return database

    monkeypatch.setattr(store.sqlite3, "connect", small)
    (tmp_path / "saved").unlink()
    with pytest.raises(ResourceError) as caught:
        Loader().index(data, saved=tmp_path / "saved")
    assert caught.value.code == "OUTPUT_UNWRITABLE"


def test_a_file_that_cannot_be_opened_is_tried_again(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = loader.read_headers

    def failing(path: str, limits: Limits) -> Any:
        lost = Path(path).parent.name == "0"
        return inner(f"{path}.nowhere" if lost else path, limits)

    with monkeypatch.context() as patched:
        patched.setattr(loader, "read_headers", failing)
        assert len(Loader().index(data, saved=tmp_path / "saved")) == 2
    assert len(Loader().index(data, saved=tmp_path / "saved")) == 3
