"""What kind of image a file holds, and whether it can be a slice of a volume.

ImageType (PS3.3, C.7.6.1.1.2 and C.8.3.1.1.1) is read with what scanners write into it in mind.
DERIVED stands on reformats, projections, subtractions and maps, which are no slices; but the
standard also asks for it when a slice was compressed with loss, and scanners write it on slices
that they corrected. Only where its words say that, and nothing else, is a derived image taken.
"""

from __future__ import annotations

import attrs
from pydicom.uid import UID

from cervispine.loading.elements import Elements, list_of, number_of, numbers_of, tags_of, text_of

__all__ = [
    "CUT_OFF",
    "KIND_TAGS",
    "MR_IMAGE",
    "MR_MULTIFRAME",
    "NOTES",
    "Fault",
    "fault_of_kind",
    "foreign",
    "is_lossy",
    "is_processed",
    "words_of",
]

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
#: Enhanced MR and legacy converted enhanced MR: many frames in one file.
MR_MULTIFRAME = ("1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4")
MR_COLOUR = "1.2.840.10008.5.1.4.1.1.4.3"

#: Syntaxes that lose: JPEG baseline and extended, near-lossless JPEG-LS, JPEG 2000, HTJ2K.
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 81, 91, 203))

#: How many images Siemens tiled into this one, in a private element, and who wrote that.
MOSAIC_CREATOR, MOSAIC_COUNT = 0x00190010, 0x0019100A

KIND_TAGS = {MOSAIC_CREATOR, MOSAIC_COUNT} | tags_of(
    "ImageType", "SOPClassUID", "Modality", "ComplexImageComponent", "SamplesPerPixel",
    "PhotometricInterpretation", "LossyImageCompression", "AcquisitionMatrix", "Rows", "Columns",
    "Manufacturer", "SeriesDescription",
)  # fmt: skip

#: Words of ImageType by which an image is no slice, whatever its first word says.
COMPUTED = {
    **dict.fromkeys(("MPR", "REFORMATTED", "CPR", "RESAMPLED", "PARALLEL"), "a reformat"),
    **dict.fromkeys(
        ("PROJECTION IMAGE", "MIP", "MINIP", "MNIP", "MAXIMUM", "PROJECTION"), "a projection"
    ),
    **dict.fromkeys(("SUBTRACTION", "SUB", "SUBTRACT"), "a subtraction"),
    **dict.fromkeys(
        ("ADC", "FA", "TRACEW", "TRACE", "DIFFUSION", "T1 MAP", "T2 MAP", "T1_MAP", "T2_MAP",
         "T2_STAR_MAP", "T2STAR_MAP", "R2_MAP", "R2STAR_MAP", "B0_MAP", "FIELD_MAP", "R2", "R2*",
         "R2_STAR", "T2*", "T2_STAR", "FF", "FAT_FRACTION", "FAT_FRAC", "FATFRAC",
         "WATER_FRACTION", "WATER_FRAC"),
        "a computed map",
    ),
    **dict.fromkeys(("COMPOSED", "PASTED"), "composed of several images"),
}  # fmt: skip

#: Words of a derived image that is still one slice: what was corrected, or a part of Dixon's.
CORRECTIONS = frozenset({"NORM", "DIS2D", "DIS3D", "FIL"})
DIXON = frozenset(
    {"DIXON", "W", "WATER", "F", "FAT", "IP", "IN_PHASE", "OP", "OPP_PHASE", "OUT_PHASE",
     "OUT_OF_PHASE"}
)  # fmt: skip
#: Words that may stand beside these. Philips says DERIVED of a part of Dixon's once more; Siemens
#: MFSPLIT of a slice that was cut from a file of many frames for those who cannot read these.
NEUTRAL = frozenset(
    {"M", "M_SE", "M_IR", "MAGNITUDE", "SE", "IR", "ND", "SH", "FM", "OTHER", "T1", "T2",
     "PROTON_DENSITY", "STIR", "DERIVED", "MFSPLIT"}
)  # fmt: skip

#: Words for other than magnitude. "I" may be Siemens' inverted or GE's imaginary; both are other.
COMPONENTS = frozenset(
    {"P", "R", "I", "PHASE", "PHASE MAP", "REAL", "IMAGINARY", "P_SE", "R_SE", "I_SE", "R_IR"}
)

SCOUTS = ("localizer", "localiser", "scout", "survey", "3-plane", "3 plane", "3plane")


@attrs.frozen
class Fault:
    """Why something is not used, ``ignored`` when it was never meant to be, or what is noted."""

    code: str
    reason: str
    ignored: bool = False


#: What is wrong with a slice whose file ends too early.
CUT_OFF = Fault("DICOM_TRUNCATED", "the file ends before its pixels do")

#: What is to be known of a slice though it is used.
NOTES = (
    Fault("BURNED_IN_ANNOTATION", "the header says that text is burned into the image"),
    Fault("LOSSY_COMPRESSION", "the pixels are, or once were, compressed with loss"),
    Fault("PROCESSED_IMAGE", "corrected, or stored after the examination, slice for slice"),
)


def words_of(elements: Elements) -> list[str]:
    """Return the words of ImageType, or of a frame's FrameType, in capitals."""
    return [str(value).upper().strip() for value in list_of(elements, "ImageType")]


def foreign(elements: Elements) -> Fault | None:
    """Say what an object is that holds no MR image in grey, if it does not."""
    sop_class = text_of(elements, "SOPClassUID")
    if sop_class not in (MR_IMAGE, MR_COLOUR, *MR_MULTIFRAME):
        known = UID(sop_class)
        # The dictionary's own words: a UID that it does not know would be its own name.
        name = f" ({known.name})" if known.name != sop_class else ""
        return Fault("NOT_MR_IMAGE", f"DICOM, but not an MR image{name}", ignored=True)
    photometric = text_of(elements, "PhotometricInterpretation")
    many_samples = number_of(elements, "SamplesPerPixel", int) not in (1, None)
    colour = photometric and not photometric.startswith("MONOCHROME")
    if sop_class == MR_COLOUR or many_samples or colour:
        return Fault("COLOUR", "a colour image", ignored=True)
    return None


def fault_of_kind(elements: Elements, *, lossy: bool) -> Fault | None:
    """Say why a grey MR image, or a frame of one, is no slice of a volume, if it is none."""
    modality = text_of(elements, "Modality")
    if modality not in ("", "MR"):
        return Fault("VALUE_INVALID", "an MR image whose Modality is another")
    words = words_of(elements)
    if "MOSAIC" in words or _is_mosaic(elements):
        return Fault("MOSAIC", "many slices tiled into one image", ignored=True)
    description = text_of(elements, "SeriesDescription").lower()
    if {"LOCALIZER", "SCOUT"} & set(words) or any(word in description for word in SCOUTS):
        return Fault("LOCALIZER", "a localizer", ignored=True)
    component = text_of(elements, "ComplexImageComponent")
    if COMPONENTS & set(words[2:]) or component not in ("", "MAGNITUDE"):
        return Fault("NOT_MAGNITUDE", "a phase, real or imaginary image", ignored=True)
    computed = next((COMPUTED[word] for word in words if word in COMPUTED), None)
    if computed:
        return Fault("DERIVED", f"computed from other images: {computed}", ignored=True)
    if "DERIVED" in words[:1] and not _is_still_a_slice(words, lossy=lossy):
        return Fault("DERIVED", "derived from other images, it does not say how", ignored=True)
    return None


def _is_still_a_slice(words: list[str], *, lossy: bool) -> bool:
    """Tell whether a derived image is one slice, corrected or compressed."""
    said = CORRECTIONS | DIXON
    rest = set(words[2:])
    if words[1:2] != ["PRIMARY"] or not rest <= said | NEUTRAL | {"NONE"}:
        return False
    # NONE alone stands on reformats too; what was compressed with loss has a reason to be derived.
    return lossy or (bool(rest & said) and "NONE" not in rest)


def is_processed(elements: Elements) -> bool:
    """Tell whether a slice is not as the scanner first made it, by its own ImageType."""
    words = words_of(elements)
    return "DERIVED" in words[:1] or "SECONDARY" in words[1:2]


def is_lossy(elements: Elements, transfer_syntax: str) -> bool:
    """Tell whether the pixels were, or had ever been, compressed with loss."""
    return transfer_syntax in LOSSY or text_of(elements, "LossyImageCompression") == "01"


def _is_mosaic(elements: Elements) -> bool:
    """Tell a mosaic by its headers where ImageType does not.

    Siemens writes how many images it tiled; where private elements were removed, the image is
    three or more times as large as the matrix that was acquired. Siemens interpolates by two.
    """
    if (_private_count(elements) or 0) > 1:
        return True
    maker = text_of(elements, "Manufacturer").lower()
    if not ("siemens" in maker or "uih" in maker or "united imaging" in maker):
        return False
    matrix = numbers_of(elements, "AcquisitionMatrix")
    sides = [number_of(elements, name, int) or 0 for name in ("Rows", "Columns")]
    return len(matrix) == 4 and 0 < max(matrix) <= min(sides) / 3


def _private_count(elements: Elements) -> int | None:
    """Return Siemens' NumberOfImagesInMosaic, None where it is absent or no number."""
    try:
        if "SIEMENS MR HEADER" not in _text(elements.get(MOSAIC_CREATOR)):
            return None
        count = elements.get(MOSAIC_COUNT)
        return int.from_bytes(count, "little") if isinstance(count, bytes) else int(count)
    except Exception:  # a private element that is not as expected says nothing
        return None


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
