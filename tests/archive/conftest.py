"""An archive of a few studies, and a small model that was not fitted on them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest

from cervispine import Cohort, OPLLClassifier, Phantom, Preprocessor
from cervispine.phantom import PhantomCohort


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> PhantomCohort:
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "archive"
    with filelock.FileLock(f"{folder}.lock"):
        return Phantom(n_opll=3, n_dss=4, difficulty=0.1, seed=11, jobs=1).write(folder)


@pytest.fixture(scope="module", autouse=True)
def plugins(
    tmp_path_factory: pytest.TempPathFactory, write_distribution: Callable[[str, Path], None]
) -> Iterator[None]:
    """Install a small backbone and a loader that may die; workers inherit the path."""
    folder = tmp_path_factory.mktemp("plugins")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("good", "loader_fatal"):
            write_distribution(name, folder / name)
            patch.syspath_prepend(str(folder / name))
        yield
    for name in ("spine_tiny", "fatal_loader"):
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def model(plugins: None, cohort: Cohort, tmp_path_factory: pytest.TempPathFactory) -> Path:
    classifier = OPLLClassifier(
        backbone="tiny", preprocessor=Preprocessor(size=(64, 64), spacing=1.8), epochs=1,
        validation=0.3, progress=False,
    )  # fmt: skip
    return classifier.fit(cohort).save(tmp_path_factory.mktemp("models") / "model")
