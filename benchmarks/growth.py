"""How cost grows with the number of patients and of slices: time of each stage, and memory.

    python benchmarks/growth.py [docs/_static/growth.png]

Phantoms are indexed, prepared into a cache, and trained on for an epoch from the cache's files, in
growing numbers; then as many with growing numbers of slices a series. Prints
`name exponent target pass|fail`, where the exponent is the slope of processor time on a double
logarithmic scale (1 is in proportion), and draws the times. Everything drawn is of phantoms.
"""

from __future__ import annotations

import gc
import math
import sys
import tempfile
import time
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
import torch
from matplotlib import pyplot as plt

from cervispine import Loader, Phantom, Preprocessor
from cervispine.backbones import build_backbone
from cervispine.classification.interruption import Interruption
from cervispine.classification.state import TrainingState
from cervispine.classification.training import Images, Recipe, optimizer_of, run_epoch
from cervispine.phantom import ProtocolRanges
from cervispine.preprocessing.cache import Cache

PATIENTS = (6, 12, 24, 48)
SLICES = (9, 17, 33)
BATCH = 6
#: Slack over proportion: what is noise, and what is paid once counts for less the more there is.
MOST = 1.1

RECIPE = Recipe(
    epochs=10, batch_size=BATCH, learning_rate=1e-4, weight_decay=0.02, patience=10,
    class_weight=None, device=torch.device("cpu"), precision=torch.float32, seed=0,
)  # fmt: skip


def own_memory() -> float:
    """Return the MiB this process has written to, files apart; NaN where that is not told."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return math.nan
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def again(study):  # type: ignore[no-untyped-def]
    raise AssertionError(f"{study.uid} was not kept")


def timed(act):  # type: ignore[no-untyped-def]
    start = time.process_time()
    result = act()
    return result, time.process_time() - start


def stages(patients: list[Path], cache: Path) -> dict[str, float]:
    """Return processor seconds of each stage, and the MiB of memory at the end of the last."""
    gc.collect()  # the network of the last call
    # Smaller images than usual: it is the growth that is looked at, not the cost of one.
    preprocessor = Preprocessor(size=(64, 64), spacing=2.0, cache=cache)
    cohort, index = timed(lambda: Loader().index(patients))
    _, preparing = timed(lambda: preprocessor.prepared(cohort))
    # From the files whatever the memory would hold.
    pixels = Cache(cache, preprocessor.settings()).pixels(list(cohort), again, (3, 64, 64))
    network = build_backbone("resnet34", in_channels=3, num_classes=2, size=(64, 64))
    state = TrainingState(network, optimizer_of(network, RECIPE), "", None)
    images = Images(pixels, np.arange(len(cohort)) % 2)

    def epoch() -> None:
        state.step = 0
        with Interruption() as interruption:
            run_epoch(state, images, RECIPE, preprocessor.augmentation, interruption)

    epoch()  # warms up, and makes the optimiser's state
    _, training = timed(epoch)
    return {
        "index": index,
        "preprocess": preparing,
        "train an epoch": training,
        "memory": own_memory(),
    }


def series_of(folder: Path, count: int, slices: int | None = None) -> list[Path]:
    ranges = ProtocolRanges() if slices is None else ProtocolRanges(slices=(slices,))
    written = Phantom(n_opll=count // 2, n_dss=count - count // 2, protocols=ranges, jobs=1).write(
        folder
    )
    return sorted(written.dicom.iterdir())


def exponent(sizes: tuple[int, ...], seconds: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def draw(path: Path, tables: dict[str, tuple[tuple[int, ...], list[dict[str, float]]]]) -> None:
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.2), layout="constrained")
    for axis, (label, (sizes, table)) in zip(axes, tables.items(), strict=False):
        for name in ("index", "preprocess", "train an epoch"):
            axis.loglog(sizes, [row[name] for row in table], "o-", label=name, linewidth=1.5)
        guide = table[0]["preprocess"] * np.divide(sizes, sizes[0])
        axis.loglog(sizes, guide, ":", color="grey", label="in proportion")
        axis.set_ylim(0.02, 20)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.set_xlabel(label)
        axis.set_ylabel("processor seconds")
    axes[0].legend(fontsize=8, loc="upper left", ncols=2)
    sizes, table = tables["patients"]
    axes[2].plot(sizes, [row["memory"] for row in table], "o-", color="black", linewidth=1.5)
    axes[2].set_ylim(0, 2 * max(row["memory"] for row in table))
    axes[2].set_xlabel("patients")
    axes[2].set_ylabel("memory after an epoch from files, MiB")
    figure.suptitle("Cost of phantoms, one thread", fontsize=10)
    figure.savefig(path, dpi=110)


def main() -> int:
    torch.set_num_threads(1)
    failed = False
    tables: dict[str, tuple[tuple[int, ...], list[dict[str, float]]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        every = series_of(folder / "patients", max(PATIENTS))
        stages(every[:BATCH], folder / "cache-warm")
        tables["patients"] = (
            PATIENTS,
            [stages(every[:count], folder / f"cache-{count}") for count in PATIENTS],
        )
        thick = []
        for slices in SLICES:
            some = series_of(folder / f"slices-{slices}", BATCH, slices)
            thick.append(stages(some, folder / f"cache-slices-{slices}"))
        tables["slices a series"] = (SLICES, thick)
    for label, (sizes, table) in tables.items():
        for stage in ("index", "preprocess", "train an epoch"):
            slope = exponent(sizes, [row[stage] for row in table])
            failed |= slope > MOST
            seconds = ", ".join(f"{row[stage]:.2f}" for row in table)
            print(f"growth_{stage.replace(' ', '_')}_by_{label.split()[0]} {slope:.2f} {MOST} "
                  f"{'fail' if slope > MOST else 'pass'} ({seconds} s)")  # fmt: skip
    memory = ", ".join(f"{row['memory']:.0f}" for row in tables["patients"][1])
    print(f"memory_after_an_epoch - - - ({memory} MiB)")
    if len(sys.argv) > 1:
        draw(Path(sys.argv[1]), tables)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
