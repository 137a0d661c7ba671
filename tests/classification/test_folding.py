"""A network that only reads: faster, and never another one."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cervispine.classification import folding
from cervispine.classification.folding import TOLERANCE, largest_difference, reading_copy
from cervispine.classification.pooling import AttentionOverSlices, PooledSlices


def settled(network: nn.Module, channels: int) -> nn.Module:
    """Give batch normalisation statistics that folding must keep."""
    generator = torch.Generator().manual_seed(1)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(torch.rand(4, channels, 32, 32, generator=generator))
    return network.eval()


class Residual(nn.Module):
    """Every pattern that is fused, and some that must not be."""

    def __init__(self, channels: int = 2, outputs: int = 2) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv2d(channels, 8, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)
        self.first = nn.Conv2d(8, 8, 3, padding="same")
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.second_norm = nn.BatchNorm2d(8)
        self.third = nn.Conv2d(8, 8, 3, dilation=2, padding=2)
        self.wrapped = nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular")
        self.narrow = nn.Conv2d(8, 1, 1)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, outputs)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        start = self.relu(self.norm(self.stem(images)))
        branch = self.second_norm(self.second(torch.relu(self.first(start))))
        branch += start
        joined = self.relu(branch)
        # Added without a ReLU, added by broadcasting, used twice.
        joined = joined + self.wrapped(joined)
        joined = torch.relu(self.narrow(joined) + joined)
        twice = self.third(joined)
        return self.head((torch.relu(twice) + twice).mean((2, 3)))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_reads_as_the_network_does_whatever_the_batch(count: int) -> None:
    network = settled(Residual(), 2)
    probe = torch.rand(2, 2, 32, 32)
    with torch.no_grad():
        made, how = reading_copy(network, probe)
        images = torch.rand(count, 2, 32, 32, generator=torch.Generator().manual_seed(count))
        assert largest_difference(made, network(images), images) < 1e-6
    assert how == ("packed" if torch.backends.mkldnn.is_available() else "folded")
    assert not any(isinstance(module, nn.BatchNorm2d) for module in made.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("sequences", [1, 2])
@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_the_backbone_within_a_pooling_is_rewritten(
    pooling: str, sequences: int, capsys: pytest.CaptureFixture[str]
) -> None:
    inner = Residual(sequences, 64 if pooling == "attention" else 2)
    network: nn.Module = (
        AttentionOverSlices(inner, slices=3)
        if pooling == "attention"
        else PooledSlices(inner, slices=3, pooling=pooling)
    )
    settled(network, 3 * sequences)
    images = torch.rand(3, 3 * sequences, 32, 32)
    with torch.no_grad():
        made, how = reading_copy(network, images[:2])
        assert largest_difference(made, network(images), images) < 1e-6
    assert how == ("packed" if torch.backends.mkldnn.is_available() else "folded")
    assert capsys.readouterr().err == ""
    assert type(made) is type(network)


class Branching(Residual):
    """Cannot be traced."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images if images.mean() > 0 else -images)


def test_what_cannot_be_traced_is_taken_as_it_is() -> None:
    network = settled(Branching(), 2)
    assert reading_copy(network, torch.rand(2, 2, 32, 32)) == (network, "plain")


class Sharing(Residual):
    """Uses one convolution with batch normalisation after it, and without."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        start = self.stem(images)
        branch = self.second_norm(self.second(start))
        return self.head(torch.relu(branch + self.second(start)).mean((2, 3)))


def test_a_convolution_used_twice_is_not_believed_to_be_folded() -> None:
    network = settled(Sharing(), 2)
    assert reading_copy(network, torch.rand(2, 2, 32, 32)) == (network, "plain")


def test_a_copy_that_answers_otherwise_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    network = settled(Residual(), 2)

    def shifted(network: nn.Module, _images: torch.Tensor) -> nn.Module:
        made = folding.fuse(network)
        with torch.no_grad():
            made.head.bias[0] += 1e-3
        return made

    monkeypatch.setattr(folding, "_packed", shifted)
    monkeypatch.setattr(folding, "_folded", shifted)
    assert reading_copy(network, torch.rand(2, 2, 32, 32)) == (network, "plain")


def test_a_copy_that_answers_nan_is_not_taken() -> None:
    probe = torch.rand(2, 2, 32, 32)
    difference = largest_difference(
        lambda images: torch.full((len(images), 2), torch.nan), torch.zeros(2, 2), probe
    )
    assert difference > TOLERANCE
