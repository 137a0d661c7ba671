"""The contract of a loader, run over a folder: what `check_loader` tries and refuses."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from cervispine.exceptions import LoadError
from cervispine.records import Cohort, Study, Volume

__all__ = ["FolderLoader", "check_loader"]


class FolderLoader(Protocol):
    """What a loader offers: `cervispine.Loader` does, and so must a plug-in."""

    def index(self, path: Path) -> Cohort:
        """Return the studies of a folder, from headers alone."""
        ...

    def read(self, study: Study, sequence: str) -> Volume:
        """Return the pixels of one sequence of a study."""
        ...


def check_loader(loader: FolderLoader, folder: str | Path) -> Cohort:
    """Run the contract of a loader over a folder that it should be able to read.

    The intake accounts for every file; the studies are the same whatever the files are called
    and wherever they lie; every series reads into a volume that has the shape and the geometry
    that indexing announced, twice the same; the cohort can be pickled.

    Parameters
    ----------
    loader
        Offers ``index(path)`` and ``read(study, sequence)``.
    folder
        A plain folder of images, at least one study of which is usable. It is only read.

    Returns
    -------
    Cohort
        What ``index`` gave.

    Raises
    ------
    LoadError
        At the first breach (``LOADER_CONTRACT``).
    """
    folder = Path(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    cohort = loader.index(folder)
    _require(isinstance(cohort, Cohort), f"index returned a {type(cohort).__name__}, not a Cohort")
    _require(len(cohort) > 0, "index found no study")
    _require(cohort.intake is not None, "the cohort has no intake report")
    assert cohort.intake is not None
    # An archive or a DICOMDIR may account for more items than there are files, never for fewer.
    _require(
        cohort.intake.found >= len(files),
        f"the folder has {len(files)} files, the intake accounts for {cohort.intake.found}",
    )
    copy = pickle.loads(pickle.dumps(cohort))  # noqa: S301  what was just pickled
    _require(_identities(copy) == _identities(cohort), "the cohort changes when pickled")
    with tempfile.TemporaryDirectory() as temporary:
        renamed = loader.index(_renamed_copy(files, Path(temporary)))
        _require(
            _identities(renamed) == _identities(cohort),
            "the studies change with the names and places of the files",
        )
        for study, twin in zip(cohort, renamed, strict=True):
            _check_volumes(loader, study, twin)
    return cohort


def _renamed_copy(files: Sequence[Path], folder: Path) -> Path:
    """Copy files into one folder under numbers, in an order that has nothing to do with theirs."""
    order = np.random.default_rng(0).permutation(len(files))
    for number, file in zip(order, files, strict=True):
        shutil.copyfile(file, folder / f"{number:06d}{file.suffix}")
    return folder


def _identities(cohort: Cohort) -> list[tuple[object, ...]]:
    return [
        (study.patient, study.uid, series.uid, series.sequence, series.shape, series.geometry)
        for study in cohort
        for series in study.series
    ]


def _check_volumes(loader: FolderLoader, study: Study, twin: Study) -> None:
    for series in study.series:
        volume = loader.read(study, series.sequence)
        where = f"series {series.uid}"
        _require(
            isinstance(volume, Volume),
            f"read returned a {type(volume).__name__}, not a Volume",
            where,
        )
        _require(
            volume.pixels.shape == series.shape,
            f"read gave {volume.pixels.shape} where indexing announced {series.shape}",
            where,
        )
        _require(
            np.allclose(volume.affine, series.geometry.affine, atol=1e-6),
            "the affine of the volume is not the one that indexing announced",
            where,
        )
        _require(volume.sequence == series.sequence, "the volume has another sequence", where)
        for other in (study, twin):
            again = loader.read(other, series.sequence)
            _require(
                np.array_equal(again.pixels, volume.pixels)
                and np.array_equal(again.affine, volume.affine),
                "reading the same images twice gives two volumes",
                where,
            )


def _require(holds: bool, breach: str, where: str = "") -> None:
    if not holds:
        raise LoadError(breach, where=where, code="LOADER_CONTRACT")
