"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import filelock
import pytest

from cervispine import Cohort, Loader, Phantom
from cervispine.phantom import PhantomCohort


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
