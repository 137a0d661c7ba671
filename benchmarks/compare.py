"""How long `cervispine compare` takes: 171 patients, three models, three readers.

Prints `name ratio target pass|fail`, where the ratio is the median time over that of a bare
interpreter in the same run, alternating, and the target is 2 s over the same. The numbers
compared are invented; one run has readers with ratings, one readers who gave calls only.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SECONDS = 2.0
ROUNDS = 5
PATIENTS = 171
TYPES = ("continuous", "segmental", "mixed", "localized")


def write_files(folder: Path) -> None:
    generator = np.random.default_rng(0)
    truth = np.arange(PATIENTS) < 68
    labels = ["patient,label,type,site,sex"]
    scores = ["patient,model,score"]
    rated, called = ["patient,reader,call,rating"], ["patient,reader,call"]
    for patient, positive in enumerate(truth):
        kind = TYPES[patient % 4] if positive else ""
        label = "OPLL" if positive else "DSS"
        labels.append(f"{patient},{label},{kind},{'AB'[patient % 2]},{'FM'[patient // 2 % 2]}")
        for rater, strength in enumerate((2.0, 1.5, 1.0)):
            score = 1 / (1 + np.exp(-strength * (positive - 0.5) - generator.normal()))
            scores.append(f"{patient},model {rater},{score:.4f}")
            rating = int(
                np.clip(round(50 + 20 * (strength * positive + generator.normal())), 0, 100)
            )
            rated.append(f"{patient},reader {rater},{int(rating > 65)},{rating}")
            called.append(f"{patient},reader {rater},{int(rating > 65)}")
    tables = {"labels": labels, "scores": scores, "rated": rated, "called": called}
    for name, lines in tables.items():
        (folder / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def seconds(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    return time.perf_counter() - start


def main() -> int:
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder)
        commands = {"interpreter": [sys.executable, "-c", "pass"]}
        for readers in ("rated", "called"):
            commands[readers] = [
                *(sys.executable, "-m", "cervispine", "compare", "--threshold", "0.5"),
                *("--truth", "labels.csv", "--scores", "scores.csv"),
                *("--readers", f"{readers}.csv", "--out", f"out-{readers}"),
            ]
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(ROUNDS):
            for what, command in commands.items():
                times[what].append(seconds(command, folder))
    bare = np.median(times["interpreter"])
    for readers in ("rated", "called"):
        median = np.median(times[readers])
        passed = median < SECONDS
        failed |= not passed
        print(f"compare_{readers} {median / bare:.1f} {SECONDS / bare:.1f} "
              f"{'pass' if passed else 'fail'} ({median:.3f} s)")  # fmt: skip
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
