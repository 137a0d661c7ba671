from __future__ import annotations

import pytest
import torch
from torch import nn

from cervispine.classification.pooling import PooledSlices, check_pooling
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


def test_unknown_pooling_is_refused() -> None:
    with pytest.raises(UsageError, match="attention"):
        check_pooling("attention")
