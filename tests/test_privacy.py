"""What names a patient is planted everywhere, everything is run, and every byte is searched.

Three words are planted. NAME stands in every text element of every image, in nested and private
elements, in the names of folders and files, in cells that nobody asked for. IDENTITY begins the
identifier of each patient, which has its place in the tables that are joined with the user's own.
PLACE is the folder of the data, which the terminal may repeat to the one who typed it.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import logging
import re
import shutil
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from cervispine.cli import main
from cervispine.experiment import PRESETS
from cervispine.phantom import PhantomCohort

NAME, IDENTITY, PLACE = "QZNAMEQZ", "QZIDENTQZ", "QZPLACEQZ"

#: Which files hold identifiers of patients: joined with the user's tables, and documented as such.
WITH_IDENTITY = {"split.csv", "predictions.csv", "cases.csv", "scores.csv"}

TEXT_VR = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT", "UR"}

#: Elements of MR images and of their patients that hold text, of the kinds above.
TEXTS = [
    keyword
    for keyword in (
        "PatientName", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
        "PatientMotherBirthName", "PatientAddress", "PatientTelephoneNumbers", "PatientComments",
        "AdditionalPatientHistory", "EthnicGroup", "Occupation", "MilitaryRank", "BranchOfService",
        "MedicalAlerts", "Allergies", "MedicalRecordLocator", "IssuerOfPatientID",
        "ResponsiblePerson", "AccessionNumber", "StudyID", "StudyDescription",
        "SeriesDescription", "ProtocolName", "InstitutionName", "InstitutionAddress",
        "InstitutionalDepartmentName", "StationName", "Manufacturer", "ManufacturerModelName",
        "DeviceSerialNumber", "SoftwareVersions", "ReferringPhysicianName",
        "ReferringPhysicianAddress", "PhysiciansOfRecord", "PerformingPhysicianName",
        "NameOfPhysiciansReadingStudy", "RequestingPhysician", "OperatorsName", "ImageComments",
        "ReceiveCoilName", "TransmitCoilName", "SequenceName", "RequestedProcedureDescription",
        "PerformedProcedureStepID", "PerformedProcedureStepDescription",
        "CommentsOnThePerformedProcedureStep",
        "RetrieveAETitle", "DeidentificationMethod", "ContrastBolusAgent", "DerivationDescription",
    )
    if dictionary_VR(keyword) in TEXT_VR
]  # fmt: skip


def plant(dataset: Dataset) -> None:
    """Put NAME wherever a data set can hold text."""
    for keyword in TEXTS:
        setattr(dataset, keyword, NAME[:16])
    inner = Dataset()
    inner.PatientName = NAME
    item = Dataset()
    item.CodeMeaning = NAME
    item.CodeValue = NAME
    item.PatientName = NAME
    item.OtherPatientIDsSequence = Sequence([inner])
    dataset.RequestAttributesSequence = Sequence([item])
    dataset.OtherPatientIDsSequence = Sequence([item])
    dataset.DeidentificationMethodCodeSequence = Sequence([item])
    block = dataset.private_block(0x0051, NAME, create=True)
    block.add_new(1, "LO", NAME)
    block.add_new(2, "SQ", Sequence([inner]))
    block.add_new(3, "UN", NAME.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Values that are none of their kind: what complains of them quotes them.
        dataset.PatientBirthDate = NAME
        dataset.StudyDate = NAME
        dataset.AcquisitionTime = NAME
        dataset.PatientAge = "QZNA"
        dataset.PatientWeight = 70


@pytest.fixture(scope="module")
def data(phantom: PhantomCohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with images and tables in which all three words are planted."""
    root = tmp_path_factory.mktemp(PLACE) / PLACE
    identifiers: dict[str, str] = {}
    for number, path in enumerate(sorted(phantom.dicom.rglob("*.dcm"))):
        dataset = pydicom.dcmread(path)
        patient = identifiers.setdefault(dataset.PatientID, f"{IDENTITY}-{len(identifiers):03d}")
        plant(dataset)
        dataset.PatientID = patient
        folder = root / "images" / f"{NAME}^{patient}" / NAME
        folder.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.save_as(folder / f"{NAME}-{patient}-{number}.dcm")
    (root / "images" / f"{NAME}.txt").write_text(NAME)
    for name in ("labels", "readers"):
        with getattr(phantom, name).open(newline="") as stream:
            table = list(csv.DictReader(stream))
        for number, row in enumerate(table):
            row["patient"] = identifiers[row["patient"]]
            row["remark"] = f"{NAME} {number}"
        with (root / f"{name}.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, table[0].keys())
            writer.writeheader()
            writer.writerows(table)
    return root


@pytest.fixture(autouse=True)
def tiny() -> Iterator[None]:
    preset = attrs.evolve(
        PRESETS["quick"],
        preprocessor={"size": (64, 64), "spacing": 1.8},
        classifier={"epochs": 1, "batch_size": 8},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "quick", preset)
        yield


Run = Callable[..., int]


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """Return all that was printed and logged since it was asked for last."""
    caplog.set_level(logging.DEBUG, logger="cervispine")

    def everything() -> str:
        printed = capfd.readouterr()
        logged = "\n".join(
            record.getMessage() for record in caplog.records if record.name.startswith("cervispine")
        )
        caplog.clear()
        return "\n".join([printed.out, printed.err, logged])

    return everything


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def call(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["cervispine", "--verbose", *map(str, arguments)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0)

    return call


def spellings(word: str) -> set[bytes]:
    """Return a word in the encodings in which it could lie in a file."""
    found = {
        word.encode(),
        word.encode("utf-16-le"),
        word.encode("utf-16-be"),
        word.encode().hex().encode(),
    }
    for offset in range(3):
        # The letters of base64 that depend on the word alone, wherever in a text it begins.
        text = base64.b64encode(b"\0" * offset + word.encode()).decode().rstrip("=")
        found.add(
            text[-(-8 * offset // 6) : len(text) - (1 if (offset + len(word)) % 3 else 0)].encode()
        )
    return found


def layers(content: bytes, depth: int = 3) -> Iterator[bytes]:
    """Return content, and whatever is packed, compressed or encoded in it."""
    yield content
    if depth == 0:
        return
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from layers(archive.read(name), depth - 1)
    elif content[:2] == b"\x1f\x8b":
        yield from layers(gzip.decompress(content), depth - 1)
    # zlib, as in PNG and PDF, wherever it begins.
    for match in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", content):
        inflater = zlib.decompressobj()
        try:
            yield inflater.decompress(content[match.start() : match.start() + (1 << 20)], 1 << 22)
        except zlib.error:
            continue
    for match in re.finditer(rb"base64,([A-Za-z0-9+/=]+)", content):
        yield from layers(base64.b64decode(match[1]), depth - 1)


def holds(content: bytes, *words: str) -> set[str]:
    """Return which of the words stand in a content, however it is packed."""
    wanted = {word: spellings(word) for word in words}
    found: set[str] = set()
    for layer in layers(content):
        capitals = layer.upper()
        found |= {
            word
            for word, each in wanted.items()
            if any(spelling in layer or spelling in capitals for spelling in each)
        }
    return found


def check_files(folder: Path, root: Path) -> int:
    """Search every file below a folder, and its name; return how many there were."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        shown = path.relative_to(folder)
        allowed = {IDENTITY} if path.name in WITH_IDENTITY else set()
        content = path.read_bytes()
        assert not any(word in str(shown) for word in (NAME, IDENTITY, PLACE)), shown
        assert holds(content, NAME, IDENTITY, PLACE) <= allowed, shown
        assert str(root).encode() not in content, shown
    return len(files)


def check_said(text: str) -> None:
    assert NAME[:4] not in text.upper().replace(IDENTITY, "").replace(PLACE, "")
    assert IDENTITY not in text


def test_the_search_finds_what_is_planted(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", f"..{NAME}..")
    for content in (
        f"x{NAME}".encode(),
        NAME.lower().encode(),
        f"x{NAME}".encode("utf-16"),
        NAME.encode("utf-16-be"),
        NAME.encode().hex().encode(),
        gzip.compress(NAME.encode()),
        b"\x89PNG...." + zlib.compress(f"..{NAME}".encode()) + b"rest",
        packed.getvalue(),
        b"data:image/png;base64," + base64.b64encode(zlib.compress(NAME.encode())),
        *(base64.b64encode(b"." * offset + NAME.encode() + b"more") for offset in range(3)),
    ):
        assert holds(content, NAME), content
    assert not holds(b"nothing of the kind" * 20, NAME)


def test_nothing_that_names_a_patient_is_written_or_said(
    data: Path, tmp_path: Path, run: Run, said: Callable[[], str]
) -> None:
    images, labels, readers = data / "images", data / "labels.csv", data / "readers.csv"
    out = tmp_path / "out"
    tables = ("--labels", labels)
    assert run("index", images, *tables, "--out", out / "intake", "--key", tmp_path / "key") == 0
    manifest = out / "intake" / "data-manifest.json"
    commands = [
        ("index", images, *tables),
        ("experiment", images, *tables, "--readers", readers, "--backbones", "resnet34",
         "--verify", manifest, "--out", out / "run"),
        ("train", images, *tables, "--backbone", "resnet34", "--epochs", 1, "--out", out / "model"),
        ("predict", out / "model", images, "--allow-training-patients",
         "--out", out / "scores.csv"),
        ("compare", "--truth", labels, "--scores", out / "scores.csv", "--readers", readers,
         "--out", out / "comparison"),
    ]  # fmt: skip
    for command in commands:
        assert run(*command) == 0, said()
        check_said(said())
    assert check_files(out, data) > 40
    for name in WITH_IDENTITY - {"cases.csv"}:
        path = next(out.rglob(name))
        assert IDENTITY in path.read_text(), "the search does not see what is there"


def damage(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[:-999])
    elif kind == "header":
        path.write_bytes(content[:700])
    elif kind == "number":
        dataset = pydicom.dcmread(path)
        element = dataset["EchoTime"].tag
        dataset._dict[element] = pydicom.DataElement(element, "LO", NAME)
        dataset.save_as(path)
    elif kind == "charset":
        dataset = pydicom.dcmread(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset.SpecificCharacterSet = NAME
            dataset.save_as(path)
    elif kind == "pixels":
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.PixelData = dataset.PixelData[:40] + NAME.encode() * 40
        dataset.save_as(path)
    elif kind == "no longer DICOM":
        path.write_text(f"<html>{NAME}</html>")


@pytest.mark.parametrize(
    "kind", ["truncated", "header", "number", "charset", "pixels", "no longer DICOM"]
)
def test_failures_name_nobody(
    data: Path, tmp_path: Path, run: Run, said: Callable[[], str], kind: str
) -> None:
    root = tmp_path / PLACE
    folders = sorted(path for path in (data / "images").iterdir() if path.is_dir())[:2]
    for folder in folders:
        shutil.copytree(folder, root / folder.name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        damage(sorted((root / folders[0].name).rglob("*.dcm"))[4], kind)
    out = tmp_path / "out"
    run("index", root, "--labels", data / "labels.csv", "--out", out / "refused")
    run("index", root, "--out", out / "intake")
    run("experiment", root, "--labels", data / "labels.csv", "--out", out / "run")
    run("train", root, "--labels", data / "labels.csv", "--out", out / "model", "--epochs", 1)
    run("predict", root, root, "--out", out / "scores.csv")
    check_said(said())
    assert check_files(out, data) >= 3


def test_tables_that_are_refused_name_nobody(
    data: Path, tmp_path: Path, run: Run, said: Callable[[], str]
) -> None:
    text = (data / "labels.csv").read_text()
    lines = text.splitlines()
    stranger = f"{IDENTITY}-999{lines[1][len(IDENTITY) + 4 :]}"
    faults = {
        "twice": "\n".join([*lines, lines[1]]),
        "absent": "\n".join(lines[:-1]),
        "stranger": "\n".join([*lines, stranger]),
        "short": "\n".join([*lines, f"{IDENTITY}-998"]),
        "empty": lines[0],
        "encoding": text.encode("utf-8").decode("latin-1") + "\xff",
    }
    for kind, content in faults.items():
        path = tmp_path / f"{kind}.csv"
        path.write_text(content, encoding="latin-1")
        code = run("index", data / "images", "--labels", path)
        assert code == 3, kind
        code = run(
            "experiment", data / "images", "--labels", path, "--out", tmp_path / "out" / kind
        )
        assert code == 3, kind
        check_said(said())
    check_files(tmp_path / "out", data)


def test_faults_of_the_program_and_words_of_others_name_nobody(
    data: Path, tmp_path: Path, run: Run, said: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        logging.getLogger("pydicom").error("of %s", NAME)
        logging.getLogger("somebody.else").error("of %s", NAME, exc_info=ValueError(NAME))
        warnings.warn(f"of {NAME}", RuntimeWarning, stacklevel=1)
        raise ValueError(f"invalid literal: '{NAME}' in {data}")

    monkeypatch.setattr("cervispine.loading.loader.assemble", fails)
    assert run("index", data / "images") == 70
    text = said()
    check_said(text)
    assert "[INTERNAL]" in text
    assert "ValueError" in text
    assert PLACE not in text
    assert "cervispine.loading.loader:" in text
    arguments = ["cervispine", "--traceback", "index", str(data / "images")]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(ValueError, match="invalid literal"):
        main()


def test_logs_of_others_are_told_and_not_repeated() -> None:
    from cervispine.cli.messages import _OwnWords

    record = logging.LogRecord("pydicom", logging.WARNING, "f", 1, "of %s", (NAME,), None)
    assert _OwnWords().filter(record)
    assert record.getMessage() == "pydicom logged: WARNING"
    record = logging.LogRecord("cervispine.x", logging.WARNING, "f", 1, "of %s", ("us",), None)
    assert _OwnWords().filter(record)
    assert record.getMessage() == "of us"
