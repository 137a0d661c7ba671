"""Prepared pixels kept in a folder: a study is decoded once, and trained on many times.

Some tens of studies lie in one file, which is mapped and not read, with a record beside it that
names what each row was made from and the hash of its bytes. The record is written last and names
nothing that is not there, so whatever a crash leaves is passed over.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import filelock
import numpy as np
from numpy.typing import NDArray

from cervispine import __version__
from cervispine.loading.stamps import stamp_of
from cervispine.records import Study
from cervispine.records.files import make_folder, write_bytes, write_json

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Cache", "StoredPixels", "free_memory"]

logger = logging.getLogger("cervispine.preprocessing")

FORMAT = "cervispine/pixels"
VERSION = 1

#: About so many bytes go into one file: what an interruption costs, and what is written at once.
FILE_BYTES = 64 * 2**20
#: No record of so few studies comes near this many bytes.
LARGEST_RECORD = 2**22
#: Pixels are held in memory where they take at most this share of what is free.
MEMORY_SHARE = 0.5

Pixels = NDArray[np.float32]


@attrs.frozen(eq=False)
class StoredPixels:
    """Pixels of studies that stay on the disk until they are asked for.

    Parameters
    ----------
    files
        Mapped arrays, float32 (studies, channels, rows, columns).
    where
        int64 (n, 2): file and row of each study.
    """

    files: Sequence[Pixels] = attrs.field(repr=lambda files: f"<{len(files)} files>")
    where: NDArray[np.int64] = attrs.field(repr=lambda where: f"<{len(where)} studies>")

    def __len__(self) -> int:
        return len(self.where)

    def __getitem__(self, indices: Tensor) -> Tensor:
        """Return the pixels of the studies with these numbers, float32 (n, channels, ...)."""
        import torch

        wanted = self.where[indices.numpy()]
        pixels = np.empty((len(wanted), *self.files[0].shape[1:]), dtype=np.float32)
        for image, (file, row) in zip(pixels, wanted.tolist(), strict=True):
            image[...] = self.files[file][row]
        return torch.from_numpy(pixels)

    def held(self) -> Tensor | StoredPixels:
        """Return a tensor of all of them where half of the free memory holds it, else these."""
        import torch

        size = len(self) * self.files[0][0].nbytes
        if size > MEMORY_SHARE * free_memory():
            return self
        return self[torch.arange(len(self))]


class Cache:
    """Arrays of prepared pixels by what they were made from.

    Parameters
    ----------
    folder
        Where they are kept; made when needed, and may be deleted at any time. The names of
        the files are hashes. Several processes may use one folder.
    settings
        What decides the pixels of a study beside it and the loaders that its series name; with
        other settings, or another version of cervispine, other files are seen.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.folder = make_folder(Path(folder))
        self.settings = json.dumps({"version": __version__, **settings}, sort_keys=True)

    def pixels(
        self, studies: Sequence[Study], prepare: Callable[[Study], Pixels], shape: tuple[int, ...]
    ) -> StoredPixels:
        """Return the pixels of studies, preparing and keeping those that are not there.

        Parameters
        ----------
        studies
            At least one.
        prepare
            Gives the pixels of a study, float32 of the shape.
        shape
            (channels, rows, columns).

        Raises
        ------
        ResourceError
            When the folder cannot be written to.
        """
        keys = [stamp_of(study, self.settings) for study in studies]
        rows = self._rows(set(keys), shape)
        missing = {k: s for k, s in zip(keys, studies, strict=True) if k not in rows}
        count = max(1, FILE_BYTES // (4 * int(np.prod(shape))))
        for start in range(0, len(missing), count):
            some = dict(list(missing.items())[start : start + count])
            # Whoever comes second waits, and then finds what the first has prepared.
            with filelock.FileLock(self.folder / ".lock"):
                rows |= self._rows(set(some), shape)
                if left := {key: study for key, study in some.items() if key not in rows}:
                    self._write(left, prepare)
                    rows |= self._rows(set(left), shape)
        files = {id(file): file for file, _ in rows.values()}
        numbers = {identity: number for number, identity in enumerate(files)}
        where = np.array([[numbers[id(rows[key][0])], rows[key][1]] for key in keys])
        return StoredPixels(tuple(files.values()), where)

    def _write(self, studies: Mapping[str, Study], prepare: Callable[[Study], Pixels]) -> None:
        pixels = np.stack([prepare(study) for study in studies.values()])
        buffer = io.BytesIO()
        np.save(buffer, pixels, allow_pickle=False)
        name = hashlib.sha256("".join(studies).encode()).hexdigest()
        write_bytes(self.folder / f"{name}.npy", buffer.getvalue())
        record = {
            "format": FORMAT,
            "version": VERSION,
            "rows": [
                {"key": key, "sha256": _hash(row)} for key, row in zip(studies, pixels, strict=True)
            ],
        }
        write_json(self.folder / f"{name}.json", record)

    def _rows(self, keys: set[str], shape: tuple[int, ...]) -> dict[str, tuple[Pixels, int]]:
        """Return file and row of those keys whose pixels are there and whole."""
        found: dict[str, tuple[Pixels, int]] = {}
        for path in sorted(self.folder.glob("*.json")):
            hashes = list(_read_record(path))
            wanted = [
                (number, key, sha256)
                for number, (key, sha256) in enumerate(hashes)
                if key in keys and key not in found
            ]
            file = _map(path.with_suffix(".npy"), (len(hashes), *shape)) if wanted else None
            if file is None:
                continue
            for number, key, sha256 in wanted:
                if _hash(file[number]) == sha256:
                    found[key] = (file, number)
                else:
                    logger.warning("prepared pixels of a study are damaged, and made anew")
        return found


def free_memory() -> int:
    """Return how many bytes of memory new data may take, as the system estimates it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, OSError, ValueError):
        return 2**32


def _hash(row: Pixels) -> str:
    return hashlib.sha256(np.ascontiguousarray(row).data).hexdigest()


def _read_record(path: Path) -> Iterator[tuple[str, str]]:
    """Give key and hash of each row of a file; nothing of a record that is not ours."""
    try:
        if path.stat().st_size > LARGEST_RECORD:
            return
        record = json.loads(path.read_text(encoding="utf-8"))
        if (record["format"], record["version"]) == (FORMAT, VERSION):
            yield from [(str(row["key"]), str(row["sha256"])) for row in record["rows"]]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return


def _map(path: Path, shape: tuple[int, ...]) -> Pixels | None:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    fits = isinstance(array, np.memmap) and array.dtype == np.float32 and array.shape == shape
    return array if fits else None
