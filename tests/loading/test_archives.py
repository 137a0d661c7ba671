"""A zip of DICOM: indexed like the folder it was made of, damaged, too large, unpacked where."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cervispine.exceptions import LoadError, NoDicomError, ResourceError, UsageError
from cervispine.loading import Limits, Loader, archives


def pack(folder: Path, archive: Path, **options: Any) -> Path:
    """Zip a folder in a random order."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    random.Random(1).shuffle(files)
    with zipfile.ZipFile(archive, "w", **options) as zipped:
        for path in files:
            zipped.write(path, path.relative_to(folder))
    return archive


def identity(cohort: Any) -> list[Any]:
    return [(s.patient, s.uid, [(x.uid, x.shape, x.pixel_hash) for x in s.series]) for s in cohort]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_is_indexed_like_its_folder(
    good: Path, tmp_path_factory: Any, Series: Any, method: int
) -> None:
    Series(study="1.2.5", series="1.2.5.1").write(good / "other")
    (good / "notes.txt").write_text("no image")
    archive = pack(good, tmp_path_factory.mktemp("zip") / "export.ZIP", compression=method)
    folder, zipped = Loader().index(good), Loader().index(archive)
    assert identity(zipped) == identity(folder)
    assert zipped.intake.summary() == folder.intake.summary()  # type: ignore[union-attr]
    for one, other in zip(folder, zipped, strict=True):
        np.testing.assert_array_equal(Loader().read(one).pixels, Loader().read(other).pixels)


def test_several_zips_and_folders_are_one_cohort(tmp_path: Path, Series: Any) -> None:
    sources: list[Path] = []
    for number in range(3):
        folder = tmp_path / str(number)
        Series(patient=f"{number}", study=f"1.2.{number}", series=f"1.2.{number}.1").write(folder)
        sources.append(folder if number == 0 else pack(folder, tmp_path / f"{number}.zip"))
    cohort = Loader().index(reversed(sources))
    assert cohort.patients == ("0", "1", "2")
    assert identity(Loader().index(sources)) == identity(cohort)
    assert cohort.intake.found == 15  # type: ignore[union-attr]


def test_what_is_given_twice_counts_once(good: Path) -> None:
    files = list((good / "good").iterdir())
    for source in (files, [*files, *files], [good, *files], [good, good / "good"]):
        cohort = Loader().index(source)
        assert len(cohort) == 1
        assert cohort.intake.found == 5  # type: ignore[union-attr]
    with pytest.raises(UsageError, match="no path"):
        Loader().index([])


def test_zip64_is_read(good: Path, tmp_path_factory: Any) -> None:
    archive = tmp_path_factory.mktemp("zip") / "large.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for path in (good / "good").iterdir():
            with zipped.open(path.name, "w", force_zip64=True) as member:
                member.write(path.read_bytes())
    assert len(Loader().index(archive)) == 1


def test_an_archive_inside_is_not_opened(good: Path, tmp_path_factory: Any, check: Any) -> None:
    inner = pack(good, tmp_path_factory.mktemp("zip") / "inner.zip")
    inner.rename(good / "inner.zip")
    check(Loader().index(good), "ARCHIVE_NESTED", "ignored", 1)
    outer = pack(good, tmp_path_factory.mktemp("zip") / "outer.zip")
    check(Loader().index(outer), "ARCHIVE_NESTED", "ignored", 1)


def test_unpacking_into_a_folder(good: Path, tmp_path_factory: Any) -> None:
    base = tmp_path_factory.mktemp("zip")
    archive = pack(good, base / "export.zip")
    cohort = Loader().index(archive, unpack_into=base / "unpacked")
    names = sorted(path.name for path in (base / "unpacked").iterdir())
    assert names == [f"{number:07}" for number in range(1, 6)]
    assert {path.parent for path in cohort[0].series[0].files} == {base / "unpacked"}
    assert identity(Loader().index(base / "unpacked")) == identity(cohort)
    with pytest.raises(UsageError) as caught:
        Loader().index(archive, unpack_into=base / "unpacked")
    assert caught.value.code == "OUTPUT_TAKEN"
    for source in (good, [archive, good]):
        with pytest.raises(UsageError, match="unpack_into"):
            Loader().index(source, unpack_into=base / "more")


def test_the_temporary_folder_is_private_and_ends_with_the_process(
    good: Path, tmp_path_factory: Any
) -> None:
    base = tmp_path_factory.mktemp("zip")
    archive = pack(good, base / "export.zip")
    code = (
        "import os, stat, sys; from pathlib import Path; from cervispine import Loader\n"
        "folder = Loader().index(sys.argv[1])[0].series[0].files[0].parent\n"
        "child = os.fork()\n"
        "if not child: sys.exit()\n"
        "os.waitpid(child, 0)\n"
        "assert folder.is_dir(), 'a worker removed it'\n"
        "print(oct(stat.S_IMODE(folder.stat().st_mode)), folder)"
    )
    environment = {**os.environ, "TMPDIR": str(base)}
    done = subprocess.run(
        [sys.executable, "-c", code, archive], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    mode, folder = done.stdout.split()
    assert mode == "0o700"
    assert Path(folder).parent == base
    assert not Path(folder).exists()


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip(content: bytes) -> bytes:
    return content[:2000] + bytes([content[2000] ^ 1]) + content[2001:]


@pytest.mark.parametrize("damage", [truncate, flip, lambda _: b"", lambda _: b"text"])
def test_damaged_zips(good: Path, tmp_path_factory: Any, damage: Callable[[bytes], bytes]) -> None:
    base = tmp_path_factory.mktemp("zip")
    archive = pack(good, base / "export.zip")
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(LoadError) as caught:
        Loader().index(archive, unpack_into=base / "unpacked")
    assert caught.value.code == "ARCHIVE_DAMAGED"
    assert list(base.glob("unpacked/*")) == []


def test_any_damage_has_a_code(good: Path, tmp_path_factory: Any) -> None:
    base = tmp_path_factory.mktemp("zip")
    content = pack(good, base / "export.zip").read_bytes()
    generator = np.random.default_rng(0)
    codes = set()
    for number in range(150):
        damaged = bytearray(content)
        # The directory at the end is where a zip is most easily hurt.
        start = 0 if number % 3 == 0 else len(content) - 700
        for place in generator.integers(start, len(content), 4):
            damaged[place] = generator.integers(256)
        (base / "export.zip").write_bytes(damaged)
        try:
            Loader().index(base / "export.zip", unpack_into=base / str(number))
        except LoadError as error:
            codes.add(error.code)
    assert codes <= {"ARCHIVE_DAMAGED", "ARCHIVE_UNSAFE", "NO_DICOM"}
    assert "ARCHIVE_DAMAGED" in codes


def test_a_large_file_in_a_zip_is_refused_alone(
    good: Path, tmp_path_factory: Any, check: Any
) -> None:
    with (good / "film.avi").open("wb") as stream:
        stream.write(os.urandom(200_000))
    archive = pack(good, tmp_path_factory.mktemp("zip") / "export.zip")
    limits = Limits(file_bytes=100_000)
    check(Loader(limits=limits).index(archive), "DECODE_BUDGET", "rejected", 1)


def test_an_empty_zip_has_no_study(tmp_path: Path) -> None:
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    with pytest.raises(NoDicomError, match="no study of 0 files"):
        Loader().index(tmp_path / "empty.zip")


def test_a_full_disk_is_told(
    good: Path, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path_factory.mktemp("zip")
    archive = pack(good, base / "export.zip")
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(ResourceError, match="full"):
        Loader().index(archive)


def test_an_unreadable_zip_is_told(
    good: Path, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = pack(good, tmp_path_factory.mktemp("zip") / "export.zip")

    def refuse(*_: Any) -> None:
        raise PermissionError

    monkeypatch.setattr(archives.io, "FileIO", refuse)
    with pytest.raises(LoadError) as caught:
        Loader().index(archive)
    assert caught.value.code == "FILE_UNREADABLE"
