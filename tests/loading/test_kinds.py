"""Which images are slices, by what scanners and converters write into their headers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import UID

from cervispine.loading import Loader
from cervispine.loading.kinds import MOSAIC_COUNT

TAKEN = [
    "ORIGINAL\\PRIMARY\\M\\ND",
    "ORIGINAL\\PRIMARY\\M\\NORM\\DIS2D",
    "ORIGINAL\\PRIMARY\\OTHER",
    "ORIGINAL\\PRIMARY\\M_SE\\M\\SE",
    "ORIGINAL\\PRIMARY\\M\\NORM\\DIS2D\\MFSPLIT",
    "",
]

TAKEN_AND_NOTED = [
    "ORIGINAL\\SECONDARY\\M\\ND\\NORM",
    "DERIVED\\PRIMARY\\M\\NORM\\DIS2D",
    "DERIVED\\PRIMARY\\M\\DIS3D",
    "DERIVED\\PRIMARY\\DIXON\\WATER",
    "DERIVED\\PRIMARY\\DIXON\\IN_PHASE",
    "DERIVED\\PRIMARY\\W\\W\\DERIVED",
    "DERIVED\\PRIMARY\\IP\\IP\\DERIVED",
]

IGNORED = {
    # Siemens' reformats differ from corrected slices by these words alone.
    "DERIVED\\PRIMARY\\M\\NONE": "DERIVED",
    "DERIVED\\PRIMARY\\M\\NONE\\PARALLEL\\DIS2D": "DERIVED",
    "DERIVED\\PRIMARY": "DERIVED",
    "DERIVED\\PRIMARY\\OTHER": "DERIVED",
    "DERIVED\\SECONDARY\\M\\NORM": "DERIVED",
    "DERIVED\\SECONDARY\\MPR\\ND\\NORM": "DERIVED",
    "DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE": "DERIVED",
    "DERIVED\\PRIMARY\\M\\SOMETHING NEW": "DERIVED",
    "ORIGINAL\\PRIMARY\\PROJECTION IMAGE\\M\\SE": "DERIVED",
    "DERIVED\\PRIMARY\\M\\SUB\\NORM": "DERIVED",
    "DERIVED\\PRIMARY\\M\\T2_MAP": "DERIVED",
    "ORIGINAL\\PRIMARY\\ADC": "DERIVED",
    "DERIVED\\SECONDARY\\COMPOSED": "DERIVED",
    "ORIGINAL\\PRIMARY\\P\\ND": "NOT_MAGNITUDE",
    "ORIGINAL\\PRIMARY\\PHASE MAP\\P\\SE": "NOT_MAGNITUDE",
    "ORIGINAL\\PRIMARY\\LOCALIZER\\M": "LOCALIZER",
    "ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC": "MOSAIC",
    "DERIVED\\PRIMARY\\DIXON\\FAT": "SEQUENCE_OTHER",
    "DERIVED\\PRIMARY\\DIXON\\OUT_OF_PHASE": "SEQUENCE_OTHER",
    "DERIVED\\PRIMARY\\OP\\OP\\DERIVED": "SEQUENCE_OTHER",
    "ORIGINAL\\PRIMARY\\DIXON\\FAT_FRACTION": "DERIVED",
    "DERIVED\\PRIMARY\\FF\\FF\\DERIVED": "DERIVED",
    "DERIVED\\PRIMARY\\M\\DERIVED": "DERIVED",
    "ORIGINAL\\PRIMARY\\OP\\OP\\SE": "SEQUENCE_OTHER",
}


def put(words: str) -> dict[str, Any]:
    return {"ImageType": words.split("\\") if words else None}


@pytest.mark.parametrize("words", TAKEN)
def test_slices_are_taken(tmp_path: Path, Series: Any, words: str) -> None:
    Series(elements=put(words)).write(tmp_path)
    cohort = Loader(on_problem="raise").index(tmp_path)
    assert cohort.intake is not None
    assert cohort.intake.problems == ()


@pytest.mark.parametrize("words", TAKEN_AND_NOTED)
def test_corrected_slices_are_taken_and_noted(
    tmp_path: Path, Series: Any, check: Any, words: str
) -> None:
    Series(elements=put(words)).write(tmp_path)
    check(Loader(on_problem="raise").index(tmp_path), "PROCESSED_IMAGE", "noted", 5)


@pytest.mark.parametrize("words", IGNORED)
def test_others_are_listed_with_a_reason(good: Path, Series: Any, check: Any, words: str) -> None:
    Series(elements=put(words)).write(good / "other")
    cohort = Loader(on_problem="raise").index(good)
    check(cohort, IGNORED[words], "ignored", 5)
    assert {problem.item for problem in cohort.intake.problems} == {"1.2.3.1.1"}


def test_lossy_compression_is_a_reason_to_be_derived(tmp_path: Path, Series: Any) -> None:
    words = put("DERIVED\\PRIMARY\\M\\NONE")
    Series(elements={**words, "LossyImageCompression": "01"}).write(tmp_path / "1")
    assert len(Loader(on_problem="raise").index(tmp_path)) == 1
    words = put("DERIVED\\SECONDARY\\MPR")
    Series(
        study="1.2.3.2", series="1.2.3.2.1", elements={**words, "LossyImageCompression": "01"}
    ).write(tmp_path / "2")
    assert len(Loader(on_problem="raise").index(tmp_path)) == 1


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.10008.5.1.4.1.1.7",  # secondary capture
        "1.2.840.10008.5.1.4.1.1.88.11",  # structured report
        "1.2.840.10008.5.1.4.1.1.11.1",  # presentation state
        "1.2.840.10008.5.1.4.1.1.66.4",  # segmentation
        "1.2.840.10008.5.1.4.1.1.104.1",  # PDF
        "1.2.840.10008.5.1.4.1.1.4.2",  # MR spectroscopy
        "1.2.3.4.5",
    ],
)
def test_other_objects_say_what_they_are(good: Path, Series: Any, check: Any, uid: str) -> None:
    Series(elements={"SOPClassUID": uid}).write(good / "other")
    cohort = Loader(on_problem="raise").index(good)
    check(cohort, "NOT_MR_IMAGE", "ignored", 5)
    reasons = {problem.reason for problem in cohort.intake.problems}
    named = f"({UID(uid).name})"
    assert reasons == {f"DICOM, but not an MR image{'' if uid == '1.2.3.4.5' else ' ' + named}"}


@pytest.mark.parametrize("description", ["FAST LOCALIZER", "3-plane", "t2 survey", "Scout"])
def test_localizers_by_their_name(good: Path, Series: Any, check: Any, description: str) -> None:
    Series(elements={"SeriesDescription": description}).write(good / "other")
    cohort = Loader(on_problem="raise").index(good)
    check(cohort, "LOCALIZER", "ignored", 5)


def tiled(count: Any, vr: str) -> Any:
    def change(_: int, dataset: Dataset) -> None:
        block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
        block.add_new(0x0A, vr, count)
        assert MOSAIC_COUNT in dataset

    return change


@pytest.mark.parametrize(("count", "vr"), [(35, "US"), (b"\x23\x00", "UN")])
def test_mosaic_by_siemens_own_count(
    good: Path, Series: Any, check: Any, count: Any, vr: str
) -> None:
    Series().write(good / "mosaic", change=tiled(count, vr))
    check(Loader(on_problem="raise").index(good), "MOSAIC", "ignored", 5)


@pytest.mark.parametrize(("count", "vr"), [(1, "US"), ("many", "LO"), (b"", "UN")])
def test_a_count_that_says_nothing_changes_nothing(
    tmp_path: Path, Series: Any, count: Any, vr: str
) -> None:
    Series().write(tmp_path, change=tiled(count, vr))
    assert len(Loader(on_problem="raise").index(tmp_path)) == 1


def test_mosaic_by_the_matrix_that_was_acquired(good: Path, Series: Any, check: Any) -> None:
    """A sagittal mosaic whose private elements and word in ImageType were removed."""
    Series(shape=(3, 48, 48), elements={"AcquisitionMatrix": [16, 0, 0, 16]}).write(good / "mosaic")
    check(Loader(on_problem="raise").index(good), "MOSAIC", "ignored", 3)


@pytest.mark.parametrize(
    "elements",
    [
        {"AcquisitionMatrix": [24, 0, 0, 12]},  # interpolated by two, with half the phase steps
        {"AcquisitionMatrix": [16, 0, 0, 16], "Manufacturer": "GE MEDICAL SYSTEMS"},
        {"AcquisitionMatrix": [0, 0, 0, 0]},
    ],
)
def test_interpolation_is_no_mosaic(tmp_path: Path, Series: Any, elements: dict[str, Any]) -> None:
    Series(shape=(3, 48, 48), elements=elements).write(tmp_path)
    assert len(Loader(on_problem="raise").index(tmp_path)) == 1


def test_an_original_is_taken_before_a_derived_one(tmp_path: Path, Series: Any) -> None:
    Series(series="1.2.3.1.1", shape=(7, 24, 20), elements=put(TAKEN_AND_NOTED[1])).write(
        tmp_path / "1"
    )
    Series(series="1.2.3.1.2", elements=put(TAKEN[0])).write(tmp_path / "2")
    Series(series="1.2.3.1.3", elements=put(TAKEN[1])).write(tmp_path / "3")
    Series(series="1.2.3.1.4", shape=(9, 24, 20), elements={"ScanOptions": "FS"}).write(
        tmp_path / "4"
    )
    cohort = Loader().index(tmp_path)
    assert [series.uid for series in cohort[0].series] == ["1.2.3.1.3"]
    reasons = {problem.item[-1]: problem.reason for problem in cohort.intake.problems}  # type: ignore[union-attr]
    assert reasons == {
        "1": "another T2 series of the study is not derived",
        "2": "another T2 series of the study has its distortion corrected",
        "4": "another T2 series of the study shows fat as it is",
    }


def test_parts_of_one_dixon_series_are_split(tmp_path: Path, Series: Any) -> None:
    for number, word in enumerate(["W", "F", "IP", "OP"]):

        def change(index: int, dataset: Dataset, number: int = number, word: str = word) -> None:
            dataset.ImageType = ["DERIVED", "PRIMARY", word, word]
            dataset.SOPInstanceUID = f"1.2.3.8.{number}.{index}"

        Series().write(tmp_path / word, change=change)
    cohort = Loader(on_problem="raise").index(tmp_path)
    (series,) = cohort[0].series
    assert {path.parent.name for path in series.files} == {"IP"}
    codes = sorted(problem.code for problem in cohort.intake.problems)  # type: ignore[union-attr]
    assert codes == ["PROCESSED_IMAGE", "SEQUENCE_OTHER", "SERIES_PASSED_OVER"]


@pytest.mark.parametrize(
    "keyword", ["TemporalPositionIdentifier", "TriggerTime", "AcquisitionNumber"]
)
def test_repetitions_in_one_series_are_split(tmp_path: Path, Series: Any, keyword: str) -> None:
    for number in (1, 2, 3):

        def change(index: int, dataset: Dataset, number: int = number) -> None:
            setattr(dataset, keyword, number)
            dataset.SOPInstanceUID = f"1.2.3.8.{number}.{index}"

        Series().write(tmp_path / f"{number}", change=change)
    cohort = Loader(on_problem="raise").index(tmp_path)
    (series,) = cohort[0].series
    assert {path.parent.name for path in series.files} == {"1"}
    assert [(p.code, p.files) for p in cohort.intake.problems] == [("SERIES_PASSED_OVER", 5)] * 2  # type: ignore[union-attr]


def test_repetitions_with_a_hole_are_ambiguous(good: Path, Series: Any, check: Any) -> None:
    for number in (1, 2):

        def change(index: int, dataset: Dataset, number: int = number) -> None:
            dataset.TemporalPositionIdentifier = number
            dataset.SOPInstanceUID = f"1.2.3.8.{number}.{index}"

        paths = Series().write(good / f"{number}", change=change)
    paths[2].unlink()
    check(Loader().index(good), "SERIES_MIXED", "rejected", 9)


def test_both_echoes_of_one_series_are_read(tmp_path: Path, Series: Any) -> None:
    for echo in (15, 100):

        def change(index: int, dataset: Dataset, echo: int = echo) -> None:
            dataset.EchoTime = echo
            dataset.SOPInstanceUID = f"1.2.3.8.{echo}.{index}"

        Series().write(tmp_path / f"{echo}", change=change)
    cohort = Loader(sequences=("T2", "PD"), on_problem="raise").index(tmp_path)
    assert [(s.sequence, s.protocol["echo_time_ms"]) for s in cohort[0].series] == [
        ("T2", 100),
        ("PD", 15),
    ]
    assert cohort.intake.used == 10  # type: ignore[union-attr]
