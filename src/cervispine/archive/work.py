"""The unit of work: one study, read by one process, published under a hash of its bytes.

It knows nothing of who hands the work out. Whatever does may hand a study out twice, at once or
after a process died: the second time finds the result, or publishes the same bytes again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import hashlib
import json
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs
import torch

from cervispine import __version__
from cervispine.archive.store import Outcome, Store
from cervispine.classification import Ensemble, OPLLClassifier
from cervispine.classification import load_model as load_saved
from cervispine.exceptions import (
    CervispineError,
    DataError,
    DecoderMissingError,
    ModelFormatError,
    ResourceError,
)
from cervispine.loading import make_manifest, seal
from cervispine.loading.registry import with_version
from cervispine.records import Cohort, Study

__all__ = ["Reading", "Stamped", "load_model", "read_studies"]

#: A study with the name under which it is known without reading it.
Stamped = tuple[str, Study]

#: One study at a time in a process: what watches over its time watches over the whole process.
_lock = threading.Lock()


@attrs.frozen(kw_only=True)
class Reading:
    """What every process must know to read a study.

    Parameters
    ----------
    model
        Folder of the model.
    model_hash
        SHA-256 of its configuration, which holds the hash of its weights.
    folder
        Of the run.
    loader
        What the model reads by, with the version installed; empty where each series says it.
    threads
        How many threads a process computes with.
    tries
        A study that so many processes died of is set aside. One of them may have died of something
        else: of the machine, of another process that took its memory.
    timeout
        Seconds after which a study has hung, and takes its process with it; None where the process
        may not be ended.
    """

    model: Path
    model_hash: str
    folder: Path
    loader: str = ""
    threads: int = 1
    tries: int = 3
    timeout: float | None = None

    @property
    def identity(self) -> str:
        """What decides a result beside the study."""
        return f"{self.model_hash} cervispine {__version__} {self.loader}".strip()


def load_model(folder: Path) -> tuple[OPLLClassifier | Ensemble, str]:
    """Return a saved model, or ensemble, and the hash by which its results are known."""
    classifier = load_saved(folder)
    return classifier, hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()


def read_studies(reading: Reading, studies: Sequence[Stamped]) -> list[tuple[str, str]]:
    """Read some studies and publish what they come to.

    Parameters
    ----------
    reading
        How.
    studies
        As they were indexed, each with its stamp.

    Returns
    -------
    list of (stamp, key)
        Of those whose bytes could be hashed.

    Raises
    ------
    CervispineError
        What concerns every study alike: the model is another one now, a decoder is missing here,
        the results cannot be written.
    """
    with _lock, _threads(reading.threads):
        classifier = _model(reading.model, reading.model_hash)
        keys = [(stamp, _read(reading, classifier, stamp, study)) for stamp, study in studies]
    return [(stamp, key) for stamp, key in keys if key is not None]


def _read(
    reading: Reading, classifier: OPLLClassifier | Ensemble, stamp: str, study: Study
) -> str | None:
    """Publish what one study comes to, and return its key where it has one."""
    store = Store(reading.folder)
    if store.quarantined(stamp) is not None:
        return None
    marks = store.attempts(stamp)
    if len(marks) >= reading.tries:
        store.quarantine(stamp, _verdict(marks, reading))
        return None
    with store.attempt(stamp) as mark, _watched(mark, reading.timeout):
        try:
            sealed = seal(Cohort([study]), make_manifest([study]))[0]
        except DataError as error:
            store.quarantine(stamp, _refused("quarantined", error))
            return None
        key = _key(reading, sealed)
        if store.find(key) is None:
            outcome = _outcome(classifier, sealed)
            if outcome.fate == "quarantined":
                store.quarantine(stamp, outcome)
                return None
            store.publish(key, outcome)
        return key


def _outcome(classifier: OPLLClassifier | Ensemble, study: Study) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what they say of all studies was said at the start
            predictions = classifier.classify([study], allow_training_patients=True)
    except DecoderMissingError:
        raise
    except DataError as error:
        # Its bytes were hashed a moment ago: what has changed since is not its content.
        changed = error.code in ("HASH_MISMATCH", "CHANGED_SINCE_INDEX", "FILE_UNREADABLE")
        return _refused("quarantined" if changed else "rejected", error)
    except ResourceError as error:
        return _refused("quarantined", error)
    except CervispineError as error:
        if error.code == "OUTPUT_NOT_FINITE":  # the network's fault with this study alone
            return _refused("quarantined", error)
        raise
    except Exception as error:
        # Its text may quote a header.
        reason = f"a fault of cervispine or of a plug-in: {type(error).__name__}"
        return Outcome(fate="quarantined", code="INTERNAL", reason=reason)
    strange, unlike = predictions.out_of_distribution, predictions.unlike_training
    return Outcome(
        fate="done",
        probability=float(predictions.probabilities[0]),
        out_of_distribution=None if strange is None else float(strange[0]),
        unlike_training=None if unlike is None else unlike[0],
    )


def _refused(fate: str, error: CervispineError) -> Outcome:
    return Outcome(fate=fate, code=error.code, reason=error.what)  # type: ignore[arg-type]


def _verdict(marks: Sequence[Path], reading: Reading) -> Outcome:
    """Say what processes died of: what watched over them wrote into the mark."""
    said = "".join(mark.read_text(errors="replace") for mark in marks if mark.exists())
    if "Timeout (" in said:
        reason = f"reading it took more than {reading.timeout:g} s; tried {len(marks)} times"
        return Outcome(fate="quarantined", code="WORKER_TIMEOUT", reason=reason)
    reason = f"{len(marks)} processes that read it died"
    return Outcome(fate="quarantined", code="WORKER_DIED", reason=reason)


def _key(reading: Reading, study: Study) -> str:
    identity = [
        [series.sequence, with_version(series.loader), series.frames, series.content_hashes]
        for series in study.series
    ]
    return hashlib.sha256(json.dumps([reading.identity, identity]).encode()).hexdigest()


@functools.lru_cache(maxsize=1)
def _model(folder: Path, model_hash: str) -> OPLLClassifier | Ensemble:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # said where the run was started
        classifier, found = load_model(folder)
    if found != model_hash:
        raise ModelFormatError(
            "the model is not the one that this run was started with",
            where=str(folder),
            advice="leave a model as it is while it reads; every machine must see the same folder",
        )
    return classifier


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _watched(mark: Path, timeout: float | None) -> Iterator[None]:
    """End the process when a study takes too long, whatever it is busy with, and say so.

    The watch of faulthandler is no Python: it ends also a process that hangs in a decoder.
    """
    if timeout is None:
        yield
        return
    with mark.open("w") as stream:
        faulthandler.dump_traceback_later(timeout, exit=True, file=stream)
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
