"""Several parts of the body, and several encodings, under one study or one series UID."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from cervispine.exceptions import UsageError
from cervispine.loading import Loader
from cervispine.loading.regions import region_of

NATIVE, IMPLICIT, RLE = map(str, (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless))


def write_parts(folder: Path, syntaxes: list[str], series: Any) -> None:
    """Write each slice of a series in a syntax of its own."""
    for number, syntax in enumerate(syntaxes):
        dataset = attrs.evolve(series, syntax=syntax).dataset(number)
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)


@pytest.mark.parametrize(
    "syntaxes",
    [
        [NATIVE] * 3 + [RLE] * 4,
        [NATIVE, IMPLICIT] * 4,
        [NATIVE] * 3 + [RLE] + [NATIVE] * 3,
    ],
    ids=["halves", "alternating", "one"],
)
def test_slices_of_one_stack_may_be_encoded_in_several_ways(
    tmp_path: Path, Series: Any, syntaxes: list[str]
) -> None:
    series = Series(shape=(len(syntaxes), 24, 20))
    write_parts(tmp_path, syntaxes, series)
    study = Loader(on_problem="raise").index(tmp_path)[0]
    assert study.series[0].transfer_syntaxes == tuple(sorted(set(syntaxes)))
    np.testing.assert_array_equal(Loader().read(study).pixels, series.pixels)


def named(**elements: Any) -> Any:
    def change(_: int, dataset: Dataset) -> None:
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)

    return change


def test_of_a_whole_spine_the_neck_is_taken(tmp_path: Path, Series: Any, check: Any) -> None:
    base = Series(shape=(5, 24, 20))
    for last, (slices, region) in {
        "1": (7, "LSPINE"),
        "2": (6, "TSPINE"),
        "3": (5, "CSPINE"),
    }.items():
        series = attrs.evolve(base, shape=(slices, 24, 20), series=f"1.2.3.1.{last}")
        series.write(tmp_path / last, change=named(BodyPartExamined=region))
    cohort = Loader().index(tmp_path)
    assert [series.uid for series in cohort[0].series] == ["1.2.3.1.3"]
    check(cohort, "REGION_OTHER", "ignored", 13)


def test_a_name_decides_before_the_body_part(tmp_path: Path, Series: Any, check: Any) -> None:
    Series().write(tmp_path / "1", change=named(BodyPartExamined="CSPINE", ProtocolName="t2_LWS"))
    neck = Series(series="1.2.3.1.2")
    neck.write(tmp_path / "2", change=named(BodyPartExamined="LSPINE", SeriesDescription="C-Spine"))
    cohort = Loader().index(tmp_path)
    assert [series.uid for series in cohort[0].series] == ["1.2.3.1.2"]
    check(cohort, "REGION_OTHER", "ignored", 5)


def test_other_regions_are_read_when_wanted(tmp_path: Path, Series: Any) -> None:
    Series().write(tmp_path, change=named(BodyPartExamined="LSPINE"))
    assert len(Loader(regions=("cervical", "unknown", "other")).index(tmp_path)) == 1
    for regions in ("cervical", (), ("neck",), ("other", "other")):
        with pytest.raises(UsageError, match="regions"):
            Loader(regions=regions).index(tmp_path)


def test_what_names_the_neck_is_taken_before_what_names_nothing(
    tmp_path: Path, Series: Any
) -> None:
    Series(shape=(9, 24, 20)).write(tmp_path / "1")
    Series(series="1.2.3.1.2").write(tmp_path / "2", change=named(BodyPartExamined="CSPINE"))
    cohort = Loader().index(tmp_path)
    assert [series.uid for series in cohort[0].series] == ["1.2.3.1.2"]
    reasons = [problem.reason for problem in cohort.intake.problems]  # type: ignore[union-attr]
    assert "another T2 series of the study is of the region wanted first" in reasons


@pytest.mark.parametrize("one_series", [True, False])
def test_where_nothing_is_named_the_highest_station_is_taken(
    tmp_path: Path, Series: Any, one_series: bool
) -> None:
    high = Series(shape=(5, 24, 20))
    x, y, z = high.origin
    low = attrs.evolve(
        high,
        shape=(6, 24, 20),
        origin=(x, y, z - 250),
        series="1.2.3.1.1" if one_series else "1.2.3.0",
    )
    high.write(tmp_path / "high", change=named(FrameOfReferenceUID="1.2.9"))

    def second(index: int, dataset: Dataset) -> None:
        dataset.FrameOfReferenceUID = "1.2.9"
        dataset.SOPInstanceUID = f"1.2.3.7.{index}"

    low.write(tmp_path / "low", change=second)
    cohort = Loader(on_problem="raise").index(tmp_path)
    (series,) = cohort[0].series
    assert {path.parent.name for path in series.files} == {"high"}
    (problem,) = cohort.intake.problems  # type: ignore[union-attr]
    assert problem.reason == "another T2 series of the study lies higher"
    assert (problem.code, problem.files) == ("SERIES_PASSED_OVER", 6)


def test_places_are_not_compared_between_frames_of_reference(tmp_path: Path, Series: Any) -> None:
    high = Series(shape=(5, 24, 20))
    x, y, z = high.origin
    low = attrs.evolve(high, shape=(6, 24, 20), origin=(x, y, z - 250), series="1.2.3.1.9")
    high.write(tmp_path / "high", change=named(FrameOfReferenceUID="1.2.9"))
    low.write(tmp_path / "low", change=named(FrameOfReferenceUID="1.2.8"))
    (series,) = Loader().index(tmp_path)[0].series
    assert series.shape[0] == 6


def test_numbered_halves_of_repetitions_stay_whole(tmp_path: Path, Series: Any) -> None:
    for time in (1, 2):

        def change(index: int, dataset: Dataset, time: int = time) -> None:
            dataset.TemporalPositionIdentifier = time
            dataset.AcquisitionNumber = 2 * time - index % 2
            dataset.SOPInstanceUID = f"1.2.3.8.{time}.{index}"

        Series(shape=(8, 24, 20)).write(tmp_path / str(time), change=change)
    (series,) = Loader(on_problem="raise").index(tmp_path)[0].series
    assert series.shape[0] == 8
    assert series.geometry.slice_spacing == pytest.approx(3.3)


def test_halves_are_no_stacks_where_nothing_tells_repetitions_apart(
    good: Path, Series: Any, check: Any
) -> None:
    for time in (1, 2):

        def change(index: int, dataset: Dataset, time: int = time) -> None:
            dataset.AcquisitionNumber = 2 * time - index % 2
            dataset.SOPInstanceUID = f"1.2.3.8.{time}.{index}"

        Series(shape=(8, 24, 20)).write(good / str(time), change=change)
    check(Loader().index(good), "SERIES_MIXED", "rejected", 16)


@pytest.mark.parametrize(
    ("name", "body_part", "region"),
    [
        ("t2_tse_sag", "", "unknown"),
        ("t2_tse_sag", "SPINE", "unknown"),
        ("t2_spc_sag fs spine", "", "unknown"),
        ("T2 SPIR SAG", "", "unknown"),
        ("SAG T2 C-SPINE", "LSPINE", "cervical"),
        ("c/spine", "", "cervical"),
        ("T2_HWS_sag", "", "cervical"),
        ("CTL SPINE", "", "cervical"),
        ("cervicothoracic", "TSPINE", "cervical"),
        ("颈椎 T2", "", "cervical"),
        ("t2", "CTSPINE", "cervical"),
        ("head neck", "", "cervical"),
        ("t2_tse_sag_LWS", "CSPINE", "other"),
        ("SAG T2 L-SPINE", "", "other"),
        ("LSP T2", "", "other"),
        ("rachis lombaire", "", "other"),
        ("SAG T2 BRAIN", "", "other"),
        ("", "TLSPINE", "other"),
        ("", "LSSPINE", "other"),
        ("腰椎", "", "other"),
    ],
)
def test_regions(name: str, body_part: str, region: str) -> None:
    assert region_of(name, body_part) == region


def test_where_the_best_series_cannot_be_decoded_the_next_one_is_taken(
    tmp_path: Path, Series: Any, check: Any
) -> None:
    def damaged(index: int, dataset: Dataset) -> None:
        if index == 4:
            dataset.PixelData = bytes(len(dataset.PixelData))

    Series(shape=(9, 24, 20)).write(tmp_path / "best", change=damaged)
    Series(series="1.2.3.1.2").write(tmp_path / "next")
    cohort = Loader().index(tmp_path)
    assert [series.uid for series in cohort[0].series] == ["1.2.3.1.2"]
    check(cohort, "IMAGE_DEGENERATE", "rejected", 9)
