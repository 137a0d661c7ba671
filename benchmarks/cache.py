"""How fast an epoch reads prepared pixels from the cache's files, against a tensor in memory.

Batches of 16 in an order drawn anew each epoch, three slices of 224 x 224. Both take turns in each
round, in processor time; prints `name ratio target pass|fail`. The ratio is the rate of images from
the files over that from memory. Then how much memory of its own a process takes for reading epochs
of few studies and of four times as many (Linux alone tells that), and what narrower numbers would
cost: the largest change of a pixel, as a share of the range, had they been kept as float16 or as
8-bit numbers.

The pixels are noise, and kept under the names of one phantom.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs
import numpy as np
import torch

from cervispine import Loader, Phantom, Study
from cervispine.preprocessing.cache import Cache, StoredPixels

SHAPE = (3, 224, 224)
STUDIES, BATCH, ROUNDS = 160, 16, 7
TARGET = 0.7
#: Of the bytes of the pixels that were added.
MOST_GROWTH = 0.1


def study_of(folder: Path) -> Study:
    Phantom(n_opll=1, n_dss=0, jobs=1).write(folder)
    return Loader().index(folder / "dicom")[0]


def stored(folder: Path, study: Study, count: int) -> StoredPixels:
    generator = np.random.default_rng(0)
    studies = [attrs.evolve(study, uid=f"1.2.{number}") for number in range(count)]
    return Cache(folder, {}).pixels(
        studies, lambda _: generator.random(SHAPE, dtype=np.float32), SHAPE
    )


def epoch(pixels: torch.Tensor | StoredPixels, generator: torch.Generator) -> float:
    start = time.process_time()
    for indices in torch.randperm(len(pixels), generator=generator).split(BATCH):
        if isinstance(pixels, torch.Tensor):
            pixels.index_select(0, indices)
        else:
            pixels[indices]
    return time.process_time() - start


def own_memory() -> int:
    """Return the bytes this process has written to, files apart."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


def grown(folder: Path, count: int) -> int:
    """Return what two epochs of so many studies add to the memory of a fresh process."""
    command = [sys.executable, "-P", __file__, str(folder), str(count)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure_growth(folder: Path, count: int) -> None:
    study = Loader().index(folder / "phantom" / "dicom")[0]
    before = own_memory()
    pixels = stored(folder / "cache", study, count)
    for _ in range(2):
        epoch(pixels, torch.Generator().manual_seed(0))
    print(own_memory() - before)


def main() -> int:
    if len(sys.argv) > 1:
        measure_growth(Path(sys.argv[1]), int(sys.argv[2]))
        return 0
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study = study_of(folder / "phantom")
        pixels = stored(folder / "cache", study, STUDIES)
        held = pixels[torch.arange(STUDIES)]
        seconds: dict[str, list[float]] = {"files": [], "memory": []}
        for number in range(ROUNDS + 1):
            for source, each in (("files", pixels), ("memory", held)):
                taken = epoch(each, torch.Generator().manual_seed(number))
                if number:  # the first round warms up
                    seconds[source].append(taken)
        ratio = float(np.median(np.divide(seconds["memory"], seconds["files"])))
        rate = STUDIES / np.median(seconds["files"])
        failed = ratio < TARGET
        print(f"cached_epoch {ratio:.2f} {TARGET} {'fail' if failed else 'pass'} "
              f"({rate:.0f} studies/s)")  # fmt: skip
        if Path("/proc/self/status").exists():
            few, many = grown(folder, STUDIES // 4), grown(folder, STUDIES)
            share = (many - few) / (held[0].nbytes * STUDIES * 3 / 4)
            failed |= share > MOST_GROWTH
            print(f"memory_growth {share:.3f} {MOST_GROWTH} "
                  f"{'pass' if share <= MOST_GROWTH else 'fail'} "
                  f"({few / 2**20:.0f} MiB, then {many / 2**20:.0f} MiB; the share of the bytes "
                  f"added)")  # fmt: skip
        for kind, kept in (
            ("float16", held.half().float()),
            ("8_bits", (held * 255).round() / 255),
        ):
            print(f"change_as_{kind} {float((kept - held).abs().max()):.1e} - -")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
