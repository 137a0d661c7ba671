"""Read-only arrays for the fields of frozen values: copies, unless nobody can write to them."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "held_float32",
    "read_only",
    "read_only_bool",
    "read_only_float32",
    "read_only_float64",
]

Values = TypeVar("Values", bound=np.generic)


# A function for each type: mypy follows only named functions as converters of attrs.


def read_only_float64(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return a copy that nobody can write to."""
    return read_only(np.array(values, dtype=np.float64))


def read_only_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return a copy that nobody can write to."""
    return read_only(np.array(values, dtype=np.float32))


def read_only_bool(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a copy that nobody can write to."""
    return read_only(np.array(values, dtype=np.bool_))


def held_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values that nobody can write to: these where that holds of them, else a copy.

    Large arrays go from step to step so: whoever has made one hands it over by ``read_only``.
    """
    array = np.asarray(values, dtype=np.float32)
    return array if _is_held(array) else read_only_float32(array)


def read_only(array: NDArray[Values]) -> NDArray[Values]:
    """Close an array that was just made, and that nobody else has, to all writing."""
    array.flags.writeable = False
    return array


def _is_held(array: NDArray[Any]) -> bool:
    """Tell whether neither an array can be written to nor any other that it is a part of."""
    part: object = array
    while isinstance(part, np.ndarray) and not part.flags.writeable:
        part = part.base
    # What lies in another's memory, as of a file that is mapped, may change there.
    return part is None
