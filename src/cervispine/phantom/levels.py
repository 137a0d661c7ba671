"""Which vertebra a pixel of a phantom lies at."""

from __future__ import annotations

import itertools

import numpy as np

from cervispine.phantom.specification import VERTEBRAE, PatientSpecification
from cervispine.phantom.spine import Spine

__all__ = ["level_at"]


def level_at(patient: PatientSpecification, row: float, column: float) -> str | None:
    """Return the vertebra beside a pixel of a sagittal slice, the half of each disc being its own.

    Parameters
    ----------
    patient : PatientSpecification
    row, column : float
        In a slice of :func:`~cervispine.phantom.render`.

    Returns
    -------
    str or None
        ``"C2"`` to ``"T4"``; None above the dens and below T4.
    """
    protocol, anatomy = patient.protocol, patient.anatomy
    middle = (protocol.matrix - 1) / 2
    posterior = np.array([(column - middle) * protocol.pixel_spacing], np.float32)
    superior = np.array([(middle - row) * protocol.pixel_spacing], np.float32)
    position = float(Spine.of(patient).coordinates(posterior, superior)[0][0])
    borders = [
        (bottom + top) / 2
        for bottom, top in zip(anatomy.body_bottoms, anatomy.body_tops[1:], strict=False)
    ]
    edges = [anatomy.body_tops[0], *borders, anatomy.body_bottoms[-1]]
    for name, (top, bottom) in zip(VERTEBRAE, itertools.pairwise(edges), strict=True):
        if top <= position < bottom:
            return name
    return None
