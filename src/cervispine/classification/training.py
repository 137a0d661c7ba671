"""The loop: epochs, validation, early stopping, checkpoints."""

from __future__ import annotations

import io
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from cervispine.classification.calibration import positive_probability
from cervispine.exceptions import TrainingError
from cervispine.progress import Report
from cervispine.records.files import write_bytes

__all__ = ["Images", "Recipe", "Trained", "margins_of", "train"]

logger = logging.getLogger("cervispine.training")

CHECKPOINT = "checkpoint.pt"

#: An epoch that ends within so many seconds of the last checkpoint writes none: with small images
#: a checkpoint of hundreds of megabytes would take a good part of the epoch.
CHECKPOINT_SECONDS = 60.0

#: Share of the steps in which the learning rate climbs to its height.
WARM_UP = 0.1

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@attrs.frozen(kw_only=True)
class Recipe:
    """How to train. The meanings are those of :class:`~cervispine.Classifier`."""

    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    patience: int
    class_weight: str | None
    device: torch.device
    precision: torch.dtype
    seed: int


@attrs.frozen(eq=False)
class Images:
    """Preprocessed studies: float32 (n, channels, rows, columns) and 0/1 truth (n,)."""

    pixels: torch.Tensor
    truth: NDArray[np.int64]


@attrs.frozen(eq=False)
class Trained:
    """What training leaves: the history of every epoch and which of them was kept."""

    history: tuple[dict[str, float], ...]
    best_epoch: int


def train(
    network: nn.Module,
    training: Images,
    validation: Images,
    recipe: Recipe,
    *,
    augment: Augment | None,
    report: Report,
    run_dir: Path | None = None,
    resume: bool = False,
    fingerprint: str = "",
) -> Trained:
    """Train a network in place and leave it with the weights of its best epoch.

    The best epoch is the one of least validation log loss. Everything random is drawn from
    (seed, epoch), so a run that was interrupted continues as if it had not been.

    Parameters
    ----------
    network
        Maps (n, channels, rows, columns) to logits (n, 2).
    training, validation
        Disjoint parts.
    recipe
        How to train.
    augment
        Changes a batch of training images, given a generator; None for no augmentation.
    report
        Told of each epoch.
    run_dir
        Where to keep a checkpoint, written at the end of an epoch at most once a minute; None
        for none.
    resume
        Continue from the checkpoint in ``run_dir``.
    fingerprint
        Hash of configuration and data, which a resumed run must share.

    Raises
    ------
    TrainingError
        ``LOSS_NOT_FINITE``, ``RESUME_NOTHING`` or ``RESUME_MISMATCH``.
    """
    network.to(recipe.device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        # One pass over the weights instead of several: a twentieth of an epoch on a CPU.
        fused=recipe.device.type in ("cpu", "cuda"),
    )
    state = _State(network, optimizer, fingerprint)
    if resume:
        state.restore(run_dir)
    saved = time.monotonic()
    while not state.finished(recipe):
        epoch = len(state.history)
        training_loss = _run_epoch(network, optimizer, training, recipe, epoch, augment)
        margins = margins_of(network, validation.pixels, recipe.device, recipe.batch_size)
        record = {"epoch": epoch, "training_loss": training_loss} | _score(validation, margins)
        state.add(record)
        logger.info(
            "epoch %d of %d: training loss %.4f, validation loss %.4f, validation AUC %.3f",
            epoch + 1, recipe.epochs, training_loss, record["loss"], record["auc"],
        )  # fmt: skip
        if run_dir is not None and time.monotonic() - saved >= CHECKPOINT_SECONDS:
            state.save(run_dir)
            saved = time.monotonic()
        report(epoch + 1, recipe.epochs)
    network.load_state_dict(state.best_weights)
    network.eval()
    return Trained(tuple(state.history), state.best_epoch)


@torch.inference_mode()
def margins_of(
    network: nn.Module, pixels: torch.Tensor, device: torch.device, batch_size: int
) -> NDArray[np.float64]:
    """Return float64 (n,): logit of the positive class minus the negative one, in float32."""
    network.eval()
    parts = [
        network(batch.to(device, memory_format=torch.channels_last)).float().cpu()
        for batch in torch.split(pixels, batch_size)
    ]
    logits = torch.cat(parts).double().numpy()
    return np.asarray(logits[:, 1] - logits[:, 0], dtype=np.float64)


def _run_epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    training: Images,
    recipe: Recipe,
    epoch: int,
    augment: Augment | None,
) -> float:
    generator = torch.Generator().manual_seed(_epoch_seed(recipe.seed, epoch))
    truth = torch.from_numpy(training.truth)
    weight = _class_weights(training.truth, recipe).to(recipe.device)
    batches = _batches(torch.randperm(len(truth), generator=generator), recipe.batch_size)
    network.train()
    total = 0.0
    # Networks that drop units draw from torch's global generator, which others own.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_epoch_seed(recipe.seed, epoch))
        for step, indices in enumerate(batches):
            progress = (epoch * len(batches) + step) / (recipe.epochs * len(batches))
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * _schedule(progress)
            images = training.pixels[indices]
            if augment is not None:
                images = augment(images, generator)
            images = images.to(recipe.device, memory_format=torch.channels_last)
            with torch.autocast(
                recipe.device.type,
                dtype=recipe.precision,
                enabled=recipe.precision != torch.float32,
            ):
                logits = network(images)
            loss = functional.cross_entropy(
                logits.float(), truth[indices].to(recipe.device), weight=weight
            )
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the training loss is not finite in epoch {epoch + 1}",
                    advice="lower the learning rate, or train with precision='float32'",
                    code="LOSS_NOT_FINITE",
                )
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            total += float(loss.detach()) * len(indices)
    return total / len(truth)


def _epoch_seed(seed: int, epoch: int) -> int:
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1)


def _batches(order: torch.Tensor, size: int) -> list[torch.Tensor]:
    batches = list(torch.split(order, size))
    # Batch normalisation cannot train on one image, so a last one alone joins its neighbours.
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _class_weights(truth: NDArray[np.int64], recipe: Recipe) -> torch.Tensor:
    if recipe.class_weight is None:
        return torch.ones(2)
    counts = np.bincount(truth, minlength=2)
    return torch.tensor(len(truth) / (2 * counts), dtype=torch.float32)


def _schedule(progress: float) -> float:
    """Return the share of the full learning rate: a linear climb, then half a cosine down."""
    if progress < WARM_UP:
        return (progress + 1e-3) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def _score(validation: Images, margins: NDArray[np.float64]) -> dict[str, float]:
    from sklearn.metrics import log_loss, roc_auc_score

    probabilities = positive_probability(margins)
    return {
        "loss": float(log_loss(validation.truth, probabilities, labels=[0, 1])),
        "auc": float(roc_auc_score(validation.truth, margins)),
    }


class _State:
    """Everything that a resumed run needs, and nothing else."""

    def __init__(
        self, network: nn.Module, optimizer: torch.optim.Optimizer, fingerprint: str
    ) -> None:
        self.network = network
        self.optimizer = optimizer
        self.fingerprint = fingerprint
        self.history: list[dict[str, float]] = []
        self.best_epoch = -1
        self.best_weights: dict[str, Any] = {}

    def finished(self, recipe: Recipe) -> bool:
        done = len(self.history)
        return done >= recipe.epochs or (done > 0 and done - 1 - self.best_epoch >= recipe.patience)

    def add(self, record: dict[str, float]) -> None:
        self.history.append(record)
        if self.best_epoch < 0 or record["loss"] < self.history[self.best_epoch]["loss"]:
            self.best_epoch = len(self.history) - 1
            self.best_weights = {
                name: value.detach().cpu().clone()
                for name, value in self.network.state_dict().items()
            }

    def save(self, run_dir: Path) -> None:
        buffer = io.BytesIO()
        torch.save(
            {
                "fingerprint": self.fingerprint,
                "history": self.history,
                "best_epoch": self.best_epoch,
                "best_weights": self.best_weights,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
            },
            buffer,
        )
        write_bytes(run_dir / CHECKPOINT, buffer.getvalue())

    def restore(self, run_dir: Path | None) -> None:
        path = None if run_dir is None else run_dir / CHECKPOINT
        if path is None or not path.is_file():
            raise TrainingError(
                "there is no checkpoint to resume from",
                where=str(run_dir),
                advice="start without resume, or give the folder of the run that was interrupted",
                code="RESUME_NOTHING",
            )
        # A checkpoint is our own file of this run; even so nothing but tensors is unpickled.
        saved = torch.load(path, map_location="cpu", weights_only=True)
        if saved["fingerprint"] != self.fingerprint:
            raise TrainingError(
                "the checkpoint was made with another configuration or other data",
                where=str(path),
                advice="resume with the same parameters and data, or train in a new folder",
                code="RESUME_MISMATCH",
            )
        self.history = saved["history"]
        self.best_epoch = saved["best_epoch"]
        self.best_weights = saved["best_weights"]
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
