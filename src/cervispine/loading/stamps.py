"""What a study is known by without reading it: the one place that says which result is of which."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import attrs

from cervispine.loading.registry import with_version
from cervispine.records import Study

__all__ = ["stamp_of"]


def stamp_of(study: Study, reading: str) -> str:
    """Return a name for what is made of a study, the same as long as nothing of it has changed.

    Of the files it takes sizes and times, so that nothing is read.

    Parameters
    ----------
    study
        As it was indexed.
    reading
        What decides the result beside the study and its loaders: settings, models, versions.

    Returns
    -------
    str
        SHA-256, hexadecimal: it names nobody, and no file.
    """
    identity: list[Any] = [reading, study.uid]
    for series in study.series:
        # One series UID may hold several stacks: echoes, repetitions, frames of one file.
        which = [series.uid, series.pixel_hash, series.frames, attrs.astuple(series.geometry)]
        # Where a manifest is in force, what was read without one does not count.
        read = [with_version(series.loader), series.content_hashes]
        files = [_times(path) for path in dict.fromkeys(series.files)]
        identity.append([which, read, files])
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()


def _times(path: Path) -> tuple[int, int] | None:
    """Return size and time of a file; None where it is gone, which reading it will tell."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns
