"""What reads with a fitted network: torch, or an engine that froze its weights."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import attrs
import torch
from torch import nn

from cervispine.classification.folding import reading_copy

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier
    from cervispine.preprocessing import Preprocessor

__all__ = ["ENGINES", "Engine", "engine_of", "probe_images", "torch_engine"]

logger = logging.getLogger("cervispine.inference")

#: What can be asked for; "auto" is an export where the folder has one that can be used.
ENGINES = ("auto", "torch", "onnxruntime")


@attrs.frozen(eq=False)
class Engine:
    """A network as it reads, and the weights it was made from.

    Parameters
    ----------
    network
        float32 (n, channels, rows, columns) to logits (n, 2).
    name
        Of the engine and what it did: "torch, packed".
    made_from
        Names the weights and how often they were changed.
    """

    network: nn.Module
    name: str
    made_from: tuple[tuple[int, int], ...]


def engine_of(classifier: Classifier) -> Engine:
    """Return what a fitted classifier reads with, made anew when its weights were changed."""
    kept: Engine | None = getattr(classifier, "engine_", None)
    if kept is None or kept.made_from != weights_now(classifier.module_):
        kept = torch_engine(classifier.module_, classifier.preprocessor_, classifier.device_)
        classifier.engine_ = kept
    return kept


def torch_engine(network: nn.Module, preprocessor: Preprocessor, device: torch.device) -> Engine:
    """Return a network as torch reads with it fastest, proved equal on a probe."""
    network.eval()
    made, how = reading_copy(network, probe_images(preprocessor).to(device))
    logger.debug("reading with torch, %s", how)
    return Engine(made, f"torch, {how}", weights_now(network))


def probe_images(preprocessor: Preprocessor) -> torch.Tensor:
    """Return two images of noise, of the shape and range that a preprocessor gives."""
    generator = torch.Generator().manual_seed(0)
    channels = len(preprocessor.sequences) * preprocessor.slices
    return torch.rand(2, channels, *preprocessor.size, generator=generator)


def weights_now(network: nn.Module) -> tuple[tuple[int, int], ...]:
    """Return which tensors a network holds and how often each was written to."""
    held = [*network.parameters(), *network.buffers()]
    # Tensors made in inference mode cannot be written to outside it, and are not counted.
    return tuple(
        (tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in held
    )
