"""Which vertebra a pixel of a phantom lies at."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cervispine.phantom.specification import VERTEBRAE, PatientSpecification
from cervispine.phantom.spine import Spine

__all__ = ["levels_at"]


def levels_at(patient: PatientSpecification, pixels: ArrayLike) -> tuple[str | None, ...]:
    """Return the vertebrae beside pixels of a sagittal slice; half of each disc belongs to each.

    Parameters
    ----------
    patient : PatientSpecification
    pixels : array_like, shape (n, 2)
        Row and column in a slice of :func:`~cervispine.phantom.render`.

    Returns
    -------
    tuple of str or None
        ``"C2"`` to ``"T4"``; None above the dens and below T4.
    """
    protocol, anatomy = patient.protocol, patient.anatomy
    row, column = np.asarray(pixels, np.float32).reshape(-1, 2).T
    middle = np.float32((protocol.matrix - 1) / 2)
    spacing = np.float32(protocol.pixel_spacing)
    along, _ = Spine.of(patient).coordinates((column - middle) * spacing, (middle - row) * spacing)
    borders = np.add(anatomy.body_bottoms[:-1], anatomy.body_tops[1:]) / 2
    edges = np.array([anatomy.body_tops[0], *borders, anatomy.body_bottoms[-1]])
    # 0 is above the first edge, and one more than there are vertebrae below the last.
    names = (None, *VERTEBRAE, None)
    return tuple(names[number] for number in np.searchsorted(edges, along, side="right"))
