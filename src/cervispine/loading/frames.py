"""The frames of an enhanced MR image, each readable as if it were an image of its own.

What a classic MR image says of itself at the top of its header, an enhanced one says in
functional groups: one item for each frame, one for what all frames share (PS3.3, C.7.6.16). The
top of the header is never taken in place of a group that is missing: scanners and converters
leave stray values there.
"""

from __future__ import annotations

from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue

from cervispine.exceptions import GeometryError, LoadError
from cervispine.loading.elements import number_of, tags_of

__all__ = ["FRAME_TAGS", "Frame", "frames_of"]

#: Where a frame says what a classic image says under a keyword: functional group and element.
PLACES = {
    "ImagePositionPatient": ("PlanePositionSequence", "ImagePositionPatient"),
    "ImageOrientationPatient": ("PlaneOrientationSequence", "ImageOrientationPatient"),
    "PixelSpacing": ("PixelMeasuresSequence", "PixelSpacing"),
    "SliceThickness": ("PixelMeasuresSequence", "SliceThickness"),
    "RescaleSlope": ("PixelValueTransformationSequence", "RescaleSlope"),
    "RescaleIntercept": ("PixelValueTransformationSequence", "RescaleIntercept"),
    "ImageType": ("MRImageFrameTypeSequence", "FrameType"),
    "ComplexImageComponent": ("MRImageFrameTypeSequence", "ComplexImageComponent"),
    "EchoTime": ("MREchoSequence", "EffectiveEchoTime"),
    "RepetitionTime": ("MRTimingAndRelatedParametersSequence", "RepetitionTime"),
    "EchoTrainLength": ("MRTimingAndRelatedParametersSequence", "RFEchoTrainLength"),
    "InversionRecovery": ("MRModifierSequence", "InversionRecovery"),
    "InversionTime": ("MRModifierSequence", "InversionTimes"),
    "StackID": ("FrameContentSequence", "StackID"),
    "AcquisitionNumber": ("FrameContentSequence", "FrameAcquisitionNumber"),
    "TemporalPositionIdentifier": ("FrameContentSequence", "TemporalPositionIndex"),
    "TriggerTime": ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    "DiffusionBValue": ("MRDiffusionSequence", "DiffusionBValue"),
}

#: Where a legacy converted image keeps what has no place in a functional group.
UNASSIGNED = (
    "UnassignedPerFrameConvertedAttributesSequence",
    "UnassignedSharedConvertedAttributesSequence",
)

#: What such an image may keep there.
CONVERTED = frozenset(
    {
        "EchoTime", "RepetitionTime", "EchoTrainLength", "InversionTime", "AcquisitionNumber",
        "TemporalPositionIdentifier", "TriggerTime", "DiffusionBValue", "ScanningSequence",
        "ScanOptions", "MRAcquisitionType", "SeriesDescription", "MagneticFieldStrength",
    }
)  # fmt: skip

FRAME_TAGS = tags_of(
    "NumberOfFrames", "EchoPulseSequence", "EchoPlanarPulseSequence",
    "SpectrallySelectedSuppression", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip


class Frame:
    """One frame, whose values are found by the keywords of a classic MR image.

    Parameters
    ----------
    dataset
        The whole image, for what is not a matter of frames: patient, study, scanner, size.
    own, shared
        The frame's own item of functional groups, and the one that all frames share.
    """

    def __init__(self, dataset: Dataset, own: Dataset, shared: Dataset) -> None:
        self._dataset = dataset
        self._groups = (own, shared)

    def get(self, keyword: str | int, /) -> Any:
        """Return the value of an element, None when it is absent."""
        if isinstance(keyword, int):
            return getattr(self._dataset.get(keyword), "value", None)
        if keyword == "ScanningSequence":
            found: Any = self._scanning_sequence()
        elif keyword in PLACES:
            found = self._grouped(*PLACES[keyword])
        else:
            found = self._dataset.get(keyword)
        if found in (None, "") and keyword in CONVERTED:
            found = next(filter(None, (self._grouped(each, keyword) for each in UNASSIGNED)), None)
        if keyword == "InversionTime" and isinstance(found, (MultiValue, list)):
            # One a pulse; the first is the one that nulls a tissue.
            found = found[0] if found else None
        return found

    def _grouped(self, sequence: str, keyword: str) -> Any:
        for group in self._groups:
            items = group.get(sequence)
            value = items[0].get(keyword) if items else None
            if value not in (None, ""):
                return value
        return None

    def _scanning_sequence(self) -> list[str] | None:
        """Return what the pulse sequence is called in a classic image."""
        names = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}
        found = list(names.get(str(self._dataset.get("EchoPulseSequence")), []))
        if self._dataset.get("EchoPlanarPulseSequence") == "YES":
            found.append("EP")
        if self.get("InversionRecovery") == "YES":
            found.append("IR")
        return found or None


def frames_of(dataset: Dataset) -> list[Frame]:
    """Return the frames of an enhanced MR image.

    Raises
    ------
    GeometryError
        ``GEOMETRY_MISSING`` when it has no functional groups: nothing says where frames lie.
    LoadError
        ``VALUE_INVALID`` when there is not one item of them for each frame.
    """
    count = number_of(dataset, "NumberOfFrames", int) or 0
    try:
        own = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
        shared = next(iter(dataset.get("SharedFunctionalGroupsSequence") or ()), Dataset())
    except Exception as error:  # a broken sequence fails in as many ways as a broken file
        raise LoadError(
            f"the functional groups cannot be read: {type(error).__name__}", code="VALUE_INVALID"
        ) from None
    if not own:
        raise GeometryError(
            "many frames in one file, and no functional groups that say where they lie",
            code="GEOMETRY_MISSING",
        )
    if len(own) != count:
        raise LoadError(
            f"{count} frames, but functional groups for {len(own)}", code="VALUE_INVALID"
        )
    return [Frame(dataset, each, shared) for each in own]
