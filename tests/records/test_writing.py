"""A file is written whole or not at all, and a folder is there before anything is computed."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from cervispine.exceptions import ResourceError, UsageError
from cervispine.records.files import (
    alone_in,
    make_folder,
    refuse_other_file,
    refuse_taken,
    write_bytes,
    write_json,
    write_text,
)


def test_text_json_and_bytes_are_written(tmp_path: Path) -> None:
    write_bytes(tmp_path / "a", b"\0\xff")
    write_text(tmp_path / "b", "é\n")
    write_json(tmp_path / "c", {"é": [1, None]})
    assert (tmp_path / "a").read_bytes() == b"\0\xff"
    assert (tmp_path / "b").read_bytes() == "é\n".encode()
    text = (tmp_path / "c").read_text(encoding="utf-8")
    assert "é" in text
    assert text.endswith("}\n")
    assert json.loads(text) == {"é": [1, None]}
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "c"}


@pytest.mark.parametrize("step", ["os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()],
                         ids=["disk full", "interrupted"])  # fmt: skip
def test_what_was_there_stays_when_writing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException
) -> None:
    path = tmp_path / "file"
    write_text(path, "before")

    def fail(*_: object) -> None:
        raise error

    expected = ResourceError if isinstance(error, OSError) else KeyboardInterrupt
    with monkeypatch.context() as patch:
        patch.setattr(step, fail)
        with pytest.raises(expected) as caught:
            write_text(path, "after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(caught.value, ResourceError):
        assert caught.value.code == "OUTPUT_UNWRITABLE"
        assert caught.value.exit_code == 5
        assert "No space left" in str(caught.value)
        assert str(path) in str(caught.value)


def test_a_folder_that_holds_something_is_taken(tmp_path: Path) -> None:
    refuse_taken(tmp_path / "absent")
    refuse_taken(tmp_path)
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "images").mkdir()
    refuse_taken(tmp_path, own={"images"})
    with pytest.raises(UsageError) as caught:
        refuse_taken(tmp_path)
    assert caught.value.code == "OUTPUT_TAKEN"


def test_only_a_file_of_the_same_kind_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    refuse_other_file(path, "patient,model")
    path.write_text("patient,model,score\n")
    refuse_other_file(path, "patient,model")
    for content in ("patient,label\n", "", "patient,mode"):
        path.write_text(content)
        with pytest.raises(UsageError, match="does not begin with patient,model") as caught:
            refuse_other_file(path, "patient,model")
        assert caught.value.code == "OUTPUT_TAKEN"
    with pytest.raises(UsageError, match="a folder"):
        refuse_other_file(tmp_path, "patient,model")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_has_no_number_that_is_none(tmp_path: Path, value: float) -> None:
    path = tmp_path / "file.json"
    write_json(path, 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"auc": value})
    assert path.read_text() == "1\n"


@pytest.mark.skipif(os.name == "nt", reason="no permission bits on this system")
def test_a_result_is_as_readable_as_any_file(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file", "")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_folder_is_made_with_its_parents_and_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    assert make_folder(folder) == folder
    (folder / "kept").write_text("")
    make_folder(folder)
    assert [path.name for path in folder.iterdir()] == ["kept"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ResourceError) as caught:
            make_folder(path)
        assert caught.value.code == "OUTPUT_UNWRITABLE"
        assert str(path) in str(caught.value)
    with pytest.raises(ResourceError):
        write_text(tmp_path / "nowhere" / "file", "")


def test_a_folder_is_held_by_one_process_until_that_lets_go(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    with alone_in(folder):
        with pytest.raises(UsageError) as caught, alone_in(folder):
            pass
        assert caught.value.code == "RUN_LOCKED"
    with alone_in(folder):
        assert folder.is_dir()
