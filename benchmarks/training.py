"""How fast a training is: against plain float32, a bare step, and the ResNets of timm and MONAI.

    python benchmarks/training.py [resnet34 resnet50 resnet101]

For each depth, on one thread, in batches of 8 images of 224 x 224, with a step of AdamW:

- `plain`: torchvision's network in float32, the loop of its tutorials, on one batch in memory;
- `loop`: an epoch of cervispine's own loop with augmentation, in the precision it chooses;
- `bare`: its network, precision and memory layout on one batch, and nothing around the step;
- `timm` and `monai`: their networks in the place of its own, as bare.

All of them take turns in each round, in processor time: what else the machine does then counts
little. Prints `name ratio target pass|fail`; ratios are medians over rounds. The targets against
the plain loop are those of a processor with AVX512-BF16 (Zen 5); without it they are not judged.
Takes some three minutes.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cervispine import Preprocessor
from cervispine.backbones import build_backbone
from cervispine.classification.hardware import choose_precision
from cervispine.classification.interruption import Interruption
from cervispine.classification.state import TrainingState
from cervispine.classification.training import Images, Recipe, loss_of, optimizer_of, run_epoch

BATCH, STEPS, ROUNDS = 8, 2, 2
SIZE = 224
DEVICE = torch.device("cpu")
AGAINST_PLAIN = {"resnet34": 2.4, "resnet50": 3.5, "resnet101": 2.5}
AGAINST_OTHERS = 0.97
MOST_OVERHEAD = 0.02
LEAST_SHARE = {"resnet34": 0.6}

Act = Callable[[], object]


def recipe(precision: torch.dtype) -> Recipe:
    return Recipe(
        epochs=1000, batch_size=BATCH, learning_rate=1e-4, weight_decay=0.02, patience=1000,
        class_weight="balanced", device=DEVICE, precision=precision, seed=0,
    )  # fmt: skip


def plain(name: str) -> Act:
    from torchvision import models

    network = models.get_model(name, num_classes=2).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    images, truth = torch.rand(BATCH, 3, SIZE, SIZE), torch.arange(BATCH) % 2

    def steps() -> None:
        for _ in range(STEPS):
            loss = nn.functional.cross_entropy(network(images), truth)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()

    return steps


def bare(network: nn.Module, settings: Recipe) -> Act:
    network.to(memory_format=torch.channels_last).train()
    optimizer = optimizer_of(network, settings)
    images = torch.rand(BATCH, 3, SIZE, SIZE).to(memory_format=torch.channels_last)
    truth, weight = torch.arange(BATCH) % 2, torch.ones(2)

    def steps() -> None:
        for _ in range(STEPS):
            loss = loss_of(network, images, truth, weight, settings)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()

    return steps


def loop(network: nn.Module, settings: Recipe, *, augmented: bool) -> Act:
    network.to(memory_format=torch.channels_last)
    state = TrainingState(network, optimizer_of(network, settings), "", None)
    count = BATCH * STEPS
    images = Images(torch.rand(count, 3, SIZE, SIZE), np.arange(count) % 2)
    augment = Preprocessor().augmentation if augmented else None

    def epoch() -> None:
        state.step = 0
        with Interruption() as interruption:
            run_epoch(state, images, settings, augment, interruption)

    return epoch


def ours(name: str) -> nn.Module:
    return build_backbone(name, in_channels=3, num_classes=2)


def peers(name: str) -> dict[str, nn.Module]:
    """Return the same network as others build it, where they are installed."""
    found: dict[str, nn.Module] = {}
    try:
        import timm

        found["timm"] = timm.create_model(name, num_classes=2)
    except ImportError:
        print("timm is not installed: not measured")
    try:
        from monai.networks import nets

        # Its first convolution has the stride 1 unless asked: four times as many pixels.
        found["monai"] = getattr(nets, name)(
            spatial_dims=2, n_input_channels=3, num_classes=2, conv1_t_stride=2
        )
    except ImportError:
        print("MONAI is not installed: not measured")
    return found


def measured(acts: dict[str, Act]) -> dict[str, list[float]]:
    """Return processor seconds a step, all acts in turn in each round."""
    seconds: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(ROUNDS + 1):
        for name, act in acts.items():
            start = time.process_time()
            act()
            if number:  # the first round warms up
                seconds[name].append((time.process_time() - start) / STEPS)
    return seconds


def peak(precision: torch.dtype) -> float:
    """Return the floating-point operations a second of a large matrix product."""
    one, other = (torch.rand(2048, 2048).to(precision) for _ in range(2))
    best = min(measured({"product": lambda: one @ other})["product"]) * STEPS
    return 2 * 2048**3 / best


def operations(network: nn.Module) -> float:
    """Return the floating-point operations of a forward and backward pass of one image."""
    counter = FlopCounterMode(display=False)
    with counter:
        network(torch.rand(2, 3, SIZE, SIZE)).sum().backward()
    return counter.get_total_flops() / 2


def main() -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    precision = choose_precision("auto", DEVICE)
    settings = recipe(precision)
    native = precision == torch.bfloat16
    best = peak(precision)
    print(f"torch {torch.__version__}, one thread, {str(precision).removeprefix('torch.')}, "
          f"products at {best / 1e9:.0f} GFLOP/s")  # fmt: skip
    if not native:
        print("this processor has no AVX512-BF16: training is in float32, and nothing of that "
              "is judged")  # fmt: skip
    failed = False

    def tell(name: str, value: float, target: float | None, note: str, *, at_most: bool = False):  # type: ignore[no-untyped-def]
        nonlocal failed
        if target is None:
            print(f"{name} {value:.3f} - - ({note})", flush=True)
            return
        passed = value <= target if at_most else value >= target
        failed |= not passed
        print(f"{name} {value:.3f} {target} {'pass' if passed else 'fail'} ({note})", flush=True)

    for name in sys.argv[1:] or AGAINST_PLAIN:
        target = AGAINST_PLAIN[name]
        others = peers(name)
        acts = {
            "plain": plain(name),
            "loop": loop(ours(name), settings, augmented=True),
            "unchanged": loop(ours(name), settings, augmented=False),
            "bare": bare(ours(name), settings),
            **{peer: bare(network, settings) for peer, network in others.items()},
        }
        seconds = measured(acts)

        def ratio(one: str, other: str, seconds: dict[str, list[float]] = seconds) -> float:
            return float(np.median(np.divide(seconds[one], seconds[other])))

        step = float(np.median(seconds["loop"]))
        rate = f"{BATCH / step:.1f} images/s against {BATCH / np.median(seconds['plain']):.1f}"
        tell(f"training_{name}", ratio("plain", "loop"), target if native else None, rate)
        overhead = ratio("unchanged", "bare") - 1
        tell(f"overhead_{name}", overhead, MOST_OVERHEAD, "loop over a bare step", at_most=True)
        tell(f"augmentation_{name}", ratio("loop", "unchanged") - 1, None, "share of a step more")
        share = operations(ours(name)) * BATCH / float(np.median(seconds["bare"])) / best
        tell(f"share_of_peak_{name}", share, LEAST_SHARE.get(name) if native else None, "bare")
        for peer in others:
            tell(f"against_{peer}_{name}", ratio(peer, "bare"), AGAINST_OTHERS, "both bare")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
