"""What names a patient never leaves the loader, but for the identifier in Study.patient."""

from __future__ import annotations

import io
import logging
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from cervispine.exceptions import CervispineError
from cervispine.loading import Loader

CANARY = "CANARYHOFFNUNG"

TEXTS = (
    "PatientName", "PatientComments", "ReferringPhysicianName", "InstitutionName",
    "StationName", "StudyDescription", "SeriesDescription", "ProtocolName", "Manufacturer",
    "ManufacturerModelName", "OperatorsName", "ImageComments", "StudyID", "AccessionNumber",
    "BodyPartExamined", "PatientAddress", "OtherPatientIDs",
)  # fmt: skip


def plant(_: int, dataset: Dataset) -> None:
    for keyword in TEXTS:
        text = CANARY[:16]
        setattr(dataset, keyword, text)
    item = Dataset()
    item.PatientName = CANARY
    item.CodeMeaning = CANARY
    dataset.RequestAttributesSequence = Sequence([item])
    dataset.private_block(0x0051, "CANARY", create=True).add_new(1, "LO", CANARY)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.PatientBirthDate = f"1970-{CANARY[:6]}"
        dataset.StudyDate = f"20{CANARY[:6]}"
        dataset.SpecificCharacterSet = CANARY[:10]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("fault", ["none", "geometry", "values", "truncated", "pixels"])
def test_nothing_planted_leaves(
    tmp_path: Path,
    Series: Any,
    fault: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    caplog.set_level(logging.DEBUG)
    folder = tmp_path / CANARY
    patient = f"{CANARY}-1"
    names = [f"{CANARY}{number}.dcm" for number in range(5)]
    paths = Series(patient=patient, names=names).write(folder, change=plant)
    recwarn.clear()
    capfd.readouterr()
    caplog.clear()
    path = paths[2]
    if fault == "geometry":
        path.write_bytes(
            path.read_bytes().replace(b"0.900000", b"x.900000").replace(b"0.9\\", b"-.9\\")
        )
    elif fault == "values":
        path.write_bytes(path.read_bytes().replace(b"3000", b"CANA"))
    elif fault == "truncated":
        path.write_bytes(path.read_bytes()[:900])
    said = io.StringIO()
    for on_problem in ("quarantine", "raise"):
        try:
            cohort = Loader(on_problem=on_problem).index(folder)
            if fault == "pixels":
                path.write_bytes(path.read_bytes()[:-9])
            intake = cohort.intake
            assert intake is not None
            print(repr(cohort), cohort.summary(), intake, cohort[0], file=said)
            print(list(intake.problems), file=said)
            print([dict(series.protocol) for series in cohort[0].series], file=said)
            intake.to_csv(tmp_path / "rejected.csv")
            said.write((tmp_path / "rejected.csv").read_text())
            volume = Loader().read(cohort[0])
            print(volume, volume.history, file=said)
        except CervispineError as error:
            assert fault != "none"
            print(error, repr(error), error.__cause__, error.__context__, file=said)
            print(pickle.dumps(error), file=said)
    output = capfd.readouterr()
    everything = "\n".join(
        [said.getvalue(), caplog.text, output.out, output.err, *(str(w.message) for w in recwarn)]
    )
    assert "CANA" not in everything.upper()


def test_identifier_is_kept_as_text(tmp_path: Path, Series: Any) -> None:
    Series(patient=" 00123 ").write(tmp_path)
    assert Loader().index(tmp_path).patients == ("00123",)
