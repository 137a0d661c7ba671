"""What headers say of identity is counted; that nothing is said is not taken for proof."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from cervispine import Cohort
from cervispine.loading import Loader
from cervispine.loading.privacy import IDENTIFYING, identity_notes
from cervispine.phantom import PhantomCohort


def notes(cohort: Cohort) -> dict[str, tuple[int, str]]:
    assert cohort.intake is not None
    return {problem.code: (problem.files, problem.reason) for problem in cohort.intake.identity}


def index(folder: Path, Series: Any, change: Callable[[int, Dataset], object]) -> Cohort:
    Series(patient="P-7").write(folder, change=change)
    return Loader().index(folder)


@pytest.mark.parametrize(
    "value",
    ["", " ", "P-7", "anonymous", "ANON^ANON", "Removed", "XXXX", "0", "^^^^", "SYNTHETIC^P-7",
     "de-identified", "Anonymized Patient", "P-7^P-7", "?"],
)  # fmt: skip
def test_placeholders_name_nobody(tmp_path: Path, Series: Any, value: str) -> None:
    cohort = index(tmp_path, Series, lambda _, dataset: setattr(dataset, "PatientName", value))
    assert "IDENTITY_PRESENT" not in notes(cohort)


@pytest.mark.parametrize(
    "value", ["Doe^Jane", "Anonymous^Jane", "X^Y", "P-7^Jane", "unknown 1961", "Jane"]
)
def test_anything_else_may_be_a_name(tmp_path: Path, Series: Any, value: str) -> None:
    cohort = index(tmp_path, Series, lambda _, dataset: setattr(dataset, "PatientName", value))
    assert notes(cohort)["IDENTITY_PRESENT"] == (
        5, "neither empty nor a placeholder: PatientName in 5",
    )  # fmt: skip
    assert cohort.intake is not None
    assert value not in repr(cohort.intake.identity)


@pytest.mark.parametrize("keyword", IDENTIFYING)
def test_every_element_is_looked_at(tmp_path: Path, Series: Any, keyword: str) -> None:
    def change(index: int, dataset: Dataset) -> None:
        if index == 2:
            item = Dataset()
            item.PatientID = "other"
            value = {"PatientBirthDate": "19610513", "PatientBirthTime": "101500"}
            setattr(
                dataset, keyword, [item] if "Sequence" in keyword else value.get(keyword, "Doe")
            )

    files, reason = notes(index(tmp_path, Series, change))["IDENTITY_PRESENT"]
    assert (files, reason) == (1, f"neither empty nor a placeholder: {keyword} in 1")


def test_claims_are_counted_and_methods_named_by_code(tmp_path: Path, Series: Any) -> None:
    def change(index: int, dataset: Dataset) -> None:
        if index < 3:
            dataset.PatientIdentityRemoved = "YES"
        if index == 3:
            dataset.PatientIdentityRemoved = "NO"
        codes = {0: ("113100", "113101"), 1: ("113100", "Doe")}.get(index, ())
        items = []
        for code in codes:
            item = Dataset()
            item.CodeValue = code
            items.append(item)
        dataset.DeidentificationMethodCodeSequence = items

    found = notes(index(tmp_path, Series, change))
    assert found["DEIDENTIFICATION_CLAIMED"] == (
        3,
        "PatientIdentityRemoved is YES, which is a claim; "
        "methods by code: 113100 in 2, 113101 in 1",
    )
    assert found["DEIDENTIFICATION_UNCLAIMED"] == (
        2, "PatientIdentityRemoved is NO in 1 and absent in 1",
    )  # fmt: skip


def test_private_elements_and_silence_on_text_are_noted(tmp_path: Path, Series: Any) -> None:
    def change(index: int, dataset: Dataset) -> None:
        if index == 0:
            dataset.private_block(0x0051, "SOMEONE", create=True).add_new(1, "LO", "something")
        dataset.BurnedInAnnotation = ["YES", "NO", "", None, "NO"][index]

    found = notes(index(tmp_path, Series, change))
    assert found["PRIVATE_ELEMENTS"][0] == 1
    assert found["BURNED_IN_UNSTATED"][0] == 2


def test_ignored_series_count_too(tmp_path: Path, Series: Any) -> None:
    Series(
        patient="P-7", study="1.2.3.1", series="1.2.3.1.2", elements={"PatientName": "Doe^Jane"},
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    ).write(tmp_path / "axial")  # fmt: skip
    cohort = index(tmp_path / "sagittal", Series, lambda *_: None)
    assert "IDENTITY_PRESENT" not in notes(cohort)
    assert notes(Loader().index(tmp_path))["IDENTITY_PRESENT"][0] == 5


def test_a_malformed_claim_claims_nothing(tmp_path: Path, Series: Any) -> None:
    paths = Series(elements={"PatientIdentityRemoved": "YES"}).write(tmp_path)
    for path in paths:
        path.write_bytes(path.read_bytes().replace(b"YES ", b"Doe "))
    assert notes(Loader().index(tmp_path))["DEIDENTIFICATION_UNCLAIMED"][0] == 5


def test_phantoms_name_nobody(phantom: PhantomCohort) -> None:
    assert set(notes(Loader().index(phantom.dicom))) == {"DEIDENTIFICATION_CLAIMED"}


def test_no_files_no_notes() -> None:
    assert identity_notes([]) == []


def test_one_identifier_of_several_persons_is_noted(tmp_path: Path, Series: Any) -> None:
    for number, (birth, sex) in enumerate([("19600102", "F"), ("19600102", "F"), ("", "M")]):

        def change(_: int, dataset: Dataset, birth: str = birth, sex: str = sex) -> None:
            dataset.PatientBirthDate, dataset.PatientSex = birth, sex

        series = Series(patient="ANON", study=f"1.2.3.{number}", series=f"1.2.3.{number}.1")
        series.write(tmp_path / str(number), change=change)
        found = notes(Loader().index(tmp_path))
        assert ("PATIENT_SHARED" in found) == (number == 2)
    assert found["PATIENT_SHARED"][1].startswith("1 PatientID stand for")
    assert "1960" not in str(found["PATIENT_SHARED"])


def test_one_frame_of_reference_of_several_patients_is_noted(tmp_path: Path, Series: Any) -> None:
    for number in range(3):

        def change(index: int, dataset: Dataset, number: int = number) -> None:
            dataset.FrameOfReferenceUID = "1.2.3.4"
            dataset.PixelData = bytes([number]) + dataset.PixelData[1:]

        series = Series(patient=f"P{number}", study=f"1.2.3.{number}", series=f"1.2.3.{number}.1")
        series.write(tmp_path / str(number), change=change)
        assert ("FRAME_SHARED" in notes(Loader().index(tmp_path))) == (number > 0)
    _, reason = notes(Loader().index(tmp_path))["FRAME_SHARED"]
    assert reason.startswith("3 patients share 1 FrameOfReferenceUID")
