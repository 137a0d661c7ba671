"""How fast a series becomes what a network is given, and how fast it is read.

The series is a sagittal T2 of 15 slices of 512 x 512 pixels, written as DICOM into a temporary
folder. Prints `name ratio target pass|fail`, where the ratio is the median time of the peer over
ours: one thread, one run, the two in turn, files in the page cache. It is time of the processor,
which others who use the machine do not change much. Rows without a target are there to be known.
All are given what an index gives once: ours a study, the peers the names of the files in order.

read_and_preprocess    Preprocessor against MONAI's PydicomReader and transforms
read_three_slices      Loader.read of 3 slices, as many as the tensor has, against SimpleITK's
                       ImageSeriesReader, which has no way to read part of a series
read_all_slices        the same of all 15, which the Preprocessor needs to find the middle one; as
                       float32, which SimpleITK's, of the type that is stored, are not yet
index_and_preprocess   the first row with Loader.index of the folder in our time
"""

from __future__ import annotations

import os

# Before anything that starts threads is imported.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK
import torch
from monai.transforms import (
    CenterSpatialCrop,
    Compose,
    EnsureChannelFirst,
    LoadImage,
    Orientation,
    ScaleIntensityRangePercentiles,
    Spacing,
)
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid
from scipy import ndimage

from cervispine import Loader, Preprocessor

SLICES, SIDE, PIXEL, GAP = 15, 512, 0.469, 3.3
ROUNDS = 15


def write_series(folder: Path) -> list[Path]:
    """Write the series, as a scanner does, and return its files in order."""
    random = np.random.default_rng(0)
    coarse = random.normal(size=(SLICES, 32, 32)).astype(np.float32)
    tissue = ndimage.zoom(coarse, (1, SIDE / 32, SIDE / 32), order=1)
    body = np.hypot(*np.indices((SIDE, SIDE)) - (SIDE - 1) / 2) < 0.42 * SIDE
    signal = body * (900 + 250 * tissue) + 30 * random.normal(size=tissue.shape)
    stored = np.clip(np.rint(np.abs(signal)), 0, 4095).astype("<u2")
    study, series, frame = (generate_uid() for _ in range(3))
    paths = []
    for index, image in enumerate(stored):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        for name, value in {
            "SOPClassUID": MRImageStorage,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "StudyInstanceUID": study,
            "SeriesInstanceUID": series,
            "FrameOfReferenceUID": frame,
            "PatientID": "benchmark",
            "Modality": "MR",
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "SE"],
            "ScanningSequence": "SE",
            "RepetitionTime": 3500,
            "EchoTime": 105,
            "SliceThickness": 3,
            "AcquisitionNumber": 1,
            "InstanceNumber": index + 1,
            "ImagePositionPatient": [index * GAP - 23, -120, 120],
            "ImageOrientationPatient": [0, 1, 0, 0, 0, -1],
            "PixelSpacing": [PIXEL, PIXEL],
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": SIDE,
            "Columns": SIDE,
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
            "RescaleSlope": 1,
            "RescaleIntercept": 0,
            "PixelData": image.tobytes(),
        }.items():
            setattr(dataset, name, value)
        paths.append(folder / f"{index:02}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


def monai_chain(folder: Path) -> Callable[[], object]:
    """Return MONAI's way from a series to slices of 224 x 224 pixels of 0.7 mm."""
    chain = Compose(
        [
            LoadImage(reader="PydicomReader", image_only=True),
            EnsureChannelFirst(),
            Orientation(axcodes="LIP"),
            Spacing(pixdim=(-1, 0.7, 0.7)),
            ScaleIntensityRangePercentiles(1, 99, 0, 1, clip=True),
            CenterSpatialCrop((-1, 224, 224)),
        ]
    )
    assert chain(folder).shape == (1, SLICES, 224, 224)
    return lambda: chain(folder)


def sitk_reader(paths: list[Path]) -> Callable[[], object]:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    return lambda: SimpleITK.GetArrayViewFromImage(reader.Execute())


def medians(acts: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median time of each act, all of them in turn in each round, seconds."""
    times: dict[str, list[float]] = {name: [] for name in acts}
    for number in range(ROUNDS + 1):
        for name, act in acts.items():
            start = time.process_time()
            act()
            if number:  # the first round warms up
                times[name].append(time.process_time() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


def main() -> int:
    torch.set_num_threads(1)
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = write_series(Path(folder))
        loader, preprocessor = Loader(), Preprocessor()
        study = loader.index(folder)[0]
        middle = range(SLICES // 2 - 1, SLICES // 2 + 2)
        seconds = medians(
            {
                "monai": monai_chain(Path(folder)),
                "preprocess": lambda: preprocessor.transform([study]),
                "sitk": sitk_reader(paths),
                "three": lambda: loader.read(study, slices=middle),
                "all": lambda: loader.read(study),
                "index": lambda: preprocessor.transform(loader.index(folder)),
            }
        )
    failed = False
    for name, peer, ours, target in (
        ("read_and_preprocess", "monai", "preprocess", 10),
        ("read_three_slices", "sitk", "three", 5),
        ("read_all_slices", "sitk", "all", None),
        ("index_and_preprocess", "monai", "index", None),
    ):
        ratio = seconds[peer] / seconds[ours]
        times = f"({1e3 * seconds[ours]:.1f} ms against {1e3 * seconds[peer]:.1f} ms)"
        if target is None:
            print(f"{name} {ratio:.1f} - - {times}")
            continue
        failed |= ratio < target
        print(f"{name} {ratio:.1f} {target} {'pass' if ratio >= target else 'fail'} {times}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
