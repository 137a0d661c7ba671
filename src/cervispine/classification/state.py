"""Where a training stands, and its way to a checkpoint and back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cervispine.classification.checkpoints import (
    Checkpoint,
    has_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from cervispine.classification.distributed import current_world
from cervispine.exceptions import TrainingError, UsageError

__all__ = ["TrainingState", "refuse_begun"]

#: Seconds from one checkpoint to the next: of large networks they are hundreds of megabytes.
CHECKPOINT_SECONDS = 60.0


def refuse_begun(folder: Path) -> None:
    """Refuse a folder for a training that begins: it holds what is left of another one.

    Raises
    ------
    UsageError
        ``RUN_EXISTS``.
    """
    if current_world().from_first(lambda: has_checkpoint(folder)):
        raise UsageError(
            "the folder holds checkpoints of a training already",
            where=str(folder),
            advice="resume=True (--resume) continues it; or choose another folder",
            code="RUN_EXISTS",
        )


class TrainingState:
    """Where a training stands: everything that a resumed run needs, and nothing else."""

    def __init__(
        self,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        fingerprint: str,
        run_dir: Path | None,
    ) -> None:
        self.network = network
        #: The network as several processes train it together; alone, itself.
        self.joint = network
        self.optimizer = optimizer
        self.fingerprint = fingerprint
        self.run_dir = run_dir
        self.history: list[dict[str, float]] = []
        self.best_epoch = -1
        self.best_weights: dict[str, torch.Tensor] = {}
        self.step = 0  # of the epoch that has begun
        self.steps = 0  # of all epochs
        self.loss = 0.0  # summed over the images of the epoch so far
        self._saved = time.monotonic()

    @property
    def epoch(self) -> int:
        """How many epochs are done, which is the number of the one that has begun."""
        return len(self.history)

    def finished(self, *, epochs: int, patience: int) -> bool:
        """Whether all epochs are done, or so many of them brought nothing better."""
        late = self.epoch > 0 and self.epoch - 1 - self.best_epoch >= patience
        return self.epoch >= epochs or late

    def end_step(self, loss: float) -> None:
        """Count a step and the summed loss of its images."""
        self.loss += loss
        self.step += 1
        self.steps += 1

    def end_epoch(self, images: int, scores: dict[str, float]) -> dict[str, float]:
        """Write an epoch into the history and keep its weights when they are the best so far."""
        record = {"epoch": self.epoch, "training_loss": self.loss / images} | scores
        self.history.append(record)
        self.step, self.loss = 0, 0.0
        if self.best_epoch < 0 or record["loss"] < self.history[self.best_epoch]["loss"]:
            self.best_epoch = self.epoch - 1
            self.best_weights = {
                name: value.detach().cpu().clone()
                for name, value in self.network.state_dict().items()
            }
        return record

    def keep(self, *, ending: bool) -> None:
        """Write a checkpoint when it is time, or the last one before the end that was asked for.

        Of several processes the first one writes, and at the end the others wait for it.
        """
        world = current_world()
        due = time.monotonic() - self._saved >= CHECKPOINT_SECONDS
        if world.first and self.run_dir is not None and (due or ending):
            self.save(self.run_dir)
            self._saved = time.monotonic()
        if ending:
            world.wait()
            raise KeyboardInterrupt

    def save(self, run_dir: Path) -> None:
        """Write a checkpoint."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self.best_weights.items()}
        for number, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in values.items()}
        record = {
            "fingerprint": self.fingerprint,
            "history": self.history,
            "best_epoch": self.best_epoch,
            "step": self.step,
            "steps": self.steps,
            "loss": self.loss,
        }
        kept = {name: value.detach().cpu() for name, value in tensors.items()}
        write_checkpoint(run_dir, self.steps, Checkpoint(kept, record))

    def restore(self) -> None:
        """Continue from the newest whole checkpoint.

        Raises
        ------
        TrainingError
            ``RESUME_NOTHING`` or ``RESUME_MISMATCH``.
        """
        if self.run_dir is None:
            raise TrainingError(
                "there is no folder to resume from",
                advice="give run_dir, the folder of the run that was interrupted",
                code="RESUME_NOTHING",
            )
        folder = self.run_dir
        saved = current_world().from_first(lambda: read_checkpoint(folder))
        if saved.record["fingerprint"] != self.fingerprint:
            raise TrainingError(
                "the checkpoint was made with another configuration, version or other data",
                where=str(self.run_dir),
                advice="resume with the same parameters and data, or train in a new folder",
                code="RESUME_MISMATCH",
            )
        for name in ("history", "best_epoch", "step", "steps", "loss"):
            setattr(self, name, saved.record[name])
        parts: dict[str, dict[str, Any]] = {"network": {}, "best": {}, "optimizer": {}}
        for name, tensor in saved.tensors.items():
            part, rest = name.split(".", 1)
            parts[part][rest] = tensor
        self.network.load_state_dict(parts["network"])
        self.best_weights = parts["best"]
        weights = [weight for group in self.optimizer.param_groups for weight in group["params"]]
        moments: dict[int, dict[str, torch.Tensor]] = {}
        for name, tensor in parts["optimizer"].items():
            number, moment = name.split(".", 1)
            weight = weights[int(number)]
            if tensor.shape == weight.shape:
                # The fused optimiser walks through memory, so moments must lie as weights do.
                tensor = torch.empty_like(weight).copy_(tensor)
            moments.setdefault(int(number), {})[moment] = tensor
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
