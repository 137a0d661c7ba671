"""How the slices of a study become one answer for the patient."""

from __future__ import annotations

import torch
from torch import nn

from cervispine.exceptions import UsageError

__all__ = ["FEATURES", "POOLINGS", "AttentionOverSlices", "PooledSlices", "check_pooling"]

POOLINGS = ("channels", "mean", "max", "attention")

#: How many numbers a network gives for each slice where attention weighs them.
FEATURES = 64


def check_pooling(pooling: str) -> None:
    """Raise when a pooling is not one of those that exist."""
    if pooling not in POOLINGS:
        raise UsageError(f"pooling is one of {POOLINGS}, not {pooling!r}")


def slice_by_slice(network: nn.Module, images: torch.Tensor, slices: int) -> torch.Tensor:
    """Apply a network to each slice alone.

    Parameters
    ----------
    network
        Maps float32 (n, sequences, rows, columns) to (n, outputs).
    images
        float32 (n, sequences * slices, rows, columns): the channels of a study are its sequences,
        each with its slices in order.
    slices
        How many slices a study has.

    Returns
    -------
    Tensor
        (n, slices, outputs).
    """
    outputs: torch.Tensor = network(slices_apart(images, slices))
    # Of several processes one may have no study of a batch, from which no size can be inferred.
    return outputs.view(images.shape[0], slices, outputs.shape[-1])


def slices_apart(images: torch.Tensor, slices: int) -> torch.Tensor:
    """Return the slices of studies as images of their own, their sequences as channels.

    Parameters
    ----------
    images, slices
        As for :func:`slice_by_slice`.

    Returns
    -------
    Tensor
        float32 (n * slices, sequences, rows, columns).
    """
    studies, channels, rows, columns = images.shape
    sequences = channels // slices
    each = images.view(studies, sequences, slices, rows, columns).transpose(1, 2)
    return each.reshape(studies * slices, sequences, rows, columns)


class PooledSlices(nn.Module):
    """Apply a network to each slice alone and pool its logits over the slices.

    Parameters
    ----------
    network
        Maps float32 (n, sequences, rows, columns) to logits (n, 2).
    slices
        How many slices a study has.
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
        """Map float32 (n, sequences * slices, rows, columns) to logits (n, 2)."""
        logits = slice_by_slice(self.network, images, self.slices)
        if self.pooling == "mean":
            return torch.mean(logits, dim=1)
        strongest = (logits[..., 1] - logits[..., 0]).argmax(dim=1)
        return torch.gather(logits, 1, strongest[:, None, None].expand(-1, 1, 2)).squeeze(1)


class AttentionOverSlices(nn.Module):
    """Weigh the features of the slices by how much each says, then classify their sum.

    The gated attention of Ilse, Tomczak and Welling 2018 (ICML, PMLR 80:2127), section 2.4.

    Parameters
    ----------
    network
        Maps float32 (n, sequences, rows, columns) to features (n, `FEATURES`).
    slices
        How many slices a study has.
    """

    def __init__(self, network: nn.Module, *, slices: int) -> None:
        super().__init__()
        self.network = network
        self.slices = slices
        self.content = nn.Linear(FEATURES, FEATURES // 2)
        self.gate = nn.Linear(FEATURES, FEATURES // 2)
        self.score = nn.Linear(FEATURES // 2, 1)
        self.classify = nn.Linear(FEATURES, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 (n, sequences * slices, rows, columns) to logits (n, 2)."""
        features = slice_by_slice(self.network, images, self.slices)
        logits: torch.Tensor = self.classify((self.weigh(features) * features).sum(dim=1))
        return logits

    def weigh(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (n, slices, `FEATURES`) to weights (n, slices, 1) that sum to 1."""
        gated = torch.tanh(self.content(features)) * torch.sigmoid(self.gate(features))
        scores: torch.Tensor = self.score(gated)
        return torch.softmax(scores, dim=1)
