"""Workers that die, hang, are killed and are missing: every study is read once, or set aside."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cervispine import Loader
from cervispine.archive import ArchiveRun, infer_archive, workers
from cervispine.archive.store import Store
from cervispine.exceptions import MissingExtraError, ResourceError
from cervispine.phantom import PhantomCohort

distributed = pytest.importorskip("distributed")


def published(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("results/*/*")}


def kill_a_reader(folder: Path, killed: list[int]) -> None:
    """Kill a process in the middle of a study, once the first one is done."""
    while not killed:
        time.sleep(0.02)
        if not published(folder):
            continue
        for mark in folder.glob("attempts/*"):
            process = int(mark.suffix[1:].partition("-")[0])
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                killed.append(process)
                return


def test_workers_that_die_and_hang_and_are_killed(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uids = [study.uid for study in Loader().index(archive.dicom)]
    monkeypatch.setattr(workers, "LARGEST_PIECE", 2)
    monkeypatch.setenv("FATAL", f"{uids[0]}=die;{uids[3]}=hang;{uids[5]}=wait")
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_reader, args=(tmp_path / "run", killed), daemon=True)
    killer.start()
    with pytest.warns(UserWarning, match="read by"):
        run = infer_archive(
            model, archive.dicom, out=tmp_path / "run", loader="fatal", workers=2,
            timeout=8, tries=2, progress=False,
        )  # fmt: skip
    assert killed
    assert sorted(problem.code for problem in run.account.quarantined) == [
        "WORKER_DIED", "WORKER_TIMEOUT",
    ]  # fmt: skip
    assert run.account.done == len(published(run.folder)) == 5
    assert not any((run.folder / "attempts").iterdir())
    assert not list(run.folder.glob("results/*/.*"))

    monkeypatch.delenv("FATAL")
    with pytest.warns(UserWarning, match="read by"):
        serial = infer_archive(
            model, archive.dicom, out=tmp_path / "serial", loader="fatal", workers=0,
            progress=False,
        )  # fmt: skip
    assert serial.account.done == 7
    assert published(run.folder).items() <= published(serial.folder).items()


class Answered:
    """A piece of work that was done, by a worker that died before its answer was fetched."""

    status = "finished"

    def __init__(self, error: Exception) -> None:
        self.error = error

    def result(self) -> None:
        raise self.error


def test_a_worker_that_dies_with_its_answer_is_lost_like_any_other(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.prepare()
    state = SimpleNamespace(address="", name="")
    for error in (distributed.KilledWorker("read", state, 0), CancelledError()):
        piece = workers._Piece([("stamp", None)])  # type: ignore[list-item]
        workers._take(Answered(error), piece, store)  # type: ignore[arg-type]
        assert (len(piece.studies), piece.losses) == (1, 1), "is handed out again"
    with pytest.raises(ZeroDivisionError):
        workers._take(Answered(ZeroDivisionError()), piece, store)  # type: ignore[arg-type]


def on_a_cluster(model: Path, archive: PhantomCohort, out: Path, *, threads: int) -> ArchiveRun:
    """Read an archive by the worker of a scheduler that runs already."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=threads, processes=False, dashboard_address=None
    ) as cluster:
        return infer_archive(
            model, archive.dicom, out=out, progress=False, scheduler=cluster.scheduler_address
        )


def test_the_workers_of_a_scheduler_that_runs_already(
    model: Path, archive: PhantomCohort, tmp_path: Path
) -> None:
    run = on_a_cluster(model, archive, tmp_path / "run", threads=2)
    serial = infer_archive(model, archive.dicom, out=tmp_path / "serial", workers=0, progress=False)
    assert published(run.folder) == published(serial.folder)
    for name in ("predictions.csv", "manifest.json"):
        assert (run.folder / name).read_bytes() == (serial.folder / name).read_bytes()


def test_what_a_scheduler_cancels_is_handed_out_again(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, cancelled = distributed.wait, []

    def wait_after_a_cancellation(futures: list[Any], **options: Any) -> Any:
        if not cancelled:
            cancelled.append(futures[0].key)
            futures[0].client.cancel(futures[:1])
        return wait(futures, **options)

    monkeypatch.setattr(distributed, "wait", wait_after_a_cancellation)
    run = on_a_cluster(model, archive, tmp_path / "run", threads=1)
    assert cancelled
    assert run.account.done == len(published(run.folder)) == 7


def test_a_scheduler_without_workers_is_not_waited_for(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WITHOUT_WORKERS", 0.1)
    with (
        distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as cluster,
        pytest.raises(ResourceError) as refusal,
    ):
        infer_archive(
            model, archive.dicom, out=tmp_path, progress=False,
            scheduler=cluster.scheduler_address,
        )  # fmt: skip
    assert refusal.value.code == "WORKERS_MISSING"


def test_no_scheduler_at_the_address(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0.2)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(ResourceError) as refusal:
            infer_archive(model, archive.dicom, out=tmp_path, progress=False, scheduler=address)
        assert refusal.value.code == "WORKERS_MISSING"


def test_without_dask_the_extra_is_named(
    model: Path, archive: PhantomCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"cervispine\[archive\]"):
        infer_archive(model, archive.dicom, out=tmp_path, progress=False)
