"""What pydicom says of a file never reaches the user, and what anybody else says always does."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.charset import convert_encodings

from cervispine.exceptions import DataWarning
from cervispine.loading import Loader
from cervispine.loading.parsing import quiet_pydicom

Act = Callable[[], object]


@pytest.fixture
def said() -> Iterator[list[warnings.WarningMessage]]:
    """Return what is warned of, with filters that let all of it pass."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


def overlap(first_leaves_first: bool, within: Act = lambda: None) -> None:
    """Run two threads that are quiet at the same time; the first one acts before it leaves."""
    both = threading.Barrier(2)
    left = threading.Event()

    def first() -> None:
        with quiet_pydicom():
            both.wait()
            if not first_leaves_first:
                left.wait()
            within()
        left.set()

    def second() -> None:
        with quiet_pydicom():
            both.wait()
            if first_leaves_first:
                left.wait()
        left.set()

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(first), threads.submit(second)]:
            done.result(timeout=30)


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_after_threads_that_overlapped_warnings_are_given_as_before(
    said: list[warnings.WarningMessage], first_leaves_first: bool
) -> None:
    overlap(first_leaves_first)
    warnings.warn("of us", DataWarning, stacklevel=1)
    warnings.warn("of somebody", UserWarning, stacklevel=1)
    assert [str(each.message) for each in said] == ["of us", "of somebody"]
    assert not logging.getLogger("pydicom").disabled


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_in_threads_that_overlap_only_pydicom_is_quiet(
    said: list[warnings.WarningMessage],
    caplog: pytest.LogCaptureFixture,
    first_leaves_first: bool,
) -> None:
    def within() -> None:
        convert_encodings("CANARY")
        logging.getLogger("pydicom.pixels.decoders.base").error("canary")
        warnings.warn("of us", DataWarning, stacklevel=1)
        logging.getLogger("cervispine.loading").warning("of us")

    overlap(first_leaves_first, within)
    assert [str(each.message) for each in said] == ["of us"]
    assert caplog.messages == ["of us"]


def test_filters_that_another_thread_puts_back_let_nothing_out() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with quiet_pydicom():
            pass
        others = warnings.catch_warnings()
        others.__enter__()
        warnings.resetwarnings()
        with quiet_pydicom():
            convert_encodings("CANARY")
            others.__exit__(None, None, None)
            convert_encodings("CANARY")
    assert said == []


def test_who_uses_pydicom_beside_us_has_its_log(caplog: pytest.LogCaptureFixture) -> None:
    with quiet_pydicom(), quiet_pydicom():
        logging.getLogger("pydicom").warning("canary")
    logging.getLogger("pydicom").warning("a file of somebody else")
    assert caplog.messages == ["a file of somebody else"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_folders_read_in_threads_tell_no_value(
    tmp_path: Path, Series: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def charset(_: int, dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "CANARY"

    for number in range(4):
        Series().write(tmp_path / f"{number}", change=charset)

    caplog.clear()

    def read(number: int) -> None:
        for _ in range(5):
            Loader().read(Loader().index(tmp_path / f"{number}")[0])

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(read, range(4)))
        warnings.warn("of us", DataWarning, stacklevel=1)
    assert [str(each.message) for each in said] == ["of us"]
    assert "CANARY" not in caplog.text
