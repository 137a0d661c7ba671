"""Several processes that train one network: on several GPUs, or on several machines.

``torchrun -m cervispine train`` starts the processes, and each finds the others by the environment
that torchrun sets. Every process holds all images and walks through the same epochs; of each batch
it takes its share. Gradients are averaged by torch's DistributedDataParallel, the statistics of
batch normalisation are those of the whole batch, and the loss is weighed by the whole batch, so
that the processes together do what one would do alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cervispine.exceptions import CervispineError, TrainingError

__all__ = ["World", "current_world", "joined"]

#: What torchrun sets for each process that it starts.
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")

#: How long one process may index and prepare while the others wait for it.
PATIENCE_BEFORE = timedelta(hours=12)

#: How long a step may wait for a process that says nothing; the end of one is noticed at once.
PATIENCE = timedelta(minutes=5)

T = TypeVar("T")


class World:
    """One process among those that train together; alone, every method does nothing or little.

    Parameters
    ----------
    rank
        Which of them it is, from 0.
    size
        How many there are.
    """

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank, self.size = rank, size
        self._group: Any = None
        if size > 1:
            self._group = distributed.new_group(backend="gloo", timeout=PATIENCE)

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    def share(self, items: torch.Tensor) -> torch.Tensor:
        """Return every ``size``-th item, from its own on; none is repeated to fill up."""
        return items[self.rank :: self.size]

    def sums(self, values: Sequence[float]) -> list[float]:
        """Return the sum over all processes of each value."""
        if self.size == 1:
            return [float(value) for value in values]
        total = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(total, group=self._group)
        return total.tolist()

    def gather(self, mine: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what all processes have of :meth:`share`, in the order before it was shared."""
        if self.size == 1:
            return mine
        shares: list[Any] = [None] * self.size
        distributed.all_gather_object(shares, mine, group=self._group)
        whole = np.empty(sum(map(len, shares)))
        for rank, share in enumerate(shares):
            whole[rank :: self.size] = share
        return whole

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what the first process makes, in all; what it raises is raised in all."""
        if self.size == 1:
            return make()
        answer: list[Any] = [None]
        if self.first:
            try:
                answer = [make()]
            except CervispineError as error:
                answer = [error]
        distributed.broadcast_object_list(answer, src=0, group=self._group)
        if isinstance(answer[0], CervispineError):
            raise answer[0]
        return answer[0]  # type: ignore[no-any-return]

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier(group=self._group)

    @contextmanager
    def first_goes_first(self) -> Iterator[None]:
        """Let the first process do something before the others do: what it made, they find."""
        if self.size > 1 and not self.first:
            distributed.barrier()
        try:
            yield
        finally:
            # Also when it fails, or the others would wait for the half of a day.
            if self.size > 1 and self.first:
                distributed.barrier()

    def refuse_difference(self, fingerprint: str) -> None:
        """Raise in all processes where one has other data, parameters or versions.

        Raises
        ------
        TrainingError
            ``PROCESSES_DIFFER``.
        """
        if self.size == 1:
            return
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, fingerprint, group=self._group)
        if len(set(found)) > 1:
            raise TrainingError(
                "the processes have different data, parameters or versions",
                advice="give every machine the same folders, command and installation",
                code="PROCESSES_DIFFER",
            )

    @contextmanager
    def together(self, network: nn.Module, device: torch.device) -> Iterator[nn.Module]:
        """Give the network as the processes train it together; its weights are the network's own.

        Raises
        ------
        TrainingError
            ``PROCESS_LOST`` where another process ended, or said nothing for five minutes;
            ``BATCH_NORM_UNKNOWN`` where the network normalises in a way of its own.
        """
        if self.size == 1:
            yield network
            return
        on_gpu = device.type == "cuda"
        group = distributed.new_group(backend="nccl", timeout=PATIENCE) if on_gpu else self._group
        with _joint_statistics(network, group, on_gpu=on_gpu):
            try:
                yield nn.parallel.DistributedDataParallel(network, process_group=group)
            except RuntimeError as error:
                if not _is_of_communication(error):
                    raise
                raise TrainingError(
                    "another process of this training ended, or no longer answers",
                    advice="look at what it said last; the same command with --resume goes on",
                    code="PROCESS_LOST",
                ) from error


_world = World()


def current_world() -> World:
    """Return the processes that this one trains with; itself alone unless it has joined others."""
    return _world


@contextmanager
def joined() -> Iterator[World]:
    """Join the processes that torchrun started with this one, where it did.

    Each takes the GPU of its number on its machine, where there are GPUs.
    """
    global _world
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or not all(name in os.environ for name in VARIABLES):
        yield _world
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("gloo", timeout=PATIENCE_BEFORE)
    try:
        _world = World(distributed.get_rank(), size)
        yield _world
    finally:
        _world = World()
        distributed.destroy_process_group()


def _is_of_communication(error: RuntimeError) -> bool:
    # Gloo has no class of its own for what it raises.
    words = ("gloo", "Connection", "NCCL", "closed by peer", "Timed out waiting")
    return isinstance(error, distributed.DistError) or any(word in str(error) for word in words)


class _JointBatchNorm(_BatchNorm):
    """Batch normalisation by the mean and variance of the whole batch, on any device.

    Torch's own SyncBatchNorm is for GPUs.
    """

    process_group: Any

    def _check_input_dim(self, input: torch.Tensor) -> None:  # noqa: A002  torch's name
        """Take what the normalisation that this one stands for takes."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002  torch's name
        """Normalise; while training by joint statistics, whose running means are kept."""
        if not self.training:
            return super().forward(input)
        values = input if input.dtype == torch.float64 else input.float()
        around = [1, -1] + [1] * (values.dim() - 2)
        dims = [0, *range(2, values.dim())]
        count = torch.tensor(float(values.numel() // values.shape[1]), dtype=values.dtype)
        distributed.all_reduce(count, group=self.process_group)
        mean = _sum(values.sum(dims), self.process_group) / count
        centred = values - mean.view(around)
        variance = _sum(centred.square().sum(dims), self.process_group) / count
        self._keep(mean.detach(), variance.detach() * count / (count - 1).clamp_min(1))
        scale = torch.rsqrt(variance + self.eps)
        if self.weight is not None:
            scale = scale * self.weight
        shift = 0.0 if self.bias is None else self.bias.view(around)
        normalised: torch.Tensor = centred * scale.view(around) + shift
        return normalised.to(input.dtype)

    def _keep(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        if not self.track_running_stats:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        tracked = float(self.num_batches_tracked)
        part = 1 / tracked if self.momentum is None else self.momentum
        for running, new in ((self.running_mean, mean), (self.running_var, variance)):
            assert running is not None
            running.mul_(1 - part).add_(new, alpha=part)


class _Sum(torch.autograd.Function):
    """The sum over processes. Each of them uses it, so its gradient is the sum of theirs."""

    @staticmethod
    def forward(context: Any, values: torch.Tensor, group: Any) -> torch.Tensor:
        context.group = group
        total = values.clone()
        distributed.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        total = gradients[0].contiguous().clone()
        distributed.all_reduce(total, group=context.group)
        return total, None


def _sum(values: torch.Tensor, group: Any) -> torch.Tensor:
    total: torch.Tensor = _Sum.apply(values, group)
    return total


@contextmanager
def _joint_statistics(network: nn.Module, group: Any, *, on_gpu: bool) -> Iterator[None]:
    """Normalise by the statistics of the whole batch, as long as this lasts."""
    own = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    plain = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
    strangers = sorted({type(module).__name__ for module in own if type(module) not in plain})
    if strangers:
        raise TrainingError(
            f"the backbone normalises batches by {', '.join(strangers)}, which several processes "
            "cannot do together",
            advice="train it in one process, or use torch's own batch normalisation in it",
            code="BATCH_NORM_UNKNOWN",
        )
    kinds = [type(module) for module in own]
    for module in own:
        # The same parameters under the same names: only what is done with them is another thing.
        module.__class__ = nn.SyncBatchNorm if on_gpu else _JointBatchNorm
        module.process_group = group
    try:
        yield
    finally:
        for module, kind in zip(own, kinds, strict=True):
            module.__class__ = kind
            del module.process_group
