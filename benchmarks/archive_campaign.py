"""Kill workers and the process that leads them while an archive is read; compare with a quiet run.

    python benchmarks/archive_campaign.py [--series 300] [--kills 20] [--seed 0]

An archive is made of a few phantoms, each copied many times under other UIDs with other pixels. It
is read once in one process, undisturbed; and once by two workers, of which one is killed (SIGKILL)
in the middle of a study again and again, and three times the leading process instead, after which
the same command is given again. Prints `name ratio target pass|fail`; exits with 1 unless there are
exactly as many results as series, with the bytes of the quiet run.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import generate_uid

from cervispine import Loader, OPLLClassifier, Phantom, Preprocessor

#: Of the kills, so many are of the leading process.
LEADERS = 3


def make_archive(folder: Path, series: int) -> None:
    """Write phantoms and copies of them, each of another patient."""
    made = Phantom(n_opll=3, n_dss=3, difficulty=0.1, seed=1, jobs=1).write(folder / "originals")
    originals = list(Loader().index(made.dicom))
    for number in range(series):
        study = originals[number % len(originals)]
        uids = {
            name: generate_uid(entropy_srcs=[f"{name} {number}"]) for name in ("study", "series")
        }
        target = folder / "archive" / f"{number:04d}"
        target.mkdir(parents=True)
        for index, path in enumerate(study.series[0].files):
            image = copy.deepcopy(pydicom.dcmread(path))
            image.PatientID = f"COPY{number:04d}"
            image.StudyInstanceUID, image.SeriesInstanceUID = uids["study"], uids["series"]
            image.FrameOfReferenceUID = generate_uid(entropy_srcs=[f"frame {number}"])
            image.SOPInstanceUID = generate_uid(entropy_srcs=[f"slice {number} {index}"])
            image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
            noise = np.random.default_rng((number, index)).integers(0, 4, image.pixel_array.shape)
            image.PixelData = (image.pixel_array + noise.astype(image.pixel_array.dtype)).tobytes()
            image.save_as(target / f"{index:02d}.dcm")


def make_model(folder: Path) -> Path:
    made = Phantom(n_opll=6, n_dss=6, difficulty=0.1, seed=2, jobs=1).write(folder / "training")
    classifier = OPLLClassifier(
        backbone="resnet34", preprocessor=Preprocessor(size=(64, 64), spacing=1.8), epochs=1,
        validation=0.4, progress=False,
    )  # fmt: skip
    cohort = Loader().index(made.dicom).with_labels(made.labels)
    return classifier.fit(cohort).save(folder / "model")


def start(folder: Path, out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cervispine", "infer", folder / "model", folder / "archive"]
    # Nobody's fault but the campaign's: more may die of a study than usual.
    command += ["--out", out, "--workers", workers, "--tries", 10]
    return subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.DEVNULL,
        stderr=(sys.stderr if os.environ.get("DBG") else subprocess.DEVNULL),
    )


def disturb(folder: Path, out: Path, kills: int, seed: int) -> tuple[int, int]:
    """Read with two workers that are killed; return how many were, and how many leaders."""
    generator = np.random.default_rng(seed)
    workers = leaders = 0
    leader = start(folder, out, 2)
    step = len(list((folder / "archive").iterdir())) // (kills + 1)
    while leader.poll() is None:
        struck = workers + leaders
        # Somewhere after so many results, so that kills are spread over the whole archive.
        if struck < kills and len(list(out.glob("results/*/*.json"))) > struck * step:
            time.sleep(generator.uniform(0, 0.3))
            if leaders < LEADERS and struck % 5 == 4:
                leader.kill()
                leader.wait()
                leaders += 1
                leader = start(folder, out, 2)
                time.sleep(2)
            else:
                workers += kill_a_worker(out, generator)
        time.sleep(0.02)
    if leader.returncode:
        raise SystemExit(f"the run ended with {leader.returncode}")
    return workers, leaders


def kill_a_worker(out: Path, generator: np.random.Generator) -> int:
    marks = list(out.glob("attempts/*"))
    if not marks:
        return 0
    mark = marks[generator.integers(len(marks))]
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(mark.suffix[1:].partition("-")[0]), signal.SIGKILL)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--series", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_archive(folder, arguments.series)
        make_model(folder)
        began = time.monotonic()
        if start(folder, folder / "quiet", 0).wait():
            raise SystemExit("the quiet run failed")
        quiet = time.monotonic() - began
        began = time.monotonic()
        workers, leaders = disturb(folder, folder / "disturbed", arguments.kills, arguments.seed)
        disturbed = time.monotonic() - began
        wanted, found = (
            {
                path.relative_to(folder / run).as_posix(): path.read_bytes()
                for path in sorted((folder / run).rglob("*"))
                if path.is_file() and path.name not in (".lock", "known.txt")
            }
            for run in ("quiet", "disturbed")
        )
        studies = json.loads(found["manifest.json"])["studies"]
    results = sum(path.startswith("results/") for path in found)
    equal = sum(found.get(path) == content for path, content in wanted.items())
    extra = sorted(set(found) - set(wanted))
    print(f"{quiet:.0f} s undisturbed in one process; {disturbed:.0f} s with two workers, of which")
    print(f"{workers} were killed, and the leading process {leaders} times; {studies}")
    checks = {
        "results_for_each_series": (results / arguments.series, results == arguments.series),
        "files_equal_to_the_quiet_run": (equal / len(wanted), equal == len(wanted) and not extra),
        "kills_that_struck": (
            (workers + leaders) / arguments.kills, workers + leaders >= arguments.kills,
        ),
    }  # fmt: skip
    for check, (ratio, passed) in checks.items():
        print(f"{check} {ratio:.3f} = 1 {'pass' if passed else 'fail'}")
    return int(not all(passed for _, passed in checks.values()))


if __name__ == "__main__":
    sys.exit(main())
