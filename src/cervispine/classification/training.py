"""The loop: epochs, validation, early stopping, checkpoints."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from cervispine.classification.calibration import (
    class_weights,
    offset_of,
    positive_probability,
)
from cervispine.classification.distributed import World, current_world
from cervispine.classification.interruption import Interruption
from cervispine.classification.state import TrainingState
from cervispine.classification.weights import train_mode
from cervispine.exceptions import TrainingError
from cervispine.preprocessing.cache import StoredPixels
from cervispine.progress import Report

__all__ = [
    "Epoch",
    "Images",
    "OnEpoch",
    "Recipe",
    "Trained",
    "loss_of",
    "margins_of",
    "optimizer_of",
    "run_epoch",
    "train",
]

logger = logging.getLogger("cervispine.training")

#: Share of the steps in which the learning rate climbs to its height.
WARM_UP = 0.1


class Changes(Protocol):
    """What chance changes in the training images of one epoch."""

    def apply(self, batch: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Change some of the images, told by their indices."""
        ...


#: Draws the changes of so many images.
Augment = Callable[[int, torch.Generator], Changes]


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
    """Some of the preprocessed studies, and their truth.

    Parameters
    ----------
    pixels
        float32 (studies, channels, rows, columns), in memory or on the disk.
    truth
        (n,) 0 or 1.
    rows
        int64 (n,): which studies these are; None for all of them.
    """

    pixels: torch.Tensor | StoredPixels
    truth: NDArray[np.int64]
    rows: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.truth)

    def __getitem__(self, indices: torch.Tensor) -> torch.Tensor:
        """Return pixels by their numbers among these studies."""
        return self.pixels[indices if self.rows is None else self.rows[indices]]


@attrs.frozen(kw_only=True)
class Epoch:
    """What is told of an epoch that is done.

    Parameters
    ----------
    epoch, epochs
        Which one, counted from 1, and how many there are to be at most.
    training_loss, loss, auc
        Mean loss of the training images as they were met; log loss and AUC of the validation part.
    learning_rate
        Of its last step.
    seconds
        That it took, validation among them.
    images_per_second
        Studies trained on in a second, validation apart; of an epoch that was resumed, those since.
    """

    epoch: int
    epochs: int
    training_loss: float
    loss: float
    auc: float
    learning_rate: float
    seconds: float
    images_per_second: float


#: Called with each epoch that is done.
OnEpoch = Callable[[Epoch], object]


@attrs.frozen(eq=False)
class Trained:
    """What training leaves: the history of every epoch, which was kept, what its margins lack."""

    history: tuple[dict[str, float], ...]
    best_epoch: int
    offset: float


def train(
    network: nn.Module,
    training: Images,
    validation: Images,
    recipe: Recipe,
    *,
    augment: Augment | None,
    report: Report,
    on_epoch: OnEpoch | None = None,
    run_dir: Path | None = None,
    resume: bool = False,
    fingerprint: str = "",
) -> Trained:
    """Train a network in place and leave it with the weights of its best epoch.

    The best epoch is the one of least validation log loss, of margins with their offset.
    Everything random is drawn from (seed, epoch) for each image, or from (seed, epoch, step), so a
    run that was interrupted continues as if it had not been: on a CPU to the same bytes.

    Parameters
    ----------
    network
        Maps (n, channels, rows, columns) to logits (n, 2).
    training, validation
        Disjoint parts.
    recipe
        How to train.
    augment
        Draws the changes of an epoch's images, given a generator; None for no augmentation.
    report
        Told of how many epochs are done.
    on_epoch
        Told of each epoch; what it raises ends the training.
    run_dir
        Where to keep checkpoints, written once a minute and when a signal ends the training;
        None for none.
    resume
        Continue from the newest whole checkpoint in ``run_dir``.
    fingerprint
        Hash of configuration and data, which a resumed run must share.

    Raises
    ------
    TrainingError
        ``LOSS_NOT_FINITE``, ``RESUME_NOTHING`` or ``RESUME_MISMATCH``.
    ResourceError
        A checkpoint cannot be written; those before it are kept.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM, at the end of the step, with a checkpoint written.
    """
    network.to(recipe.device).to(memory_format=torch.channels_last)
    world = current_world()
    state = TrainingState(network, optimizer_of(network, recipe), fingerprint, run_dir)
    world.refuse_difference(fingerprint)
    if resume:
        state.restore()
    steps = len(_batches(torch.arange(len(training)), recipe.batch_size))
    offset = offset_of(class_weights(training.truth, recipe.class_weight))
    with Interruption() as interruption, world.together(network, recipe.device) as joint:
        state.joint = joint
        while not state.finished(epochs=recipe.epochs, patience=recipe.patience):
            start, first = time.monotonic(), state.step
            run_epoch(state, training, recipe, augment, interruption)
            trained = time.monotonic()
            margins = world.gather(
                margins_of(network, _share(validation, world), recipe.device, recipe.batch_size)
            )
            if not np.isfinite(margins).all():
                raise _not_finite("answers to the validation part are", state.epoch)
            rate = _rate(recipe, state.epoch, steps - 1, steps)
            scores = {**_score(validation, margins + offset), "learning_rate": rate}
            record = state.end_epoch(len(training), scores)
            logger.info(
                "epoch %d of %d: training loss %.4f, validation loss %.4f, validation AUC %.3f",
                state.epoch, recipe.epochs, record["training_loss"], record["loss"], record["auc"],
            )  # fmt: skip
            report(state.epoch, recipe.epochs)
            if on_epoch is not None and world.first:
                images = len(training) - first * recipe.batch_size
                told = {name: value for name, value in record.items() if name != "epoch"}
                on_epoch(
                    Epoch(
                        epoch=state.epoch,
                        epochs=recipe.epochs,
                        seconds=time.monotonic() - start,
                        images_per_second=images / max(trained - start, 1e-9),
                        **told,
                    )
                )
            state.keep(ending=any(world.sums([interruption.requested])))
    network.load_state_dict(state.best_weights)
    network.eval()
    return Trained(tuple(state.history), state.best_epoch, offset)


@torch.inference_mode()
def margins_of(
    network: nn.Module, pixels: torch.Tensor | Images, device: torch.device, batch_size: int
) -> NDArray[np.float64]:
    """Return float64 (n,): logit of the positive class minus the negative one, in float32."""
    network.eval()
    if not len(pixels):
        return np.empty(0)
    parts = [
        network(pixels[batch].to(device, memory_format=torch.channels_last)).float().cpu()
        for batch in torch.split(torch.arange(len(pixels)), batch_size)
    ]
    logits = torch.cat(parts).double().numpy()
    return np.asarray(logits[:, 1] - logits[:, 0], dtype=np.float64)


def optimizer_of(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Return AdamW over the weights of a network."""
    return torch.optim.AdamW(
        network.parameters(),
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        # One pass over the weights instead of several: a twentieth of an epoch on a CPU.
        fused=recipe.device.type in ("cpu", "cuda"),
    )


def run_epoch(
    state: TrainingState,
    training: Images,
    recipe: Recipe,
    augment: Augment | None,
    interruption: Interruption,
) -> None:
    """Take the steps of the epoch that the state stands in, from the step it stands at."""
    epoch = state.epoch
    generator = torch.Generator().manual_seed(_seed_of(recipe.seed, epoch))
    truth = torch.from_numpy(training.truth)
    weights = class_weights(training.truth, recipe.class_weight)
    weight = torch.tensor(weights, dtype=torch.float32, device=recipe.device)
    batches = _batches(torch.randperm(len(truth), generator=generator), recipe.batch_size)
    changes = None if augment is None else augment(len(truth), generator)
    world = current_world()
    # The first process draws what it draws alone.
    others = (world.rank,) if world.rank else ()
    train_mode(state.joint)
    # Networks that drop units draw from torch's global generator, which others own.
    with torch.random.fork_rng(devices=[]):
        for step in range(state.step, len(batches)):
            indices = batches[step]
            torch.manual_seed(_seed_of(recipe.seed, epoch, step, *others))
            for group in state.optimizer.param_groups:
                group["lr"] = _rate(recipe, epoch, step, len(batches))
            mine = world.share(indices)
            images = training[mine].to(recipe.device)
            if changes is not None and len(mine):
                images = changes.apply(images, mine)
            images = images.contiguous(memory_format=torch.channels_last)
            own, whole = truth[mine].to(recipe.device), truth[indices].to(recipe.device)
            loss = loss_of(state.joint, images, own, weight, recipe, whole=whole)
            total, ending = world.sums([float(loss.detach()), interruption.requested])
            if not math.isfinite(total):
                raise _not_finite("the training loss is", epoch)
            state.optimizer.zero_grad(set_to_none=True)
            # Gradients are averaged over processes, and the loss is a sum over them.
            torch.autograd.backward(loss * world.size)
            state.optimizer.step()
            state.end_step(total * len(indices))
            state.keep(ending=ending > 0)


def loss_of(
    network: nn.Module,
    images: torch.Tensor,
    truth: torch.Tensor,
    weight: torch.Tensor,
    recipe: Recipe,
    *,
    whole: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the mean cross-entropy of a batch, its network computed in the recipe's precision.

    Where the images are a share of a batch whose truth is ``whole``, it is their share of its mean.
    """
    reduced = recipe.precision != torch.float32
    with torch.autocast(recipe.device.type, dtype=recipe.precision, enabled=reduced):
        logits = network(images)
    if reduced:
        logits = logits.float()
    weight = weight.to(logits.dtype)
    summed = functional.cross_entropy(logits, truth, weight=weight, reduction="sum")
    return summed / weight[truth if whole is None else whole].sum()


def _share(images: Images, world: World) -> Images:
    """Return the images that this process reads of some that all do."""
    mine = world.share(torch.arange(len(images)))
    rows = mine if images.rows is None else images.rows[mine]
    return Images(images.pixels, images.truth[mine.numpy()], rows)


def _seed_of(*numbers: int) -> int:
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> 1)


def _batches(order: torch.Tensor, size: int) -> list[torch.Tensor]:
    batches = list(torch.split(order, size))
    # Batch normalisation cannot train on one image, so a last one alone joins its neighbours.
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def _rate(recipe: Recipe, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of a step, counted from 0, of an epoch of so many steps."""
    return recipe.learning_rate * _schedule((epoch * steps + step) / (recipe.epochs * steps))


def _schedule(progress: float) -> float:
    """Return the share of the full learning rate: a linear climb, then half a cosine down."""
    if progress < WARM_UP:
        return (progress + 1e-3) / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def _not_finite(what: str, epoch: int) -> TrainingError:
    return TrainingError(
        f"{what} not finite in epoch {epoch + 1}",
        advice="lower the learning rate, or train with precision='float32'",
        code="LOSS_NOT_FINITE",
    )


def _score(validation: Images, margins: NDArray[np.float64]) -> dict[str, float]:
    from sklearn.metrics import log_loss, roc_auc_score

    probabilities = positive_probability(margins)
    return {
        "loss": float(log_loss(validation.truth, probabilities, labels=[0, 1])),
        "auc": float(roc_auc_score(validation.truth, margins)),
    }
