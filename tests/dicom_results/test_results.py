"""Results as DICOM, read back by pydicom, highdicom and other programs where there are any."""

from __future__ import annotations

import datetime
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import attrs
import highdicom
import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from cervispine import Cohort, Loader, Predictions, Study
from cervispine.classification import Heatmap
from cervispine.dicom_results import segmentation, structured_report, write_results
from cervispine.dicom_results.sources import read_source
from cervispine.dicom_results.writing import save_result
from cervispine.exceptions import LoadError, MissingExtraError, UsageError
from cervispine.phantom import PhantomCohort
from cervispine.testing import OracleSeries, write_oracle_series

MOMENT = datetime.datetime(2026, 3, 4, 5, 6, 7, tzinfo=datetime.UTC)

#: Where the evidence of the heat maps below lies: slice, row, column.
PEAK = (3, 11, 7)


def heatmap_of(
    study: Study,
    *,
    probability: float = 0.8,
    dark: bool = False,
    band: tuple[float, float] | None = None,
    unlike: tuple[str, ...] = (),
) -> Heatmap:
    series = study.one_series("T2")
    values = np.zeros(series.shape, dtype=np.float32)
    if not dark:
        values[2, 9, 5], values[PEAK] = 0.25, 0.75
    return Heatmap(
        values=values,
        seen=np.ones(series.shape, dtype=bool),
        volume=Loader().read(study),
        series=series,
        study=study.uid,
        method="grad-cam",
        target="OPLL",
        prediction=Predictions(
            patients=(study.patient,),
            probabilities=np.array([probability]),
            threshold=0.5,
            band=band,
            unlike_training=(unlike,),
            model="resnet34",
        ),
        provenance={"backbone": "resnet34", "seed": 0},
    )


def items_of(dataset: Dataset) -> Iterator[Dataset]:
    """A data set and everything nested in it."""
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from items_of(item)


def referenced(result: Dataset) -> set[str]:
    return {
        str(item.ReferencedSOPInstanceUID)
        for item in items_of(result)
        if "ReferencedSOPInstanceUID" in item
    }


@pytest.fixture(scope="module")
def study(cohort: Cohort) -> Study:
    return next(study for study in cohort if study.label == 1)


@pytest.fixture(scope="module")
def files(study: Study) -> list[Dataset]:
    return [pydicom.dcmread(path) for path in study.series[0].files]


@pytest.fixture(scope="module")
def written(study: Study, phantom: PhantomCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one result of each kind."""
    folder = tmp_path_factory.mktemp("results")
    paths = write_results(heatmap_of(study), folder, moment=MOMENT)
    assert [path.name for path in paths] == ["report.dcm", "capture.dcm", "map.dcm"]
    mask = np.load(phantom.truth / f"{study.patient}.npz")["plaque"]
    source = read_source(study.series[0], moment=MOMENT)
    result = segmentation(mask, source, label="Plaque", made_by="truth of a phantom")
    save_result(result, folder / "truth.dcm")
    return folder


KINDS = ("report", "capture", "map", "truth")


@pytest.mark.parametrize("kind", KINDS)
def test_every_result_belongs_to_the_study_and_says_what_it_may_be_used_for(
    written: Path, files: list[Dataset], kind: str
) -> None:
    result = pydicom.dcmread(written / f"{kind}.dcm")
    for keyword in ("PatientID", "PatientName", "PatientSex", "StudyInstanceUID", "StudyDate"):
        assert result[keyword].value == files[0][keyword].value, keyword
    assert result.SeriesInstanceUID != files[0].SeriesInstanceUID
    assert referenced(result) >= {str(file.SOPInstanceUID) for file in files} or kind == "truth"
    assert referenced(result) <= {str(file.SOPInstanceUID) for file in files}
    content = (written / f"{kind}.dcm").read_bytes()
    assert b"Research use only. Not a medical device." in content
    assert b"SYNTHETIC PHANTOM" in content
    assert result.SeriesDescription.startswith("RESEARCH ONLY")
    assert (result.ContentDate, result.ContentTime) == ("20260304", "050607")
    # What is not asked for is not copied.
    for keyword in ("InstitutionName", "StationName", "PatientComments", "OtherPatientIDs"):
        assert keyword not in result


def test_the_report_says_what_the_model_says(written: Path, study: Study) -> None:
    report = highdicom.sr.srread(written / "report.dcm")
    assert report.SOPClassUID.name == "Comprehensive SR Storage"
    whole = report.content.get_image_measurement_groups()
    (group,) = whole
    said = {item.name.meaning: item.value.meaning for item in group.get_qualitative_evaluations()}
    assert said == {
        "Ossification of the posterior longitudinal ligament": "OPLL suspected",
        "Recommended Follow-up": "Computed tomography",
        "Permitted use": "Research only, not a medical device",
    }
    numbers = {item.name.meaning: item.value for item in group.get_measurements()}
    assert numbers == {"Probability": 0.8, "Threshold Value": 0.5}
    first, second = report.content.get_planar_roi_measurement_groups()
    for place, index, value in ((first, PEAK, 0.75), (second, (2, 9, 5), 0.25)):
        (measured,) = place.get_measurements()
        assert measured.value == value
        assert place.method.meaning == "Gradient-weighted class activation"
        assert place.roi.value.tolist() == [[index[2] + 0.5, index[1] + 0.5]]
        on = pydicom.dcmread(study.series[0].files[index[0]]).SOPInstanceUID
        assert [str(item.ReferencedSOPInstanceUID) for item in items_of(place.roi)
                if "ReferencedSOPInstanceUID" in item] == [on]  # fmt: skip


def test_a_study_below_the_threshold_gets_no_advice(study: Study) -> None:
    heatmap = heatmap_of(study, probability=0.2, dark=True)
    report = structured_report(heatmap, read_source(study.series[0]))
    meanings = {item.CodeMeaning for item in items_of(report) if "CodeMeaning" in item}
    assert {"OPLL not suspected", "No advice"} <= meanings
    assert not {"OPLL suspected", "Computed tomography"} & meanings
    assert "POINT" not in str(report)


@pytest.mark.parametrize(
    ("probability", "band", "unlike", "verdict"),
    [
        (0.4, (0.3, 0.6), (), "OPLL neither suspected nor ruled out"),
        (0.55, (0.3, 0.6), (), "OPLL neither suspected nor ruled out"),
        (0.2, (0.3, 0.6), ("another manufacturer",), "OPLL neither suspected nor ruled out"),
        (0.9, (0.3, 0.6), ("another manufacturer",), "OPLL suspected"),
        (0.2, (0.3, 0.6), (), "OPLL not suspected"),
    ],
)
def test_the_report_advises_what_the_prediction_advises(
    study: Study,
    probability: float,
    band: tuple[float, float],
    unlike: tuple[str, ...],
    verdict: str,
) -> None:
    heatmap = heatmap_of(study, probability=probability, band=band, unlike=unlike)
    report = structured_report(heatmap, read_source(study.series[0]))
    meanings = {item.CodeMeaning for item in items_of(report) if "CodeMeaning" in item}
    assert verdict in meanings
    assert ("Computed tomography" in meanings) == (heatmap.advice == "CT advised")
    told = " ".join(str(item.TextValue) for item in items_of(report) if "TextValue" in item)
    assert ("Unlike the studies of the training: another manufacturer" in told) == bool(unlike)


def test_the_map_holds_the_values_where_they_lie(written: Path, study: Study) -> None:
    result = pydicom.dcmread(written / "map.dcm")
    heatmap = heatmap_of(study)
    planes = result.pixel_array
    assert planes.dtype == np.float32
    affine = study.series[0].geometry.affine
    frames = result.PerFrameFunctionalGroupsSequence
    assert len(frames) == len(heatmap.values)
    for plane, frame in zip(planes, frames, strict=True):
        corner = [float(value) for value in frame.PlanePositionSequence[0].ImagePositionPatient]
        index = np.linalg.inv(affine) @ (*corner, 1)
        np.testing.assert_allclose(index[1:3], 0, atol=1e-3)
        np.testing.assert_array_equal(plane, heatmap.values[round(index[0])])
    mapping = next(item for item in items_of(result) if "RealWorldValueSlope" in item)
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1, 0)


def test_the_capture_is_the_picture(written: Path, study: Study) -> None:
    from PIL import Image

    capture = pydicom.dcmread(written / "capture.dcm")
    heatmap = heatmap_of(study)
    (written / "picture.png").write_bytes(heatmap.to_png())
    with Image.open(written / "picture.png") as picture:
        np.testing.assert_array_equal(capture.pixel_array, np.asarray(picture.convert("RGB")))
    assert capture.BurnedInAnnotation == "NO"
    assert capture.PhotometricInterpretation == "RGB"


def test_a_mask_comes_back_where_it_was(
    written: Path, study: Study, phantom: PhantomCohort
) -> None:
    truth = np.load(phantom.truth / f"{study.patient}.npz")["plaque"]
    result = pydicom.dcmread(written / "truth.dcm")
    affine = study.series[0].geometry.affine
    back = np.zeros_like(truth)
    planes = np.atleast_3d(result.pixel_array).reshape(-1, *truth.shape[1:])
    for plane, frame in zip(planes, result.PerFrameFunctionalGroupsSequence, strict=True):
        corner = [float(value) for value in frame.PlanePositionSequence[0].ImagePositionPatient]
        back[round((np.linalg.inv(affine) @ (*corner, 1))[0])] = plane
    np.testing.assert_array_equal(back, truth)
    (segment,) = result.SegmentSequence
    assert segment.SegmentLabel == "Plaque"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("program", ["dciodvfy", "dcmdump", "dsrdump"])
def test_other_programs_read_them(written: Path, kind: str, program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} (Debian: dcmtk, dicom3tools) is not installed")
    if program == "dsrdump" and kind != "report":
        pytest.skip("dsrdump reads reports")
    ended = subprocess.run(
        [program, written / f"{kind}.dcm"], capture_output=True, text=True, errors="replace"
    )
    said = ended.stdout + ended.stderr
    assert ended.returncode == 0, said
    assert not [line for line in said.splitlines() if line.startswith(("Error", "E:"))]
    if program == "dsrdump":
        assert "OPLL suspected" in said
        assert "Verification Flag   : UNVERIFIED" in said


def test_the_same_moment_gives_the_same_identifiers_and_another_moment_others(
    study: Study,
) -> None:
    def uids(moment: datetime.datetime) -> tuple[str, str]:
        report = structured_report(heatmap_of(study), read_source(study.series[0], moment=moment))
        return str(report.SOPInstanceUID), str(report.SeriesInstanceUID)

    first, again = uids(MOMENT), uids(MOMENT)
    assert first == again
    assert len(set(first)) == 2
    assert not set(first) & set(uids(MOMENT + datetime.timedelta(seconds=1)))


def copied(study: Study, folder: Path, **elements: object) -> Study:
    """Copy a study with other elements in its files; None removes one."""
    for number, path in enumerate(study.series[0].files):
        dataset = pydicom.dcmread(path)
        for keyword, value in elements.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(folder / f"{number}.dcm")
    return Loader().index(folder)[0]


def test_a_name_keeps_its_letters(study: Study, tmp_path: Path) -> None:
    name = "Yamada^Tarou=山田^太郎"
    other = copied(
        study, tmp_path, SpecificCharacterSet=["", "ISO 2022 IR 87"], PatientName=name
    )  # fmt: skip
    paths = write_results(heatmap_of(other), tmp_path / "results")
    for path in paths:
        assert str(pydicom.dcmread(path).PatientName) == name


def test_nothing_but_patient_and_study_is_copied(study: Study, tmp_path: Path) -> None:
    allowed = (
        "PatientName", "PatientID", "IssuerOfPatientID", "StudyID", "StudyDescription",
        "AccessionNumber", "ReferringPhysicianName",
    )  # fmt: skip
    others = (
        "OtherPatientIDs", "PatientAddress", "PatientComments", "InstitutionName", "OperatorsName",
        "StationName", "ProtocolName", "SeriesDescription", "ImageComments", "DeviceSerialNumber",
        "PerformingPhysicianName",
    )  # fmt: skip
    planted = dict.fromkeys((*allowed, *others), "QZPLANTED")
    other = copied(study, tmp_path, **planted)
    for path in write_results(heatmap_of(other), tmp_path / "results"):
        holding = {
            element.keyword
            for item in items_of(pydicom.dcmread(path))
            for element in item
            if element.VR != "SQ" and "QZPLANTED" in str(element.value)
        }
        assert {"PatientName", "PatientID"} <= holding <= set(allowed)


def test_a_source_that_lacks_elements_gives_empty_ones(study: Study, tmp_path: Path) -> None:
    lacking = ("PatientBirthDate", "StudyID", "AccessionNumber", "ReferringPhysicianName",
               "StudyDate", "StudyTime", "PatientSex")  # fmt: skip
    other = copied(study, tmp_path, **dict.fromkeys(lacking))
    for path in write_results(heatmap_of(other), tmp_path / "results"):
        result = pydicom.dcmread(path)
        assert all(not result[keyword].value for keyword in lacking)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientBirthDate", "19.3.1950"),
        ("StudyDate", "1950-03-19"),
        ("StudyTime", "noon"),
        ("PatientSex", "female"),
    ],
)
def test_what_no_result_may_hold_is_refused_by_its_name(
    study: Study, tmp_path: Path, keyword: str, value: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = copied(study, tmp_path, **{keyword: value})
    with pytest.raises(LoadError, match=keyword) as caught:
        write_results(heatmap_of(other), tmp_path / "results")
    assert caught.value.code == "DICOM_INVALID"
    assert value not in str(caught.value)
    assert not (tmp_path / "results").exists()


def test_frames_of_one_file_are_referred_to_by_number(tmp_path: Path) -> None:
    oracle = OracleSeries(enhanced=True, order=(2, 0, 1, 4, 3))
    write_oracle_series(tmp_path / "enhanced", oracle)
    (study,) = Loader().index(tmp_path / "enhanced")
    series = study.series[0]
    heatmap = heatmap_of(study)
    values = heatmap.values
    report, _, values_map = write_results(heatmap, tmp_path / "results")
    region = highdicom.sr.srread(report).content.get_planar_roi_measurement_groups()[0].roi
    (reference,) = [item for item in items_of(region) if "ReferencedFrameNumber" in item]
    assert reference.ReferencedFrameNumber == oracle.order[PEAK[0]] + 1
    result = pydicom.dcmread(values_map)
    for plane, frame in zip(
        result.pixel_array, result.PerFrameFunctionalGroupsSequence, strict=True
    ):
        corner = [float(value) for value in frame.PlanePositionSequence[0].ImagePositionPatient]
        index = round((np.linalg.inv(series.geometry.affine) @ (*corner, 1))[0])
        np.testing.assert_array_equal(plane, values[index])


def test_what_results_cannot_refer_to_is_refused(
    study: Study, cohort: Cohort, tmp_path: Path
) -> None:
    series, heatmap = study.series[0], heatmap_of(study)
    with pytest.raises(UsageError) as caught:
        read_source(attrs.evolve(series, loader="cervispine:nifti"))
    assert caught.value.code == "SOURCE_NOT_DICOM"
    with pytest.raises(UsageError, match="DSS"):
        write_results(attrs.evolve(heatmap, target="DSS"), tmp_path)
    with pytest.raises(UsageError, match="different series"):
        structured_report(heatmap, read_source(cohort[-1].series[0]))
    elsewhere = attrs.evolve(series, files=cohort[-1].series[0].files)
    with pytest.raises(LoadError) as refused:
        write_results(attrs.evolve(heatmap, series=elsewhere), tmp_path)
    assert refused.value.code == "CHANGED_SINCE_INDEX"
    for file in tmp_path.iterdir():
        pytest.fail(f"{file.name} was written")


@pytest.mark.parametrize("wrong", ["shape", "type", "empty"])
def test_a_mask_that_outlines_nothing_is_refused(study: Study, wrong: str) -> None:
    shape = study.series[0].shape
    mask = {
        "shape": np.ones(shape[1:], dtype=bool),
        "type": np.ones(shape, dtype=np.float32),
        "empty": np.zeros(shape, dtype=bool),
    }[wrong]
    with pytest.raises(UsageError) as caught:
        segmentation(mask, read_source(study.series[0]), label="a", made_by="b")
    assert caught.value.code == "MASK_INVALID"


def test_without_highdicom_it_is_said_what_to_install(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(MissingExtraError, match="highdicom") as caught:
        write_results(heatmap_of(study), tmp_path / "results")
    assert "cervispine[dicom-out]" in caught.value.advice
    assert not (tmp_path / "results").exists()
