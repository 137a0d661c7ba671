"""The commands ``cervispine read``, in this process; the server itself is not started."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra `reader` is not installed")

from cervispine import Loader
from cervispine.phantom import PhantomCohort
from cervispine.reader_study.store import Store

from .conftest import Run

SERVED = "cervispine.reader_study.server.serve"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Stand in for the server: note what it was given, and end as by Ctrl-C."""
    calls: list[Any] = []

    def serve(app: Any, listening: socket.socket, **more: Any) -> None:
        calls.append((app, listening.getsockname(), more))
        raise KeyboardInterrupt

    monkeypatch.setattr(SERVED, serve)
    return calls


@pytest.fixture
def few(phantom: PhantomCohort, tmp_path: Path) -> Path:
    names = Loader().index(phantom.dicom).patients[:3]
    path = tmp_path / "cases.csv"
    path.write_text("\n".join(["patient", *names]) + "\n")
    return path


def test_a_study_is_made_served_and_goes_on(
    phantom: PhantomCohort, tmp_path: Path, run: Run, served: list[Any], few: Path
) -> None:
    study = tmp_path / "study"
    arguments = ("read", "serve", phantom.dicom, "--readers", "ann, bob", "--cases", few)
    code, out, err = run(*arguments, "--out", study, "--port", 0)
    assert code == 0, err
    links = re.findall(r"^  (\S+) +(http://127\.0\.0\.1:\d+/#[\w-]{43})$", out, re.MULTILINE)
    assert [name for name, _ in links] == ["ann", "bob"]
    assert re.search(r"/administrator#[\w-]{43}$", out, re.MULTILINE)
    assert "goes on" in err
    assert served[0][1][0] == "127.0.0.1"
    code, again, _ = run("read", "serve", "--out", study, "--port", 0)
    assert code == 0
    token = re.search(r"#([\w-]{43})", again)[1]
    store = Store(study)
    assert store.enter(links[0][1].split("#")[1]) is None, "an older link that nobody used"
    assert store.enter(token)[1].name == "ann"
    store.close()
    code, _, err = run(*arguments, "--out", study, "--port", 0, "--seed", 9)
    assert (code, "RESUME_MISMATCH" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--out", "s"), "STUDY_MISSING"),
        (("COHORT", "--out", "s"), "who reads?"),
        (("COHORT", "--out", "s", "--readers", "a", "--model", "x"), "needs scores"),
        (("COHORT", "--out", "s", "--readers", "a,a"), "of its own"),
        (("--out", "s", "--certificate", "c.pem"), "--private-key"),
        (("--out", "s", "--certificate", "c", "--private-key", "k"), "FILE_MISSING"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    phantom: PhantomCohort,
    tmp_path: Path,
    run: Run,
    arguments: tuple[str, ...],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = [phantom.dicom if each == "COHORT" else each for each in arguments]
    code, _, err = run("read", "serve", *given)
    assert code == 2
    assert told in err


@pytest.fixture
def made(
    phantom: PhantomCohort, tmp_path: Path, run: Run, served: list[Any], few: Path
) -> Callable[..., tuple[int, str, str]]:
    arguments = ("--readers", "ann", "--cases", few, "--out", tmp_path / "study")
    assert run("read", "serve", phantom.dicom, *arguments, "--port", 0)[0] == 0
    served.clear()
    return lambda *more: run("read", "serve", "--out", tmp_path / "study", *more)


def test_listening_elsewhere_is_warned_of(
    made: Callable[..., tuple[int, str, str]], served: list[Any]
) -> None:
    code, out, err = made("--host", "0.0.0.0", "--port", 0)
    assert code == 0
    assert "unencrypted" in err
    assert f"http://{socket.gethostname()}:" in out
    assert served[0][1][0] == "0.0.0.0"
    assert "unencrypted" not in made("--port", 0)[2]


def test_a_port_that_is_taken_is_told(made: Callable[..., tuple[int, str, str]]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = made("--port", taken.getsockname()[1])
    assert code == 5
    assert "PORT_TAKEN" in err


def test_one_server_a_study(
    made: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def serve(*_: Any, **__: Any) -> None:
        monkeypatch.setattr(SERVED, lambda *_, **__: None)
        seen.append(made("--port", 0)[2])

    monkeypatch.setattr(SERVED, serve)
    assert made("--port", 0)[0] == 0
    assert "RUN_LOCKED" in seen[0]


def test_an_export_says_what_is_open(
    made: Callable[..., tuple[int, str, str]], run: Run, tmp_path: Path
) -> None:
    code, _, err = run("read", "export", tmp_path / "study", "--out", tmp_path / "out")
    assert code == 3
    assert "SESSIONS_OPEN" in err
    arguments = ("--out", tmp_path / "out", "--unfinished")
    code, out, _ = run("read", "export", tmp_path / "study", *arguments)
    assert code == 0
    assert "0 of 3 readings" in out
    assert json.loads(json.dumps(out)).count("audit.csv") == 1


def test_a_missing_extra_is_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "limits", None)
    code, _, err = run("read", "export", tmp_path, "--out", tmp_path / "out")
    assert code == 2
    assert "EXTRA_MISSING" in err
    assert "cervispine[reader]" in err
