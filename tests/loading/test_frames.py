"""Enhanced multi-frame MR: geometry and values come from functional groups, frame by frame."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.uid import LegacyConvertedEnhancedMRImageStorage

from cervispine.exceptions import LoadError
from cervispine.loading import Loader
from cervispine.loading import pixels as pixels_room
from cervispine.testing import check_volume

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
ORDER = [3, 0, 4, 1, 2]

#: Native, RLE, JPEG-LS and JPEG 2000.
SYNTAXES = ("", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90")


def save(dataset: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_one_file_is_the_same_series_as_one_file_a_slice(
    tmp_path: Path, Series: Any, enhance: Any, syntax: str
) -> None:
    series = Series(shape=(5, 32, 36), slopes=(0.5, 1, 2, 0.25, 1), intercepts=(-40,) * 5)
    series.write(tmp_path / "classic")
    save(enhance(series, order=ORDER, syntax=syntax), tmp_path / "enhanced" / "one.dcm")
    classic, many = (Loader().index(tmp_path / name) for name in ("classic", "enhanced"))
    assert many.intake is not None
    assert (many.intake.found, many.intake.used) == (1, 1)
    (one,) = many[0].series
    assert len(one.files) == 5
    assert len(set(one.files)) == 1
    assert one.frames == tuple(np.argsort(ORDER))
    assert classic[0].series[0].frames == ()
    assert one.geometry == classic[0].series[0].geometry
    assert one.protocol["echo_time_ms"] == 100
    assert one.protocol["repetition_time_ms"] == 3000
    expected, volume = (Loader().read(cohort[0]) for cohort in (classic, many))
    assert np.array_equal(volume.pixels, expected.pixels)
    check_volume(volume, series)
    part = Loader().read(many[0], slices=[1, 2, 3])
    assert np.array_equal(part.pixels, volume.pixels[1:4])


def test_only_the_frames_needed_are_decoded_and_the_file_is_read_once(
    tmp_path: Path, Series: Any, enhance: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(enhance(Series(), order=ORDER), tmp_path / "one.dcm")
    study = Loader().index(tmp_path)[0]
    decoded, parsed = [], []
    decode, parse = pixels_room.decode, pixels_room.parse

    def counted(parsed: Any, frame: int) -> Any:
        decoded.append(frame)
        return decode(parsed, frame)

    def once(*args: Any, **kwargs: Any) -> Any:
        parsed.append(args[0])
        return parse(*args, **kwargs)

    monkeypatch.setattr(pixels_room, "decode", counted)
    monkeypatch.setattr(pixels_room, "parse", once)
    Loader().read(study, slices=[2, 3])
    assert decoded == [ORDER.index(2), ORDER.index(3)]
    assert len(parsed) == 1


def test_stacks_echoes_and_times_of_one_file_are_split(
    tmp_path: Path, Series: Any, enhance: Any, check: Any
) -> None:
    t2 = Series()
    pd = attrs.evolve(t2, elements={"EchoTime": 20})
    axial = attrs.evolve(t2, orientation=AXIAL)
    again = attrs.evolve(t2, elements={"TemporalPositionIdentifier": 2})
    order = np.random.default_rng(0).permutation(20).tolist()
    save(enhance(t2, pd, axial, again, order=order), tmp_path / "one.dcm")
    cohort = Loader(sequences=("T2", "PD"), on_problem="raise").index(tmp_path)
    assert cohort.intake is not None
    assert cohort.intake.found == cohort.intake.used == 1
    codes = {problem.code: problem.files for problem in cohort.intake.problems}
    assert codes == {"PLANE_OTHER": 0, "SERIES_PASSED_OVER": 0}
    assert [(s.sequence, s.shape) for s in cohort[0].series] == [
        ("T2", (5, 24, 20)),
        ("PD", (5, 24, 20)),
    ]
    frames = [set(series.frames) for series in cohort[0].series]
    assert not frames[0] & frames[1]


def test_stacks_at_one_place_are_never_interleaved(
    tmp_path: Path, Series: Any, enhance: Any
) -> None:
    # The second stack lies half a gap beside the first: together they would be regular.
    one = Series()
    two = attrs.evolve(one, origin=tuple(np.add(one.origin, one.gap / 2 * one.normal)))
    save(enhance(one, two), tmp_path / "one.dcm")
    (series,) = Loader().index(tmp_path)[0].series
    assert series.shape[0] == 5
    assert series.geometry.slice_spacing == pytest.approx(3.3)


def frame(dataset: Dataset, index: int) -> Dataset:
    return dataset.PerFrameFunctionalGroupsSequence[index]  # type: ignore[no-any-return]


def without_groups(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence


def without_position(dataset: Dataset) -> None:
    del frame(dataset, 2).PlanePositionSequence


def without_orientation(dataset: Dataset) -> None:
    # The top of the header has one, which is not to be believed.
    dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    for index in range(5):
        del frame(dataset, index).PlaneOrientationSequence


def with_one_group_less(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[4]


def with_fewer_pixels(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:-480]


def of_a_class_without_groups(dataset: Dataset) -> None:
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"


def with_two_frames_at_one_place(dataset: Dataset) -> None:
    for index in (1, 2):
        frame(dataset, index).PlanePositionSequence = frame(dataset, 1).PlanePositionSequence


def without_patient(dataset: Dataset) -> None:
    dataset.PatientID = ""


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (without_groups, "GEOMETRY_MISSING"),
        (without_position, "GEOMETRY_MISSING"),
        (without_orientation, "GEOMETRY_MISSING"),
        (with_one_group_less, "VALUE_INVALID"),
        (with_fewer_pixels, "DICOM_TRUNCATED"),
        (of_a_class_without_groups, "MULTIFRAME_UNSUPPORTED"),
        (with_two_frames_at_one_place, "SLICE_DUPLICATE"),
        (without_patient, "PATIENT_ID_MISSING"),
    ],
)
def test_faults_of_frames(
    good: Path, Series: Any, enhance: Any, change: Callable[[Dataset], None], code: str, check: Any
) -> None:
    dataset = enhance(Series())
    change(dataset)
    save(dataset, good / "bad" / "one.dcm")
    check(Loader().index(good), code, "rejected", 1)


@pytest.mark.parametrize(
    ("words", "component", "code"),
    [
        (["DERIVED", "PRIMARY", "T2", "ADC"], "MAGNITUDE", "DERIVED"),
        (["ORIGINAL", "PRIMARY", "T2", "NONE"], "PHASE", "NOT_MAGNITUDE"),
        (["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"], "MAGNITUDE", "LOCALIZER"),
    ],
)
def test_frames_that_are_no_slices(
    good: Path, Series: Any, enhance: Any, words: list[str], component: str, code: str, check: Any
) -> None:
    dataset = enhance(Series())
    for index in range(5):
        kind = frame(dataset, index).MRImageFrameTypeSequence[0]
        kind.FrameType, kind.ComplexImageComponent = words, component
    save(dataset, good / "other" / "one.dcm")
    check(Loader().index(good), code, "ignored", 1)


def test_values_that_all_frames_share(tmp_path: Path, Series: Any, enhance: Any) -> None:
    dataset = enhance(Series())
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for keyword in ("PlaneOrientationSequence", "PixelMeasuresSequence", "MREchoSequence"):
        setattr(shared, keyword, getattr(frame(dataset, 0), keyword))
        for index in range(5):
            delattr(frame(dataset, index), keyword)
    save(dataset, tmp_path / "one.dcm")
    (series,) = Loader().index(tmp_path)[0].series
    assert series.geometry.pixel_spacing == (0.9, 0.6)
    assert series.protocol["echo_time_ms"] == 100


def test_legacy_converted(tmp_path: Path, Series: Any, enhance: Any) -> None:
    dataset = enhance(Series(), order=ORDER)
    dataset.SOPClassUID = LegacyConvertedEnhancedMRImageStorage
    dataset.file_meta.MediaStorageSOPClassUID = LegacyConvertedEnhancedMRImageStorage
    del dataset.EchoPulseSequence
    shared = dataset.SharedFunctionalGroupsSequence[0]
    del shared.MRTimingAndRelatedParametersSequence
    converted = Dataset()
    converted.RepetitionTime = 3000
    converted.ScanningSequence = "SE"
    shared.UnassignedSharedConvertedAttributesSequence = [converted]
    for index in range(5):
        del frame(dataset, index).MREchoSequence
        own = Dataset()
        own.EchoTime = 101
        frame(dataset, index).UnassignedPerFrameConvertedAttributesSequence = [own]
    save(dataset, tmp_path / "one.dcm")
    cohort = Loader().index(tmp_path)
    (series,) = cohort[0].series
    assert series.protocol["echo_time_ms"] == 101
    assert series.protocol["sequence_from"] == "TR 3000 ms, TE 101 ms"
    check_volume(Loader().read(cohort[0]), Series())


def test_a_file_whose_frames_changed_since(tmp_path: Path, Series: Any, enhance: Any) -> None:
    path = save(enhance(Series()), tmp_path / "one.dcm")
    study = Loader().index(tmp_path)[0]
    save(enhance(Series(), order=[1, 0, 2, 3, 4]), path)
    with pytest.raises(LoadError) as caught:
        Loader().read(study)
    assert caught.value.code == "CHANGED_SINCE_INDEX"
    save(enhance(Series(shape=(4, 24, 20))), path)
    with pytest.raises(LoadError) as caught:
        Loader().read(study)
    assert caught.value.code == "CHANGED_SINCE_INDEX"


def test_copies_of_a_file_of_frames_are_counted_once(
    tmp_path: Path, Series: Any, enhance: Any, check: Any
) -> None:
    for name in ("one.dcm", "two.dcm"):
        save(enhance(Series()), tmp_path / name)
    cohort = Loader(on_problem="raise").index(tmp_path)
    check(cohort, "DUPLICATE_FILE", "ignored", 1)
    assert cohort[0].series[0].shape[0] == 5


def test_one_file_of_which_part_is_faulty_and_part_never_meant(
    good: Path, Series: Any, enhance: Any
) -> None:
    dataset = enhance(Series(), attrs.evolve(Series(), orientation=AXIAL))
    del frame(dataset, 0).PlanePositionSequence
    frame(dataset, 9).MRImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save(dataset, good / "bad" / "one.dcm")
    intake = Loader().index(good).intake
    assert intake is not None
    assert (intake.rejected, intake.ignored) == (1, 0)
    assert {p.code: p.files for p in intake.problems} == {"LOCALIZER": 0, "GEOMETRY_MISSING": 1}


def test_real_pixels_of_many_frames_are_equal_native_and_compressed(
    shared: Path, tmp_path: Path, Series: Any, enhance: Any
) -> None:
    """Two real encodings of one image, which lacks functional groups, are given the same ones."""
    template = enhance(Series(shape=(10, 64, 64)))
    volumes = []
    for path in sorted((shared / "data" / "pydicom").glob("*.dcm")):
        dataset = pydicom.dcmread(path)
        dataset.PatientID = "1"
        for keyword in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
            setattr(dataset, keyword, getattr(template, keyword))
        dataset.EchoPulseSequence = "SPIN"
        save(dataset, tmp_path / path.stem / "one.dcm")
        volumes.append(Loader().read(Loader().index(tmp_path / path.stem)[0]))
    native, compressed = volumes
    assert np.array_equal(native.pixels, compressed.pixels)
    assert np.array_equal(native.affine, compressed.affine)
    truth = pydicom.dcmread(shared / "data" / "pydicom" / "emri_small.dcm").pixel_array
    assert np.array_equal(native.pixels, truth)
