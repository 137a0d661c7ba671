"""What authors of backbones run: every installed one passes, every breach is caught."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cervispine.backbones import Backbone, list_backbones
from cervispine.exceptions import BackboneContractError, BackboneLoadError
from cervispine.testing import check_backbone

SMALL = ((64, 64),)


@pytest.mark.parametrize("name", [backbone.qualified_name for backbone in list_backbones()])
def test_every_installed_backbone_passes_at_the_smallest_size(name: str) -> None:
    check_backbone(name, sizes=SMALL)


@pytest.mark.slow
def test_resnet34_passes_at_every_size() -> None:
    check_backbone("resnet34")


class Network(nn.Module):
    """A network that keeps the contract, for others to break."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Conv2d(in_channels, 4, kernel_size=3)
        self.head = nn.Linear(4, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).amax(dim=(2, 3)))


class Random(Network):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + torch.rand(1)


class Detached(Network):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.detach())


class OneSize(Network):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.head = nn.Linear(62 * 62 * 4, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images).flatten(1))


class Squeezed(Network):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).squeeze()


class Double(Network):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).double()


class Listed(Network):
    def forward(self, images: Tensor) -> list[Tensor]:
        return [super().forward(images)]


class Unpicklable(Network):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.activation = lambda features: features


class HiddenState(Network):
    """Keeps a weight outside its state."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        self.scale = float(torch.rand(1)) + 1

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.scale


class ChangingState(Network):
    """Gives its weights new names each time."""

    made = 0

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__(in_channels, num_classes)
        type(self).made += 1
        self.register_buffer(f"buffer_{self.made}", torch.zeros(1))


class Infinite(Network):
    """Finite logits with an infinite slope."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + (images * 0).mean().abs().sqrt()


class SeedsPython(Network):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        random.seed(0)
        super().__init__(in_channels, num_classes)


class SeedsNumPy(Network):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        np.random.seed(0)  # noqa: NPY002  the global one is meant
        super().__init__(in_channels, num_classes)


class SeedsTorch(Network):
    def __init__(self, in_channels: int, num_classes: int) -> None:
        torch.manual_seed(0)
        super().__init__(in_channels, num_classes)


def build_of(network: type[Network]) -> Callable[..., nn.Module]:
    def build(*, in_channels: int, num_classes: int, pretrained: bool = False) -> nn.Module:
        return network(in_channels, num_classes)

    return build


def test_a_callable_and_a_backbone_are_checked_as_well_as_a_name() -> None:
    check_backbone(build_of(Network))
    check_backbone(Backbone(build_of(Network)))


@pytest.mark.parametrize(
    ("network", "breach"),
    [
        (Random, "the same .* input gave two outputs"),
        (Detached, "no gradient reaches the input"),
        (Infinite, "the gradient at the input is not finite"),
        (OneSize, r"the module failed for a \(1, 1, 96, 128\) input: RuntimeError"),
        (Squeezed, r"expected output of shape \(1, 2\) for a \(1, 1, 64, 64\) input, got \(2,\)"),
        (Double, r"expected float32 logits .*, got torch\.float64"),
        (Listed, "expected a tensor of logits .*, got a list"),
        (Unpicklable, "the module cannot be pickled"),
        (HiddenState, "after loading its state the module gives other logits"),
        (ChangingState, "the state of one module does not load into another"),
        (SeedsPython, "changes Python's random generator"),
        (SeedsNumPy, "changes NumPy's random generator"),
        (SeedsTorch, "build seeds torch's global random generator"),
    ],
)
def test_each_breach_is_caught(network: type[Network], breach: str) -> None:
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  the global one is meant
    try:
        with pytest.raises(BackboneContractError, match=breach):
            check_backbone(build_of(network))
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002  the global one is meant


def test_a_build_without_the_keywords_is_refused() -> None:
    with pytest.raises(BackboneLoadError, match="TypeError"):
        check_backbone(lambda channels: Network(channels, 2))


def test_checking_leaves_torchs_generator_as_it_was() -> None:
    before = torch.get_rng_state()
    check_backbone(build_of(Network), sizes=SMALL)
    assert torch.equal(torch.get_rng_state(), before)
