"""Zips that try to write elsewhere, to write too much, or to be something else than files."""

from __future__ import annotations

import os
import stat
import struct
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from cervispine.exceptions import CervispineError, LoadError
from cervispine.loading import Limits, Loader


def refuse(place: Any, archive: Path, code: str, limits: Limits | None = None) -> None:
    """Check that an archive is refused, with nothing left of it, wherever it is unpacked."""
    loader = Loader(limits=limits or Limits())
    for into in (None, place.target / "unpacked"):
        with pytest.raises(LoadError) as caught:
            loader.index(archive, unpack_into=into)
        assert caught.value.code == code, caught.value
    assert [path for path in place.target.rglob("*") if not path.is_dir()] == []


def entry(name: str, *, mode: int = 0, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.compress_type = method
    info.external_attr = mode << 16
    return info


def pack(archive: Path, *entries: zipfile.ZipInfo, content: bytes = b"canary") -> Path:
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("before", b"a harmless file that comes first")
        for info in entries:
            zipped.writestr(info, content)
    return archive


SLIPS = (
    "../canary", "a/../../canary", "a/..", "..", "../../../../../../../../tmp/canary-of-cervispine",
    "/canary", "//host/share/canary", "/tmp/canary-of-cervispine",
    "C:/canary", "c:canary", "C:\\canary", "..\\canary", "a\\..\\..\\canary", "\\canary",
    "\\\\host\\share\\canary", "a/..\\canary",
)  # fmt: skip


@pytest.mark.parametrize("name", SLIPS)
def test_zip_slip(untouched: Any, name: str) -> None:
    archive = pack(untouched.incoming / "slip.zip", entry(name))
    refuse(untouched, archive, "ARCHIVE_UNSAFE")
    assert not Path("/tmp/canary-of-cervispine").exists()


@pytest.mark.parametrize("name", ["a..b/c...dcm", "..hidden", "ab:c", "-rf", "~/x", "$HOME", "\n"])
def test_odd_names_are_no_attack(untouched: Any, name: str) -> None:
    archive = pack(untouched.incoming / "odd.zip", entry(name))
    with pytest.raises(LoadError) as caught:
        Loader().index(archive, unpack_into=untouched.target)
    assert caught.value.code == "NO_DICOM"
    assert sorted(os.listdir(untouched.target)) == ["0000001", "0000002"]  # noqa: PTH208


def test_a_name_cut_short_by_a_null(untouched: Any) -> None:
    archive = pack(untouched.incoming / "null.zip", entry("harmless!evil"))
    archive.write_bytes(archive.read_bytes().replace(b"harmless!evil", b"harmless\0evil"))
    refuse(untouched, archive, "ARCHIVE_UNSAFE")


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK]
)
def test_members_that_are_no_files(untouched: Any, kind: int) -> None:
    link = entry("link", mode=kind | 0o777)
    archive = pack(
        untouched.incoming / "link.zip", link, entry("link2/canary"), content=b"../../.."
    )
    refuse(untouched, archive, "ARCHIVE_UNSAFE")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [
        ("a", "a"), ("IM1", "im1"), ("a/IM1", "A/im1"), ("a/b", "a\\b"), ("a/./b", "a//b"),
        ("stra\xdfe", "STRASSE"), ("caf\xe9", "cafe\u0301"), ("a", "a/b"), ("a/b", "A"),
    ],
)  # fmt: skip
def test_two_entries_for_one_file(untouched: Any, names: tuple[str, str]) -> None:
    archive = pack(untouched.incoming / "twins.zip", *map(entry, names))
    refuse(untouched, archive, "ARCHIVE_UNSAFE")


@pytest.mark.parametrize("bit", [0, 6, 13])
def test_encrypted(untouched: Any, bit: int) -> None:
    archive = pack(untouched.incoming / "secret.zip", entry("x"))
    content = bytearray(archive.read_bytes())
    place = content.rindex(b"PK\1\2") + 8
    flags = struct.unpack_from("<H", content, place)[0] | 1 << bit
    struct.pack_into("<H", content, place, flags)
    archive.write_bytes(content)
    refuse(untouched, archive, "ARCHIVE_UNSAFE")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compression_whose_memory_the_archive_chooses(untouched: Any, method: int) -> None:
    archive = pack(untouched.incoming / "lzma.zip", entry("x", method=method))
    refuse(untouched, archive, "ARCHIVE_UNSAFE")


def bomb(archive: Path, size: int) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for number in range(size // 2**26):
            zipped.writestr(f"{number}", b"\0" * 2**26)
    return archive


def test_a_bomb_that_says_so(untouched: Any) -> None:
    archive = bomb(untouched.incoming / "bomb.zip", 2**28)
    assert archive.stat().st_size < 2**28 / 500
    refuse(untouched, archive, "ARCHIVE_UNSAFE")


def test_a_bomb_that_says_that_it_is_small(untouched: Any) -> None:
    archive = bomb(untouched.incoming / "liar.zip", 2**28)
    content = archive.read_bytes().replace(struct.pack("<L", 2**26), struct.pack("<L", 10))
    archive.write_bytes(content)
    tracemalloc.start()
    refuse(untouched, archive, "ARCHIVE_DAMAGED")
    assert tracemalloc.get_traced_memory()[1] < 2**25
    tracemalloc.stop()


def test_bytes_are_counted_while_they_are_inflated(
    untouched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if zipfile believed nothing of what a header says, and gave all there is."""
    archive = bomb(untouched.incoming / "liar.zip", 2**28)
    content = archive.read_bytes().replace(struct.pack("<L", 2**26), struct.pack("<L", 10))
    archive.write_bytes(content)
    inner = zipfile.ZipExtFile.__init__

    def generous(self: Any, fileobj: Any, mode: str, zipinfo: Any, *rest: Any) -> None:
        inner(self, fileobj, mode, zipinfo, *rest)
        self._left, self._expected_crc = 2**40, None

    monkeypatch.setattr(zipfile.ZipExtFile, "__init__", generous)
    limits = Limits(archive_bytes=2**24)
    refuse(untouched, archive, "ARCHIVE_UNSAFE", limits)


def overlapping(archive: Path, count: int) -> Path:
    """Write a zip whose entries are all the same bytes, as David Fifield's bomb of 2019."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    plain = b"\0" * 2**20
    packed = deflater.compress(plain) + deflater.flush()
    sizes = struct.pack("<LLL", zlib.crc32(plain), len(packed), len(plain))
    local = b"PK\3\4" + struct.pack("<HHHHH", 20, 0, 8, 0, 33) + sizes + struct.pack("<HH", 1, 0)
    content = local + b"x" + packed
    directory = b"".join(
        b"PK\1\2" + struct.pack("<HHHHHH", 20, 20, 0, 8, 0, 33) + sizes
        + struct.pack("<HHHHHLL", 5, 0, 0, 0, 0, 0, 0) + f"{number:05}".encode()
        for number in range(count)
    )  # fmt: skip
    end = struct.pack("<HHHHLLH", 0, 0, count, count, len(directory), len(content), 0)
    archive.write_bytes(content + directory + b"PK\5\6" + end)
    return archive


def test_a_bomb_of_overlapping_entries(untouched: Any) -> None:
    archive = overlapping(untouched.incoming / "overlap.zip", 60)
    refuse(untouched, archive, "ARCHIVE_UNSAFE")


@pytest.mark.parametrize("inside", [True, False])
def test_a_crowded_directory(untouched: Any, inside: bool) -> None:
    archive = overlapping(untouched.incoming / "crowd.zip", 20_000)
    content = archive.read_bytes()
    if not inside:
        # The number of entries is a lie too; only the bytes of the directory count.
        archive.write_bytes(content[:-14] + struct.pack("<HH", 1, 1) + content[-10:])
    tracemalloc.start()
    refuse(untouched, archive, "ARCHIVE_UNSAFE", Limits(archive_entries=1000))
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_bomb_one_floor_down(untouched: Any) -> None:
    inner = bomb(untouched.around / "a/b/incoming/inner.zip", 2**28)
    outer = untouched.incoming / "outer.zip"
    with zipfile.ZipFile(outer, "w") as zipped:
        zipped.write(inner, "harmless.ZIP")
    with pytest.raises(LoadError, match="ARCHIVE_NESTED"):
        Loader().index(outer, unpack_into=untouched.target)
    assert os.listdir(untouched.target) == []  # noqa: PTH208


def evil_name(place: Any, number: int) -> None:
    """Make what the number of a file to be unpacked would overwrite."""
    (place.target / f"{number:07}").symlink_to(place.around / "secret")


def test_a_link_that_waits_in_the_folder(untouched: Any) -> None:
    evil_name(untouched, 1)
    archive = pack(untouched.incoming / "plain.zip")
    with pytest.raises(CervispineError) as caught:
        Loader().index(archive, unpack_into=untouched.target)
    assert caught.value.code == "OUTPUT_TAKEN"
    assert (untouched.around / "secret").read_text() == "not for you"


def test_a_link_that_is_put_there_meanwhile(untouched: Any) -> None:
    archive = pack(untouched.incoming / "plain.zip", entry("second"))

    def race(done: int, _: int) -> None:
        if done == 1:
            evil_name(untouched, 2)

    with pytest.raises(CervispineError) as caught:
        Loader().index(archive, unpack_into=untouched.target, progress=race)
    assert caught.value.code == "OUTPUT_UNWRITABLE"
    assert (untouched.around / "secret").read_text() == "not for you"


def test_nothing_else_unpacks() -> None:
    """The linter forbids it by a rule; this looks whether the rule was switched off."""
    source = Path(__file__).resolve().parents[2] / "src"
    words: tuple[str, ...] = ("zipfile", "tarfile", "unpack_archive", "extractall")
    uses = {path.name for path in source.rglob("*.py") if any(w in path.read_text() for w in words)}
    assert uses == {"archives.py"}
    assert "extractall" not in (source / "cervispine/loading/archives.py").read_text()
