"""The examples run, and the package of the how-to is the one in the folder."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

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
    assert (tmp_path / "roc.svg").is_file()


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


def test_the_package_of_the_how_to() -> None:
    page = (ROOT / "docs" / "how-to" / "add-a-backbone.md").read_text(encoding="utf-8")
    package = EXAMPLES / "spine-convnext"
    for file in ("pyproject.toml", "src/spine_convnext.py"):
        assert (package / file).read_text(encoding="utf-8") in page, file


def test_its_own_test_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    package = EXAMPLES / "spine-convnext"
    monkeypatch.syspath_prepend(str(package / "src"))
    tests = runpy.run_path(str(package / "tests" / "test_spine_convnext.py"))
    tests["test_the_contract"]()
