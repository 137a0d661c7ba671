"""What it costs to know a cohort: the header index, first and saved.

Prints `name ratio target pass|fail`: the median time of ours over that of a peer, the two
alternating in one run on the same files. It is time of the processor, which others who use the
machine do not change much; one thread and files in the page cache leave little to wait for.
10,000 files of a realistic layout (one folder a series, named by UIDs) and a realistic header (130
elements, 40 of them private) are made in a temporary folder.

index_against_pydicom     Loader.index against a loop of pydicom's dcmread(stop_before_pixels=True)
saved_index_against_stat  a second index, with a saved one, against a loop of os.stat over names
                          that are known
saved_index_against_walk  the same against os.scandir and a stat of each entry: only a walk finds
                          what is new, so that no second index is faster
walk_against_stat         what a walk itself takes of the loop: it bounds the row before last

`--large` measures other things, once: 100,000 files in three layouts, files a second and the
largest memory, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from cervispine.loading import Loader
from cervispine.loading.intake import find_files

SLICES = 15
ROUNDS = 5
LAYOUTS = ("flat", "deep", "per-patient")


def header(study: int, index: int) -> Dataset:
    """Return one slice of a sagittal T2 series with as many elements as a scanner writes."""
    uid = f"1.2.826.0.1.3680043.10.1.{study + 1000000}"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MRImageStorage
    meta.MediaStorageSOPInstanceUID = f"{uid}.1.{index + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = Dataset()
    dataset.file_meta = meta
    for name, value in {
        "SOPClassUID": MRImageStorage, "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
        "ImageType": ["ORIGINAL", "PRIMARY", "M", "SE"], "Modality": "MR",
        "Manufacturer": "SIEMENS", "PatientID": f"P{study:06}", "ScanningSequence": "SE",
        "RepetitionTime": 3000, "EchoTime": 100, "MagneticFieldStrength": 1.5,
        "EchoTrainLength": 15, "StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1",
        "FrameOfReferenceUID": f"{uid}.9", "AcquisitionNumber": 1, "InstanceNumber": index + 1,
        "ImagePositionPatient": [f"{index * 3.3 - 24:.6f}", "-120.500000", "118.250000"],
        "ImageOrientationPatient": [0, 1, 0, 0, 0, -1], "PixelSpacing": [0.6875, 0.6875],
        "SliceThickness": 3.0, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 32, "Columns": 32, "BitsAllocated": 16, "BitsStored": 12, "HighBit": 11,
        "PixelRepresentation": 0, "RescaleSlope": 1, "RescaleIntercept": 0,
        "StudyDate": "20200101", "SeriesDate": "20200101", "AcquisitionDate": "20200101",
        "ContentDate": "20200101", "StudyTime": "101112.13", "SeriesTime": "101112.13",
        "AcquisitionTime": "101112.13", "ContentTime": "101112.13", "AccessionNumber": "1",
        "InstitutionName": "Somewhere", "StationName": "MR1", "StudyDescription": "C spine",
        "SeriesDescription": "t2_tse_sag", "ManufacturerModelName": "Avanto", "PatientName": "X^Y",
        "PatientBirthDate": "19500101", "PatientSex": "F", "PatientAge": "070Y",
        "PatientWeight": 70, "BodyPartExamined": "CSPINE", "SequenceVariant": ["SK", "SP"],
        "ScanOptions": "PFP", "MRAcquisitionType": "2D", "SequenceName": "*tse2d1_15",
        "AngioFlag": "N", "NumberOfAverages": 2, "ImagingFrequency": 63.68, "ImagedNucleus": "1H",
        "EchoNumbers": 1, "SpacingBetweenSlices": 3.3, "NumberOfPhaseEncodingSteps": 384,
        "PercentSampling": 100, "PercentPhaseFieldOfView": 100, "PixelBandwidth": 191,
        "DeviceSerialNumber": "1", "SoftwareVersions": "syngo MR B17", "ProtocolName": "t2_tse_sag",
        "TransmitCoilName": "Body", "AcquisitionMatrix": [0, 384, 288, 0],
        "InPlanePhaseEncodingDirection": "COL", "FlipAngle": 150, "VariableFlipAngleFlag": "N",
        "SAR": 0.7, "dBdt": 0, "PatientPosition": "HFS", "StudyID": "1", "SeriesNumber": 3,
        "PositionReferenceIndicator": "", "SliceLocation": index * 3.3,
        "SmallestImagePixelValue": 0, "LargestImagePixelValue": 1200, "WindowCenter": 400,
        "WindowWidth": 900, "RequestedProcedureDescription": "C spine",
        "PerformedProcedureStepStartDate": "20200101", "PerformedProcedureStepID": "1",
    }.items():  # fmt: skip
        setattr(dataset, name, value)
    for group in (0x0019, 0x0029):
        block = dataset.private_block(group, "BENCHMARK", create=True)
        for element in range(20):
            block.add_new(element, "LO", f"private value {element}")
    pixels = np.random.default_rng(index).integers(0, 1200, (32, 32)).astype("<u2")
    dataset.PixelData = pixels.tobytes()
    return dataset


def write(root: Path, files: int, layout: str) -> None:
    """Write files; all studies but the first of a thousand copy its bytes, with their own UIDs."""
    models: list[bytes] = []
    for index in range(SLICES):
        path = root.parent / "model"
        pydicom.dcmwrite(path, header(0, index), enforce_file_format=True)
        models.append(path.read_bytes())
        path.unlink()
    for number in range(files):
        study, index = divmod(number, SLICES)
        folder = {
            "flat": root,
            "deep": root.joinpath(*f"{study:06}", "study", "series"),
            "per-patient": root / f"P{study:06}" / f"1.2.826.{study}" / f"1.2.826.{study}.1",
        }[layout]
        if index == 0 or layout == "flat":
            folder.mkdir(parents=True, exist_ok=True)
        content = models[index].replace(b".10.1.1000000", f".10.1.{study + 1000000}".encode())
        content = content.replace(b"P000000", f"P{study:06}".encode())
        (folder / f"1.2.826.0.1.3680043.10.1.{study}.1.{index}.dcm").write_bytes(content)


def alternate(acts: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median seconds of each act, the acts taking turns."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(ROUNDS):
        for name, act in acts.items():
            start = time.process_time()
            act()
            times[name].append(time.process_time() - start)
    return {name: float(np.median(each)) for name, each in times.items()}


def results(folder: Path) -> Iterator[tuple[str, float, float | None]]:
    """Yield name, ratio and target, None where there is none."""
    data = folder / "data"
    write(data, 10_000, "per-patient")
    paths = [file.path for file in find_files(data).files]
    saved = folder / "saved"
    Loader().index(data, saved=saved)
    seconds = alternate(
        {
            "pydicom": lambda: [pydicom.dcmread(p, stop_before_pixels=True) and 0 for p in paths],
            "index": lambda: Loader().index(data),
            "stat": lambda: [os.stat(path) and 0 for path in paths],  # noqa: PTH116  the bare call
            "walk": lambda: walk(data),
            "again": lambda: Loader().index(data, saved=saved),
        }
    )
    yield "index_against_pydicom", seconds["index"] / seconds["pydicom"], 1.3
    yield "saved_index_against_stat", seconds["again"] / seconds["stat"], 2.0
    yield "saved_index_against_walk", seconds["again"] / seconds["walk"], None
    yield "walk_against_stat", seconds["walk"] / seconds["stat"], None


def walk(folder: Path) -> int:
    """Return how many files lie under a folder, with a stat of each and nothing more."""
    files = 0
    waiting: list[str | Path] = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting.append(entry.path)
                else:
                    files += bool(entry.stat())
    return files


def large(folder: Path) -> None:
    """Print files a second and the largest memory of 100,000 files in three layouts."""
    for layout in LAYOUTS:
        data = folder / layout
        write(data, 100_000, layout)
        for name in ("first", "again"):
            command = [sys.executable, "-P", __file__, "--index", data, "--saved", folder / "saved"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, before, most = map(float, done.stdout.split())
            print(f"index_100000_{layout}_{name} {100_000 / seconds:.0f} files/s, "
                  f"{most:.0f} MiB at most, {(most - before) * 2**20 / 100_000:.0f} bytes a file",
                  flush=True)  # fmt: skip
        (folder / "saved").unlink()
        shutil.rmtree(data)


def index_alone(data: str, saved: str) -> None:
    """Print seconds of the processor, and MiB of memory before and at most."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.process_time()
    Loader().index(data, saved=saved)
    seconds = time.process_time() - start
    print(seconds, before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="100,000 files in three layouts")
    parser.add_argument("--index", help=argparse.SUPPRESS)
    parser.add_argument("--saved", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.index:
        index_alone(options.index, options.saved)
        return 0
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        if options.large:
            large(Path(folder))
            return 0
        for name, ratio, target in results(Path(folder)):
            if target is None:
                print(f"{name} {ratio:.2f} - -", flush=True)
                continue
            failed |= ratio > target
            verdict = "fail" if ratio > target else "pass"
            print(f"{name} {ratio:.2f} {target} {verdict}", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
