"""Takes a name that another plug-in has, and one that is ours."""

from collections.abc import Sequence

from cervispine.loading import Loader


def make(*, sequences: Sequence[str]) -> Loader:
    return Loader(sequences=sequences, spacing_tolerance=0.2)
