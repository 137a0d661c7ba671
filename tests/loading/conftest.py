"""A series whose voxels say where they lie, so that any flip, swap, slope or order error shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

from cervispine import Cohort

#: Rows run to inferior, columns to posterior: a plain sagittal slice.
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def code(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what a voxel at these LPS positions, (..., 3), holds: no two directions alike."""
    return 1500 + points @ np.array([7.3, 2.9, -4.1])


@attrs.define(kw_only=True)
class SyntheticSeries:
    """A series to be written; the attributes are what tests vary."""

    shape: tuple[int, int, int] = (5, 24, 20)
    orientation: Sequence[float] = SAGITTAL
    origin: Sequence[float] = (-8.0, -10.0, 12.0)
    pixel_spacing: tuple[float, float] = (0.9, 0.6)
    gap: float = 3.3
    slopes: Sequence[float] | None = None
    intercept: float = 0.0
    signed: bool = False
    bits: int = 16
    photometric: str = "MONOCHROME2"
    syntax: str = ExplicitVRLittleEndian
    patient: str = "00123"
    study: str = "1.2.3.1"
    series: str = "1.2.3.1.1"
    elements: dict[str, Any] = attrs.field(factory=dict)

    @property
    def normal(self) -> NDArray[np.float64]:
        return np.cross(self.orientation[:3], self.orientation[3:])

    def positions(self, index: int) -> NDArray[np.float64]:
        """Float64 (rows, columns, 3): LPS of each voxel of a slice, by PS3.3 C.7.6.2.1.1."""
        rows, columns = np.meshgrid(*map(np.arange, self.shape[1:]), indexing="ij")
        along_row = np.asarray(self.orientation[:3]) * self.pixel_spacing[1]
        along_column = np.asarray(self.orientation[3:]) * self.pixel_spacing[0]
        return self.corner(index) + columns[..., None] * along_row + rows[..., None] * along_column

    def corner(self, index: int) -> NDArray[np.float64]:
        return np.asarray(self.origin) + index * self.gap * self.normal

    def dataset(self, index: int) -> FileDataset:
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = MRImageStorage
        meta.MediaStorageSOPInstanceUID = f"{self.series}.{index + 1}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        slope = 1.0 if self.slopes is None else self.slopes[index]
        for name, value in {
            "SOPClassUID": MRImageStorage,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "SE"],
            "Modality": "MR",
            "Manufacturer": "SIEMENS",
            "PatientID": self.patient,
            "ScanningSequence": "SE",
            "RepetitionTime": 3000,
            "EchoTime": 100,
            "MagneticFieldStrength": 1.5,
            "StudyInstanceUID": self.study,
            "SeriesInstanceUID": self.series,
            "FrameOfReferenceUID": f"{self.study}.9",
            "AcquisitionNumber": 1,
            # Reversed on purpose: the order of slices is never to come from here.
            "InstanceNumber": self.shape[0] - index,
            "ImagePositionPatient": [f"{value:.6f}" for value in self.corner(index)],
            "ImageOrientationPatient": [f"{value:.8f}" for value in self.orientation],
            "PixelSpacing": list(self.pixel_spacing),
            "SliceThickness": 3.0,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": self.photometric,
            "Rows": self.shape[1],
            "Columns": self.shape[2],
            "BitsAllocated": 16,
            "BitsStored": self.bits,
            "HighBit": self.bits - 1,
            "PixelRepresentation": int(self.signed),
            "RescaleSlope": slope,
            "RescaleIntercept": self.intercept,
        }.items():
            setattr(dataset, name, value)
        stored = np.round((code(self.positions(index)) - self.intercept) / slope)
        lowest = -(2 ** (self.bits - 1)) if self.signed else 0
        highest = lowest + 2**self.bits - 1
        assert stored.min() >= lowest
        assert stored.max() <= highest
        if self.photometric == "MONOCHROME1":
            stored = lowest + highest - stored
        dataset.PixelData = stored.astype("<i2" if self.signed else "<u2").tobytes()
        for name, value in self.elements.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)
        if self.syntax in (
            "1.2.840.10008.1.2.5",
            "1.2.840.10008.1.2.4.80",
            "1.2.840.10008.1.2.4.90",
        ):
            dataset.compress(self.syntax, generate_instance_uid=False)
        meta.TransferSyntaxUID = self.syntax
        return dataset

    def write(
        self,
        folder: Path,
        *,
        change: Callable[[int, Dataset], object] | None = None,
        names: Sequence[str] | None = None,
    ) -> list[Path]:
        """Write a file a slice, in a random-looking order of names; return their paths."""
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for index in range(self.shape[0]):
            dataset = self.dataset(index)
            if change is not None:
                change(index, dataset)
            name = names[index] if names else f"{(7 * index + 3) % 101:03d}-{self.series}.dcm"
            little = self.syntax != "1.2.840.10008.1.2.2"
            if not little:
                dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
            dcmwrite(
                folder / name,
                dataset,
                implicit_vr=self.syntax == "1.2.840.10008.1.2",
                little_endian=little,
                enforce_file_format=True,
            )
            paths.append(folder / name)
        return paths


def enhanced(
    *stacks: SyntheticSeries, order: Sequence[int] | None = None, syntax: str = "", **elements: Any
) -> FileDataset:
    """Return all slices of some series as one enhanced MR image, its frames in some order.

    The top of the header says other things of geometry and rescale than the functional groups
    do, as real ones sometimes do.
    """
    slices = [
        (stack, index, stack.dataset(index)) for stack in stacks for index in range(stack.shape[0])
    ]
    slices = [slices[number] for number in order or range(len(slices))]
    dataset = slices[0][2]
    for keyword in ("ImageOrientationPatient", "EchoTime", "RepetitionTime", "ScanningSequence"):
        del dataset[keyword]
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    dataset.NumberOfFrames = len(slices)
    dataset.EchoPulseSequence = "SPIN"
    dataset.ImagePositionPatient = [1, 2, 3]
    dataset.PixelSpacing = [7, 7]
    dataset.RescaleSlope, dataset.RescaleIntercept = 99, 99
    dataset.SharedFunctionalGroupsSequence = [
        item(MRTimingAndRelatedParametersSequence=item(RepetitionTime=3000.0, RFEchoTrainLength=12))
    ]
    dataset.PerFrameFunctionalGroupsSequence = [
        item(
            FrameContentSequence=item(
                StackID=str(1 + stacks.index(stack)), FrameAcquisitionNumber=1,
                TemporalPositionIndex=stack.elements.get("TemporalPositionIdentifier", 1),
            ),
            PlanePositionSequence=item(ImagePositionPatient=list(stack.corner(index))),
            PlaneOrientationSequence=item(ImageOrientationPatient=list(stack.orientation)),
            PixelMeasuresSequence=item(PixelSpacing=list(stack.pixel_spacing), SliceThickness=3),
            PixelValueTransformationSequence=item(
                RescaleSlope=stack.slopes[index] if stack.slopes else 1,
                RescaleIntercept=stack.intercept, RescaleType="US",
            ),
            MRImageFrameTypeSequence=item(
                FrameType=["ORIGINAL", "PRIMARY", "T2", "NONE"],
                ComplexImageComponent="MAGNITUDE",
            ),
            MREchoSequence=item(EffectiveEchoTime=float(stack.elements.get("EchoTime", 100))),
        )
        for stack, index, _ in slices
    ]  # fmt: skip
    dataset.PixelData = b"".join(each.PixelData for _, _, each in slices)
    for name, value in elements.items():
        setattr(dataset, name, value)
    if syntax:
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def item(**elements: Any) -> Dataset:
    dataset = Dataset()
    for name, value in elements.items():
        setattr(dataset, name, [value] if isinstance(value, Dataset) else value)
    return dataset


@pytest.fixture(scope="session")
def enhance() -> Callable[..., FileDataset]:
    return enhanced


@pytest.fixture(scope="session")
def Series() -> type[SyntheticSeries]:  # noqa: N802 - it gives a class
    return SyntheticSeries


@pytest.fixture(scope="session")
def voxel_code() -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    return code


@pytest.fixture(scope="session")
def new_uid() -> Callable[[], str]:
    return generate_uid


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return a folder that holds one good series, which every fault must leave alone."""
    SyntheticSeries(patient="good", study="1.2.3.99", series="1.2.3.99.1").write(tmp_path / "good")
    return tmp_path


@pytest.fixture(scope="session")
def check() -> Callable[[Cohort, str, str, int], None]:
    """Check that a cohort has one study, and so many files of one fate under one code."""

    def check(cohort: Cohort, code: str, fate: str, files: int) -> None:
        assert cohort.intake is not None
        problems = [problem for problem in cohort.intake.problems if problem.code == code]
        assert sum(problem.files for problem in problems) == files, cohort.intake.summary()
        assert {problem.fate for problem in problems} == {fate}
        assert len(cohort) == 1

    return check
