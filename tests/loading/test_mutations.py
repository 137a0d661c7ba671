"""Broken files end in a coded refusal: a short run of `benchmarks/intake_campaign.py`."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cervispine import Loader, Volume
from cervispine.exceptions import CervispineError
from cervispine.loading import make_manifest
from cervispine.testing import MUTATORS, mutate

SYNTAXES = (
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
)
EACH = 8


def read(folder: Path, **options: Any) -> Volume | CervispineError:
    """Return what a folder comes to: a volume, or the error that refuses it."""
    try:
        return Loader().read(Loader().index(folder, **options)[0])
    except CervispineError as error:
        return error


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_broken_files_are_refused_or_read(tmp_path: Path, Series: Any, syntax: str) -> None:
    paths = Series(shape=(3, 32, 33), syntax=syntax, patient="CANARY", bits=12).write(tmp_path)
    whole = Loader().index(tmp_path)
    volume, manifest = Loader().read(whole[0]), make_manifest(whole)
    generator = np.random.default_rng(len(syntax))
    fates = Counter[str]()
    for name in MUTATORS:
        for number in range(EACH):
            path = paths[number % 3]
            content = path.read_bytes()
            path.write_bytes(mutate(content, generator, mutator=name)[1])
            outcome = read(tmp_path)
            fates["read" if isinstance(outcome, Volume) else outcome.code] += 1
            assert "CANARY" not in str(outcome)
            sealed = read(tmp_path, manifest=manifest)
            if isinstance(sealed, Volume):
                # What the manifest lets through is what was written.
                assert np.array_equal(sealed.pixels, volume.pixels)
                assert np.array_equal(sealed.affine, volume.affine)
            path.write_bytes(content)
    assert all(re.fullmatch(r"[A-Z_]+", code) for code in set(fates) - {"read"})
    assert fates.total() - fates["read"] > 10
    assert np.array_equal(Loader().read(whole[0]).pixels, volume.pixels)


def test_mutators_change_something_and_seeds_decide(tmp_path: Path, Series: Any) -> None:
    content = Series().write(tmp_path)[0].read_bytes()
    for name in MUTATORS:
        made = [mutate(content, np.random.default_rng(seed), mutator=name)[1] for seed in range(20)]
        assert sum(each != content for each in made) >= 15, name
        assert made[3] == mutate(content, np.random.default_rng(3), mutator=name)[1]
    names = {mutate(content, np.random.default_rng(seed))[0] for seed in range(100)}
    assert names == set(MUTATORS)
    assert mutate(os.urandom(200), np.random.default_rng(0), mutator="nasty value")[1]
