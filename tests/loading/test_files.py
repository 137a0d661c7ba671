"""Files and folders that are damaged, foreign or too large, and links, pipes and copies."""

from __future__ import annotations

import gc
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from cervispine.exceptions import DecoderMissingError, LoadError, NoDicomError
from cervispine.loading import Limits, Loader, parsing
from cervispine.loading.intake import find_files, nothing_collected


def test_files_that_are_no_dicom(good: Path, check: Any) -> None:
    contents = [b"", b"patient,label\n", b"<html>", b"\0" * 128 + b"DICX", b"PK\3\4" * 50]
    for number, content in enumerate(contents):
        (good / f"{number}.dcm").write_bytes(content)
    (good / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    check(Loader().index(good), "NOT_DICOM", "ignored", 6)


def test_no_preamble(good: Path, Series: Any, check: Any) -> None:
    for path in Series().write(good / "bad"):
        content = path.read_bytes()
        path.write_bytes(content[content.index(b"\x08\x00\x08\x00CS") :])
    check(Loader().index(good), "META_MISSING", "rejected", 5)


@pytest.mark.parametrize("keep", [0.3, 0.55, 0.9, 0.999])
def test_truncated_file(good: Path, Series: Any, keep: float) -> None:
    for path in Series().write(good / "bad"):
        content = path.read_bytes()
        path.write_bytes(content[: int(keep * len(content))])
    cohort = Loader().index(good)
    assert cohort.intake is not None
    assert cohort.intake.rejected == 5
    assert len(cohort) == 1


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.100", "1.2.3.4.5"])
def test_syntax_that_is_no_still_image(good: Path, Series: Any, syntax: str, check: Any) -> None:
    for path in Series().write(good / "bad"):
        content = path.read_bytes()
        old = b"1.2.840.10008.1.2.1\0"
        assert old in content
        # The file meta's length does not count for reading: only the value changes its size.
        start = content.index(b"\x02\x00\x10\x00UI")
        value = syntax.encode() + b"\0" * (len(syntax) % 2)
        element = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(value)) + value
        path.write_bytes(content[:start] + element + content[start + 8 + len(old) :])
    check(Loader().index(good), "TRANSFER_SYNTAX", "rejected", 5)


def test_deflated_bomb(good: Path, Series: Any, check: Any) -> None:
    syntax = "1.2.840.10008.1.2.1.99"
    for path in Series(syntax=syntax).write(good / "bad"):
        content = path.read_bytes()
        length = struct.unpack("<L", content[140:144])[0]
        body = zlib.decompressobj(-15).decompress(content[144 + length :])
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = deflater.compress(body + b"\xfe\xff\xfc\xff\0\0\0\2" + b"\0" * 2**25)
        path.write_bytes(content[: 144 + length] + bomb + deflater.flush())
    check(Loader().index(good), "DECODE_BUDGET", "rejected", 5)


def test_limits(good: Path, Series: Any, check: Any) -> None:
    Series(shape=(9, 24, 20)).write(good / "long")
    check(Loader(limits=Limits(slices=8)).index(good), "DECODE_BUDGET", "rejected", 9)
    check(Loader(limits=Limits(series_bytes=9 * 24 * 20 * 4 - 1)).index(good), "DECODE_BUDGET",
          "rejected", 9)  # fmt: skip
    with pytest.raises(NoDicomError, match="DECODE_BUDGET"):
        Loader(limits=Limits(file_bytes=100)).index(good)


def test_copies_of_files_are_counted_once(good: Path, Series: Any, check: Any) -> None:
    for path in Series(study="1.2.3.99", series="1.2.3.99.1", patient="good").write(good / "copy"):
        assert path.exists()
    check(Loader(on_problem="raise").index(good), "DUPLICATE_FILE", "ignored", 5)


def test_missing_decoder_is_told_for_the_whole_cohort(
    good: Path, Series: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    Series(syntax="1.2.840.10008.1.2.4.80", shape=(5, 32, 32)).write(good / "ls")
    syntax = "1.2.840.10008.1.2.4.90"
    Series(syntax=syntax, study="1.2.5", series="1.2.5.1", shape=(5, 40, 40)).write(good / "2000")

    class Unavailable:
        available_plugins = ()

    def none_but_native(uid: str) -> Any:
        return Unavailable() if uid.startswith("1.2.840.10008.1.2.4") else get_decoder(uid)

    get_decoder = parsing.get_decoder
    monkeypatch.setattr(parsing, "get_decoder", none_but_native)
    with pytest.raises(DecoderMissingError) as caught:
        Loader().index(good)
    text = str(caught.value)
    assert "5 files in JPEG-LS" in text
    assert "5 files in JPEG 2000" in text
    assert "pip install 'pylibjpeg[openjpeg]' pyjpegls" in text


def test_folder_faults(tmp_path: Path) -> None:
    with pytest.raises(LoadError) as caught:
        Loader().index(tmp_path / "nowhere")
    assert caught.value.code == "PATH_NOT_FOUND"
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NoDicomError, match=r"1 files: not a DICOM file"):
        Loader().index(tmp_path / "file")
    with pytest.raises(LoadError) as caught:
        Loader().index("/dev/null")
    assert caught.value.code == "NOT_A_FOLDER"
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoDicomError, match="no study of 0 files"):
        Loader().index(tmp_path / "empty")
    with pytest.raises(NoDicomError, match=r"1 files: not a DICOM file"):
        Loader().index(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_links_pipes_and_unreadable_files(good: Path) -> None:
    (good / "loop").symlink_to(good)
    (good / "good" / "up").symlink_to(good)
    (good / "broken").symlink_to(good / "nothing")
    os.mkfifo(good / "pipe")
    cohort = Loader().index(good)
    assert len(cohort) == 1
    assert {(p.code, p.fate) for p in cohort.intake.problems} == {("NOT_A_FILE", "ignored")}  # type: ignore[union-attr]
    assert cohort.intake.found == 7  # type: ignore[union-attr]


def test_names_that_are_no_text(good: Path) -> None:
    name = os.fsdecode(b"caf\xe9\xff.txt")
    try:
        (good / name).write_bytes(b"text")
    except OSError:
        pytest.skip("this file system takes only text for names")
    assert len(Loader().index(good)) == 1


@pytest.mark.parametrize("lost", [1, 40, 500, 1000])
@pytest.mark.parametrize("at", [0, 2, 4])
def test_a_series_whose_copy_was_interrupted_is_not_used_in_part(
    good: Path, Series: Any, check: Any, lost: int, at: int
) -> None:
    """The last file that was copied is cut off; it may be that of a slice at an end."""
    path = Series().write(good / "bad")[at]
    path.write_bytes(path.read_bytes()[:-lost])
    check(Loader().index(good), "DICOM_TRUNCATED", "rejected", 5)


def test_what_was_cut_off_and_copied_again_does_no_harm(
    good: Path, Series: Any, check: Any
) -> None:
    series = Series()
    path = series.write(good / "twice")[0]
    for number, lost in enumerate((1, 600)):
        (good / "twice" / f"again{number}").write_bytes(path.read_bytes()[:-lost])
    loader = Loader()
    cohort = loader.index(good)
    assert len(cohort) == 2
    problems = [p for p in cohort.intake.problems if p.fate != "noted"]  # type: ignore[union-attr]
    assert [(p.code, p.fate, p.item) for p in problems] == [
        ("DICOM_TRUNCATED", "rejected", series.series)
    ]
    assert problems[0].files == 2
    study = next(study for study in cohort if study.patient == series.patient)
    assert loader.read(study).pixels.shape == series.shape


def test_a_localizer_that_was_cut_off_is_still_none(good: Path, Series: Any, check: Any) -> None:
    for path in Series(elements={"SeriesDescription": "localizer"}).write(good / "bad"):
        path.write_bytes(path.read_bytes()[:-50])
    check(Loader().index(good), "LOCALIZER", "ignored", 5)


def test_the_search_for_garbage_goes_on_afterwards(tmp_path: Path) -> None:
    assert gc.isenabled()
    with nothing_collected():
        assert not gc.isenabled()
        find_files(tmp_path)
        assert not gc.isenabled()
    with pytest.raises(KeyError), nothing_collected():
        raise KeyError
    assert gc.isenabled()
