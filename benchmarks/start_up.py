"""How long a user waits before anything happens: `import cervispine` and `cervispine --help`.

Prints `name ratio target pass|fail`, where the ratio is the median time over that of a bare
interpreter in the same run, alternating, and the target is 0.3 s over the same.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np

SECONDS = 0.3
ROUNDS = 9

COMMANDS = {
    "interpreter": [sys.executable, "-c", "pass"],
    "import": [sys.executable, "-c", "import cervispine"],
    "help": [sys.executable, "-m", "cervispine", "--help"],
}


def main() -> int:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS):
        for name, command in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.perf_counter() - start)
    bare = np.median(times["interpreter"])
    failed = False
    for name in ("import", "help"):
        median = np.median(times[name])
        passed = median < SECONDS
        failed |= not passed
        print(f"start_up_{name} {median / bare:.1f} {SECONDS / bare:.1f} "
              f"{'pass' if passed else 'fail'} ({median:.3f} s)")  # fmt: skip
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
