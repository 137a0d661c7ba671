from __future__ import annotations

import pytest
import torch
from torch import nn

from cervispine.classification.pooling import (
    FEATURES,
    AttentionOverSlices,
    PooledSlices,
    check_pooling,
    slice_by_slice,
)
from cervispine.exceptions import UsageError


class Brightness(nn.Module):
    """Logits (0, sum over sequences of weight x mean), so that pooling can be read off."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        means = images.mean(dim=(2, 3))
        evidence = means @ torch.tensor([1.0, 10.0])
        return torch.stack([torch.zeros_like(evidence), evidence], dim=1)


@pytest.mark.parametrize(("pooling", "expected"), [("mean", 22.0), ("max", 33.0)])
def test_each_slice_meets_its_own_sequences(pooling: str, expected: float) -> None:
    # Two sequences of three slices: T2 slices 1, 2, 3 and T1 slices 1, 2, 3.
    values = torch.tensor([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
    study = values.view(1, 6, 1, 1).expand(1, 6, 8, 8)
    logits = PooledSlices(Brightness(), slices=3, pooling=pooling)(study)  # type: ignore[arg-type]
    assert logits.shape == (1, 2)
    assert float(logits[0, 1]) == pytest.approx(expected)


@pytest.mark.parametrize("pooling", ["mean", "max", "attention"])
def test_no_study_gives_no_answer(pooling: str) -> None:
    # A process of several gets none of a small batch, and still takes part in it.
    none = torch.empty(0, 6, 8, 8)
    network = (
        AttentionOverSlices(Features(), slices=3)
        if pooling == "attention"
        else PooledSlices(Brightness(), slices=3, pooling=pooling)
    )
    assert network(none).shape == (0, 2)


def test_unknown_pooling_is_refused() -> None:
    with pytest.raises(UsageError, match="attention"):
        check_pooling("median")


class Features(nn.Module):
    """The mean of the first sequence, repeated: features of which each slice has its own."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(1, 2, 3))[:, None].expand(-1, FEATURES).contiguous()


def attention() -> AttentionOverSlices:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AttentionOverSlices(Features(), slices=3)


def test_attention_weighs_slices_whatever_their_order() -> None:
    module = attention()
    studies = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    logits = module(studies)
    assert logits.shape == (4, 2)
    torch.testing.assert_close(module(studies[:, [2, 0, 1]]), logits)
    weights = module.weigh(torch.randn(4, 3, FEATURES))
    assert weights.shape == (4, 3, 1)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(4, 1))
    # Alike slices are weighed alike, so a study of one slice three times is that slice.
    alike = studies[:, :1].expand(-1, 3, -1, -1)
    features = module.network(studies[:, :1])
    torch.testing.assert_close(module(alike), module.classify(features))


def test_attention_learns_to_heed_the_slice_that_tells() -> None:
    generator = torch.Generator().manual_seed(3)
    studies = 0.1 * torch.randn(64, 3, 8, 8, generator=generator)
    truth = torch.arange(64) % 2
    studies[torch.arange(64), torch.randint(0, 3, (64,), generator=generator)] += (
        3.0 * truth[:, None, None]
    )
    module = attention()
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(module(studies), truth)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    assert float((module(studies).argmax(dim=1) == truth).float().mean()) > 0.95
    features = slice_by_slice(module.network, studies[truth == 1], 3)
    heeded = module.weigh(features)[..., 0].argmax(dim=1)
    # By chance it would be one slice in three.
    assert float((heeded == features[..., 0].argmax(dim=1)).float().mean()) > 0.6
