"""What must not decide a result: names and order of files, hash seed, number of threads."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from cervispine.phantom import PhantomCohort

SCRIPT = Path(__file__).with_name("fit_once.py")

#: Sums over threads are rounded in another order, and training amplifies that.
THREADS = 1e-4


@pytest.fixture(scope="module")
def plugin(
    write_distribution: Callable[[str, Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    site = tmp_path_factory.mktemp("plugins") / "good"
    write_distribution("good", site)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield site


@pytest.fixture(scope="module")
def script(plugin: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fit_once", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def on_threads(count: int, script: ModuleType, phantom: PhantomCohort) -> dict[str, Any]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return json.loads(json.dumps(script.fit_once(phantom.dicom, phantom.labels)))
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def one_thread(script: ModuleType, phantom: PhantomCohort) -> dict[str, Any]:
    return on_threads(1, script, phantom)


def test_neither_names_nor_order_of_files_nor_the_hash_seed_decide_anything(
    one_thread: dict[str, Any], phantom: PhantomCohort, plugin: Path, tmp_path: Path
) -> None:
    files = [path for path in phantom.dicom.rglob("*") if path.is_file()]
    random.Random(3).shuffle(files)
    for number, path in enumerate(files):
        folder = tmp_path / "shuffled" / f"{number % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / f"{len(files) - number:05d}")
    paths = [str(plugin), os.environ.get("PYTHONPATH", "")]
    subprocess.run(
        [sys.executable, SCRIPT, tmp_path / "shuffled", phantom.labels, tmp_path / "answer.json"],
        env=os.environ | {"PYTHONHASHSEED": "4711", "PYTHONPATH": os.pathsep.join(paths)},
        check=True,
    )
    assert json.loads((tmp_path / "answer.json").read_text()) == one_thread


def test_two_threads_differ_by_rounding(
    one_thread: dict[str, Any], script: ModuleType, phantom: PhantomCohort
) -> None:
    two = on_threads(2, script, phantom)
    np.testing.assert_allclose(two["probabilities"], one_thread["probabilities"], atol=THREADS)
    for name, value in one_thread["weights"].items():
        np.testing.assert_allclose(two["weights"][name], value, atol=THREADS)
