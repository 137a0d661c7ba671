"""Each fault of a series is met with its code, and each of its files is accounted for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from cervispine.exceptions import CervispineError, GeometryError, LoadError
from cervispine.loading import Loader

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def set_(**values: Any) -> Callable[[int, Dataset], None]:
    """Return a change that sets or, where None, deletes elements of every slice."""

    def change(_: int, dataset: Dataset) -> None:
        for name, value in values.items():
            if value is None:
                delattr(dataset, name)
            else:
                setattr(dataset, name, value)

    return change


def only(index: int, change: Callable[[int, Dataset], None]) -> Callable[[int, Dataset], None]:
    return lambda here, dataset: change(here, dataset) if here == index else None


def move(index: int, by: float, axis: int = 0) -> Callable[[int, Dataset], None]:
    def change(here: int, dataset: Dataset) -> None:
        if here == index:
            position = list(dataset.ImagePositionPatient)
            position[axis] = float(position[axis]) + by
            dataset.ImagePositionPatient = position

    return change


def shear(here: int, dataset: Dataset) -> None:
    x, y, z = dataset.ImagePositionPatient
    dataset.ImagePositionPatient = [x, float(y) + 0.5 * here, z]


REJECTED = {
    "no position": (set_(ImagePositionPatient=None), "GEOMETRY_MISSING"),
    "one without position": (only(2, set_(ImagePositionPatient=None)), "GEOMETRY_MISSING"),
    "no orientation": (set_(ImageOrientationPatient=None), "GEOMETRY_MISSING"),
    "no spacing": (set_(PixelSpacing=None), "GEOMETRY_MISSING"),
    "spacing zero": (set_(PixelSpacing=[0, 1]), "GEOMETRY_INVALID"),
    "two coordinates": (set_(ImagePositionPatient=[1, 2]), "GEOMETRY_INVALID"),
    "cosines not unit": (set_(ImageOrientationPatient=[0, 1.1, 0, 0, 0, -1]), "GEOMETRY_INVALID"),
    "cosines not square": (
        set_(ImageOrientationPatient=[0, 1, 0, 0, 0.6, -0.8]),
        "GEOMETRY_INVALID",
    ),
    "duplicate position": (move(1, -3.3), "SLICE_DUPLICATE"),
    "one misplaced": (move(2, 0.5), "SPACING_IRREGULAR"),
    "one aside": (move(2, 0.5, axis=1), "GEOMETRY_INVALID"),
    "sheared": (shear, "GEOMETRY_INVALID"),
    "no patient": (set_(PatientID=""), "PATIENT_ID_MISSING"),
    "one of another size": (only(4, set_(Rows=20, Columns=24)), "SERIES_MIXED"),
    "one of another echo": (only(0, set_(EchoTime=80)), "SERIES_MIXED"),
    "two patients": (only(0, set_(PatientID="8")), "UID_CONFLICT"),
    "too large": (set_(Rows=20000, Columns=20000), "DECODE_BUDGET"),
    "slope zero": (only(2, set_(RescaleSlope=0)), "VALUE_INVALID"),
    "slope that float32 takes for zero": (set_(RescaleSlope=1e-46), "VALUE_INVALID"),
    "slope that overflows": (set_(RescaleSlope=1e300), "VALUE_INVALID"),
    "intercept that overflows": (set_(RescaleIntercept=-1e39), "VALUE_INVALID"),
    "highest bit elsewhere": (set_(BitsStored=12, HighBit=15), "VALUE_INVALID"),
    "more bits stored than allocated": (set_(BitsStored=20, HighBit=19), "VALUE_INVALID"),
    "one bit": (set_(BitsAllocated=1, BitsStored=1, HighBit=0), "VALUE_INVALID"),
    "sign of a third kind": (set_(PixelRepresentation=2), "VALUE_INVALID"),
    "MR image of another modality": (set_(Modality="CT"), "VALUE_INVALID"),
    "sign flipped": (
        set_(BitsStored=12, HighBit=11, PixelData=np.arange(-240, 240, dtype="<i2").tobytes()),
        "PIXELS_INVALID",
    ),
    "all one value": (set_(PixelData=b"\7\0" * 480), "IMAGE_DEGENERATE"),
    "all zero": (set_(PixelData=bytes(960)), "IMAGE_DEGENERATE"),
    "pixels cut": (only(3, set_(PixelData=b"\0" * 100)), "DICOM_TRUNCATED"),
}  # fmt: skip


IGNORED = {
    "axial": (set_(ImageOrientationPatient=list(AXIAL)), "PLANE_OTHER"),
    "T1": (set_(RepetitionTime=500, EchoTime=10), "SEQUENCE_OTHER"),
    "localizer": (set_(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "LOCALIZER"),
    "mosaic": (set_(ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]), "MOSAIC"),
    "derived": (set_(ImageType=["DERIVED", "PRIMARY"]), "DERIVED"),
    "CT": (set_(SOPClassUID="1.2.840.10008.5.1.4.1.1.2"), "NOT_MR_IMAGE"),
    "colour": (set_(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "COLOUR"),
}


@pytest.mark.parametrize("name", REJECTED)
def test_fault_rejects_the_whole_series(good: Path, Series: Any, name: str, check: Any) -> None:
    change, code = REJECTED[name]
    Series().write(good / "bad", change=change)
    check(Loader().index(good), code, "rejected", 5)
    with pytest.raises(LoadError) as caught:
        Loader(on_problem="raise").index(good)
    assert caught.value.code == code


@pytest.mark.parametrize("name", IGNORED)
def test_other_images_are_ignored(good: Path, Series: Any, name: str, check: Any) -> None:
    change, code = IGNORED[name]
    Series().write(good / "other", change=change)
    cohort = Loader(on_problem="raise").index(good)
    check(cohort, code, "ignored", 5)


def test_a_file_cut_off_soon_after_its_meta_is_rejected_not_ignored(
    good: Path, Series: Any, check: Any
) -> None:
    paths = Series().write(good / "bad")
    content = paths[0].read_bytes()
    # (0008,0016) opens the data set, so that not even the class of the image is left in it.
    paths[0].write_bytes(content[: content.index(b"\x08\x00\x16\x00")])
    for path in paths[1:]:
        path.unlink()
    check(Loader().index(good), "DICOM_TRUNCATED", "rejected", 1)


def test_missing_slice(good: Path, Series: Any, check: Any) -> None:
    paths = Series().write(good / "bad")
    paths[2].unlink()
    check(Loader().index(good), "SPACING_IRREGULAR", "rejected", 4)


def test_rounding_of_positions_is_no_fault(tmp_path: Path, Series: Any) -> None:
    def rounded(_: int, dataset: Dataset) -> None:
        dataset.ImagePositionPatient = [f"{v:.2f}" for v in dataset.ImagePositionPatient]

    tilted = (0.0530167, 0.998594, 0, 0, 0, -1)
    Series(orientation=tilted, gap=1.0, shape=(9, 24, 20)).write(tmp_path, change=rounded)
    assert len(Loader(on_problem="raise").index(tmp_path)) == 1


def test_numbers_that_are_none(good: Path, Series: Any, check: Any) -> None:
    texts = [b"1,5", b"1e999", b"NaN", b"abc", b"1.2e400"]
    keywords = ["EchoTime", "RescaleSlope", "SliceThickness", "EchoTime", "RepetitionTime"]
    for number, (keyword, text) in enumerate(zip(keywords, texts, strict=True)):
        series = Series(study=f"1.2.4.{number}", series=f"1.2.4.{number}.1")
        for path in series.write(good / f"{number}", change=set_(**{keyword: "100.2500"})):
            content = path.read_bytes()
            assert content.count(b"100.2500") == 1, keyword
            path.write_bytes(content.replace(b"100.2500", text.ljust(8)))
    check(Loader().index(good), "VALUE_INVALID", "rejected", 25)


def test_comma_decimals_of_geometry(good: Path, Series: Any, check: Any) -> None:
    for path in Series(pixel_spacing=(0.8125, 0.8125)).write(good / "bad"):
        path.write_bytes(path.read_bytes().replace(b"0.8125", b"0,8125"))
    check(Loader().index(good), "VALUE_INVALID", "rejected", 5)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_charsets_that_lie_or_do_not_exist(good: Path, Series: Any) -> None:
    for number, charset in enumerate(["ISO 2022 IR 87", "ISO_IR 192", "NONSENSE", ["", "x"]]):
        name = f"1.2.5.{number}"

        def lie(_: int, dataset: Dataset, charset: Any = charset) -> None:
            dataset.PatientName = "Yamada^Tarou"
            dataset.SpecificCharacterSet = charset
            dataset.SeriesDescription = "t2 sag"

        series = Series(patient=f"p{number}", study=name, series=f"{name}.1")
        for path in series.write(good / str(number), change=lie):
            broken = path.read_bytes().replace(b"Yamada^Tarou", b"\x1b$B;3EDB\xff\xc3^ ")
            path.write_bytes(broken)
    cohort = Loader(on_problem="raise").index(good)
    assert cohort.patients == ("good", "p0", "p1", "p2", "p3")


def test_one_uid_for_two_images(good: Path, Series: Any) -> None:
    Series().write(good / "bad")
    Series().write(good / "worse", change=only(1, set_(EchoTime=101)))
    # All ten files belong to the series; four of them are copies, two contradict.
    cohort = Loader().index(good)
    assert cohort.intake is not None
    codes = [problem.code for problem in cohort.intake.problems for _ in range(problem.files)]
    assert sorted(codes) == ["DUPLICATE_FILE"] * 4 + ["UID_CONFLICT"] * 6


def test_what_was_exported_twice_is_one_image_however_it_was_written(
    tmp_path: Path, Series: Any, check: Any
) -> None:
    for name, syntax in {"packed": RLELossless, "plain": ExplicitVRLittleEndian}.items():
        Series(syntax=str(syntax)).write(tmp_path / name)
    cohort = Loader().index(tmp_path)
    assert {path.parent.name for path in cohort[0].series[0].files} == {"plain"}
    check(cohort, "DUPLICATE_FILE", "ignored", 5)


@pytest.mark.parametrize(
    "change", [set_(RescaleSlope=2), lambda _, d: setattr(d, "PixelData", d.PixelData[::-1])]
)
def test_one_uid_for_other_pixels(good: Path, Series: Any, check: Any, change: Any) -> None:
    Series().write(good / "one")
    Series().write(good / "two", change=change)
    check(Loader().index(good), "UID_CONFLICT", "rejected", 10)


def test_images_that_cannot_be_used_are_no_conflict(good: Path, Series: Any, check: Any) -> None:
    for name, text in {"one": "a", "two": "b"}.items():
        Series().write(good / name, change=set_(PixelSpacing=None, StudyDescription=text))
    check(Loader().index(good), "GEOMETRY_MISSING", "rejected", 10)


def test_one_study_of_two_patients(good: Path, Series: Any, check: Any) -> None:
    Series(patient="1").write(good / "one")
    Series(patient="2", series="1.2.3.1.2").write(good / "two")
    check(Loader().index(good), "UID_CONFLICT", "rejected", 10)


def test_many_frames(good: Path, Series: Any, check: Any) -> None:
    Series().write(good / "frames", change=set_(NumberOfFrames=4))
    check(Loader().index(good), "MULTIFRAME_UNSUPPORTED", "rejected", 5)


def test_single_slice_is_no_stack(good: Path, Series: Any, check: Any) -> None:
    Series(shape=(1, 24, 20)).write(good / "one")
    check(Loader().index(good), "SLICES_TOO_FEW", "ignored", 1)


def test_mixed_orientations_are_split(good: Path, Series: Any) -> None:
    uid = {"study": "1.2.3.5", "series": "1.2.3.5.1"}
    Series(**uid).write(good / "mixed")
    axial = Series(orientation=AXIAL, **uid)
    axial.write(good / "mixed2", change=lambda i, d: setattr(d, "SOPInstanceUID", f"1.2.3.6.{i}"))
    cohort = Loader(on_problem="raise").index(good)
    assert len(cohort) == 2
    assert {series.shape for study in cohort for series in study.series} == {(5, 24, 20)}
    assert {(p.code, p.files) for p in cohort.intake.problems} == {("PLANE_OTHER", 5)}  # type: ignore[union-attr]


def test_repetitions_are_split_by_acquisition(tmp_path: Path, Series: Any) -> None:
    Series().write(tmp_path / "one")

    def second(index: int, dataset: Dataset) -> None:
        dataset.AcquisitionNumber = 2
        dataset.SOPInstanceUID = f"1.2.3.7.{index}"

    Series().write(tmp_path / "two", change=second)
    cohort = Loader().index(tmp_path)
    assert {(p.code, p.files) for p in cohort.intake.problems} == {("SERIES_PASSED_OVER", 5)}  # type: ignore[union-attr]


def test_interleaved_halves_stay_one_stack(tmp_path: Path, Series: Any) -> None:
    Series().write(tmp_path, change=lambda i, d: setattr(d, "AcquisitionNumber", 1 + i % 2))
    assert Loader().index(tmp_path)[0].series[0].shape == (5, 24, 20)


def test_localizer_by_its_three_planes(good: Path, Series: Any, check: Any) -> None:
    planes = [(0, 1, 0, 0, 0, -1), AXIAL, (1, 0, 0, 0, 0, -1)]
    Series(shape=(3, 24, 20)).write(
        good / "scout",
        change=lambda i, d: setattr(d, "ImageOrientationPatient", list(planes[i])),
    )
    check(Loader().index(good), "LOCALIZER", "ignored", 3)


def test_choice_between_series_follows_the_rule(tmp_path: Path, Series: Any, check: Any) -> None:
    base = Series(shape=(7, 24, 20))
    for last, changes in {
        "4": {},  # equal to 5, whose UID sorts later
        "5": {},
        "1": {"shape": (6, 24, 20)},
        "2": {"pixel_spacing": (1.0, 0.9)},
    }.items():
        attrs.evolve(base, series=f"1.2.3.1.{last}", **changes).write(tmp_path / last)
    cohort = Loader().index(tmp_path)
    assert [series.uid for series in cohort[0].series] == ["1.2.3.1.4"]
    check(cohort, "SERIES_PASSED_OVER", "ignored", 20)


def test_study_must_have_every_sequence(tmp_path: Path, Series: Any, check: Any) -> None:
    t1 = set_(RepetitionTime=500, EchoTime=10)
    Series(series="1.2.3.1.1").write(tmp_path / "T2")
    Series(series="1.2.3.1.2").write(tmp_path / "T1", change=t1)
    Series(study="1.2.3.2", series="1.2.3.2.1").write(tmp_path / "lacking")
    cohort = Loader(sequences=("T1", "T2")).index(tmp_path)
    check(cohort, "SERIES_MISSING", "rejected", 5)
    assert [series.sequence for series in cohort[0].series] == ["T1", "T2"]
    assert Loader().read(cohort[0], "T1").sequence == "T1"
    with pytest.raises(CervispineError) as caught:
        Loader().read(cohort[0], "PD")
    assert caught.value.code == "SERIES_MISSING"


def test_burned_in_annotation_is_noted(tmp_path: Path, Series: Any, check: Any) -> None:
    Series().write(tmp_path, change=set_(BurnedInAnnotation="YES"))
    check(Loader(on_problem="raise").index(tmp_path), "BURNED_IN_ANNOTATION", "noted", 5)


def test_geometry_errors_have_their_class(good: Path, Series: Any) -> None:
    Series().write(good / "bad", change=move(2, 0.5))
    with pytest.raises(GeometryError, match=r"the gap between slices is 3\.300 mm"):
        Loader(on_problem="raise").index(good)
    assert len(Loader(spacing_tolerance=0.2).index(good)) == 2


def test_pixel_hash_sees_copies_under_other_headers(tmp_path: Path, Series: Any) -> None:
    Series().write(tmp_path / "one")
    Series(patient="9", study="1.2.3.8", series="1.2.3.8.1").write(tmp_path / "two")
    cohort = Loader().index(tmp_path)
    hashes = {series.pixel_hash for study in cohort for series in study.series}
    assert len(hashes) == 1
    assert np.unique([len(each) for each in hashes]) == 64
    leaks = [p.code for p in cohort.where(lambda s: s.patient == "9").leakage(
        cohort.where(lambda s: s.patient != "9"))]  # fmt: skip
    assert leaks == ["LEAKAGE_PIXEL_HASH"]
