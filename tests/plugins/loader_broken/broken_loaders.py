"""Loaders that are broken in one way each."""

from collections.abc import Sequence
from pathlib import Path

from cervispine.loading import Loader
from cervispine.records import Cohort

NUMBER = 3


class Toothless:
    """Has no read."""

    def __init__(self, *, sequences: Sequence[str]) -> None:
        self.sequences = sequences

    def index(self, path: str | Path) -> Cohort:
        return Loader().index(path)


class Strict:
    """Does not take the sequences."""


def fails(*, sequences: Sequence[str]) -> Loader:
    raise KeyError(sequences)


class Silent(Loader):
    """Never says how far it is."""

    def index(self, path: str | Path, *, progress: object = None) -> Cohort:
        return super().index(path)
