"""Tables, splits, manifests and sidecars that a spreadsheet ruined, or that somebody made to harm.

Each has its one answer, quotes nothing of what it refuses, and joins nobody with another's label.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from cervispine import Cohort
from cervispine.exceptions import CervispineError
from cervispine.experiment.folder import read_split
from cervispine.loading import Loader, NiftiLoader, make_manifest
from cervispine.testing import OracleSeries, write_oracle_series

nibabel = pytest.importorskip("nibabel")

PATIENTS = ("00123", "00124", "7")
CANARY = "QZCANARYQZ"
HEAD = "patient,label\n"
GOOD = HEAD + "00123,OPLL\n00124,DSS\n7,DSS\n"


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = tmp_path_factory.mktemp("three")
    for number, patient in enumerate(PATIENTS):
        uid = f"1.2.3.{number + 1}"
        origin = (-8.0, -10.0, 12.0 + number)
        series = OracleSeries(
            patient=patient, study=uid, series=f"{uid}.1", origin=origin, slopes=(number + 1.0,) * 5
        )
        write_oracle_series(folder / patient, series)
    return Loader().index(folder)


def test_the_table_that_the_others_were_is_taken(cohort: Cohort, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(GOOD)
    assert cohort.with_labels(path).labels.tolist() == [1, 0, 0]


#: Each table, and the code of the answer.
TABLES: dict[str, tuple[bytes | str, str]] = {
    # Other files by the name of a table.
    "workbook": (b"PK\3\4" + bytes(300), "LABELS_UNREADABLE"),
    "old workbook": (bytes.fromhex("d0cf11e0a1b11ae1") + bytes(600), "LABELS_UNREADABLE"),
    "compressed": (b"\x1f\x8b\x08" + bytes(60), "LABELS_UNREADABLE"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(60), "LABELS_UNREADABLE"),
    "zeros": (bytes(5000), "LABELS_UNREADABLE"),
    "nothing": ("", "LABELS_COLUMNS"),
    "page": (f"<html><script>{CANARY}</script></html>", "LABELS_COLUMNS"),
    # Other encodings.
    "UTF-16 without its mark": (GOOD.encode("utf-16-le"), "LABELS_UNREADABLE"),
    "UTF-32": (GOOD.encode("utf-32"), "LABELS_UNREADABLE"),
    "half of UTF-16": (GOOD.encode("utf-16")[:-1], "LABELS_UNREADABLE"),
    "Shift-JIS": (GOOD.replace("7,", "\u65e5\u672c,").encode("shift-jis"), "LABELS_UNREADABLE"),
    "ISO-2022-JP": (GOOD.replace("7,", "\u65e5,").encode("iso-2022-jp"), "LABELS_UNREADABLE"),
    # Structure.
    "a quotation that never ends": (GOOD + f'"{CANARY}', "LABELS_UNREADABLE"),
    "a cell of a megabyte": (GOOD + f"{'x' * 1_000_000},DSS\n", "LABELS_UNREADABLE"),
    "a delimiter that is none": ("sep=|\n" + GOOD.replace(",", "|"), "LABELS_UNREADABLE"),
    "two delimiters": ("patient,label,x;patient;label\n", "LABELS_COLUMNS"),
    "no header": (GOOD.removeprefix(HEAD), "LABELS_COLUMNS"),
    "a header of other words": (GOOD.replace("label", "diagnosis"), "LABELS_COLUMNS"),
    "a header in capitals": (GOOD.upper(), "LABELS_COLUMNS"),
    "a column twice": (GOOD.replace("label", "label,label").replace("SS\n", "SS,OPLL\n"),
                       "LABELS_COLUMNS"),
    "rows that became columns": (f"patient,00123,{CANARY},7\nlabel,OPLL,DSS,DSS\n",
                                 "LABELS_COLUMNS"),
    "a header alone": (HEAD, "LABELS_ROWS"),
    "a cell too few": (GOOD + f"{CANARY}\n", "LABELS_ROWS"),
    "a cell too many": (GOOD + f"8,DSS,{CANARY}\n", "LABELS_ROWS"),
    # What nobody sees.
    "text that runs backwards": (GOOD.replace("7,", "\u202e7,"), "LABELS_ROWS"),
    "a space of no width": (GOOD.replace("7,", "7\u200b,"), "LABELS_ROWS"),
    "a lost character": (GOOD.replace("7,", "7\ufffd,"), "LABELS_ROWS"),
    "a bell": (GOOD.replace("7,", "7\x07,"), "LABELS_ROWS"),
    # Words.
    **{f"the label {label!r}": (GOOD.replace("OPLL", label), "LABELS_INVALID")
       for label in ("opll", "OPLL ", "1", "1.0", "?", "", "\uff2f\uff30\uff2c\uff2c",
                     "\u041ePLL", "=OPLL", "OPLL;DSS", "nan", CANARY)},
    # Rows.
    "a patient twice": (GOOD + "7,DSS\n", "LABELS_INVALID"),
    "a patient with two labels": (GOOD + "7,OPLL\n", "LABELS_INVALID"),
    "nobody": (GOOD + ",DSS\n", "LABELS_INVALID"),
    "a patient less": (GOOD.replace("7,DSS\n", ""), "LABELS_UNMATCHED"),
    "a stranger": (GOOD + f"{CANARY},DSS\n", "LABELS_UNMATCHED"),
    # What spreadsheets do to identifiers.
    "zeros lost": (GOOD.replace("00123", "123"), "ID_LEADING_ZERO_SUSPECT"),
    "zeros won": (GOOD.replace("7,", "007,"), "ID_LEADING_ZERO_SUSPECT"),
    "wide digits": (GOOD.replace("7,", "\uff17,"), "ID_LOOKALIKE"),
    "quoted digits": (GOOD.replace("7,", "'7,"), "ID_LOOKALIKE"),
    "digits lost": (GOOD.replace("7,", "1.23E+11,"), "ID_EXCEL_DAMAGE"),
    "a date": (GOOD.replace("7,", "7-Jan,"), "ID_EXCEL_DAMAGE"),
    "an error": (GOOD.replace("7,", "#NAME?,"), "ID_EXCEL_DAMAGE"),
}  # fmt: skip


def refused(call: Any, code: str) -> None:
    with pytest.raises(CervispineError) as caught:
        call()
    assert caught.value.code == code, caught.value
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("name", TABLES)
def test_tables(cohort: Cohort, untouched: Any, name: str) -> None:
    content, code = TABLES[name]
    path = untouched.incoming / "labels.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    refused(lambda: cohort.with_labels(path), code)


@pytest.mark.parametrize("what", ["absent", "folder"])
def test_a_table_that_is_none(cohort: Cohort, untouched: Any, what: str) -> None:
    path = untouched.incoming / "labels.csv"
    if what == "folder":
        path.mkdir()
    refused(lambda: cohort.with_labels(path), "LABELS_UNREADABLE")


SPLIT = "patient,part\n00123,train\n00124,validation\n7,test\n"

SPLITS = {
    "a part that is none": (SPLIT.replace("test", CANARY), "SPLIT_INVALID"),
    "a part in capitals": (SPLIT.replace("test", "TEST"), "SPLIT_INVALID"),
    "a patient in two parts": (SPLIT + "7,train\n", "SPLIT_INVALID"),
    "a part of nobody": (SPLIT.replace("test", "train"), "SPLIT_INVALID"),
    "a stranger": (SPLIT + f"{CANARY},train\n", "SPLIT_UNMATCHED"),
    "zeros lost": (SPLIT.replace("00123", "123"), "ID_LEADING_ZERO_SUSPECT"),
}


@pytest.mark.parametrize("name", SPLITS)
def test_splits(cohort: Cohort, untouched: Any, name: str) -> None:
    content, code = SPLITS[name]
    path = untouched.incoming / "split.csv"
    path.write_text(content)
    refused(lambda: read_split(path, cohort), code)


@pytest.mark.parametrize("key", ["patient", "study", "frame of reference", "pixels"])
def test_a_split_that_leaks(cohort: Cohort, untouched: Any, key: str) -> None:
    """Two studies of two parts are made to share one thing that only one patient can have."""
    first, second, *others = cohort
    image = second.series[0]
    if key == "study":
        second = attrs.evolve(second, uid=first.uid)
    elif key == "pixels":
        image = attrs.evolve(image, pixel_hash=first.series[0].pixel_hash)
    elif key == "frame of reference":
        image = attrs.evolve(image, frame_of_reference_uid=first.series[0].frame_of_reference_uid)
    second = attrs.evolve(second, series=(image,))
    path = untouched.incoming / "split.csv"
    if key == "patient":
        # One patient in two rows of the table is refused before anything is compared.
        path.write_text(SPLIT.replace("00124", "00123"))
        refused(lambda: read_split(path, cohort), "SPLIT_INVALID")
    else:
        path.write_text(SPLIT)
        refused(lambda: read_split(path, Cohort([first, second, *others])), "LEAKAGE")


UID = '"1.2.3.1.1"'

MANIFESTS = {
    "nothing": lambda text: "",
    "a page": lambda text: f"<html>{CANARY}</html>",
    "half of it": lambda text: text[: len(text) // 2],
    "ten thousand brackets": lambda text: "[" * 10_000,
    "a number as long as a book": lambda text: "9" * 100_000,
    "another format": lambda text: text.replace("cervispine/", f"{CANARY}/"),
    "another version": lambda text: text.replace('"version": 1', '"version": 99'),
    "a series that is a path": lambda text: text.replace(UID, f'"../../{CANARY}"'),
    "a hash that is none": lambda text: text.replace('"sha256": "', f'"sha256": "{CANARY}'),
    "a size below nothing": lambda text: text.replace('"size": ', '"size": -'),
    "a size that is no number": lambda text: text.replace('"size": ', '"size": 1e999, "x": '),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests(cohort: Cohort, untouched: Any, name: str) -> None:
    path = untouched.target / "manifest.json"
    make_manifest(cohort).save(path)
    text = path.read_text()
    changed = MANIFESTS[name](text)
    assert changed != text
    path.write_text(changed)
    folder = Path(cohort[0].series[0].files[0]).parents[1]
    refused(lambda: Loader().index(folder, manifest=path), "MANIFEST_INVALID")


SIDECARS = {
    "a page": f"<html>{CANARY}</html>",
    "ten thousand brackets": "[" * 10_000,
    "a list": "[1, 2]",
    "a number as long as a book": '{"EchoTime": ' + "9" * 5_000 + "}",
    "an infinite time": '{"EchoTime": 1e999}',
    "no number": '{"RepetitionTime": NaN}',
    "a time below nothing": '{"EchoTime": -1}',
    "a time that is true": '{"EchoTime": true}',
    "a time that is text": json.dumps({"EchoTime": CANARY}),
    "a sequence that is a number": '{"ScanningSequence": 5}',
    "two megabytes": json.dumps({"SeriesDescription": "x" * 2_000_000}),
}


def nifti(folder: Path) -> Path:
    """Write one sagittal image by the names of BIDS."""
    affine = np.array([[0, 0, 3.3, 0], [-0.6, 0, 0, 0], [0, -0.9, 0, 0], [0, 0, 0, 1.0]])
    values = np.random.default_rng(0).normal(size=(60, 50, 5)).astype(np.float32)
    path = folder / "sub-01_T2w.nii.gz"
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


@pytest.mark.parametrize("name", SIDECARS)
def test_sidecars(untouched: Any, name: str) -> None:
    path = nifti(untouched.incoming)
    assert len(NiftiLoader().index(untouched.incoming)) == 1
    path.with_name("sub-01_T2w.json").write_text(SIDECARS[name])
    refused(lambda: NiftiLoader(on_problem="raise").index(untouched.incoming), "SIDECAR_INVALID")


def patched(place: int, kind: str, *values: float) -> Any:
    def change(content: bytearray) -> bytes:
        struct.pack_into(f"<{kind}", content, place, *values)
        return bytes(content)

    return change


IMAGES = {
    "32,767 voxels along each axis": (patched(42, "hhh", 32767, 32767, 32767), "DECODE_BUDGET"),
    "voxels that begin nowhere": (patched(108, "f", float("nan")), "NIFTI_INVALID"),
    "voxels that begin before the file": (patched(108, "f", -352.0), "NIFTI_INVALID"),
    "voxels that begin beyond the file": (patched(108, "f", 1e6), "NIFTI_TRUNCATED"),
    "a type that is none": (patched(70, "h", 999), "NIFTI_INVALID"),
    "colours": (patched(70, "hh", 128, 24), "NO_IMAGES"),
    "complex numbers": (patched(70, "hh", 32, 64), "NO_IMAGES"),
    "an axis of no voxels": (patched(42, "h", 0), "NIFTI_DIMENSIONS"),
    "an axis of less than none": (patched(42, "h", -5), "NIFTI_DIMENSIONS"),
    "a place that is no number": (patched(280, "f", float("nan")), "GEOMETRY_INVALID"),
    "no place": (patched(252, "hh", 0, 0), "GEOMETRY_MISSING"),
    "another magic": (patched(344, "L", 0), "NIFTI_INVALID"),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(untouched: Any, name: str) -> None:
    change, code = IMAGES[name]
    path = nifti(untouched.incoming)
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    content = bytearray(inflater.decompress(path.read_bytes()))
    path.unlink()
    (untouched.incoming / "sub-01_T2w.nii").write_bytes(change(content))
    refused(lambda: NiftiLoader(on_problem="raise").index(untouched.incoming), code)
