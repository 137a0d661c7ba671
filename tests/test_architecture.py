"""The floors of the house: what is upstream never imports what is downstream."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

import cervispine

#: From the ground up; a room imports its own floor's permitted neighbours or lower floors only.
FLOORS = (
    ("exceptions", "plugins", "progress", "records"),
    ("loading", "preprocessing", "backbones", "evaluation", "phantom"),
    ("classification", "testing"),
    ("dicom_results", "reader_study", "reporting"),
    ("experiment", "archive", "diagnosis"),
    ("cli",),
    ("__main__",),
)

#: The way of the data inside a floor: preprocessing reads volumes by a loader.
PERMITTED = {
    ("preprocessing", "loading"),
    ("records", "exceptions"),
    ("progress", "exceptions"),
    ("plugins", "exceptions"),
}

SOURCE = Path(cervispine.__file__).parent


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("cervispine")


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_a_floor() -> None:
    rooms = {
        path.stem
        for path in SOURCE.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"__init__"} == {name for floor in FLOORS for name in floor}


def test_no_import_turns_back(graph: grimp.ImportGraph) -> None:
    floor_of = {name: number for number, floor in enumerate(FLOORS) for name in floor}
    breaches = []
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            upper, lower = room(module), room(imported)
            # The package's own __init__ names every room, lazily.
            if not upper or not lower or upper == lower or (upper, lower) in PERMITTED:
                continue
            if floor_of[lower] >= floor_of[upper]:
                breaches.append(f"{module} imports {imported}")
    assert breaches == []


@pytest.mark.parametrize("name", ["cervispine", "cervispine.evaluation", "cervispine.records"])
def test_torch_is_not_imported(name: str) -> None:
    code = f"import sys, {name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_import_is_light() -> None:
    code = (
        "import sys, cervispine;"
        "heavy = {'torch', 'sklearn', 'pandas', 'scipy', 'pydicom', 'matplotlib', 'numpy'};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert result.returncode == 0, result.stderr


def test_every_public_name_is_found() -> None:
    assert set(cervispine.__all__) == set(cervispine._HOMES)
    for name in cervispine.__all__:
        assert getattr(cervispine, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        cervispine.Nothing  # noqa: B018


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: path.name)
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_only_the_command_line_prints() -> None:
    printing = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        if any(line.lstrip().startswith("print(") for line in path.read_text().splitlines())
    }
    assert {name for name in printing if not name.startswith("cli/")} == set()
