"""How the slices of a study become one answer for the patient."""

from __future__ import annotations

import torch
from torch import nn

from cervispine.exceptions import UsageError

__all__ = ["POOLINGS", "PooledSlices", "check_pooling"]

POOLINGS = ("channels", "mean", "max")


def check_pooling(pooling: str) -> None:
    """Raise when a pooling is not one of those that exist."""
    if pooling not in POOLINGS:
        raise UsageError(f"pooling is one of {POOLINGS}, not {pooling!r}")


class PooledSlices(nn.Module):
    """Apply a network to each slice alone and pool its logits over the slices.

    Parameters
    ----------
    network
        Maps float32 (n, sequences, rows, columns) to logits (n, classes).
    slices
        How many slices a study has; the channels of a study are its sequences, each with its
        slices in order.
    pooling
        "mean" of the logits, or "max": of the slice whose evidence for the positive class over
        the negative one is greatest.
    """

    def __init__(self, network: nn.Module, *, slices: int, pooling: str) -> None:
        super().__init__()
        self.network = network
        self.slices = slices
        self.pooling = pooling

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 (n, sequences * slices, rows, columns) to logits (n, classes)."""
        studies, channels, rows, columns = images.shape
        sequences = channels // self.slices
        each = images.view(studies, sequences, self.slices, rows, columns).transpose(1, 2)
        logits: torch.Tensor = self.network(each.reshape(-1, sequences, rows, columns))
        logits = logits.view(studies, self.slices, -1)
        if self.pooling == "mean":
            return torch.mean(logits, dim=1)
        strongest = (logits[..., 1] - logits[..., 0]).argmax(dim=1)
        return logits[torch.arange(studies, device=logits.device), strongest]
