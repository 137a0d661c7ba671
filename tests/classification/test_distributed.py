"""Several processes that train together do what one does, and end together."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cervispine.classification.checkpoints import has_checkpoint
from cervispine.classification.distributed import World, _joint_statistics, current_world, joined
from cervispine.exceptions import TrainingError

SCRIPT = Path(__file__).with_name("processes.py")


def start(folder: Path, command: str, count: int, **more: str) -> list[subprocess.Popen[bytes]]:
    """Start processes as torchrun does."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    return [
        subprocess.Popen(
            [sys.executable, SCRIPT, folder, command],
            env=os.environ | shared | more | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(count)
    ]


def answers(folder: Path, command: str, count: int) -> list[dict[str, Any]]:
    for process in start(folder, command, count):
        assert process.wait(600) == 0
    return [json.loads((folder / f"{command}-{rank}.json").read_text()) for rank in range(count)]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("processes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def alone(script: ModuleType) -> dict[str, Any]:
    """Return what one process comes to, in float32 and in float64."""
    return {str(double): script.fit(double=double) for double in (False, True)}


def largest_difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    assert one["weights"].keys() == other["weights"].keys()
    return max(
        float(np.abs(np.subtract(value, other["weights"][name])).max())
        for name, value in one["weights"].items()
    )


# Of three processes one has no image of the last batch, which has two.
@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_do_what_one_does(
    tmp_path: Path, script: ModuleType, alone: dict[str, Any], count: int
) -> None:
    found = answers(tmp_path, "fit", count)
    assert all(each == found[0] for each in found)
    # In twice the digits the same but for rounding: what differs in float32 is rounding too. AdamW
    # divides a gradient by its own size, so the rounding of one near zero may move a weight by
    # part of a step; how much depends on the processor.
    for precision, allowed in (("False", script.RECIPE.learning_rate), ("True", 1e-10)):
        mine, own = found[0][precision], alone[precision]
        assert largest_difference(mine, own) <= allowed
        for epoch, wanted in zip(mine["history"], own["history"], strict=True):
            assert epoch == pytest.approx(wanted, abs=1e-5)


def test_the_end_of_one_process_is_the_end_of_all_and_the_training_goes_on(
    tmp_path: Path, script: ModuleType, alone: dict[str, Any]
) -> None:
    first, second = start(tmp_path, "resume", 2, SLOWLY=str(tmp_path))
    while not list(tmp_path.glob("epoch-1-1-*")):
        assert first.poll() is None
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    second.wait()
    began = time.monotonic()
    assert first.wait(600) == 0
    assert time.monotonic() - began < 30
    assert json.loads((tmp_path / "resume-0.json").read_text()) == {"code": "PROCESS_LOST"}
    # In as many processes as there are now: here in one.
    assert has_checkpoint(tmp_path)
    resumed = script.fit(tmp_path, double=True)
    assert largest_difference(resumed, alone["True"]) <= 1e-10


def test_a_signal_to_one_process_ends_all_with_a_checkpoint(
    tmp_path: Path, script: ModuleType, alone: dict[str, Any]
) -> None:
    processes = start(tmp_path, "interrupt", 2, SLOWLY=str(tmp_path))
    while not list(tmp_path.glob("epoch-1-1-*")):
        assert processes[0].poll() is None
        time.sleep(0.02)
    processes[1].send_signal(signal.SIGTERM)
    assert [process.wait(600) for process in processes] == [0, 0]
    found = [json.loads((tmp_path / f"interrupt-{rank}.json").read_text()) for rank in range(2)]
    assert found == [{"code": "interrupted"}] * 2
    assert has_checkpoint(tmp_path)
    assert largest_difference(script.fit(tmp_path, double=True), alone["True"]) <= 1e-10


def test_processes_that_differ_are_refused(tmp_path: Path) -> None:
    assert answers(tmp_path, "differ", 2) == [{"code": "PROCESSES_DIFFER"}] * 2


@pytest.fixture
def group(tmp_path: Path) -> Iterator[Any]:
    """Return a group of this process alone, as processes have that train together."""
    store = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield torch.distributed.group.WORLD
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("settings", [{}, {"affine": False}, {"momentum": None}, {"eps": 0.1}])
@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d])
def test_joint_normalisation_is_torchs_own(
    group: Any, kind: type[nn.Module], settings: dict[str, Any]
) -> None:
    shape = (6, 3) if kind is nn.BatchNorm1d else (6, 3, 5, 4)
    plain, other = (nn.Sequential(kind(3, **settings)).double() for _ in range(2))
    generator = torch.Generator().manual_seed(0)
    with _joint_statistics(other, group, on_gpu=False):
        for _ in range(3):
            values = torch.randn(shape, generator=generator, dtype=torch.float64) * 3 + 1
            weights = torch.randn(shape, generator=generator, dtype=torch.float64)
            results = []
            for module in (plain, other):
                taken = values.clone().requires_grad_()
                given = module(taken)
                (given * weights).sum().backward()
                results.append((given.detach(), taken.grad))
            for mine, own in zip(*results, strict=True):
                torch.testing.assert_close(mine, own)
        other.eval()
        plain.eval()
        torch.testing.assert_close(other(values), plain(values))
    assert type(other[0]) is kind
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value)


def test_a_normalisation_of_another_kind_is_refused(group: Any) -> None:
    class Own(nn.BatchNorm2d):
        pass

    with (
        pytest.raises(TrainingError, match="Own") as refusal,
        _joint_statistics(nn.Sequential(Own(3)), group, on_gpu=False),
    ):
        pass
    assert refusal.value.code == "BATCH_NORM_UNKNOWN"


def test_alone_there_is_nothing_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with joined() as world:
        assert (world.first, world.size) == (True, 1)
        assert world is current_world()
        assert world.share(torch.arange(3)).tolist() == [0, 1, 2]
        assert world.sums([1.5, True]) == [1.5, 1.0]
        assert world.from_first(lambda: 7) == 7
    assert isinstance(current_world(), World)
