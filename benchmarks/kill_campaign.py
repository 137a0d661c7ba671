"""Kill trainings at random instants; each must resume to the bytes of the uninterrupted run.

    python benchmarks/kill_campaign.py [--kills 200] [--seed 0]

A small network is trained in a child process that writes a checkpoint after every step and is
killed (SIGKILL) after a random time, resumed, killed again, and so on until so many kills have
struck. Each training that ends is compared, weights and history, with one that nobody disturbed.
Prints `name ratio target pass|fail`; exits with 1 when any training differs or cannot resume.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

from cervispine.classification import state
from cervispine.classification.checkpoints import has_checkpoint
from cervispine.classification.training import Images, Recipe, train
from cervispine.preprocessing import Preprocessor

RECIPE = Recipe(
    epochs=4,
    batch_size=8,
    learning_rate=1e-2,
    weight_decay=0.01,
    patience=4,
    class_weight="balanced",
    device=torch.device("cpu"),
    precision=torch.float32,
    seed=0,
)


def images(count: int, seed: int) -> Images:
    generator = np.random.default_rng(seed)
    truth = np.arange(count) % 2
    pixels = generator.normal(size=(count, 3, 32, 32)).astype(np.float32)
    pixels[truth == 1, :, 8:16, 8:16] += 1
    return Images(torch.from_numpy(pixels), truth)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv2d(16, 32, 5, stride=3), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 64, 2),
        )  # fmt: skip


def fit(folder: Path | None) -> bytes:
    """Train, or go on with a training, and return its weights and history as bytes."""
    net = network()
    trained = train(
        net, images(48, 1), images(16, 2), RECIPE,
        augment=Preprocessor(size=(32, 32)).augmentation, report=_silent, run_dir=folder,
        resume=folder is not None and has_checkpoint(folder), fingerprint="campaign",
    )  # fmt: skip
    weights = b"".join(value.numpy().tobytes() for value in net.state_dict().values())
    return weights + json.dumps(trained.history).encode()


def _silent(_done: int, _total: int) -> None:
    pass


def in_child(folder: Path, result: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        result.write_bytes(fit(folder))
    finally:
        os._exit(0 if result.exists() else 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    state.CHECKPOINT_SECONDS = 0.0
    generator = np.random.default_rng(arguments.seed)
    start = time.monotonic()
    wanted = fit(None)
    undisturbed = time.monotonic() - start
    kills = finished = equal = torn = 0
    while kills < arguments.kills:
        with tempfile.TemporaryDirectory() as name:
            folder, result = Path(name) / "run", Path(name) / "result"
            folder.mkdir()
            while not result.exists():
                child = in_child(folder, result)
                if kills < arguments.kills:
                    time.sleep(generator.uniform(0, 0.8 * undisturbed))
                    os.kill(child, signal.SIGKILL)
                status = os.waitpid(child, 0)[1]
                if os.WIFSIGNALED(status):
                    kills += 1
                    torn += any(path.name.startswith(".") for path in folder.iterdir())
                    result.unlink(missing_ok=True)
                elif not result.exists():
                    print("a resumed training failed")
                    return 1
            finished += 1
            equal += result.read_bytes() == wanted
    verdict = "pass" if equal == finished else "fail"
    print(f"kills {kills}, of them {torn} while a checkpoint was being written")
    print(f"trainings_equal_to_the_undisturbed {equal / finished:.3f} = 1 {verdict}")
    return int(equal != finished)


if __name__ == "__main__":
    sys.exit(main())
