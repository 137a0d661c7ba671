"""An oracle's series as DICOM files: a file a slice, or one Enhanced MR file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSTransferSyntaxes,
    MRImageStorage,
)
from pydicom.valuerep import format_number_as_ds

from cervispine.testing.oracle import OracleSeries

__all__ = ["write_oracle_series"]

PIXEL_DATA = Tag("PixelData")


def write_oracle_series(
    folder: str | Path,
    series: OracleSeries,
    *,
    change: Callable[[int, Dataset], object] | None = None,
) -> list[Path]:
    """Write the files of an oracle's series.

    Parameters
    ----------
    folder
        Where to; made when it is not there.
    series
        What to write.
    change
        Called with the index of each slice along the normal (0 for an enhanced file) and its
        data set, uncompressed, before it is written: what a test wants to be wrong.

    Returns
    -------
    list of Path
        One a slice, in order along the normal; one in all for an enhanced series.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for index in range(1 if series.enhanced else series.shape[0]):
        dataset = _enhanced(series) if series.enhanced else slice_of(series, index)
        if change is not None:
            change(index, dataset)
        place = 0 if series.enhanced else series.places[index]
        name = series.names[index] if series.names else f"{place:04d}-{series.series}.dcm"
        _write(folder / name, dataset, UID(series.syntax))
        paths.append(folder / name)
    return paths


def _write(path: Path, dataset: FileDataset, syntax: UID) -> None:
    if syntax.is_encapsulated:
        compress(dataset, syntax)
    elif dataset.BitsAllocated == 8:
        # Bytes, which no byte order moves; as words they would be exchanged in pairs.
        dataset[PIXEL_DATA].VR = "OB"
    big = syntax == ExplicitVRBigEndian
    if big and dataset.BitsAllocated == 16:
        dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").byteswap().tobytes()
    dataset.file_meta.TransferSyntaxUID = syntax
    dcmwrite(
        path,
        dataset,
        implicit_vr=syntax == ImplicitVRLittleEndian,
        little_endian=not big,
        enforce_file_format=True,
    )


def compress(dataset: Dataset, syntax: UID) -> None:
    """Compress by the encoder named here: pydicom may take GDCM's, which some images crash."""
    plugin = "pyjpegls" if syntax in JPEGLSTransferSyntaxes else "pylibjpeg"
    dataset.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)


def slice_of(series: OracleSeries, index: int) -> FileDataset:
    """Return one slice of a series, uncompressed."""
    dataset = _common(series, MRImageStorage, f"{series.series}.{index + 1}")
    slope = series.slopes[index] if series.slopes else 1.0
    intercept = series.intercepts[index] if series.intercepts else 0.0
    _set(
        dataset,
        ScanningSequence="SE",
        RepetitionTime=3000,
        EchoTime=100,
        AcquisitionNumber=1,
        InstanceNumber=series.places[index] + 1,
        SliceThickness=3.0,
        ImagePositionPatient=decimals(series.corner(index)),
        ImageOrientationPatient=decimals(series.orientation),
        PixelSpacing=decimals(series.pixel_spacing),
        RescaleSlope=decimals([slope])[0],
        RescaleIntercept=decimals([intercept])[0],
    )
    dataset.PixelData = _encoded(series, series.stored[index])
    return _with_elements(dataset, series)


def _enhanced(series: OracleSeries) -> FileDataset:
    dataset = _common(series, EnhancedMRImageStorage, f"{series.series}.1")
    dataset.NumberOfFrames = series.shape[0]
    shared = Dataset()
    shared.PixelMeasuresSequence = [
        _set(
            Dataset(),
            PixelSpacing=decimals(series.pixel_spacing),
            SliceThickness=3.0,
            SpacingBetweenSlices=decimals([series.gap])[0],
        )
    ]
    shared.PlaneOrientationSequence = [
        _set(Dataset(), ImageOrientationPatient=decimals(series.orientation))
    ]
    shared.MRTimingAndRelatedParametersSequence = [_set(Dataset(), RepetitionTime=3000)]
    shared.MREchoSequence = [_set(Dataset(), EffectiveEchoTime=100.0)]
    dataset.SharedFunctionalGroupsSequence = [shared]
    slices = np.argsort(series.places)
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(series, int(index), place) for place, index in enumerate(slices)
    ]
    dataset.PixelData = _encoded(series, series.stored[slices])
    return _with_elements(dataset, series)


def _frame(series: OracleSeries, index: int, place: int) -> Dataset:
    frame = Dataset()
    content = _set(Dataset(), StackID="1", InStackPositionNumber=index + 1)
    frame.FrameContentSequence = [_set(content, DimensionIndexValues=[1, place + 1])]
    frame.PlanePositionSequence = [
        _set(Dataset(), ImagePositionPatient=decimals(series.corner(index)))
    ]
    frame.PixelValueTransformationSequence = [
        _set(
            Dataset(),
            RescaleSlope=decimals([series.slopes[index] if series.slopes else 1.0])[0],
            RescaleIntercept=decimals([series.intercepts[index] if series.intercepts else 0.0])[0],
            RescaleType="US",
        )
    ]
    kind = _set(Dataset(), FrameType=["ORIGINAL", "PRIMARY", "M", "NONE"])
    frame.MRImageFrameTypeSequence = [kind]
    return frame


def _common(series: OracleSeries, sop_class: str, instance: str) -> FileDataset:
    """Return what a slice and an enhanced file say in the same words."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(instance)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    _set(
        dataset,
        SOPClassUID=sop_class,
        SOPInstanceUID=instance,
        ImageType=["ORIGINAL", "PRIMARY", "M", "SE"],
        Modality="MR",
        Manufacturer="SIEMENS",
        PatientID=series.patient,
        MagneticFieldStrength=1.5,
        StudyInstanceUID=series.study,
        SeriesInstanceUID=series.series,
        FrameOfReferenceUID=f"{series.study}.9",
        SamplesPerPixel=1,
        PhotometricInterpretation=series.photometric,
        Rows=series.shape[1],
        Columns=series.shape[2],
        BitsAllocated=series.allocated,
        BitsStored=series.bits,
        HighBit=series.bits - 1,
        PixelRepresentation=int(series.signed),
    )
    return dataset


def _with_elements(dataset: FileDataset, series: OracleSeries) -> FileDataset:
    for keyword, value in series.elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def _encoded(series: OracleSeries, stored: NDArray[np.int64]) -> bytes:
    if series.photometric == "MONOCHROME1":
        stored = series.lowest + series.highest - stored
    kind = f"<{'i' if series.signed else 'u'}{series.allocated // 8}"
    encoded = stored.astype(kind).tobytes()
    return encoded + b"\0" * (len(encoded) % 2)


def decimals(numbers: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Return numbers as precisely as the 16 characters of a decimal string allow."""
    return [format_number_as_ds(float(number)) for number in numbers]


def _set(dataset: Any, **elements: Any) -> Any:
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset
