"""Prepared pixels kept in a folder, so that a study is decoded once and trained on many times."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine import __version__
from cervispine.records import Study
from cervispine.records.files import make_folder, write_bytes

__all__ = ["Cache"]


class Cache:
    """Arrays of prepared pixels by what they were made from.

    Parameters
    ----------
    folder
        Where they are kept; made when needed, and may be deleted at any time. The names of
        the files are hashes.
    settings
        Of the preprocessor; other settings, or another version of cervispine, see other files.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.folder = make_folder(Path(folder))
        self.settings = json.dumps({"version": __version__, **settings}, sort_keys=True)

    def get(self, study: Study) -> NDArray[np.float32] | None:
        """Return the pixels prepared earlier, None when there are none or they are damaged."""
        try:
            pixels = np.load(self._path(study), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return pixels if isinstance(pixels, np.ndarray) and pixels.dtype == np.float32 else None

    def put(self, study: Study, pixels: NDArray[np.float32]) -> None:
        """Keep the pixels of a study.

        Raises
        ------
        ResourceError
            When the folder cannot be written to.
        """
        buffer = io.BytesIO()
        np.save(buffer, pixels, allow_pickle=False)
        write_bytes(self._path(study), buffer.getvalue())

    def _path(self, study: Study) -> Path:
        identity = [self.settings, study.uid]
        for series in study.series:
            status = [path.stat() for path in dict.fromkeys(series.files)]
            stamps = [(each.st_size, each.st_mtime_ns) for each in status]
            # One series UID may hold several stacks: echoes, repetitions, frames of one file.
            # Where a manifest is in force, what was read without one does not count.
            which = [series.pixel_hash, series.frames, attrs.astuple(series.geometry)]
            identity.append(json.dumps([series.uid, which, stamps, series.content_hashes]))
        return self.folder / f"{hashlib.sha256(''.join(identity).encode()).hexdigest()}.npy"
