"""Series of the oracle, written as tests want them, and folders that hold them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.uid import UID, EnhancedMRImageStorage, generate_uid

from cervispine import Cohort
from cervispine.testing import OracleSeries, write_oracle_series
from cervispine.testing.writing import compress, decimals, slice_of


@attrs.frozen(kw_only=True, slots=False, eq=False)
class WritableSeries(OracleSeries):
    """An oracle's series that writes itself."""

    def write(
        self, folder: Path, *, change: Callable[[int, Dataset], object] | None = None
    ) -> list[Path]:
        return write_oracle_series(folder, self, change=change)

    def dataset(self, index: int) -> FileDataset:
        """Return one slice as it is written, for a test to change and to write itself."""
        dataset = slice_of(self, index)
        if UID(self.syntax).is_encapsulated:
            compress(dataset, UID(self.syntax))
        dataset.file_meta.TransferSyntaxUID = UID(self.syntax)
        return dataset


def enhanced(
    *stacks: WritableSeries, order: Sequence[int] | None = None, syntax: str = "", **elements: Any
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
            PlanePositionSequence=item(ImagePositionPatient=decimals(stack.corner(index))),
            PlaneOrientationSequence=item(ImageOrientationPatient=decimals(stack.orientation)),
            PixelMeasuresSequence=item(PixelSpacing=list(stack.pixel_spacing), SliceThickness=3),
            PixelValueTransformationSequence=item(
                RescaleSlope=stack.slopes[index] if stack.slopes else 1,
                RescaleIntercept=stack.intercepts[index] if stack.intercepts else 0,
                RescaleType="US",
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
        compress(dataset, UID(syntax))
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
def Series() -> type[WritableSeries]:  # noqa: N802 - it gives a class
    return WritableSeries


@pytest.fixture(scope="session")
def voxel_code() -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Return what a voxel at LPS positions, (..., 3), holds: no two directions alike."""
    return lambda points: 1500 + points @ np.array([7.3, 2.9, -4.1])


@pytest.fixture(scope="session")
def new_uid() -> Callable[[], str]:
    return generate_uid


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return a folder that holds one good series, which every fault must leave alone."""
    WritableSeries(patient="good", study="1.2.3.99", series="1.2.3.99.1").write(tmp_path / "good")
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
