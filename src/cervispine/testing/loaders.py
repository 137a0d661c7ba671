"""The contract of a loader, run over a place it can read: what `check_loader` tries and refuses."""

from __future__ import annotations

import pickle
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cervispine.exceptions import CervispineError, LoaderContractError, NoImagesError
from cervispine.loading import ImageLoader, build_loader, find_loader
from cervispine.records import Cohort, Series, Study, Volume

__all__ = ["check_loader"]

#: Identifiers shorter than this stand in words that name nobody.
SHORTEST_IDENTIFIER = 6


def check_loader(loader: str | ImageLoader, source: str | Path) -> Cohort:
    """Run the contract of a loader over a place that it should be able to read.

    The intake accounts for every file and names no patient; progress ends where the work does;
    loader and cohort can be pickled; every series reads into a volume that has the shape and the
    geometry that indexing announced, twice the same, and some of its slices are what they are in
    the whole; what cannot be meant is refused. Of a folder also: the studies are the same whatever
    the files are called and wherever they lie, or, for a loader with ``names_decide``, wherever
    the folder lies; a text file beside the images is ignored and counted; a folder without images
    is refused by a `NoImagesError`.

    Parameters
    ----------
    loader
        The name of an installed loader, or the loader itself.
    source
        A plain folder of images, or what else the loader indexes; at least one study there is
        usable. It is only read.

    Returns
    -------
    Cohort
        What ``index`` gave.

    Raises
    ------
    LoaderNotFoundError, LoaderLoadError
        When it cannot be found, imported or made.
    LoaderContractError
        At the first breach.
    CervispineError
        When the loader refuses the source.
    """
    installed = isinstance(loader, str)
    loader = build_loader(loader) if isinstance(loader, str) else loader
    _require(
        isinstance(loader, ImageLoader),
        f"a {type(loader).__name__} has not the methods index and read",
    )
    cohort = _index(loader, source)
    for study in cohort:
        for series in study.series:
            _check_volume(loader, study, series)
            if installed:
                _check_its_own_loader(loader, series)
    folder = Path(source)
    copy = _copy(loader)
    if folder.is_dir():
        _check_folder(loader, copy, folder, cohort)
    return cohort


def _index(loader: ImageLoader, source: str | Path) -> Cohort:
    calls: list[tuple[int, int]] = []
    cohort = loader.index(source, progress=lambda done, total: calls.append((done, total)))
    _require(isinstance(cohort, Cohort), f"index returned a {type(cohort).__name__}, not a Cohort")
    _require(len(cohort) > 0, "index found no study")
    _require(cohort.intake is not None, "the cohort has no intake report")
    _require(
        calls == sorted(calls) and bool(calls) and calls[-1][0] == calls[-1][1],
        "progress does not rise to its end",
    )
    copy = pickle.loads(pickle.dumps(cohort))  # noqa: S301  what was just pickled
    _require(_identities(copy) == _identities(cohort), "the cohort changes when pickled")
    assert cohort.intake is not None
    told = "\n".join(f"{problem.item} {problem.reason}" for problem in cohort.intake.problems)
    named = [p for p in cohort.patients if len(p) >= SHORTEST_IDENTIFIER and p in told]
    _require(not named, "the intake names patients")
    return cohort


def _identities(cohort: Cohort) -> list[tuple[object, ...]]:
    return [
        (study.patient, study.uid, series.uid, series.sequence, series.shape, series.geometry)
        for study in cohort
        for series in study.series
    ]


def _copy(loader: ImageLoader) -> ImageLoader:
    try:
        copied: ImageLoader = pickle.loads(pickle.dumps(loader))  # noqa: S301  just pickled
    except Exception as error:
        raise LoaderContractError(
            f"the loader cannot be pickled: {type(error).__name__}: {error}"
        ) from error
    return copied


def _check_volume(loader: ImageLoader, study: Study, series: Series) -> None:
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
    _require(bool(volume.history), "the volume does not say how it was read", where)
    _require_equal(
        loader.read(study, series.sequence),
        volume,
        "reading the same images twice gives two volumes",
        where,
    )
    count = series.shape[0]
    for wanted in (range(count // 2, count // 2 + 1), range(count - 1, count), range(0, count, 2)):
        part = loader.read(study, series.sequence, slices=list(wanted))
        affine = volume.affine.copy()
        affine[:3, 3] += wanted[0] * affine[:3, 0]
        affine[:3, 0] *= wanted.step if len(wanted) > 1 else 1
        expected = Volume(pixels=volume.pixels[list(wanted)], affine=affine)
        breach = f"slices {list(wanted)} read alone are not those of the whole"
        _require_equal(part, expected, breach, where)
    for refused in ([count], [-1], []):
        _require_refusal(
            lambda refused=refused: loader.read(study, series.sequence, slices=refused),
            f"slices={refused} of {count} slices",
        )
    _require_refusal(lambda: loader.read(study, "no such sequence"), "an absent sequence")


def _check_its_own_loader(loader: ImageLoader, series: Series) -> None:
    """Read through the loader that the series names, as a `Preprocessor` will."""
    where = f"series {series.uid}"
    try:
        named = build_loader(find_loader(series.loader).qualified_name)
        volume = named.read(series, series.sequence)
    except CervispineError as error:
        raise LoaderContractError(
            f"the series names {series.loader!r} as its loader, which does not read it: {error}",
            where=where,
        ) from error
    _require_equal(
        volume, loader.read(series, series.sequence), "its loader reads another volume", where
    )


def _check_folder(loader: ImageLoader, copy: ImageLoader, folder: Path, cohort: Cohort) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert cohort.intake is not None
    # An archive or a DICOMDIR may account for more items than there are files, never for fewer.
    _require(
        cohort.intake.found >= len(files),
        f"the folder has {len(files)} files, the intake accounts for {cohort.intake.found}",
    )
    with tempfile.TemporaryDirectory() as temporary:
        keep_names = getattr(loader, "names_decide", False)
        moved = _moved(files, folder, Path(temporary, "moved"), keep_names=keep_names)
        twins = copy.index(moved)
        _require(
            _identities(twins) == _identities(cohort),
            "the studies change with the names and places of the files",
        )
        for study, twin in zip(cohort, twins, strict=True):
            for series in study.series:
                _require_equal(
                    copy.read(twin, series.sequence),
                    loader.read(study, series.sequence),
                    "the same images elsewhere give another volume",
                    f"series {series.uid}",
                )
        (moved / "notes.txt").write_text("no image", encoding="utf-8")
        noted = loader.index(moved)
        assert noted.intake is not None
        assert twins.intake is not None
        _require(_identities(noted) == _identities(cohort), "a text file changes the studies")
        _require(
            (noted.intake.found, noted.intake.ignored)
            == (twins.intake.found + 1, twins.intake.ignored + 1),
            "a text file beside the images is not counted as ignored",
        )
        _check_refusals(loader, Path(temporary))


def _moved(files: Sequence[Path], folder: Path, target: Path, *, keep_names: bool) -> Path:
    """Copy files elsewhere, in an order that has nothing to do with theirs.

    Unless names are to be kept, all go into one folder, under numbers.
    """
    order = np.random.default_rng(0).permutation(len(files))
    for number in order.tolist():
        file = files[number]
        # A number of its own, far from that of its neighbours in the order of names.
        alone = f"{int(order[number]):06d}{''.join(file.suffixes[-1:])}"
        place = target / (file.relative_to(folder) if keep_names else alone)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return target


def _check_refusals(loader: ImageLoader, temporary: Path) -> None:
    for name, files in (("empty", ()), ("texts", ("a.txt", "b.csv"))):
        folder = temporary / name
        folder.mkdir()
        for file in files:
            (folder / file).write_text("no image", encoding="utf-8")
        _require_refusal(
            lambda folder=folder: loader.index(folder), f"a folder of {name}", NoImagesError
        )
    _require_refusal(lambda: loader.index(temporary / "nowhere"), "a path where nothing is")


def _require_refusal(act: object, what: str, kind: type[CervispineError] = CervispineError) -> None:
    assert callable(act)
    try:
        act()
    except kind:
        return
    except Exception as error:
        raise LoaderContractError(
            f"{what} is refused by a {type(error).__name__}, not by a {kind.__name__}"
        ) from error
    raise LoaderContractError(f"{what} is not refused")


def _require_equal(volume: Volume, expected: Volume, breach: str, where: str) -> None:
    _require(
        np.array_equal(volume.pixels, expected.pixels)
        and np.allclose(volume.affine, expected.affine, rtol=0, atol=1e-6),
        breach,
        where,
    )


def _require(holds: bool, breach: str, where: str = "") -> None:
    if not holds:
        raise LoaderContractError(breach, where=where)
