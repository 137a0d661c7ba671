"""Fixtures of the attack museum."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest


@attrs.frozen
class Place:
    """Where an attack happens: what is taken in, what may be written, and what lies around."""

    incoming: Path
    target: Path
    around: Path


def listing(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return every path under a folder, with its kind and content."""
    return {
        str(path): (path.lstat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.rglob("*")
    }


@pytest.fixture
def untouched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Give a place to attack, and fail when anything but its target was written to."""
    place = Place(tmp_path / "a/b/incoming", tmp_path / "a/b/target", tmp_path)
    for folder in (place.incoming, place.target, tmp_path / "temporary"):
        folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("not for you")
    # A relative way out would start here, a temporary file would be made there.
    monkeypatch.chdir(place.target)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before: dict[str, tuple[int, bytes]] = {}
    root = set(os.listdir("/"))  # noqa: PTH208

    def outside() -> dict[str, tuple[int, bytes]]:
        inside = (str(place.incoming), str(place.target), str(tmp_path / "temporary"))
        return {path: what for path, what in listing(tmp_path).items() if path not in inside
                and not path.startswith(tuple(folder + os.sep for folder in inside))}  # fmt: skip

    before = outside()
    yield place
    assert outside() == before
    assert set(os.listdir("/")) == root  # noqa: PTH208
    for path in (tmp_path / "temporary").rglob("*"):
        assert path.is_dir(), "something of it stayed in the temporary folder"
