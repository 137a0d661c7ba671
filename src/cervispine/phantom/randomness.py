"""Independent streams of random numbers, one for each thing that is drawn.

The label is never part of a stream's key. That is what makes twins: two patients with one seed
draw the same anatomy, scanner and degeneration, whatever their labels.
"""

from __future__ import annotations

import enum

import numpy as np

__all__ = ["Stream", "generator", "truncated_normal"]


class Stream(enum.IntEnum):
    """What a stream decides."""

    SUBJECT = 1
    ANATOMY = 2
    PROTOCOL = 3
    DEGENERATION = 4
    MIMICS = 5
    LESION = 6
    PLAQUES = 7
    CONTOURS = 8
    TISSUES = 9
    TEXTURES = 10
    COIL = 11
    NOISE = 12
    COHORT = 13
    READERS = 14


def generator(seed: int, stream: Stream, *more: int) -> np.random.Generator:
    """Return the generator of one stream of one seed."""
    return np.random.default_rng([seed, int(stream), *more])


def truncated_normal(
    random: np.random.Generator, mean: float, deviation: float, low: float, high: float
) -> float:
    """Return one draw of a normal distribution that lies between `low` and `high`."""
    for _ in range(100):
        value = random.normal(mean, deviation)
        if low <= value <= high:
            return float(value)
    return float(np.clip(mean, low, high))
