"""What the program says of itself, and how it ends."""

from __future__ import annotations

from collections.abc import Callable

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
