"""Where a function crosses zero."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["crossing"]

# Each halving gains a bit; a double has 53, and the range a few more.
_HALVINGS = 64


def crossing(function: Callable[[float], float], below: float, above: float) -> float:
    """Return where a function rises through zero, by halving the range.

    ``scipy.optimize.brentq`` needs fewer steps; importing it takes longer than all the steps
    of a comparison.

    Parameters
    ----------
    function
        Monotone between the two points.
    below
        A point where it is at most zero.
    above
        A point, on either side of the other, where it is above zero.
    """
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if function(middle) > 0:
            above = middle
        else:
            below = middle
    return (below + above) / 2
