"""The contract of a backbone, run at length: what `check_backbone` tries and refuses."""

from __future__ import annotations

import io
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from cervispine.backbones import Backbone, Build, find_backbone, load_backbone
from cervispine.backbones.contract import call_build, check_logits, check_module
from cervispine.exceptions import BackboneContractError

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["check_backbone"]

#: Rows and columns tried: the smallest allowed, one that is not square, and the usual one.
SIZES = ((64, 64), (96, 128), (224, 224))

#: Channels and classes tried.
SHAPES = ((1, 2), (3, 3), (6, 2))


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
