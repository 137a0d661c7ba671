"""Checkpoints against torn files, failing disks and signals."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
from pathlib import Path

import pytest
import torch

from cervispine.classification import checkpoints
from cervispine.classification.checkpoints import (
    GENERATIONS,
    Checkpoint,
    has_checkpoint,
    read_checkpoint,
    remove_checkpoints,
    write_checkpoint,
)
from cervispine.classification.interruption import Interruption
from cervispine.exceptions import ProvenanceWarning, ResourceError, TrainingError


def at(step: int) -> Checkpoint:
    return Checkpoint({"weight": torch.full((3, 4), float(step))}, {"step": step})


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*"))


def test_what_was_written_comes_back(tmp_path: Path) -> None:
    assert not has_checkpoint(tmp_path)
    write_checkpoint(tmp_path, 7, at(7))
    assert has_checkpoint(tmp_path)
    back = read_checkpoint(tmp_path)
    assert back.record == {"step": 7}
    assert torch.equal(back.tensors["weight"], at(7).tensors["weight"])


def test_two_generations_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 3, 20):
        write_checkpoint(tmp_path, step, at(step))
    assert len(files(tmp_path)) == GENERATIONS == 2
    assert read_checkpoint(tmp_path).record == {"step": 20}


def test_what_was_just_written_is_kept_whatever_lies_there(tmp_path: Path) -> None:
    for step in (90, 100):
        write_checkpoint(tmp_path, step, at(step))
    for path in files(tmp_path):
        path.write_bytes(b"damaged")
    for step in (4, 5, 6):
        write_checkpoint(tmp_path, step, at(step))
    with pytest.warns(ProvenanceWarning, match="damaged"):
        assert read_checkpoint(tmp_path).record == {"step": 6}
    assert [path.name[11:20] for path in files(tmp_path)][:2] == ["000000005", "000000006"]


@pytest.mark.parametrize("harm", ["truncate", "flip", "empty", "text"])
def test_a_damaged_generation_is_passed_over_aloud(tmp_path: Path, harm: str) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path, step, at(step))
    newest = files(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    content[-3] ^= 1
    newest.write_bytes(
        {
            "truncate": newest.read_bytes()[:-5],
            "flip": bytes(content),
            "empty": b"",
            "text": b"no checkpoint",
        }[harm]
    )
    with pytest.warns(ProvenanceWarning, match="damaged and was passed over"):
        assert read_checkpoint(tmp_path).record == {"step": 1}


def test_once_the_model_is_saved_they_go_and_nothing_else_does(tmp_path: Path) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path, step, at(step))
    (tmp_path / "model.safetensors").touch()
    remove_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.safetensors"]


def test_where_all_are_damaged_there_is_nothing_to_resume(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 1, at(1))
    files(tmp_path)[0].write_bytes(b"")
    with (
        pytest.warns(ProvenanceWarning),
        pytest.raises(TrainingError, match="RESUME_NOTHING"),
    ):
        read_checkpoint(tmp_path)


def test_a_foreign_file_of_the_right_name_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save

    content = save({"weight": torch.zeros(2)})  # whole, but without our description
    name = f"checkpoint-000000009-{checkpoints._hash(content)}.safetensors"
    (tmp_path / name).write_bytes(content)
    with pytest.warns(ProvenanceWarning), pytest.raises(TrainingError, match="RESUME_NOTHING"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "chmod"])
@pytest.mark.parametrize("nth", [0, 1])
def test_a_failing_disk_leaves_the_old_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, nth: int
) -> None:
    write_checkpoint(tmp_path, 1, at(1))
    calls = 0

    def failing(real):  # type: ignore[no-untyped-def]
        def act(*arguments, **named):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls == nth + 1:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*arguments, **named)

        return act

    with monkeypatch.context() as patch:
        if call == "write":
            real = os.fdopen

            def fdopen(handle, mode):  # type: ignore[no-untyped-def]
                stream = real(handle, mode, buffering=0)

                class Stream:
                    write = staticmethod(failing(stream.write))
                    flush, fileno = stream.flush, stream.fileno
                    __enter__ = lambda self: self  # noqa: E731
                    __exit__ = lambda self, *_: stream.close()  # noqa: E731

                return Stream()

            patch.setattr(os, "fdopen", fdopen)
        elif call == "fsync":
            patch.setattr(os, "fsync", failing(os.fsync))
        else:
            patch.setattr(Path, call, failing(getattr(Path, call)))
        with contextlib.suppress(ResourceError):
            write_checkpoint(tmp_path, 2, at(2))
    step = read_checkpoint(tmp_path).record["step"]
    assert step in (1, 2)
    assert torch.equal(read_checkpoint(tmp_path).tensors["weight"], at(step).tensors["weight"])
    assert not [path for path in tmp_path.iterdir() if path not in files(tmp_path)]


def test_a_full_disk_is_an_error_of_resources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ResourceError, match="No space left") as caught:
        write_checkpoint(tmp_path, 1, at(1))
    assert caught.value.exit_code == 5
    assert not any(tmp_path.iterdir())


def test_what_does_not_read_back_is_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoint(tmp_path, 1, at(1))

    def forgetful(path: Path, content: bytes) -> None:
        path.write_bytes(content[:-1])

    monkeypatch.setattr(checkpoints, "write_bytes", forgetful)
    with pytest.raises(ResourceError, match="CHECKPOINT_UNVERIFIED"):
        write_checkpoint(tmp_path, 2, at(2))
    assert read_checkpoint(tmp_path).record == {"step": 1}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_waits_and_the_second_does_not(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interruption() as interruption:
        assert not interruption.requested
        signal.raise_signal(number)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before
