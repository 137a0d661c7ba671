"""What is wanted: which plane and sequences, and which slices of a series."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import UsageError
from cervispine.loading.geometry import PLANES
from cervispine.loading.weighting import SEQUENCES
from cervispine.records import Geometry

__all__ = ["affine_of", "check_wanted", "even_slices"]


def check_wanted(plane: str, sequences: Sequence[str], on_problem: str) -> None:
    """Refuse parameters of a loader that cannot be meant.

    Raises
    ------
    UsageError
        Saying what they can be.
    """
    if plane not in PLANES:
        raise UsageError(f"plane is one of {', '.join(PLANES)}, not {plane!r}")
    strangers = set(sequences) - set(SEQUENCES)
    if isinstance(sequences, str) or strangers or not sequences:
        raise UsageError(f"sequences is a tuple of {', '.join(SEQUENCES)}, not {sequences!r}")
    if len(set(sequences)) < len(sequences):
        raise UsageError("sequences names one sequence twice")
    if on_problem not in ("quarantine", "raise"):
        raise UsageError(f"on_problem is 'quarantine' or 'raise', not {on_problem!r}")


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


def affine_of(geometry: Geometry, wanted: range) -> NDArray[np.float64]:
    """Return the affine, float64 (4, 4), of some slices of a series."""
    affine = geometry.affine
    affine[:3, 3] += wanted[0] * affine[:3, 0]
    affine[:3, 0] *= wanted.step
    return affine
