"""All results of one study, into a folder."""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import Dataset, dcmwrite

from cervispine.dicom_results.pictures import parametric_map, secondary_capture
from cervispine.dicom_results.report import structured_report
from cervispine.dicom_results.sources import read_source
from cervispine.exceptions import UsageError
from cervispine.loading.parsing import quiet_pydicom
from cervispine.records.files import make_folder, write_bytes

if TYPE_CHECKING:
    from cervispine.classification import Heatmap

__all__ = ["save_result", "write_results"]


def write_results(
    heatmap: Heatmap, folder: str | Path, *, moment: datetime.datetime | None = None
) -> tuple[Path, ...]:
    """Write what a model says of a study as DICOM that refers to the study's own images.

    ``report.dcm`` (Structured Report), ``capture.dcm`` (Secondary Capture) and ``map.dcm``
    (Parametric Map, which is left out where the files hold frames of other stacks too). They carry
    the patient's name and identifiers as the images do, since an archive files them by these.

    Parameters
    ----------
    heatmap
        Of :meth:`~cervispine.Classifier.explain`, for the positive class.
    folder
        Made if missing.
    moment
        When they are made; now when None. Series and moment decide their UIDs.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    UsageError
        ``SOURCE_NOT_DICOM``; the heat map is for the negative class.
    LoadError
        A file of the series cannot be read, or has changed.
    MissingExtraError
        highdicom is not installed.
    ResourceError
        The folder cannot be written.
    """
    source = read_source(heatmap.series, moment=moment)
    with quiet_pydicom():
        results = {
            "report": structured_report(heatmap, source),
            "capture": secondary_capture(heatmap, source),
        }
        try:
            results["map"] = parametric_map(heatmap, source)
        except UsageError as error:
            if error.code != "FRAMES_SHARED":
                raise
    folder = make_folder(Path(folder))
    return tuple(save_result(result, folder / f"{name}.dcm") for name, result in results.items())


def save_result(result: Dataset, path: str | Path) -> Path:
    """Write a result whole or not at all, and return its path.

    Raises
    ------
    ResourceError
        When it cannot be written.
    """
    path, buffer = Path(path), io.BytesIO()
    with quiet_pydicom():
        dcmwrite(buffer, result, enforce_file_format=True)
    write_bytes(path, buffer.getvalue())
    return path
