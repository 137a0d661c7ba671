"""A Structured Report (TID 1500): the call, the probability, and the strongest places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from cervispine import __version__
from cervispine.dicom_results.codes import (
    EVIDENCE,
    NOT_SUSPECTED,
    NOTHING_ADVISED,
    OPLL,
    PROCEDURE,
    RESEARCH_ONLY,
    SUSPECTED,
    UNDECIDED,
    USE,
    method_of,
)
from cervispine.dicom_results.sources import PURPOSE, Source, highdicom
from cervispine.exceptions import UsageError

if TYPE_CHECKING:
    from cervispine.classification import Heatmap

__all__ = ["structured_report"]

#: Places named in a report, the strongest first.
PLACES = 3


def structured_report(heatmap: Heatmap, source: Source) -> Dataset:
    """Return what a model says of a study as a Comprehensive SR.

    TID 1500, "Imaging Measurement Report": one group for the study (OPLL suspected, not suspected
    or neither, the probability, the operating point, CT advised or nothing), and one for each of
    the strongest places, a point on its image. A comment says why a study is unlike those that the
    model knows. The series' images are its evidence.

    Parameters
    ----------
    heatmap
        Of the study, for the positive class.
    source
        The files of the same series, by :func:`~cervispine.dicom_results.read_source`.

    Raises
    ------
    UsageError
        The heat map is for the negative class, or of another series.
    MissingExtraError
        highdicom is not installed.
    """
    sr = highdicom().sr
    check_same(heatmap, source)
    observer = sr.ObserverContext(
        observer_type=codes.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=source.uid("device"), name="cervispine", manufacturer_name="cervispine",
            model_name=str(heatmap.provenance.get("backbone", "")) or "unknown",
        ),
    )  # fmt: skip
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=observer),
        procedure_reported=PROCEDURE,
        imaging_measurements=[_study_group(sr, heatmap, source), *_places(sr, heatmap, source)],
        title=codes.DCM.ImagingMeasurementReport,
    )
    content[0].ContentSequence.append(
        sr.TextContentItem(
            name=codes.DCM.Comment,
            value=". ".join([source.purpose, *_reasons(heatmap)]),
            relationship_type=sr.RelationshipTypeValues.CONTAINS,
        )
    )
    report = sr.ComprehensiveSR(
        evidence=list(source.files),
        content=content[0],
        is_complete=True,
        **source.identity("report", 9001),
    )
    return source.finish(report, "OPLL report")


def check_same(heatmap: Heatmap, source: Source) -> None:
    """Raise when a heat map is not for the positive class, or not of these files."""
    if heatmap.target != "OPLL":
        raise UsageError(
            f"results as DICOM tell of OPLL, and this heat map is for {heatmap.target}",
            advice="explain(study, target=1)",
        )
    if heatmap.series.uid != source.series.uid:
        raise UsageError(
            "the heat map and the files are of different series",
            where=f"series {heatmap.series.uid} and {source.series.uid}",
        )


def _study_group(sr: Any, heatmap: Heatmap, source: Source) -> Any:
    verdict = _verdict(heatmap)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=source.uid("study"), identifier="The whole study"
        ),
        finding_type=verdict,
        finding_sites=[sr.FindingSite(codes.SCT.CervicalSpine)],
        algorithm_id=_algorithm(sr, heatmap),
        qualitative_evaluations=[
            sr.QualitativeEvaluation(OPLL, verdict),
            sr.QualitativeEvaluation(
                codes.DCM.RecommendedFollowUp,
                NOTHING_ADVISED if verdict is NOT_SUSPECTED else codes.SCT.ComputedTomography,
            ),
            sr.QualitativeEvaluation(USE, RESEARCH_ONLY),
        ],
        measurements=[
            sr.Measurement(
                name=codes.DCM.Probability,
                value=round(heatmap.probability, 4),
                unit=codes.UCUM.NoUnits,
            ),
            # From which probability on a study is called positive.
            sr.Measurement(
                name=codes.DCM.ThresholdValue,
                value=round(heatmap.threshold, 4),
                unit=codes.UCUM.NoUnits,
            ),
        ],
    )


def _reasons(heatmap: Heatmap) -> list[str]:
    """Return why the study is unlike the training part, as a sentence; none where it is not."""
    reasons = (heatmap.prediction.unlike_training or ((),))[0]
    return [f"Unlike the studies of the training: {'; '.join(reasons)}"] if reasons else []


def _verdict(heatmap: Heatmap) -> Code:
    """Return what the model says, so that CT is advised where its predictions advise it."""
    said = heatmap.prediction
    if said.undecided[0] or (said.unlike[0] and not heatmap.called):
        return UNDECIDED
    return SUSPECTED if heatmap.called else NOT_SUSPECTED


def _places(sr: Any, heatmap: Heatmap, source: Source) -> list[Any]:
    strongest = sorted(heatmap.peaks(), key=lambda peak: -peak.value)[:PLACES]
    groups = []
    for number, peak in enumerate(strongest, start=1):
        slice_number, row, column = peak.index
        file, frames = source.file_of(slice_number)
        # The centre of the first pixel is (0.5, 0.5) in an image of DICOM (PS3.3, C.18.6.1.1).
        region = sr.ImageRegion(
            graphic_type=sr.GraphicTypeValues.POINT,
            graphic_data=np.array([[column + 0.5, row + 0.5]]),
            source_image=sr.SourceImageForRegion(
                referenced_sop_class_uid=file.SOPClassUID,
                referenced_sop_instance_uid=file.SOPInstanceUID,
                referenced_frame_numbers=frames,
            ),
        )
        groups.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=sr.TrackingIdentifier(
                    uid=source.uid(f"place {number}"), identifier=f"Strongest evidence {number}"
                ),
                referenced_region=region,
                finding_type=EVIDENCE,
                method=method_of(heatmap.method),
                algorithm_id=_algorithm(sr, heatmap),
                measurements=[
                    sr.Measurement(
                        name=EVIDENCE,
                        value=float(f"{peak.value:.6g}"),
                        unit=codes.UCUM.NoUnits,
                    )
                ],
            )
        )
    return groups


def _algorithm(sr: Any, heatmap: Heatmap) -> Any:
    record = heatmap.provenance
    told = {
        name: record[name] for name in ("backbone", "backbone_version", "seed") if name in record
    }
    return sr.AlgorithmIdentification(
        name="cervispine",
        version=__version__,
        parameters=[PURPOSE, *(f"{name}={value}" for name, value in told.items())],
    )
