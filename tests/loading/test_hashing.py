"""With a manifest, nothing altered or added is used, and nothing missing goes unsaid."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cervispine.exceptions import CervispineError, LoadError, NoDicomError
from cervispine.loading import Loader, make_manifest, refuse_changed, seal, verify
from cervispine.records import Cohort, Manifest


@pytest.fixture
def folder(tmp_path: Path, Series: Any) -> Path:
    """Return a folder with two studies of five slices."""
    for number in (1, 2):
        Series(patient=f"{number}", study=f"1.2.{number}", series=f"1.2.{number}.1").write(
            tmp_path / "data" / f"study{number}"
        )
    return tmp_path / "data"


def codes(cohort: Cohort) -> dict[str, int]:
    assert cohort.intake is not None
    counts = Counter[str]()
    for problem in cohort.intake.problems:
        if problem.fate == "rejected":
            counts[problem.code] += problem.files
    return dict(counts)


def files_of(study: Path) -> list[Path]:
    return sorted(study.iterdir())


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_what_is_unchanged_passes(folder: Path) -> None:
    cohort = Loader().index(folder)
    manifest = make_manifest(cohort)
    assert manifest.files == 10
    again = Loader().index(folder, manifest=manifest)
    assert codes(again) == {}
    assert len(again) == 2
    for study in again:
        assert len(study.series[0].content_hashes) == 5
        assert (Loader().read(study).pixels == Loader().read(study).pixels).all()


def test_neither_place_nor_names_matter(folder: Path, tmp_path: Path) -> None:
    manifest = make_manifest(Loader().index(folder))
    manifest.save(tmp_path / "manifest.json")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    for number, path in enumerate(sorted(folder.rglob("*.dcm"), reverse=True)):
        path.rename(moved / f"{number}")
    cohort = Loader().index(moved, manifest=tmp_path / "manifest.json")
    assert (len(cohort), codes(cohort)) == (2, {})


def test_a_manifest_names_nobody(folder: Path, tmp_path: Path) -> None:
    make_manifest(Loader().index(folder)).save(tmp_path / "manifest.json")
    content = json.loads((tmp_path / "manifest.json").read_text())
    assert {key for each in content["series"] for key in each} == {
        "study", "series", "sequence", "slices",
    }  # fmt: skip
    assert "study1" not in (tmp_path / "manifest.json").read_text()


def test_an_altered_pixel_and_an_altered_header_are_told_apart(folder: Path) -> None:
    manifest = make_manifest(Loader().index(folder))
    pixel, header = files_of(folder / "study1")[:2]
    flip(pixel, -1)
    header.write_bytes(header.read_bytes().replace(b"SIEMENS", b"SIEMANS", 1))
    cohort = Loader().index(folder, manifest=manifest)
    assert (len(cohort), codes(cohort)) == (1, {"HASH_MISMATCH": 5})
    assert cohort.intake is not None
    (problem,) = (p for p in cohort.intake.problems if p.fate == "rejected")
    assert problem.reason == (
        "2 of 5 slices are not those of the manifest: 1 have other pixels, 1 only another header"
    )
    assert cohort.intake.unused_patients == {"1"}
    with pytest.raises(LoadError) as caught:
        Loader(on_problem="raise").index(folder, manifest=manifest)
    assert caught.value.code == "HASH_MISMATCH"


def test_what_was_added_and_what_is_missing_are_said(folder: Path, Series: Any) -> None:
    manifest = make_manifest(Loader().index(folder))
    shutil.rmtree(folder / "study1")
    Series(patient="3", study="1.2.3", series="1.2.3.1").write(folder / "study3")
    cohort = Loader().index(folder, manifest=manifest)
    assert cohort.patients == ("2",)
    assert codes(cohort) == {"MANIFEST_ADDED": 5, "MANIFEST_MISSING": 0}


def test_a_slice_more_or_less_is_an_altered_series(folder: Path, Series: Any) -> None:
    manifest = make_manifest(Loader().index(folder))
    longer = Series(patient="1", study="1.2.1", series="1.2.1.1", shape=(6, 24, 20))
    longer.write(folder / "study1")
    cohort = Loader().index(folder, manifest=manifest)
    assert codes(cohort) == {"HASH_MISMATCH": 6}
    for study in ("study1", "study2"):
        shutil.rmtree(folder / study)
    Series(patient="1", study="1.2.1", series="1.2.1.1", shape=(4, 24, 20)).write(folder)
    with pytest.raises(NoDicomError, match="4 slices here, 5 in the manifest"):
        Loader().index(folder, manifest=manifest)


def test_the_other_series_of_an_altered_study_is_not_used(tmp_path: Path, Series: Any) -> None:
    good = {"patient": "1", "study": "1.2.1"}
    Series(series="1.2.1.1", **good).write(tmp_path)
    paths = Series(
        series="1.2.1.2", elements={"RepetitionTime": 500, "EchoTime": 10}, **good
    ).write(tmp_path)
    Series(patient="2", study="1.2.2", series="1.2.2.1").write(tmp_path)
    Series(
        patient="2", study="1.2.2", series="1.2.2.2",
        elements={"RepetitionTime": 500, "EchoTime": 10},
    ).write(tmp_path)  # fmt: skip
    loader = Loader(sequences=("T2", "T1"))
    manifest = make_manifest(loader.index(tmp_path))
    flip(paths[0], -1)
    cohort = loader.index(tmp_path, manifest=manifest)
    assert (cohort.patients, codes(cohort)) == (("2",), {"HASH_MISMATCH": 10})


def test_a_slice_altered_after_the_index_is_not_read(folder: Path) -> None:
    manifest = make_manifest(Loader().index(folder))
    cohort = Loader().index(folder, manifest=manifest)
    path = cohort[0].series[0].files[3]
    stamp = path.stat()
    flip(path, -1)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(LoadError) as caught:
        Loader().read(cohort[0])
    assert caught.value.code == "HASH_MISMATCH"
    assert caught.value.where == f"slice 3 of series {cohort[0].series[0].uid}"
    # Without a manifest the same file is taken: nothing in it says that it changed.
    assert Loader().read(attrs.evolve(cohort[0].series[0], content_hashes=())).pixels.any()


def test_a_changed_file_stops_what_asks(folder: Path) -> None:
    cohort = Loader().index(folder)
    manifest = make_manifest(cohort)
    refuse_changed(cohort, manifest, whole=True)
    refuse_changed(cohort[:1], manifest)
    with pytest.raises(LoadError) as caught:
        refuse_changed(cohort[:1], manifest, whole=True)
    assert caught.value.code == "MANIFEST_MISSING"
    with pytest.raises(LoadError) as caught:
        refuse_changed(cohort, make_manifest(cohort[:1]))
    assert caught.value.code == "MANIFEST_ADDED"
    with pytest.raises(KeyError):
        seal(cohort, make_manifest(cohort[:1]))
    path = cohort[1].series[0].files[0]
    flip(path, -1)
    with pytest.raises(LoadError) as caught:
        refuse_changed(cohort, manifest)
    assert caught.value.code == "HASH_MISMATCH"
    path.unlink()
    with pytest.raises(LoadError) as caught:
        refuse_changed(cohort, manifest)
    assert caught.value.code == "FILE_UNREADABLE"
    with pytest.raises(LoadError, match=r"series 1\.2\.2\.1"):
        make_manifest(cohort)
    assert codes(verify(cohort, manifest)) == {"FILE_UNREADABLE": 5}


def test_progress_counts_series(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    cohort = Loader().index(folder)
    make_manifest(cohort, progress=lambda *each: seen.append(each))
    assert seen == [(1, 2), (2, 2)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32), kind=st.sampled_from(["flip", "zero", "cut", "splice", "double"])
)
def test_no_altered_bytes_are_used(folder: Path, tmp_path: Path, seed: int, kind: str) -> None:
    original = {path: path.read_bytes() for path in folder.rglob("*.dcm")}
    cohort = Loader().index(folder)
    manifest: Manifest = make_manifest(cohort)
    generator = random.Random(seed)
    path = generator.choice(sorted(original))
    content = original[path]
    start = generator.randrange(len(content))
    stop = min(len(content), start + generator.randrange(1, 200))
    altered = {
        "flip": content[:start]
        + bytes([content[start] ^ 1 << generator.randrange(8)])
        + content[start + 1 :],
        "zero": content[:start] + bytes(stop - start) + content[stop:],
        "cut": content[:start],
        "splice": content[:start] + content[stop:],
        "double": content[:stop] + content[start:stop] + content[stop:],
    }[kind]
    try:
        path.write_bytes(altered)
        if altered == content:
            return
        # Altered before the index, and altered between index and reading.
        again = Loader().index(folder, manifest=manifest)
        assert again.patients == (("2",) if path.parent.name == "study1" else ("1",))
        index = next(n for n, study in enumerate(cohort) if path in study.series[0].files)
        with pytest.raises(CervispineError):
            Loader().read(seal(cohort, manifest)[index])
    finally:
        for each, content in original.items():
            each.write_bytes(content)
