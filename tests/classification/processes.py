"""What several processes run in test_distributed.py: ``python processes.py FOLDER COMMAND``."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import attrs
import numpy as np
import torch
from torch import nn

from cervispine.classification import state
from cervispine.classification.checkpoints import has_checkpoint
from cervispine.classification.distributed import current_world, joined
from cervispine.classification.training import Images, Recipe, train
from cervispine.exceptions import CervispineError
from cervispine.preprocessing import Preprocessor

RECIPE = Recipe(
    epochs=3, batch_size=8, learning_rate=1e-3, weight_decay=0.01, patience=3,
    class_weight="balanced", device=torch.device("cpu"), precision=torch.float32, seed=0,
)  # fmt: skip


def images(count: int, seed: int) -> Images:
    generator = np.random.default_rng(seed)
    truth = (np.arange(count) % 3 == 0).astype(np.int64)
    pixels = generator.normal(size=(count, 3, 64, 64)).astype(np.float32)
    pixels[truth == 1, :, 8:16, 8:16] += 1
    return Images(torch.from_numpy(pixels), truth)


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 2),
        )  # fmt: skip


def fit(
    run_dir: Path | None = None, fingerprint: str = "same", *, double: bool = False
) -> dict[str, object]:
    """Train 50 images in batches of 8, of which the last has 2, and return all that came of it."""
    kind = torch.float64 if double else torch.float32
    net = network().to(kind)
    training, validation = (
        attrs.evolve(each, pixels=each.pixels.to(kind)) for each in (images(50, 1), images(15, 2))
    )
    trained = train(
        net, training, validation, RECIPE,
        augment=Preprocessor(size=(64, 64)).augmentation, report=_slowly, run_dir=run_dir,
        resume=run_dir is not None and has_checkpoint(run_dir), fingerprint=fingerprint,
    )  # fmt: skip
    kinds = {type(module).__name__ for module in net.modules()}
    assert "_JointBatchNorm" not in kinds
    return {
        "weights": {name: value.double().tolist() for name, value in net.state_dict().items()},
        "history": trained.history,
    }


def _slowly(done: int, _total: int) -> None:
    """Say how far it has come, and leave time to be killed."""
    if folder := os.environ.get("SLOWLY"):
        Path(folder, f"epoch-{done}-{current_world().rank}-{os.getpid()}").touch()
        time.sleep(0.5)


def main() -> None:
    torch.set_num_threads(1)
    folder, command = Path(sys.argv[1]), sys.argv[2]
    with joined() as world:
        answer: dict[str, object] = {}
        try:
            if command == "fit":
                answer = {str(double): fit(double=double) for double in (False, True)}
            elif command == "differ":
                fit(fingerprint=str(world.rank))
            elif command == "resume":
                state.CHECKPOINT_SECONDS = 0.0
                answer = fit(folder, double=True)
            elif command == "interrupt":
                fit(folder, double=True)
        except CervispineError as error:
            answer = {"code": error.code}
        except KeyboardInterrupt:
            answer = {"code": "interrupted"}
        (folder / f"{command}-{world.rank}.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
