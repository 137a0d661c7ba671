"""DICOM files that try to lead elsewhere, or to be more than they are."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file

from cervispine.exceptions import CervispineError, LoadError
from cervispine.loading import Loader


def synthetic_series() -> Any:
    """Return the series of tests/loading, whose fixtures are not shared."""
    path = Path(__file__).resolve().parents[1] / "loading" / "conftest.py"
    specification = importlib.util.spec_from_file_location("loading_conftest", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.WritableSeries


@pytest.fixture
def disc(untouched: Any) -> Path:
    """Return a DICOMDIR of pydicom's with its files, beside a file it must not reach."""
    source = Path(str(get_testdata_file("DICOMDIR"))).parent
    shutil.copytree(source, untouched.incoming / "disc")
    return Path(untouched.incoming / "disc" / "DICOMDIR")


ESCAPES = (
    ["..", "..", "..", "..", "secret"],
    ["..", "SECRET"],
    ["77654033", "..", "..", "..", "..", "secret"],
    ["../../../../secret"],
    ["/etc/passwd"],
    ["", "etc", "passwd"],
    ["C:", "WINDOWS", "win.ini"],
)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("parts", ESCAPES)
def test_a_dicomdir_that_leads_outside(disc: Path, parts: list[str]) -> None:
    dataset = pydicom.dcmread(disc)
    image = [each for each in dataset.DirectoryRecordSequence if "ReferencedFileID" in each][-1]
    image.ReferencedFileID = parts
    dataset.save_as(disc)
    with pytest.raises(LoadError) as caught:
        Loader().index(disc)
    assert caught.value.code == "DICOMDIR_UNSAFE"


def test_a_dicomdir_whose_file_is_a_link_to_the_outside(disc: Path, untouched: Any) -> None:
    dataset = pydicom.dcmread(disc)
    image = [each for each in dataset.DirectoryRecordSequence if "ReferencedFileID" in each][-1]
    listed = disc.parent.joinpath(*image.ReferencedFileID)
    listed.unlink()
    listed.symlink_to(untouched.around / "secret")
    with pytest.raises(LoadError) as caught:
        Loader().index(disc)
    assert caught.value.code == "DICOMDIR_UNSAFE"


def test_a_deflated_bomb(untouched: Any) -> None:
    (path,) = synthetic_series()(shape=(1, 24, 20), syntax="1.2.840.10008.1.2.1.99").write(
        untouched.incoming
    )
    content = path.read_bytes()
    meta = 144 + struct.unpack("<L", content[140:144])[0]
    body = zlib.decompressobj(-15).decompress(content[meta:])
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(body + b"\xfe\xff\xfc\xff\0\0\0\x0c")
    for _ in range(200):
        bomb += deflater.compress(b"\0" * 2**20)
    path.write_bytes(content[:meta] + bomb + deflater.flush())
    assert path.stat().st_size < 2**18
    tracemalloc.start()
    with pytest.raises(LoadError, match="DECODE_BUDGET"):
        Loader().index(untouched.incoming)
    assert tracemalloc.get_traced_memory()[1] < 2**26
    tracemalloc.stop()


def test_an_image_of_eight_gigabytes(untouched: Any) -> None:
    def enormous(_: int, dataset: Any) -> None:
        dataset.Rows = dataset.Columns = 65535

    synthetic_series()().write(untouched.incoming, change=enormous)
    tracemalloc.start()
    with pytest.raises(LoadError, match="DECODE_BUDGET"):
        Loader().index(untouched.incoming)
    assert tracemalloc.get_traced_memory()[1] < 2**24
    tracemalloc.stop()


def test_a_saved_index_that_is_a_program(untouched: Any) -> None:
    """What pickle would run, and what SQLite could; tests/loading/test_saved_index.py has more."""
    synthetic_series()().write(untouched.incoming / "data")
    canary = untouched.around / "canary"
    program = f"cos\nsystem\n(S'touch {canary}'\ntR.".encode()
    for content in (program, b"SQLite format 3\0" + program):
        saved = untouched.target / "saved"
        saved.write_bytes(content)
        with pytest.raises(CervispineError) as caught:
            Loader().index(untouched.incoming / "data", saved=saved)
        assert caught.value.code == "SAVED_INDEX_INVALID"
        assert saved.read_bytes() == content
    assert not canary.exists()
