"""Read-only copies of arrays, for the fields of frozen values."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_only_bool", "read_only_float32", "read_only_float64"]


# A function for each type: mypy follows only named functions as converters of attrs.


def read_only_float64(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return a copy that nobody can write to."""
    return _read_only(np.array(values, dtype=np.float64))


def read_only_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return a copy that nobody can write to."""
    return _read_only(np.array(values, dtype=np.float32))


def read_only_bool(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a copy that nobody can write to."""
    return _read_only(np.array(values, dtype=np.bool_))


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
