"""Writes a rendered series as DICOM MR Image Storage, and says in every file that it is synthetic.

No value depends on the patient's label: identifiers come from seeds and numbers, times from the
protocol.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from cervispine.phantom.rendering import Rendering
from cervispine.phantom.scanner import SCANNERS
from cervispine.phantom.specification import PatientSpecification, Protocol

__all__ = ["uid_of", "write_series"]

COMMENT = "SYNTHETIC: computed from a digital phantom. Not a patient. Not for diagnosis."
DESCRIPTIONS = {"T2": "t2_tse_sag SYNTHETIC", "T1": "t1_tse_sag SYNTHETIC"}


def uid_of(*parts: object) -> str:
    """Return a UID under 2.25 that depends on `parts` alone."""
    text = "|".join(("cervispine phantom", *map(str, parts)))
    # 2.25 takes a number of 128 bits (ISO/IEC 9834-8).
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])}"


def write_series(
    rendering: Rendering, patient: PatientSpecification, folder: Path, *, name: str
) -> tuple[Path, ...]:
    """Write one series, a file a slice, and return the files.

    Parameters
    ----------
    rendering : Rendering
        A whole series.
    patient : PatientSpecification
    folder : Path
        Made if missing.
    name : str
        The patient's identifier.
    """
    folder.mkdir(parents=True, exist_ok=True)
    dataset = _common(rendering, patient, name)
    series = dataset.SeriesInstanceUID
    order = _instance_order(patient.protocol)
    step, row, column = rendering.affine[:3, :3].T
    normal = step / np.linalg.norm(step)
    dataset.ImageOrientationPatient = [
        _decimal(value)
        for direction in (column, row)
        for value in direction / np.linalg.norm(direction)
    ]
    files = []
    for place, number in enumerate(order, start=1):
        position = rendering.affine[:3, 3] + number * step
        dataset.SOPInstanceUID = uid_of(series, number)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.InstanceNumber = place
        dataset.ImagePositionPatient = [_decimal(value) for value in position]
        dataset.SliceLocation = _decimal(float(position @ normal))
        dataset.PixelData = rendering.pixels[number].astype("<u2").tobytes()
        file = folder / f"IM{place:04d}.dcm"
        dataset.save_as(file, enforce_file_format=True)
        files.append(file)
    return tuple(files)


def _decimal(value: float) -> float:
    """Return a value that a decimal string of 16 characters holds."""
    return round(float(value), 9)


def _instance_order(protocol: Protocol) -> list[int]:
    """Return the slices, by number along the normal, in the order of InstanceNumber."""
    slices = list(range(protocol.slices))
    if protocol.instance_order == "descending":
        return slices[::-1]
    if protocol.instance_order == "interleaved":
        return slices[::2] + slices[1::2]
    return slices


def _common(rendering: Rendering, patient: PatientSpecification, name: str) -> Dataset:
    """Return what all files of a series share."""
    protocol = patient.protocol
    contrast = protocol.contrast(rendering.sequence)
    study = uid_of(name, patient.seed, "study")
    series_number = ("T2", "T1").index(rendering.sequence) + 1

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = MRImageStorage
    # Computed, but from no other image: original in the standard's sense (PS3.3, C.7.6.1.1.2).
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "SE", "SYNTHETIC"]

    dataset.PatientName = f"SYNTHETIC^{name}"
    dataset.PatientID = name
    dataset.PatientBirthDate = ""
    dataset.PatientSex = patient.sex
    dataset.PatientAge = f"{patient.age:03d}Y"
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = "Never identified: computed, no human subject"
    dataset.BurnedInAnnotation = "NO"
    dataset.PatientComments = COMMENT
    dataset.ImageComments = COMMENT

    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = uid_of(name, patient.seed, rendering.sequence)
    dataset.FrameOfReferenceUID = uid_of(name, patient.seed, "frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.SeriesNumber = series_number
    dataset.AcquisitionNumber = 1
    for keyword in ("StudyDate", "SeriesDate", "ContentDate"):
        setattr(dataset, keyword, "20000101")
    for keyword in ("StudyTime", "SeriesTime", "ContentTime"):
        setattr(dataset, keyword, "000000")
    dataset.StudyDescription = "SYNTHETIC cervical spine"
    dataset.SeriesDescription = DESCRIPTIONS[rendering.sequence]
    dataset.ProtocolName = DESCRIPTIONS[rendering.sequence]
    dataset.BodyPartExamined = "CSPINE"
    dataset.PatientPosition = "HFS"
    dataset.Laterality = ""

    dataset.Modality = "MR"
    dataset.Manufacturer = "cervispine digital phantom (SYNTHETIC)"
    dataset.ManufacturerModelName = SCANNERS[protocol.site][1]
    dataset.InstitutionName = f"SYNTHETIC site {protocol.site}"
    dataset.StationName = f"PHANTOM_{protocol.site.upper()}"
    dataset.MagneticFieldStrength = protocol.field_strength
    dataset.ScanningSequence = "SE"
    dataset.SequenceVariant = "SK"
    dataset.ScanOptions = ""
    dataset.MRAcquisitionType = "2D"
    dataset.RepetitionTime = contrast.repetition_time
    dataset.EchoTime = contrast.echo_time
    dataset.EchoTrainLength = contrast.echo_train
    dataset.FlipAngle = 150 if rendering.sequence == "T2" else 90
    dataset.NumberOfPhaseEncodingSteps = protocol.phase_lines
    dataset.InPlanePhaseEncodingDirection = "COL" if protocol.phase_direction == "rows" else "ROW"
    dataset.SliceThickness = protocol.thickness
    dataset.SpacingBetweenSlices = _decimal(protocol.slice_spacing)
    dataset.PixelSpacing = [_decimal(protocol.pixel_spacing)] * 2

    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = rendering.pixels.shape[1:]
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    brightest = float(np.percentile(rendering.pixels[rendering.mid_slice], 99.5))
    dataset.WindowCenter = round(brightest / 2, 1)
    dataset.WindowWidth = round(max(brightest, 2), 1)
    return dataset
