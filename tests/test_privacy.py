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
import json
import logging
import re
import shutil
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import nibabel
import numpy as np
import pydicom
import pytest
from pydicom import Dataset
from pydicom.datadict import dictionary_VR
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless

from cervispine import Cohort, Loader
from cervispine.cli import main
from cervispine.experiment import PRESETS
from cervispine.phantom import PhantomCohort

NAME, IDENTITY, PLACE = "QZNAMEQZ", "QZIDENTQZ", "QZPLACEQZ"

#: Which files hold identifiers of patients: joined with the user's tables, and documented as such.
WITH_IDENTITY = {
    "study.sqlite",
    "split.csv",
    "predictions.csv",
    "cases.csv",
    "scores.csv",
    "peaks.csv",
}

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
        ("explain", out / "model", images, "--allow-training-patients",
         "--patients", f"{IDENTITY}-001,{IDENTITY}-002", "--out", out / "maps"),
        ("infer", out / "model", images, "--allow-training-patients", "--workers", 0,
         "--out", out / "archive"),
        ("compare", "--truth", labels, "--scores", out / "scores.csv", "--readers", readers,
         "--out", out / "comparison"),
    ]  # fmt: skip
    for command in commands:
        assert run(*command) == 0, said()
        check_said(said())
    assert check_files(out, data) > 40
    for name in WITH_IDENTITY - {"cases.csv", "study.sqlite"}:
        path = next(out.rglob(name))
        assert IDENTITY in path.read_text(), "the search does not see what is there"


def test_a_reader_study_names_nobody_but_where_it_says(
    data: Path,
    tmp_path: Path,
    run: Run,
    said: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("fastapi", reason="the extra `reader` is not installed")
    from fastapi.testclient import TestClient

    sent: list[bytes] = []

    def read_a_case(app: Any, *_: object, **__: object) -> None:
        with TestClient(app, base_url="http://127.0.0.1") as browser:
            links = re.findall(r"/#([\w-]{43})$", said(), re.MULTILINE)
            sent.append(browser.post("/api/enter", json={"token": links[0]}).content)
            me = browser.get("/api/me")
            listed = browser.get("/api/list")
            path = f"/api/readings/{listed.json()['readings'][0]['id']}"
            begun = browser.post(f"{path}/begin", headers={"X-CSRF-Token": me.json()["csrf"]})
            assert begun.status_code == 200
            answers = [browser.get(f"{path}{end}") for end in ("", "/images/0")]
            sent.extend(answer.content for answer in (me, listed, *answers))

    monkeypatch.setattr("cervispine.reader_study.server.serve", read_a_case)
    out = tmp_path / "out"
    study = ("--readers", "a,b", "--port", 0, "--out", out / "study")
    assert run("read", "serve", data / "images", *study) == 0
    check_said(said())
    assert len(sent) == 5
    assert not any(holds(each, NAME, IDENTITY, PLACE) for each in sent)
    assert run("read", "export", out / "study", "--out", out / "reads") == 3
    assert run("read", "export", out / "study", "--unfinished", "--out", out / "reads") == 0
    check_said(said())
    assert check_files(out, data) > 20
    assert IDENTITY.encode() in (out / "study" / "study.sqlite").read_bytes()


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


def two_studies(data: Path, root: Path) -> Path:
    """Copy two studies under names that say nothing: what is found then came from a header."""
    folders = sorted(path for path in (data / "images").iterdir() if path.is_dir())[:2]
    for study, folder in enumerate(folders):
        for number, path in enumerate(sorted(folder.rglob("*.dcm"))):
            copy = root / f"{study}" / f"{number}"
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
    return root


def test_a_saved_index_holds_identifiers_and_nothing_else_that_names(
    data: Path, tmp_path: Path, run: Run, said: Callable[[], str]
) -> None:
    images, saved = two_studies(data, tmp_path / PLACE), tmp_path / "index"
    for _ in range(2):
        assert run("index", images, "--saved", saved) == 0
    assert holds(saved.read_bytes(), NAME, IDENTITY, PLACE) == {IDENTITY}
    assert saved.stat().st_mode & 0o077 == 0
    (images / "0" / "0").write_bytes(f"<html>{NAME}</html>".encode())
    assert run("index", images, "--saved", saved) == 0
    assert holds(saved.read_bytes(), NAME, PLACE) == set()
    content = saved.read_bytes()
    for broken in (
        content.replace(IDENTITY.encode(), f"{NAME}X".encode()),
        content.replace(IDENTITY.encode(), NAME.encode()),
        f"SQLite format 3\0{NAME}".encode(),
        NAME.encode(),
    ):
        saved.write_bytes(broken)
        assert run("index", images, "--saved", saved) == 3
    check_said(said())


#: Of a header of NIfTI: what holds text, and how long it may be.
NIFTI_TEXTS = {"descrip": 80, "aux_file": 24, "intent_name": 16, "db_name": 18}

SIDECAR = {
    "EchoTime": 0.1,
    "RepetitionTime": 3.0,
    "EchoTrainLength": 15,
    **dict.fromkeys(
        ("Manufacturer", "PatientName", "PatientID", "PatientBirthDate", "SeriesDescription",
         "ProtocolName", "InstitutionName", "InstitutionAddress", "StationName", "ImageComments",
         "AcquisitionTime", "DeviceSerialNumber", "ScanningSequence"), NAME
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def nifti(cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a BIDS folder and its labels, with the words in headers, sidecars and names."""
    root = tmp_path_factory.mktemp(PLACE) / PLACE
    rows = ["patient,label,remark"]
    for number, study in enumerate(cohort[::2]):  # enough to train on
        volume = Loader().read(study)
        affine = np.diag([-1.0, -1, 1, 1]) @ volume.affine
        image = nibabel.Nifti1Image(volume.pixels, affine)
        for field, length in NIFTI_TEXTS.items():
            image.header[field] = NAME[:length].encode()
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", NAME.encode()))
        patient = f"sub-{IDENTITY}{number:03d}"
        folder = root / "images" / NAME / patient / f"ses-{NAME}" / "anat"
        folder.mkdir(parents=True)
        stem = f"{patient}_ses-{NAME}_acq-{NAME}_T2w"
        nibabel.save(image, folder / f"{stem}.nii.gz")
        (folder / f"{stem}.json").write_text(json.dumps(SIDECAR))
        rows.append(f"{patient},{('DSS', 'OPLL')[int(study.label or 0)]},{NAME}")
    (root / "images" / "participants.tsv").write_text(f"participant_id\tname\nsub-1\t{NAME}\n")
    (root / "labels.csv").write_text("\n".join(rows))
    return root


def test_nifti_names_nobody(nifti: Path, tmp_path: Path, run: Run, said: Callable[[], str]) -> None:
    images, labels, out = nifti / "images", nifti / "labels.csv", tmp_path / "out"
    given = ("--loader", "nifti")
    commands = [
        ("index", images, "--labels", labels, "--out", out / "intake", *given),
        ("train", images, "--labels", labels, "--backbone", "resnet34", "--epochs", 1,
         "--out", out / "model", *given),
        ("predict", out / "model", images, "--allow-training-patients",
         "--out", out / "scores.csv", *given),
    ]  # fmt: skip
    for command in commands:
        assert run(*command) == 0, said()
        check_said(said())
    assert check_files(out, nifti) > 8
    assert IDENTITY in (out / "scores.csv").read_text(), "the search does not see what is there"


def damage_nifti(folder: Path, kind: str) -> None:
    image, sidecar = next(folder.rglob("*.nii.gz")), next(folder.rglob("*.json"))
    content = image.read_bytes()
    if kind == "truncated":
        image.write_bytes(content[: len(content) // 2])
    elif kind == "header":
        plain = bytearray(gzip.decompress(content))
        plain[252:256] = bytes(4)  # neither qform nor sform
        image.write_bytes(gzip.compress(bytes(plain)))
    elif kind == "twice":
        shutil.copy(image, image.with_name(f"{NAME}_T2w.nii.gz"))
    elif kind == "text":
        image.write_bytes(gzip.compress(NAME.encode() * 100))
    else:
        number = {**SIDECAR, "EchoTime": NAME}
        sidecar.write_text(NAME if kind == "sidecar" else json.dumps(number))


@pytest.mark.parametrize("kind", ["truncated", "header", "twice", "text", "sidecar", "number"])
def test_failures_of_nifti_name_nobody(
    nifti: Path, tmp_path: Path, run: Run, said: Callable[[], str], kind: str
) -> None:
    root, out = tmp_path / PLACE, tmp_path / "out"
    for folder in sorted((nifti / "images" / NAME).iterdir())[:2]:
        shutil.copytree(folder, root / folder.name)
    damage_nifti(root / folder.name, kind)
    given = ("--loader", "nifti")
    run("index", root, "--labels", nifti / "labels.csv", "--out", out / "refused", *given)
    assert run("index", root, "--out", out / "intake", *given) == 0
    run("index", root)  # as DICOM
    check_said(said())
    assert check_files(out, nifti) >= 3
    rejected = (out / "intake" / "rejected.csv").read_text().splitlines()
    assert len(rejected) > 1


def written(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def transposed(rows: list[list[str]]) -> list[list[str]]:
    return [list(column) for column in zip(*rows, strict=True)]


def exchanged(rows: list[list[str]], one: int = 0, other: int = 1) -> list[list[str]]:
    """Return a table whose header stayed while the cells of two columns changed places."""
    header, *body = [list(row) for row in rows]
    for row in body:
        row[one], row[other] = row[other], row[one]
    return [header, *body]


#: How a patient's name or identifier gets into a place of a table that is not its own.
SLIPS: dict[str, Callable[[list[list[str]]], list[list[str]]]] = {
    "exchanged": exchanged,
    "transposed": transposed,
    "header lost": lambda rows: rows[1:],
    "header misspelt": lambda rows: [[name.upper() for name in rows[0]], *rows[1:]],
    "a name in the header": lambda rows: [[*rows[0][:-1], NAME], *rows[1:]],
    "a name twice in the header": lambda rows: [
        [*rows[0], NAME, NAME], *([*row, "", ""] for row in rows[1:])
    ],
    "a name under each column": lambda rows: [rows[0], [NAME] * len(rows[0]), *rows[2:]],
    "a name after each word": lambda rows: [
        rows[0], [rows[1][0], *(f"{cell} {NAME}" for cell in rows[1][1:])], *rows[2:]
    ],
    "an identifier under each column": lambda rows: [
        rows[0], [rows[1][0]] * len(rows[0]), *rows[2:]
    ],
    "a cell too many": lambda rows: [rows[0], [*rows[1], NAME], *rows[2:]],
    "one row twice": lambda rows: [*rows, rows[1]],
    "one row lost": lambda rows: rows[:-1],
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_cells_in_a_wrong_place_name_nobody(
    data: Path, tmp_path: Path, run: Run, said: Callable[[], str], slip: str
) -> None:
    with (data / "labels.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    patients, labels = [row["patient"] for row in table], [row["label"] for row in table]
    right = {
        "labels": [["patient", "label"], *map(list, zip(patients, labels, strict=True))],
        "readers": [["patient", "reader", "call"],
                    *([p, r, str(n % 2)] for r in "ab" for n, p in enumerate(patients))],
        "scores": [["patient", "model", "score", "call"],
                   *([p, m, f"{n / 100}", str(int(n > least))]
                     for m, least in (("a", 11), ("b", 5)) for n, p in enumerate(patients))],
        "split": [["patient", "part"],
                  *([p, ("train", "validation", "test")[n % 3]] for n, p in enumerate(patients))],
    }  # fmt: skip
    for kind, rows in right.items():
        files = {each: written(tmp_path / f"{each}.csv", right[each]) for each in right}
        files[kind] = written(tmp_path / "wrong.csv", SLIPS[slip](rows))
        tables = ("--labels", files["labels"])
        if kind in ("labels", "split"):
            run("index", data / "images", *tables)
            code = run("experiment", data / "images", *tables, "--split", files["split"],
                       "--backbones", "resnet34", "--out", tmp_path / "out" / kind)  # fmt: skip
            assert code == 3, kind
        truth = ("--truth", files["labels"], "--scores", files["scores"])
        run("compare", *truth, "--readers", files["readers"], "--out", tmp_path / "out" / "c")
        run("power", "paired-auc", *truth, "--first", "a", "--second", "c", "--difference", 0.1)
        told = said()
        check_said(told)
        assert "[" in told, kind
    check_files(tmp_path / "out", data)
