"""What is wanted: which plane and sequences, which series of a study, which of its slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import AmbiguousSeriesError, LoadError, PixelError, UsageError
from cervispine.loading.geometry import PLANES
from cervispine.loading.weighting import SEQUENCES
from cervispine.records import Geometry, Series, Study

__all__ = [
    "affine_of",
    "blank_ends",
    "check_wanted",
    "check_words",
    "even_slices",
    "refusal_of",
    "series_of",
]

#: Of what a loader with other limits has indexed.
OTHER_LIMITS = "read it with the limits it was indexed with: Preprocessor(loader=...)"


def check_wanted(plane: str, sequences: Sequence[str], on_problem: str) -> None:
    """Refuse parameters of a loader that cannot be meant.

    Raises
    ------
    UsageError
        Saying what they can be.
    """
    if plane not in PLANES:
        raise UsageError(f"plane is one of {', '.join(PLANES)}, not {plane!r}")
    check_words("sequences", sequences, SEQUENCES)
    if on_problem not in ("quarantine", "raise"):
        raise UsageError(f"on_problem is 'quarantine' or 'raise', not {on_problem!r}")


def check_words(name: str, words: Sequence[str], vocabulary: Sequence[str]) -> None:
    """Refuse a parameter that is not some words of a vocabulary, each once.

    Raises
    ------
    UsageError
        Saying what they can be.
    """
    if isinstance(words, str) or set(words) - set(vocabulary) or not words:
        raise UsageError(f"{name} is a tuple of {', '.join(vocabulary)}, not {words!r}")
    if len(set(words)) < len(words):
        raise UsageError(f"{name} names one of them twice")


def series_of(study: Study | Series, sequence: str | None) -> Series:
    """Return the series that is to be read.

    Parameters
    ----------
    study
        A study, or the series itself.
    sequence
        Which series of the study, T2 when None; of a series its own, or None.

    Raises
    ------
    AmbiguousSeriesError
        When the study has not exactly one series of the sequence, or the series is of another one.
    """
    if isinstance(study, Study):
        return study.one_series("T2" if sequence is None else sequence)
    if sequence not in (None, study.sequence):
        raise AmbiguousSeriesError(
            f"the series is {study.sequence}, and {sequence} was asked for",
            where=f"series {study.uid}",
            advice=f"read the study, or name {study.sequence}",
            code="SERIES_MISSING",
        )
    return study


def refusal_of(error: LoadError, where: str) -> LoadError:
    """Return the refusal of a file with what it is a file of, and what to do."""
    advice = error.advice or (OTHER_LIMITS if error.code == "DECODE_BUDGET" else "")
    return type(error)(error.what, where=where, advice=advice, code=error.code)


def even_slices(slices: Sequence[int] | None, count: int) -> range:
    """Return the indices of slices as a range, which has an affine; others have none.

    Parameters
    ----------
    slices
        Indices, evenly spaced and ascending; all when None.
    count
        How many slices there are.

    Raises
    ------
    UsageError
        When the slices are not such indices.
    """
    if slices is None:
        return range(count)
    indices = [int(index) for index in slices]
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    if indices and step > 0:
        even = range(indices[0], indices[-1] + 1, step)
        if list(even) == indices and indices[0] >= 0 and indices[-1] < count:
            return even
    raise UsageError(
        f"slices are ascending, evenly spaced indices under {count}, not {list(slices)}"
    )


def blank_ends(series: Series, wanted: range, constant: Sequence[int]) -> str:
    """Say how many slices of one value end a stack, as scanners pad a slab; refuse them elsewhere.

    Parameters
    ----------
    series
        That is read.
    wanted
        The slices that are read.
    constant
        Those of them whose pixels all have one value.

    Raises
    ------
    PixelError
        ``IMAGE_DEGENERATE`` when one has images on both sides, or there are no others.
    """
    images = [index for index in wanted if index not in constant]
    inside = [index for index in constant if not images or images[0] < index < images[-1]]
    if inside:
        raise PixelError(
            "all pixels have the same value",
            where=f"slice {min(inside)} of series {series.uid}",
            code="IMAGE_DEGENERATE",
        )
    return f"; {len(constant)} slices at the ends hold one value only" if constant else ""


def affine_of(geometry: Geometry, wanted: range) -> NDArray[np.float64]:
    """Return the affine, float64 (4, 4), of some slices of a series."""
    affine = geometry.affine
    affine[:3, 3] += wanted[0] * affine[:3, 0]
    affine[:3, 0] *= wanted.step
    return affine
