"""What the author of a plug-in runs: `check_backbone` and `check_loader`.

Each runs the whole contract and raises at the first breach, so that a plug-in's own test is
one line::

    def test_contract():
        cervispine.testing.check_backbone("convnext_tiny")
"""

from __future__ import annotations

import io
import pickle
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from cervispine.backbones import Backbone, Build, find_backbone, load_backbone
from cervispine.backbones.contract import call_build, check_logits, check_module
from cervispine.exceptions import BackboneContractError, LoadError
from cervispine.records import Cohort, Study, Volume

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["FolderLoader", "check_backbone", "check_loader"]

#: Rows and columns tried: the smallest allowed, one that is not square, and the usual one.
SIZES = ((64, 64), (96, 128), (224, 224))

#: Channels and classes tried.
SHAPES = ((1, 2), (3, 3), (6, 2))


class FolderLoader(Protocol):
    """What a loader offers: `cervispine.Loader` does, and so must a plug-in."""

    def index(self, path: Path) -> Cohort:
        """Return the studies of a folder, from headers alone."""
        ...

    def read(self, study: Study, sequence: str) -> Volume:
        """Return the pixels of one sequence of a study."""
        ...


def check_backbone(
    backbone: str | Build | Backbone, *, sizes: Sequence[tuple[int, int]] = SIZES
) -> None:
    """Run the whole contract of a backbone, without pretrained weights.

    For 1, 3 and 6 channels and 2 and 3 classes: building touches no global state and does not
    seed; the module maps every size to finite float32 logits of shape ``(n, num_classes)``, for
    one image and for three; the same images give the same logits in evaluation mode; gradients
    reach the input and are finite; state and pickle come back equal.

    Parameters
    ----------
    backbone
        The name of an installed backbone, a bare build callable, or a `Backbone`.
    sizes
        Rows and columns to try, each at least 64.

    Raises
    ------
    BackboneNotFoundError, BackboneLoadError
        When it cannot be found, imported or built.
    BackboneContractError
        At the first breach, saying what was expected and what came.
    """
    if isinstance(backbone, str):
        where = str(find_backbone(backbone))
        build = load_backbone(backbone).build
    else:
        build = backbone.build if isinstance(backbone, Backbone) else backbone
        where = f"backbone {build!r}"
    for in_channels, num_classes in SHAPES:
        with _global_state_kept(where):
            module = _build(build, in_channels, num_classes, where)
            for size in sizes:
                _check_images(module, in_channels, num_classes, size, where)
            _check_gradients(module, in_channels, num_classes, sizes[0], where)
        _check_copies(module, build, in_channels, num_classes, sizes[0], where)


def _build(build: Build, in_channels: int, num_classes: int, where: str) -> nn.Module:
    """Build twice from different seeds: a build that seeds ends in the same state both times."""
    import torch

    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        module = call_build(build, in_channels=in_channels, num_classes=num_classes, where=where)
        states.append(torch.get_rng_state())
    if torch.equal(*states):
        raise BackboneContractError(
            "build seeds torch's global random generator; its weights must come from the "
            "generator as the caller seeded it",
            where=where,
        )
    return check_module(
        module, in_channels=in_channels, num_classes=num_classes, size=(64, 64), where=where
    )


def _images(count: int, channels: int, size: tuple[int, int]) -> Tensor:
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, channels, *size, generator=generator)


def _check_images(
    module: nn.Module, in_channels: int, num_classes: int, size: tuple[int, int], where: str
) -> None:
    import torch

    module.eval()
    with torch.no_grad():
        for count in (1, 3):
            images = _images(count, in_channels, size)
            first, second = (
                check_logits(module, images, num_classes=num_classes, where=where) for _ in range(2)
            )
            if not torch.equal(first, second):
                raise BackboneContractError(
                    f"in evaluation mode the same {tuple(images.shape)} input gave two outputs",
                    where=where,
                )


def _check_gradients(
    module: nn.Module, in_channels: int, num_classes: int, size: tuple[int, int], where: str
) -> None:
    import torch

    module.train()
    images = _images(3, in_channels, size).requires_grad_()
    logits = check_logits(module, images, num_classes=num_classes, where=where)
    # A weighted sum: the plain sum of logits has no gradient behind some normalisations.
    weights = torch.linspace(1, 2, logits.numel()).reshape(logits.shape)
    gradient = (
        torch.autograd.grad((logits * weights).sum(), images, allow_unused=True)[0]
        if logits.requires_grad
        else None
    )
    if gradient is None or not gradient.any():
        raise BackboneContractError("no gradient reaches the input", where=where)
    if not torch.isfinite(gradient).all():
        raise BackboneContractError("the gradient at the input is not finite", where=where)


def _check_copies(
    module: nn.Module,
    build: Build,
    in_channels: int,
    num_classes: int,
    size: tuple[int, int],
    where: str,
) -> None:
    import torch

    images = _images(2, in_channels, size)
    with torch.no_grad(), torch.random.fork_rng(devices=()):
        expected = module.eval()(images)
        rebuilt = build(in_channels=in_channels, num_classes=num_classes, pretrained=False)
        buffer = io.BytesIO()
        torch.save(module.state_dict(), buffer)
        buffer.seek(0)
        try:
            rebuilt.load_state_dict(torch.load(buffer, weights_only=True))
        except Exception as error:
            raise BackboneContractError(
                f"the state of one module does not load into another: {error}", where=where
            ) from error
        try:
            unpickled = pickle.loads(pickle.dumps(module))  # noqa: S301  what was just pickled
        except Exception as error:
            raise BackboneContractError(
                f"the module cannot be pickled: {type(error).__name__}: {error}", where=where
            ) from error
        for name, copy in (("loading its state", rebuilt), ("pickling", unpickled)):
            if not torch.equal(copy.eval()(images), expected):
                raise BackboneContractError(
                    f"after {name} the module gives other logits", where=where
                )


@contextmanager
def _global_state_kept(where: str) -> Iterator[None]:
    """Raise when the block changes what belongs to the whole process; put the seeds back."""
    import torch

    watched: dict[str, Callable[[], object]] = {
        "Python's random generator": random.getstate,
        "NumPy's random generator": lambda: repr(np.random.get_state()),  # noqa: NPY002
        "torch's default dtype": torch.get_default_dtype,
        "torch's default device": torch.get_default_device,
        "torch's gradient mode": torch.is_grad_enabled,
        "torch's number of threads": torch.get_num_threads,
        "torch's deterministic mode": torch.are_deterministic_algorithms_enabled,
    }
    before = {name: read() for name, read in watched.items()}
    with torch.random.fork_rng(devices=()):
        yield
    for name, read in watched.items():
        if read() != before[name]:
            raise BackboneContractError(
                f"building or running the module changes {name}", where=where
            )


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
