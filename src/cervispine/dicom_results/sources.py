"""The headers of a series' files, as results need them: who it is, and what is referred to."""

from __future__ import annotations

import datetime
import hashlib
from typing import TYPE_CHECKING, Any

import attrs
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.valuerep import DA, TM

from cervispine import __version__
from cervispine.exceptions import LoadError, MissingExtraError, UsageError
from cervispine.loading.elements import tags_of
from cervispine.loading.limits import DEFAULT_LIMITS, Limits
from cervispine.loading.parsing import parse, quiet_pydicom
from cervispine.records import Series

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["DICOM_LOADER", "PURPOSE", "Source", "highdicom", "read_source"]

PURPOSE = "Research use only. Not a medical device."

DICOM_LOADER = "cervispine:dicom"

#: What results say of the patient and the study, so that an archive files them with the images.
IDENTITY = (
    "SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate",
    "PatientSex", "PatientAge", "PatientIdentityRemoved", "DeidentificationMethod",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName",
)  # fmt: skip

#: What is referred to, and where it lies.
REFERENCE = (
    "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber",
    "Modality", "ImageType", "BodyPartExamined", "FrameOfReferenceUID",
    "PositionReferenceIndicator", "Rows", "Columns", "PixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "ImagePositionPatient", "ImageOrientationPatient", "NumberOfFrames",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence",
    "DimensionOrganizationSequence", "DimensionIndexSequence",
)  # fmt: skip

#: Elements that every result must have, empty where the source lacks them (type 2).
EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "StudyID", "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator",
    "SeriesNumber", "InstanceNumber",
)  # fmt: skip


@attrs.frozen(eq=False)
class Source:
    """The files of a series, known by their headers.

    Parameters
    ----------
    series
        Of the study.
    files
        One data set a file, in the order of the slices.
    moment
        When the results are made; with the series it decides their UIDs.
    """

    series: Series
    files: tuple[Dataset, ...]
    moment: datetime.datetime

    @property
    def purpose(self) -> str:
        """What the results may be used for, in at most 64 characters."""
        return f"SYNTHETIC PHANTOM. {PURPOSE}" if self.series.synthetic else PURPOSE

    def file_of(self, slice_number: int) -> tuple[Dataset, list[int] | None]:
        """Return the file of a slice, and the frame in it, counted from 1, where it has frames."""
        paths = list(dict.fromkeys(self.series.files))
        file = self.files[paths.index(self.series.files[slice_number])]
        return file, [self.series.frames[slice_number] + 1] if self.series.frames else None

    def uid(self, kind: str) -> str:
        """Return the UID of a result, or of its series, under 2.25."""
        text = "|".join(("cervispine result", self.series.uid, self.moment.isoformat(), kind))
        # 2.25 takes a number of 128 bits (ISO/IEC 9834-8).
        return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16])}"

    def identity(self, kind: str, number: int) -> dict[str, Any]:
        """Return what the constructors of highdicom ask of every object."""
        return {
            "series_instance_uid": self.uid(f"{kind} series"),
            # Beside the series of the scanner, whose numbers are small.
            "series_number": number,
            "sop_instance_uid": self.uid(kind),
            "instance_number": 1,
            "manufacturer": "cervispine",
        }

    def finish(self, result: Dataset, description: str) -> Dataset:
        """Say in a result when it was made, by what, of whom and for what use."""
        result.SeriesDescription = f"RESEARCH ONLY {description}"
        result.BodyPartExamined = "CSPINE"
        result.ManufacturerModelName = "cervispine"
        result.SoftwareVersions = __version__
        for keyword in ("SeriesDate", "ContentDate", "InstanceCreationDate"):
            setattr(result, keyword, self.moment.strftime("%Y%m%d"))
        for keyword in ("SeriesTime", "ContentTime", "InstanceCreationTime"):
            setattr(result, keyword, self.moment.strftime("%H%M%S"))
        if "PixelData" in result or "FloatPixelData" in result:
            result.ImageComments = self.purpose
        return result


def read_source(
    series: Series, *, moment: datetime.datetime | None = None, limits: Limits = DEFAULT_LIMITS
) -> Source:
    """Read from the files of a series who the patient is, and what results refer to.

    Nothing of it is logged or kept but in the results. Elements that are not named here are not
    read.

    Parameters
    ----------
    series
        As it was indexed.
    moment
        When the results are made; now when None.
    limits
        How large a file may be.

    Raises
    ------
    UsageError
        ``SOURCE_NOT_DICOM``: the series was not read from DICOM files.
    LoadError
        A file cannot be read, or is no longer the one that was indexed
        (``CHANGED_SINCE_INDEX``).
    """
    if series.loader != DICOM_LOADER:
        raise UsageError(
            "results as DICOM refer to DICOM files, and this series was read from others",
            where=f"series {series.uid}, loader {series.loader}",
            code="SOURCE_NOT_DICOM",
        )
    tags = tags_of(*IDENTITY, *REFERENCE)
    files = []
    with quiet_pydicom():
        for path in dict.fromkeys(series.files):
            parsed = parse(path, tags, limits)
            dataset = parsed.dataset
            if dataset.get("SeriesInstanceUID") != series.uid:
                raise LoadError(
                    "a file is not of the series that was indexed",
                    where=f"series {series.uid}",
                    advice="index the folder again",
                    code="CHANGED_SINCE_INDEX",
                )
            try:
                _to_unicode(dataset)
            except Exception as error:
                raise LoadError(
                    f"the header cannot be parsed: {type(error).__name__}",
                    where=f"series {series.uid}",
                    code="DICOM_INVALID",
                ) from None
            _check_identity(dataset, series)
            for keyword in EMPTY:
                if keyword not in dataset:
                    setattr(dataset, keyword, None)
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = parsed.transfer_syntax
            files.append(dataset)
    return Source(series, tuple(files), moment or datetime.datetime.now().astimezone())


def _check_identity(dataset: Dataset, series: Series) -> None:
    """Raise where results would have to repeat what no result may hold."""
    for keyword, kind in (("PatientBirthDate", DA), ("StudyDate", DA), ("StudyTime", TM)):
        try:
            kind(dataset.get(keyword) or "")
        except ValueError:
            raise _not_allowed(keyword, series) from None
    if (dataset.get("PatientSex") or "") not in ("", "M", "F", "O"):
        raise _not_allowed("PatientSex", series)


def _not_allowed(keyword: str, series: Series) -> LoadError:
    return LoadError(
        f"the images' {keyword} is not as DICOM writes it, and results would repeat it",
        where=f"series {series.uid}",
        advice="have the header mended where the images are kept; explain without --dicom works",
        code="DICOM_INVALID",
    )


def _to_unicode(dataset: Dataset) -> None:
    """Write texts anew in UTF-8, which holds every name that the source's character set does."""
    dataset.decode()
    for element in dataset:
        if element.VR == "PN":
            element.value = str(element.value)
    dataset.SpecificCharacterSet = "ISO_IR 192"


def highdicom() -> ModuleType:
    """Import highdicom.

    Raises
    ------
    MissingExtraError
        It is not installed.
    """
    try:
        import highdicom
    except ImportError as error:
        raise MissingExtraError(
            "results as DICOM need highdicom, which is not installed",
            advice="pip install 'cervispine[dicom-out]'",
        ) from error
    return highdicom
