"""What a model found, as DICOM that refers to the images it was found in.

sources        the headers of a series' files, as results need them
codes          the concepts of the report
report         a Structured Report (TID 1500): the call, the probability, the strongest places
pictures       a heat map as Secondary Capture and as Parametric Map
segmentations  a mask as Segmentation
writing        write_results: all that there is of one study, into a folder

Needs highdicom: ``pip install cervispine[dicom-out]``. Each result says inside that it is for
research only and no medical device.
"""

from cervispine.dicom_results.pictures import parametric_map, secondary_capture
from cervispine.dicom_results.report import structured_report
from cervispine.dicom_results.segmentations import segmentation
from cervispine.dicom_results.sources import Source, highdicom, read_source
from cervispine.dicom_results.writing import save_result, write_results

__all__ = [
    "Source",
    "highdicom",
    "parametric_map",
    "read_source",
    "save_result",
    "secondary_capture",
    "segmentation",
    "structured_report",
    "write_results",
]
