"""Series of the oracle, written as tests want them, and folders that hold them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from cervispine import Cohort
from cervispine.testing import OracleSeries, write_oracle_series


@attrs.frozen(kw_only=True, slots=False, eq=False)
class WritableSeries(OracleSeries):
    """An oracle's series that writes itself."""

    def write(
        self, folder: Path, *, change: Callable[[int, Dataset], object] | None = None
    ) -> list[Path]:
        return write_oracle_series(folder, self, change=change)


@pytest.fixture(scope="session")
def Series() -> type[WritableSeries]:  # noqa: N802 - it gives a class
    return WritableSeries


@pytest.fixture(scope="session")
def new_uid() -> Callable[[], str]:
    return generate_uid


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Return a folder that holds one good series, which every fault must leave alone."""
    WritableSeries(patient="good", study="1.2.3.99", series="1.2.3.99.1").write(tmp_path / "good")
    return tmp_path


@pytest.fixture(scope="session")
def check() -> Callable[[Cohort, str, str, int], None]:
    """Check that a cohort has one study, and so many files of one fate under one code."""

    def check(cohort: Cohort, code: str, fate: str, files: int) -> None:
        assert cohort.intake is not None
        problems = [problem for problem in cohort.intake.problems if problem.code == code]
        assert sum(problem.files for problem in problems) == files, cohort.intake.summary()
        assert {problem.fate for problem in problems} == {fate}
        assert len(cohort) == 1

    return check
