"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import hypothesis
import pytest

from cervispine import Cohort, Loader, Phantom
from cervispine.phantom import PhantomCohort

# A machine that is busy is no fault of what is tested.
hypothesis.settings.register_profile("cervispine", deadline=None)
hypothesis.settings.load_profile("cervispine")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real images and reference values that lies beside the checkout, where it does."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "golden").is_dir():
        pytest.skip(
            "the folder `shared` (real images, reference values) is not beside the checkout"
        )
    return folder


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> PhantomCohort:
    """Return a small cohort of easy phantoms on disk, written once for all workers."""
    # Writing resumes, so workers may ask for the same folder, one after the other.
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "phantom"
    with filelock.FileLock(f"{folder}.lock"):
        return Phantom(n_opll=10, n_dss=14, difficulty=0.1, seed=5, jobs=1).write(folder)


@pytest.fixture(scope="session")
def cohort(phantom: PhantomCohort) -> Cohort:
    """Return the same cohort, indexed and labelled."""
    return Loader().index(phantom.dicom).with_labels(phantom.labels)


PLUGINS = Path(__file__).parent / "plugins"


def lay_out(name: str | Path, site: Path) -> None:
    """Lay out a plug-in as an installer would, from its pyproject.toml.

    It is one of tests/plugins, by its name, or lies elsewhere, with its modules in ``src``.
    """
    source = PLUGINS / name
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    modules = source / "src" if (source / "src").is_dir() else source
    shutil.copytree(modules, site, ignore=shutil.ignore_patterns("pyproject.toml", "__pycache__"))
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n"
        f"License-Expression: {project['license']}\n"
    )
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="session")
def write_distribution() -> Callable[[str, Path], None]:
    """Return what lays a plug-in of tests/plugins out in a folder."""
    return lay_out


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put plug-ins of tests/plugins on the path for the length of a test."""
    modules = set(sys.modules)

    def put_on_path(*names: str | Path) -> None:
        for name in names:
            site = tmp_path / Path(name).name
            lay_out(name, site)
            monkeypatch.syspath_prepend(str(site))

    yield put_on_path
    for name in set(sys.modules) - modules:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
