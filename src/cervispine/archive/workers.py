"""Handing studies out: to this process, to processes of this machine, or to a cluster, by Dask.

Dask may run a piece of work twice, and does so when a worker dies. That is all that is asked of it:
what is done is what :mod:`cervispine.archive.work` has published.
"""

from __future__ import annotations

import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import attrs

from cervispine.archive.store import Store
from cervispine.archive.work import Reading, Stamped, read_studies
from cervispine.classification.interruption import Interruption
from cervispine.exceptions import MissingExtraError, ResourceError

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["hand_out", "read_here", "workers_here", "workers_of"]

#: Studies handed out together, at most: what a scheduler has to remember stays small.
LARGEST_PIECE = 100

#: Seconds without a single worker after which there will be none.
WITHOUT_WORKERS = 60.0

#: Seconds that a scheduler may take to answer the first time.
PATIENCE = 30.0

#: How often a piece may be lost to dying workers without a trace of having been begun.
LOSSES = 20

#: Called with how many more studies are through.
Through = Callable[[int], None]


@attrs.define
class _Piece:
    """Studies that are handed out together, and how often they were lost without a trace."""

    studies: list[Stamped]
    traces: int = 0
    losses: int = 0


def read_here(reading: Reading, studies: Sequence[Stamped], through: Through) -> None:
    """Read studies one after the other in this process, which a fatal one would take along.

    Raises
    ------
    KeyboardInterrupt
        After Ctrl-C or SIGTERM, between two studies.
    """
    store = Store(reading.folder)
    with Interruption() as interruption:
        for study in studies:
            if interruption.requested:
                raise KeyboardInterrupt
            store.remember(read_studies(reading, [study]))
            through(1)


@contextmanager
def workers_here(count: int) -> Iterator[Client]:
    """Start processes on this machine, which only this process can talk to.

    Raises
    ------
    MissingExtraError
        When Dask is not installed.
    """
    distributed = _distributed()
    import dask

    settings = {
        # A worker's death is told at once, and what it had begun is handed out again from here.
        "distributed.scheduler.allowed-failures": 0,
        # A worker near its share of the memory is replaced; one that waits would wait for ever.
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
    }
    with (
        _silenced(),
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            silence_logs=logging.CRITICAL,
            # Certificates of this run alone: whoever can send work to a worker can run code.
            security=True,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.run(_leave_signals)
        yield client


@contextmanager
def workers_of(address: str) -> Iterator[Client]:
    """Use the workers of a scheduler that runs already.

    Raises
    ------
    MissingExtraError
        When Dask is not installed.
    ResourceError
        ``WORKERS_MISSING`` when there is no scheduler at the address.
    """
    distributed = _distributed()
    with _silenced():
        try:
            client = distributed.Client(address, timeout=PATIENCE)
        except (OSError, ValueError, TypeError) as error:
            what = f"there is no scheduler at this address ({type(error).__name__})"
            raise _missing(what) from error
        with client:
            yield client


def hand_out(
    client: Client, reading: Reading, studies: Sequence[Stamped], through: Through
) -> None:
    """Have workers read studies until each is through.

    Parameters
    ----------
    client
        Of the workers.
    reading
        How to read.
    studies
        Those without an outcome.
    through
        Told when more studies are through.

    Raises
    ------
    ResourceError
        ``WORKERS_MISSING``; the results cannot be written.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM; what was begun is lost, and what was done is kept.
    CervispineError
        What a worker says of all studies alike.
    """
    from distributed import wait

    store = Store(reading.folder)
    waiting = _pieces(studies, _threads_of(client))
    running: dict[Future[Any], _Piece] = {}
    alive = time.monotonic()
    with Interruption() as interruption:
        while waiting or running:
            if interruption.requested:
                raise KeyboardInterrupt
            threads = _threads_of(client)
            alive = time.monotonic() if threads else alive
            if time.monotonic() - alive > WITHOUT_WORKERS:
                raise _missing(f"there has been no worker for {WITHOUT_WORKERS:g} seconds")
            while waiting and len(running) < 2 * max(threads, 1):
                piece = waiting.popleft()
                running[_submit(client, reading, piece)] = piece
            # A scheduler that is restarted cancels what it had.
            with suppress(TimeoutError, CancelledError):
                wait(list(running), timeout=0.5, return_when="FIRST_COMPLETED")
            for future in [each for each in running if each.status != "pending"]:
                piece = running.pop(future)
                before = len(piece.studies)
                _take(future, piece, store)
                through(before - len(piece.studies))
                if piece.studies:
                    waiting.append(piece)


def _submit(client: Client, reading: Reading, piece: _Piece) -> Future[Any]:
    # Workers need no identifier of a patient, so none travels.
    nameless = [
        (stamp, attrs.evolve(study, patient="", attributes={})) for stamp, study in piece.studies
    ]
    return client.submit(read_studies, reading, nameless, pure=False)


def _take(future: Future[Any], piece: _Piece, store: Store) -> None:
    """Take what a piece came to, and leave in it what was lost with its worker."""
    from distributed import KilledWorker

    if future.status in ("finished", "error"):
        # A worker may die when it has finished and before its answer was fetched.
        with suppress(KilledWorker, CancelledError):
            store.remember(future.result())
            piece.studies = []
            return
    # What is done of it is found, not read again. Each death leaves a mark on one study, and a
    # study with enough of them is set aside, so that a piece comes to an end.
    traces = sum(
        len(store.attempts(stamp)) + (store.quarantined(stamp) is not None)
        for stamp, _ in piece.studies
    )
    piece.losses = 0 if traces > piece.traces else piece.losses + 1
    piece.traces = traces
    if piece.losses > LOSSES:
        raise _missing("workers die before they read anything")


def _pieces(studies: Sequence[Stamped], threads: int) -> deque[_Piece]:
    size = max(1, min(LARGEST_PIECE, len(studies) // (8 * max(threads, 1))))
    return deque(
        _Piece(list(studies[start : start + size])) for start in range(0, len(studies), size)
    )


def _threads_of(client: Client) -> int:
    try:
        return sum(client.nthreads().values())
    except (OSError, ValueError) as error:
        raise _missing(f"the scheduler does not answer ({type(error).__name__})") from error


def _missing(what: str) -> ResourceError:
    return ResourceError(
        what,
        advice="start workers, or look at their logs; then give the same command again, and only "
        "what is missing is done",
        code="WORKERS_MISSING",
    )


@contextmanager
def _silenced() -> Iterator[None]:
    """Leave out what Dask logs of its own working: a worker's death is its everyday life."""
    logger = logging.getLogger("distributed")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _leave_signals() -> None:
    """Leave Ctrl-C to the process that started the workers: a terminal sends it to all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise MissingExtraError(
            "reading with workers needs Dask, which is not installed",
            advice="pip install 'cervispine[archive]'; or --workers 0, which reads in this process",
        ) from error
    return distributed
