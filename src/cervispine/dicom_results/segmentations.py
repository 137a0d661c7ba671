"""A mask as DICOM Segmentation on the planes of its series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from cervispine import __version__
from cervispine.dicom_results.codes import OPLL
from cervispine.dicom_results.pictures import in_order_of_source
from cervispine.dicom_results.sources import Source, highdicom
from cervispine.exceptions import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["segmentation"]


def segmentation(
    mask: NDArray[Any], source: Source, *, label: str, made_by: str, kind: Code = OPLL
) -> Dataset:
    """Return a mask as a binary Segmentation.

    For masks that outline something: the truth of a phantom, or what somebody drew. A heat map cut
    off at some value outlines nothing, and there is no call here that makes a mask of one.

    Parameters
    ----------
    mask
        bool (slices, rows, columns), on the pixels of the series.
    source
        The files of the series, by :func:`~cervispine.dicom_results.read_source`.
    label
        What is outlined, for people; at most 64 characters.
    made_by
        What or who outlined it, and how; at most 64 characters.
    kind
        The concept that is outlined; ossification of the posterior longitudinal ligament.

    Raises
    ------
    UsageError
        The mask is not of the series' shape, not boolean, or empty (``MASK_INVALID``);
        ``FRAMES_SHARED``.
    MissingExtraError
        highdicom is not installed.
    """
    hd = highdicom()
    shape = source.series.shape
    if mask.shape != shape or mask.dtype != np.bool_ or not mask.any():
        raise UsageError(
            f"a mask is boolean, of the shape {shape}, and marks something; this one is "
            f"{mask.dtype}, of the shape {mask.shape}, and marks {np.count_nonzero(mask)}",
            where=f"series {source.series.uid}",
            code="MASK_INVALID",
        )
    segment = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label=label,
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=kind,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=made_by, family=codes.DCM.ArtificialIntelligence, version=__version__
        ),
        anatomic_regions=[codes.SCT.CervicalSpine],
    )
    result = hd.seg.Segmentation(
        source_images=list(source.files),
        pixel_array=in_order_of_source(mask, source).astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[segment],
        manufacturer_model_name="cervispine",
        software_versions=__version__,
        device_serial_number="none",
        content_description=source.purpose,
        content_label="OPLL",
        **source.identity(f"segmentation {label}", 9004),
    )
    return source.finish(result, label)
