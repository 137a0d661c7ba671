"""What save_comparison leaves: JSON, text, tables and figures, of nobody in particular."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from cervispine import Comparison
from cervispine.exceptions import ResourceError
from cervispine.reporting import save_comparison
from cervispine.reporting.figures import MARK_COLOUR

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"


@pytest.fixture(scope="module")
def saved(comparison: Comparison, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    save_comparison(comparison, folder)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_every_table_and_every_figure_is_there(saved: Path, comparison: Comparison) -> None:
    tables = {f"tables/{name}.{end}" for name in comparison.tables() for end in ("csv", "tex")}
    figures = {f"figures/{kind}.{end}" for kind in comparison.figures for end in ("svg", "png")}
    assert set(files(saved)) == {"comparison.json", "comparison.txt", *tables, *figures}
    assert {"figures/roc.svg", "figures/differences.svg", "figures/strata.png"} <= figures


def test_the_files_hold_what_the_comparison_says(saved: Path, comparison: Comparison) -> None:
    assert json.loads((saved / "comparison.json").read_text()) == comparison.to_dict()
    assert (saved / "comparison.txt").read_text() == comparison.summary() + "\n"
    for name, text in comparison.to_csv().items():
        assert (saved / "tables" / f"{name}.csv").read_text() == text
    for name, text in comparison.to_latex().items():
        assert (saved / "tables" / f"{name}.tex").read_text() == text


def test_the_same_comparison_gives_the_same_files(
    saved: Path, comparison: Comparison, tmp_path: Path
) -> None:
    save_comparison(comparison, tmp_path)
    assert files(tmp_path) == files(saved)


def test_a_figure_is_one_file_whose_text_is_text(
    make_comparison: Callable[..., Comparison], tmp_path: Path
) -> None:
    name = "<script>alert(1)</script> & 'co'"
    save_comparison(make_comparison(models=("resnet34", name)), tmp_path)
    for path in sorted((tmp_path / "figures").glob("*.svg")):
        root = ElementTree.parse(path).getroot()
        tags = {element.tag for element in root.iter()}
        assert not tags & {f"{SVG}script", f"{SVG}image", f"{SVG}foreignObject"}, path.name
        for element in root.iter():
            assert element.get(LINK, "#").startswith("#")
        words = ["".join(element.itertext()) for element in root.iter(f"{SVG}text")]
        assert any(name in text for text in words), path.name


def test_every_figure_bears_its_mark(comparison: Comparison, tmp_path: Path) -> None:
    save_comparison(comparison, tmp_path / "with", mark="Synthetic phantoms")
    save_comparison(comparison, tmp_path / "without")
    for kind in comparison.figures:
        name = f"figures/{kind}.svg"
        assert "Synthetic phantoms" in (tmp_path / "with" / name).read_text(), kind
        assert "Synthetic" not in (tmp_path / "without" / name).read_text(), kind
        # In the picture itself, whatever it is copied from.
        for folder, is_there in (("with", True), ("without", False)):
            pixels = imread(tmp_path / folder / f"figures/{kind}.png")[..., :3]
            marked = (np.abs(pixels - to_rgb(MARK_COLOUR)) < 0.02).all(axis=2)
            assert (marked.mean() > 0.005) == is_there, (kind, folder)


def test_every_other_file_bears_it_too(comparison: Comparison, tmp_path: Path) -> None:
    save_comparison(comparison, tmp_path, mark="Synthetic phantoms")
    for name, content in files(tmp_path).items():
        if not name.startswith("figures/"):
            assert b"Synthetic phantoms" in content, name


def test_no_patient_is_named(saved: Path, patients: tuple[str, ...]) -> None:
    for name, content in files(saved).items():
        assert b"patient-" not in content, name
    assert patients[0].startswith("patient-")


def test_a_folder_that_cannot_be_written_is_refused(comparison: Comparison, tmp_path: Path) -> None:
    (tmp_path / "tables").write_text("in the way")
    with pytest.raises(ResourceError) as caught:
        save_comparison(comparison, tmp_path)
    assert caught.value.code == "OUTPUT_UNWRITABLE"


def test_nothing_stays_of_a_comparison_that_was_there_before(
    comparison: Comparison, make_comparison: Callable[..., Comparison], tmp_path: Path
) -> None:
    save_comparison(comparison, tmp_path)
    participants = tmp_path / "tables" / "participants.csv"
    participants.write_text("of the run, not of the comparison")
    alone = make_comparison(readers=(), types=())
    save_comparison(alone, tmp_path)
    tables = {f"tables/{name}.{end}" for name in alone.tables() for end in ("csv", "tex")}
    figures = {f"figures/{kind}.{end}" for kind in alone.figures for end in ("svg", "png")}
    assert "figures/differences.svg" not in figures
    assert set(files(tmp_path)) == {
        "comparison.json", "comparison.txt", "tables/participants.csv", *tables, *figures
    }  # fmt: skip
