"""The examples run, and the package of the how-to is the one in the folder."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cervispine.loading import build_loader, find_loader
from cervispine.phantom import PhantomCohort

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"


def run(name: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_surgeon_comparison(
    phantom: PhantomCohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = [str(path) for path in (phantom.dicom, phantom.labels, phantom.readers)]
    settings = ["--epochs", "1", "--test", "10", "--backbones", "resnet34"]
    run("surgeon_comparison.py", [*data, *settings], monkeypatch, tmp_path)
    assert "resnet34" in capsys.readouterr().out
    assert "Synthetic phantoms" in (tmp_path / "comparison" / "figures" / "roc.svg").read_text()


def test_cross_validation(
    phantom: PhantomCohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = [str(phantom.dicom), str(phantom.labels)]
    run("cross_validation.py", [*data, "--epochs", "1", "--folds", "2"], monkeypatch, tmp_path)
    area = float(capsys.readouterr().out.split()[0])
    assert 0 <= area <= 1


@pytest.mark.parametrize("name", ["surgeon_comparison.py", "cross_validation.py"])
def test_half_of_the_data_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(name, ["dicom"], monkeypatch, tmp_path)


@pytest.mark.parametrize(
    ("page", "package", "module"),
    [
        ("add-a-backbone.md", "spine-convnext", "spine_convnext"),
        ("add-a-loader.md", "cervispine-dicomweb", "cervispine_dicomweb"),
    ],
)
def test_the_package_of_the_how_to(page: str, package: str, module: str) -> None:
    text = (ROOT / "docs" / "how-to" / page).read_text(encoding="utf-8")
    for file in ("pyproject.toml", f"src/{module}.py"):
        assert (EXAMPLES / package / file).read_text(encoding="utf-8") in text, file


@pytest.mark.parametrize(
    "package", ["spine-convnext", "cervispine-dicomweb", "cervispine-efficientnet-lite"]
)
def test_the_own_tests_of_a_package_pass(package: str) -> None:
    folder = EXAMPLES / package
    places = [folder / "src", folder / "tests", *sys.path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(str(place) for place in places)}
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", folder / "tests"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_loader_comes_through_its_entry_point(install: Callable[..., None]) -> None:
    install(EXAMPLES / "cervispine-dicomweb")
    assert str(find_loader("dicomweb")).endswith("(cervispine_dicomweb:DicomwebLoader)")
    assert build_loader("dicomweb", sequences=("T1",)).sequences == ("T1",)  # type: ignore[attr-defined]
