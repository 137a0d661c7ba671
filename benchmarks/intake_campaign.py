"""Series whose right volume is known, and broken files: nothing may be silently wrong, or fail.

    python -P benchmarks/intake_campaign.py [--series 10000] [--mutations 200000] [--seed 0]
                                            [--nifti 20000] [--records FOLDER] [--raw]

Series: each is drawn at random (plane, obliqueness, spacing, gap, order, slopes, sign, bits,
syntax, photometric interpretation, one file a slice or enhanced), a quarter with a fault, a tenth
sharing its UID with another acquisition. What `Loader` gives must be right to 1e-4, or refused.

Mutations: seeds are oracle series in every syntax, and the files of pydicom, those that hold
pixels dressed as series of four slices, so that `read` gets to their decoders. One file is
broken, then all is indexed and read. Nothing but a `CervispineError` with a code may come out,
within two seconds and a gibibyte, with no patient's name; with a manifest in force, what comes out
must be what was written. Without one, what was altered and accepted is counted: DICOM has no
checksum. `--nifti` does the same with NIfTI, its sidecars and `NiftiLoader`.

Each item is drawn from its own number. With `--records` each outcome is written down as it is
known, and a campaign that was interrupted goes on with what is missing; `--item N` does one again.
Prints a table by mutator, then `name value target pass|fail`; exits with 1 on any violation, and
says which item to repeat.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import multiprocessing as mp
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import gdcm
import nibabel
import numpy as np
import pydicom
import pydicom.data
from pydicom.uid import UID, JPEGLosslessSV1, MRImageStorage
from scipy.spatial.transform import Rotation

from cervispine import Cohort, Loader, Volume
from cervispine.exceptions import CervispineError, LoadError, NoDicomError
from cervispine.loading import NiftiLoader, make_manifest
from cervispine.progress import progress
from cervispine.testing import (
    FAULTS,
    OracleSeries,
    check_volume,
    mutate,
    write_faulty_series,
    write_oracle_series,
)

SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big-endian": "1.2.840.10008.1.2.2",
    "deflated": "1.2.840.10008.1.2.1.99",
    "RLE": "1.2.840.10008.1.2.5",
    "JPEG-LS": "1.2.840.10008.1.2.4.80",
    "JPEG 2000": "1.2.840.10008.1.2.4.90",
}
NATIVE = ("implicit", "explicit", "big-endian", "deflated")
CANARY = "CANARY^Jane"
SECONDS = 2.0
TRIES = 5
MEBIBYTES = 1024
#: A seed is read thousands of times.
LARGEST_SEED = {"bytes": 150_000, "pixels": 65_536}
#: What a worker may ask for; more ends in a MemoryError instead of in a slow machine.
ADDRESS_SPACE = 8 * 2**30


# ------------------------------------------------------------------------------------ series


def random_series(generator: np.random.Generator, **fixed: Any) -> OracleSeries:
    count = int(generator.integers(4, 9))
    allocated = int(generator.choice([8, 16, 16, 16]))
    bits = int(generator.integers(9 if allocated == 16 else 8, allocated + 1))
    oblique = generator.random() < 0.1
    turns = generator.uniform(-60, 60, 3) if oblique else generator.uniform(-16, 16, 3)
    row, column = generator.permutation(3)[:2]
    axes = np.array([np.eye(3)[row], np.eye(3)[column]]) * generator.choice([-1, 1], (2, 1))
    orientation = Rotation.from_euler("xyz", turns, degrees=True).apply(axes).ravel().tolist()
    slopes = generator.choice([0.01, 1.0, 30.0]) * generator.uniform(0.5, 2, count)
    drawn: dict[str, Any] = {
        "shape": (count, *(int(size) for size in generator.integers(32, 48, 2))),
        "orientation": orientation,
        "origin": generator.uniform(-300, 300, 3).tolist(),
        "pixel_spacing": tuple(generator.uniform(0.2, 2, 2).tolist()),
        "gap": float(generator.uniform(0.5, 8)),
        "slopes": slopes.tolist() if generator.random() < 0.5 else (),
        "intercepts": [float(generator.uniform(-1e3, 1e3))] * count,
        "signed": bool(generator.random() < 0.5),
        "bits": bits,
        "allocated": allocated,
        "photometric": str(generator.choice(["MONOCHROME1", "MONOCHROME2"])),
        "syntax": SYNTAXES[str(generator.choice(list(SYNTAXES)))],
        "enhanced": bool(generator.random() < 0.3),
        "order": generator.permutation(count).tolist(),
    }
    return OracleSeries(**{**drawn, **fixed})


def series_outcome(number: int, seed: int, folder: Path) -> dict[str, Any]:
    """Write, read and judge one series."""
    generator = np.random.default_rng([seed, 1, number])
    kind = str(generator.choice(["whole", "faulty", "mixed"], p=[0.65, 0.25, 0.1]))
    fault = str(generator.choice(list(FAULTS)))
    fixed: dict[str, Any] = {"enhanced": False} if kind != "whole" else {}
    if kind == "faulty":
        # Encoders mend some of the faults, or refuse them.
        fixed["syntax"] = SYNTAXES[str(generator.choice(NATIVE))]
    series = random_series(generator, **fixed)
    right = [series]
    if kind == "faulty":
        inside = int(generator.integers(1, series.shape[0] - 1))
        write_faulty_series(folder, series, fault, at=inside)
    else:
        write_oracle_series(folder / "one", series)
    if kind == "mixed":
        right.append(random_series(generator, **fixed))

        def renamed(index: int, dataset: pydicom.Dataset) -> None:
            dataset.SOPInstanceUID = f"1.2.3.77.{index + 1}"

        write_oracle_series(folder / "two", right[1], change=renamed)
    plane = series.plane if series.plane != "oblique" else "sagittal"
    try:
        loader = Loader(plane=plane)
        volume = loader.read(loader.index(folder)[0])
    except CervispineError as error:
        codes = codes_of(error)
        meant = kind == "mixed" or series.plane == "oblique"
        meant |= kind == "faulty" and bool(codes & FAULTS[fault].codes)
        return {"kind": kind, "outcome": "refused" if meant else f"refused: {sorted(codes)}"}
    reasons = [_reason(volume, each) for each in right]
    if kind == "faulty":
        return {"kind": kind, "outcome": f"silently wrong: {fault}"}
    return {"kind": kind, "outcome": "right" if "" in reasons else f"silently wrong: {reasons}"}


def _reason(volume: Volume, series: OracleSeries) -> str:
    try:
        check_volume(volume, series)
    except LoadError as error:
        return error.what
    return ""


# ------------------------------------------------------------------------------- mutations


@attrs.frozen(kw_only=True)
class Seed:
    """A folder of files to break, and what reads out of it unbroken."""

    name: str
    files: tuple[Path, ...]
    loader: Any
    cohort: Cohort | None = None
    manifest: Any = None
    volume: Volume | None = None


def make_seeds(folder: Path) -> list[Seed]:
    """Write every seed; those that cannot be a series are single files, which are indexed only."""
    written: list[tuple[str, Path]] = []
    plain = {"patient": CANARY, "shape": (4, 32, 33)}
    for name, syntax in SYNTAXES.items():
        for enhanced in (False, True):
            series = OracleSeries(syntax=syntax, enhanced=enhanced, bits=12, **plain)
            written.append((f"oracle {name}{' enhanced' * enhanced}", folder / f"o{len(written)}"))
            write_oracle_series(written[-1][1], series)
        written.append((f"oracle {name} 8 bits", folder / f"o{len(written)}"))
        write_oracle_series(
            written[-1][1], OracleSeries(syntax=syntax, bits=8, allocated=8, signed=True, **plain)
        )
    for bits in (8, 12, 16):
        series = OracleSeries(**{**plain, "bits": bits, "allocated": 8 if bits == 8 else 16})
        written.append((f"oracle JPEG lossless {bits} bits", folder / f"o{len(written)}"))
        for file in write_oracle_series(written[-1][1], series):
            compress_by_gdcm(file)
    test_files = Path(pydicom.data.__file__).parent / "test_files"
    for path in sorted([*test_files.glob("*.dcm"), *test_files.glob("*.dcm.gz")]):
        if path.stat().st_size <= LARGEST_SEED["bytes"]:
            place = folder / f"p{len(written)}"
            dress(path, place)
            written.append((path.name, place))
    return [seed_of(name, place, Loader()) for name, place in written]


def make_nifti_seeds(folder: Path) -> list[Seed]:
    """Write images with a sidecar each, by the names of BIDS, of every kind of number."""
    generator = np.random.default_rng(0)
    affine = np.array([[0, 0, 3.3, -8], [-0.6, 0, 0, 12], [0, -0.9, 0, 20], [0, 0, 0, 1.0]])
    seeds = []
    for version in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        for kind in ("<i2", ">i2", "<u1", "<f4", ">f4", "<f8"):
            for suffix in (".nii", ".nii.gz"):
                place = folder / f"n{len(seeds)}"
                place.mkdir(parents=True)
                values = generator.integers(0, 200, (40, 44, 4)).astype(kind)
                image = version(values, affine, dtype=kind)
                image.header["descrip"] = CANARY.encode()
                image.set_qform(affine, code=1)
                stem = f"sub-{CANARY.replace('^', '')}_T2w"
                nibabel.save(image, place / f"{stem}{suffix}")
                sidecar = {"EchoTime": 0.1, "RepetitionTime": 3, "PatientName": CANARY}
                (place / f"{stem}.json").write_text(json.dumps(sidecar))
                name = f"{version.__name__} {kind}{suffix}"
                seeds.append(seed_of(name, place, NiftiLoader()))
    return seeds


def compress_by_gdcm(path: Path) -> None:
    """Make a file JPEG Lossless, which GDCM alone writes; its header stays as it was."""
    dataset = pydicom.dcmread(path)
    reader, change, writer = (
        gdcm.ImageReader(),
        gdcm.ImageChangeTransferSyntax(),
        gdcm.ImageWriter(),
    )
    reader.SetFileName(str(path))
    reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    writer.Write()
    dataset.PixelData = pydicom.dcmread(path).PixelData
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.save_as(path, enforce_file_format=True)


def dress(path: Path, folder: Path) -> None:
    """Make a series of four slices of an image, or copy a file that is none."""
    folder.mkdir(parents=True)
    try:
        dataset = pydicom.dcmread(path)
        if dataset.SamplesPerPixel != 1 or int(dataset.get("NumberOfFrames", 1)) != 1:
            raise ValueError("no grey image of one frame")
        if dataset.Rows * dataset.Columns > LARGEST_SEED["pixels"]:
            raise ValueError("too large to be read thousands of times")
        orientation = OracleSeries().orientation
        for index in range(4):
            for keyword, value in {
                "SOPClassUID": MRImageStorage, "SOPInstanceUID": f"1.2.3.{index + 1}",
                "StudyInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2.4", "PatientID": CANARY,
                "Modality": "MR", "ImageType": ["ORIGINAL", "PRIMARY"], "ScanningSequence": "SE",
                "RepetitionTime": 3000, "EchoTime": 100, "PixelSpacing": [1, 1],
                "ImageOrientationPatient": list(orientation),
                "ImagePositionPatient": [3.3 * index, 0, 0],
            }.items():  # fmt: skip
                setattr(dataset, keyword, value)
            dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
            dataset.save_as(folder / f"{index}.dcm", enforce_file_format=True)
    except Exception:  # pydicom's files are broken in every way, which is what they are for
        for partial in folder.iterdir():
            partial.unlink()
        shutil.copy(path, folder)


def seed_of(name: str, folder: Path, loader: Any) -> Seed:
    files = tuple(sorted(folder.iterdir()))
    try:
        cohort = loader.index(folder)
        volume = loader.read(cohort[0])
    except CervispineError:
        return Seed(name=name, files=files, loader=loader)
    manifest = make_manifest(cohort)
    return Seed(
        name=name, files=files, loader=loader, cohort=cohort, manifest=manifest, volume=volume
    )


def mutation_outcome(
    number: int, stream: list[int], seeds: list[Seed], raw: bool
) -> dict[str, Any]:
    """Break one file, index and read, and put the file back."""
    generator = np.random.default_rng([*stream, number])
    # Series are where the decoders are: three of four mutations are theirs.
    series = [each for each in seeds if each.cohort is not None]
    chosen = series if generator.random() < 0.75 else seeds
    base = chosen[int(generator.integers(len(chosen)))]
    path = base.files[int(generator.integers(len(base.files)))]
    content = path.read_bytes()
    mutator, changed = mutate(content, generator)
    record: dict[str, Any] = {"mutator": mutator, "seed": base.name}
    path.write_bytes(changed)
    try:
        # What is slow is slow each time; a machine that has other work is not.
        for _ in range(TRIES):
            start = time.perf_counter() - _waited()
            outcome, violation = _attempt(base, changed == content)
            seconds = time.perf_counter() - _waited() - start
            if seconds <= SECONDS:
                break
        else:
            violation = violation or f"slow: {seconds:.1f} s"
        if raw and base.volume is not None:
            record["raw"] = raw_outcome(path, content)
    finally:
        path.write_bytes(content)
    return {**record, "outcome": outcome, "violation": violation, "seconds": seconds}


def _waited() -> float:
    """Return for how many seconds this process has waited for a processor, where Linux tells."""
    try:
        return int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0


def _attempt(base: Seed, same: bool) -> tuple[str, str]:
    """Return what became of a broken folder, and what should not have, if anything."""
    folder = base.files[0].parent
    try:
        cohort = base.loader.index(folder)
        volume = base.loader.read(cohort[0])
    except CervispineError as error:
        return "refused", _refusal_fault(error)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        return "refused", f"uncaught {type(error).__name__}"
    outcome = _compared(base, cohort, volume)
    return outcome, "" if same else _manifest_fault(base, folder)


def _compared(base: Seed, cohort: Cohort, volume: Volume) -> str:
    if base.volume is None or base.cohort is None:
        return "accepted"
    if volume.pixels.shape != base.volume.pixels.shape:
        return "other slices"
    if not np.array_equal(volume.pixels, base.volume.pixels):
        return "other values"
    if not np.allclose(volume.affine, base.volume.affine, rtol=0, atol=1e-4):
        return "other places"
    return "unchanged" if cohort[0].patient == base.cohort[0].patient else "other patient"


def _manifest_fault(base: Seed, folder: Path) -> str:
    """With the manifest of the unbroken files, nothing but the unbroken volume may come out."""
    if base.manifest is None:
        return ""
    try:
        cohort = base.loader.index(folder, manifest=base.manifest)
        volume = base.loader.read(cohort[0])
    except CervispineError as error:
        return _refusal_fault(error)
    if _compared(base, cohort, volume) == "unchanged":
        return ""
    return "altered, and accepted though a manifest was in force"


def codes_of(error: CervispineError) -> set[str]:
    """Return the code of an error, or those of the intake that it sums up."""
    if not isinstance(error, NoDicomError):
        return {error.code}
    return set(re.findall(r"(?:rejected|ignored)\s+([A-Z_]+)", error.what))


def _refusal_fault(error: CervispineError) -> str:
    text = f"{error}{error.__cause__ or ''}"
    if not error.code or not codes_of(error):
        return "refused without a code"
    return "a value of the header in an error" if "CANARY" in text or "Jane" in text else ""


def raw_outcome(path: Path, content: bytes) -> str:
    """Return what pydicom by itself makes of the file, for comparison."""
    try:
        was = pydicom.dcmread(io.BytesIO(content))
        now = pydicom.dcmread(path)
        if UID(now.file_meta.TransferSyntaxUID) in pydicom.uid.JPEGTransferSyntaxes:
            return "not tried"  # GDCM may end the process
        before, after = was.pixel_array, now.pixel_array
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:
        return "refused"
    if before.shape != after.shape or not np.array_equal(before, after):
        return "other values"
    keys = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope",
            "RescaleIntercept", "PatientID", "PhotometricInterpretation")  # fmt: skip
    try:
        same = all(str(was.get(key)) == str(now.get(key)) for key in keys)
    except Exception:
        return "refused"
    return "unchanged" if same else "other header"


# ----------------------------------------------------------------------------------- workers


def work(
    kind: str, numbers: list[int], options: argparse.Namespace, folder: str, results: Any, now: Any
) -> None:
    """Do some items; `now` holds the item and since when, for the watchdog."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    logging.disable()
    place = Path(tempfile.mkdtemp(dir=folder))
    makers = {"mutations": make_seeds, "nifti": make_nifti_seeds}
    seeds = makers[kind](place / "seeds") if kind in makers else []
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # decoders write there
    for number in numbers:
        now[0], now[1] = number, time.time()
        if kind in makers:
            stream = [options.seed, 2 if kind == "mutations" else 3]
            record = mutation_outcome(number, stream, seeds, options.raw and kind == "mutations")
        else:
            record = series_outcome(number, options.seed, place / "series")
            shutil.rmtree(place / "series")
        record["number"] = number
        record["mebibytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        results.put(record)
    now[0] = -1


class Records:
    """What became of each item: in memory, and in a file that outlives an interruption."""

    def __init__(self, kind: str, options: argparse.Namespace) -> None:
        self.by_number: dict[int, dict[str, Any]] = {}
        self._path = None
        if options.records is not None:
            options.records.mkdir(parents=True, exist_ok=True)
            self._path = options.records / f"{kind}-{options.seed}.jsonl"
            for line in self._path.read_text().splitlines() if self._path.exists() else ():
                with contextlib.suppress(json.JSONDecodeError):  # the line that was being written
                    record = json.loads(line)
                    self.by_number[record["number"]] = record

    def add(self, record: dict[str, Any]) -> None:
        """Keep what became of an item."""
        self.by_number[record["number"]] = record
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(f"{json.dumps(record)}\n")


def campaign(kind: str, wanted: list[int], options: argparse.Namespace) -> list[dict[str, Any]]:
    """Run items in processes that may die or hang, each death and hang a violation."""
    records = Records(kind, options)
    numbers = [number for number in wanted if number not in records.by_number]
    with tempfile.TemporaryDirectory() as folder, progress(kind) as report:
        context = mp.get_context("fork")
        workers: list[tuple[Any, list[int], Any, Any]] = []

        def start(part: list[int]) -> None:
            results, now = context.SimpleQueue(), context.Array("d", [-1, time.time()])
            process = context.Process(target=work, args=(kind, part, options, folder, results, now))
            process.start()
            workers.append((process, part, results, now))

        for job in range(options.jobs):
            start(numbers[job :: options.jobs])
        try:
            while workers:
                for worker in list(workers):
                    process, part, results, now = worker
                    hung = time.time() - now[1] > 60 and now[0] >= 0
                    if hung:
                        process.kill()
                        process.join()
                    alive = process.is_alive()
                    while not results.empty():
                        records.add(results.get())
                    if alive:
                        continue
                    workers.remove(worker)
                    if process.exitcode != 0:
                        number = int(now[0])
                        if number < 0:
                            raise SystemExit("a worker could not begin")
                        what = "hung" if hung else f"died with {process.exitcode}"
                        records.add({"number": number, "outcome": what, "violation": what})
                        start(part[part.index(number) + 1 :])
                report(len(records.by_number), len(wanted))
                time.sleep(0.05)
        except KeyboardInterrupt:
            print("interrupted: the figures are of what was done", file=sys.stderr)
        finally:
            for process, *_ in workers:
                process.terminate()
                process.join()
    return [records.by_number[number] for number in wanted if number in records.by_number]


def print_table(records: list[dict[str, Any]], by: str, column: str) -> None:
    """Print how many records of each kind had each outcome."""
    outcomes = sorted({record[column] for record in records if column in record})
    print("| " + " | ".join([by, "inputs", *outcomes]) + " |")
    print("| --- |" + " ---: |" * (1 + len(outcomes)))
    groups = {kind: [r for r in records if r.get(by) == kind and column in r]
              for kind in sorted({record[by] for record in records if by in record})}  # fmt: skip
    for kind, group in {**groups, "all": [r for r in records if column in r]}.items():
        counts = Counter(record[column] for record in group)
        shares = [f"{counts[outcome]}" for outcome in outcomes]
        print("| " + " | ".join([kind, f"{len(group)}", *shares]) + " |")


def judge(name: str, bad: list[dict[str, Any]], total: int) -> bool:
    """Print one line of the verdict, and what to repeat."""
    rule = "" if bad else f" (95 % below {3 / max(total, 1):.2g})"
    print(f"{name} {len(bad)}/{total} 0 {'fail' if bad else 'pass'}{rule}")
    for record in bad[:20]:
        print(f"    --item {record['number']}: {record}")
    return bool(bad)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--mutations", type=int, default=200_000)
    parser.add_argument("--nifti", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--item", type=int, help="one item of each kind, and nothing written down")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--records", type=Path, help="folder of outcomes, to go on from")
    parser.add_argument("--raw", action="store_true", help="pydicom by itself, beside it")
    options = parser.parse_args()
    # In the background a shell lets interruptions be ignored, and a killed parent leaves workers.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    if options.item is not None:
        options.records = None

    def wanted(count: int) -> list[int]:
        one = [] if options.item is None else [options.item]
        return (one or list(range(count))) if count else []

    failed = False
    if numbers := wanted(options.series):
        records = campaign("series", numbers, options)
        print_table(records, "kind", "outcome")
        bad = [r for r in records if r["outcome"] not in ("right", "refused")]
        failed |= judge("silent_errors", bad, len(records))
    for kind in ("mutations", "nifti"):
        if not (numbers := wanted(getattr(options, kind))):
            continue
        print(f"\n{kind}")
        records = campaign(kind, numbers, options)
        print_table(records, "mutator", "outcome")
        if options.raw and kind == "mutations":
            print("\npydicom by itself, of the same files")
            print_table(records, "mutator", "raw")
        print(f"{len({r['seed'] for r in records if 'seed' in r})} seeds")
        failed |= judge("violations", [r for r in records if r["violation"]], len(records))
        slowest = max(record.get("seconds", 0.0) for record in records)
        peak = max(record.get("mebibytes", 0) for record in records)
        large = peak > MEBIBYTES and not options.raw
        print(f"slowest_seconds {slowest:.2f} {SECONDS} {'pass' if slowest <= SECONDS else 'fail'}")
        print(f"peak_mebibytes {peak} {MEBIBYTES} {'fail' if large else 'pass'}")
        failed |= large
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
