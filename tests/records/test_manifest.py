"""The manifest of the data as a value and as a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cervispine.exceptions import LoadError, UsageError
from cervispine.records import Manifest
from cervispine.records.manifest import Fingerprint, SeriesManifest

ONE = Fingerprint(sha256="a" * 64, pixels="b" * 64, size=512)


def series(uid: str) -> SeriesManifest:
    return SeriesManifest(study="1.2", series=uid, sequence="T2", slices=(ONE, ONE))


def test_a_manifest_is_the_same_whatever_the_order(tmp_path: Path) -> None:
    first, second = (
        Manifest([series("1.3"), series("1.4")]),
        Manifest([series("1.4"), series("1.3")]),
    )
    assert first == second
    assert first.digest == second.digest
    assert first.digest != Manifest([series("1.3")]).digest
    assert first.files == 4
    first.save(tmp_path / "manifest.json")
    assert Manifest.load(tmp_path / "manifest.json") == first


def test_one_series_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Manifest([series("1.3"), series("1.3")])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content.update(format="another"),
        lambda content: content.update(version=2),
        lambda content: content.pop("series"),
        lambda content: content["series"].append(content["series"][0]),
        lambda content: content["series"][0].pop("study"),
        lambda content: content["series"][0].update(series="../../etc"),
        lambda content: content["series"][0]["slices"][0].update(sha256="A" * 64),
        lambda content: content["series"][0]["slices"][0].update(pixels="short"),
        lambda content: content["series"][0]["slices"][0].update(size=True),
        lambda content: content["series"][0]["slices"][0].update(more=1),
    ],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(
    tmp_path: Path, spoil: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "manifest.json"
    Manifest([series("1.3")]).save(path)
    content = json.loads(path.read_text())
    spoil(content)
    path.write_text(json.dumps(content))
    with pytest.raises(LoadError) as caught:
        Manifest.load(path)
    assert caught.value.code == "MANIFEST_INVALID"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b"null"])
def test_any_other_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(LoadError) as caught:
        Manifest.load(path)
    assert caught.value.code == "MANIFEST_INVALID"


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Manifest.load(tmp_path / "absent.json")
    assert caught.value.code == "FILE_MISSING"
