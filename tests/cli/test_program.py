"""What the program says of itself, and how it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cervispine.phantom import PhantomCohort

Run = Callable[..., tuple[int, str, str]]


def test_help_teaches(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for word in ("experiment", "phantom", "index", "train", "predict", "compare", "doctor"):
        assert word in out
    assert "not a medical device" in out


def test_version(run: Run) -> None:
    assert run("--version")[:2] == (0, "cervispine 0.1.0\n")


def test_wrong_usage_ends_with_2(run: Run) -> None:
    assert run("experiment", "--nonsense")[0] == 2
    assert run("nonsense")[0] == 2
    assert run("phantom")[0] == 2


def test_interruption_ends_with_130(
    run: Run, monkeypatch: pytest.MonkeyPatch, phantom: PhantomCohort
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cervispine.loading.Loader.index", interrupted)
    code, _, err = run("index", phantom.dicom)
    assert (code, "interrupted" in err) == (130, True)


WAITS = """
import sys, time
from cervispine.cli import program
from cervispine.loading import archives

@program.app.command()
def wait():
    print(archives._private_folder(), flush=True)
    time.sleep(60)

sys.argv = ["cervispine", "wait"]
program.main()
"""


def test_what_was_unpacked_goes_when_the_program_is_told_to_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-P", "-c", WAITS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert folder.is_dir()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, "interrupted" in err) == (130, True)
    assert not folder.exists()
