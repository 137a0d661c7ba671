"""A heat map as Secondary Capture, to be seen, and as Parametric Map, to be measured against."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes

from cervispine import __version__
from cervispine.dicom_results.codes import method_of
from cervispine.dicom_results.report import check_same
from cervispine.dicom_results.sources import Source, highdicom
from cervispine.exceptions import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cervispine.classification import Heatmap

__all__ = ["in_order_of_source", "parametric_map", "secondary_capture"]


def secondary_capture(heatmap: Heatmap, source: Source) -> Dataset:
    """Return the picture of :meth:`~cervispine.classification.Heatmap.to_png` as DICOM.

    Every viewer shows it, and none can measure in it.

    Raises
    ------
    UsageError
        The heat map is for the negative class, or of another series.
    MissingExtraError
        highdicom is not installed.
    """
    from PIL import Image

    hd = highdicom()
    check_same(heatmap, source)
    picture = np.asarray(Image.open(io.BytesIO(heatmap.to_png())).convert("RGB"))
    capture = hd.sc.SCImage.from_ref_dataset(
        ref_dataset=source.files[0],
        pixel_array=picture,
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        patient_orientation=("P", "F"),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **source.identity("capture", 9002),
    )
    # The picture names a class and a probability, and nobody.
    capture.BurnedInAnnotation = "NO"
    capture.DerivationDescription = f"{heatmap.method} of {heatmap.target} over the source images"
    numbers = heatmap.slices if heatmap.sagittal_axis == 0 else range(heatmap.values.shape[0])
    capture.SourceImageSequence = [_reference(source, number) for number in numbers]
    return source.finish(capture, "OPLL heat map")


def parametric_map(heatmap: Heatmap, source: Source) -> Dataset:
    """Return the values of a heat map as a Parametric Map, on the planes of its series.

    Viewers that know the class lay it over the images; its values are float32.

    Raises
    ------
    UsageError
        The heat map is for the negative class, or of another series; ``FRAMES_SHARED``: the files
        hold frames of other stacks too.
    MissingExtraError
        highdicom is not installed.
    """
    hd = highdicom()
    check_same(heatmap, source)
    strongest = float(heatmap.values.max()) or 1.0
    mapping = hd.pm.RealWorldValueMapping(
        lut_label="evidence",
        lut_explanation="Evidence for OPLL, of no unit",
        unit=codes.UCUM.NoUnits,
        value_range=(0.0, strongest),
        intercept=0,
        slope=1,
        quantity_definition=method_of(heatmap.method),
    )
    result = hd.pm.ParametricMap(
        source_images=list(source.files),
        pixel_array=in_order_of_source(heatmap.values, source),
        manufacturer_model_name="cervispine",
        software_versions=__version__,
        device_serial_number="none",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[mapping],
        # The plain linear function takes no window narrower than 1 (PS3.3, C.11.2.1.2.1).
        voi_lut_transformations=[
            hd.VOILUTTransformation(
                window_center=strongest / 2,
                window_width=strongest,
                voi_lut_function=hd.VOILUTFunctionValues.LINEAR_EXACT,
            )
        ],
        content_description=source.purpose,
        content_label="OPLL_EVIDENCE",
        derived_pixel_contrast=hd.pm.DerivedPixelContrastValues.QUANTITY,
        **source.identity("map", 9003),
    )
    return source.finish(result, "OPLL evidence")


def in_order_of_source(stack: NDArray[Any], source: Source) -> NDArray[Any]:
    """Return planes (slices, ...) in the order of the source's files, or of its frames.

    Raises
    ------
    UsageError
        ``FRAMES_SHARED``: a file holds frames that are not of the stack.
    """
    frames = source.series.frames
    if not frames:
        return stack
    if len(source.files) > 1 or sorted(frames) != list(range(int(source.files[0].NumberOfFrames))):
        raise UsageError(
            "the file holds frames of other stacks too, and maps refer to whole files",
            where=f"series {source.series.uid}",
            advice="the report and the capture refer to single frames",
            code="FRAMES_SHARED",
        )
    ordered = np.empty_like(stack)
    ordered[list(frames)] = stack
    return ordered


def _reference(source: Source, slice_number: int) -> Dataset:
    file, frames = source.file_of(slice_number)
    reference = Dataset()
    reference.ReferencedSOPClassUID = file.SOPClassUID
    reference.ReferencedSOPInstanceUID = file.SOPInstanceUID
    if frames:
        reference.ReferencedFrameNumber = frames
    return reference
