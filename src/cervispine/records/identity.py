"""What makes two studies one: shared identifiers, shared pixels, and pictures that look alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cervispine.records.intake import Problem
from cervispine.records.study import Study

__all__ = [
    "IDENTITIES",
    "appearance_of",
    "groups_of",
    "leakage_code",
    "look_alikes",
    "shared_identities",
]

#: What two studies may share that makes them one group, never to be split.
IDENTITIES = ("patient", "study UID", "frame of reference", "pixel hash")

#: Bits along each side of an appearance, and the share of all bits in which two pictures of one
#: image may differ: copies rescaled to a half, compressed, windowed or cropped by 2 % on each
#: side differ in less, phantoms of different patients in 0.26 and more
#: (benchmarks/tables_campaign.py prints both).
SIDE = 16
ALIKE = 0.2

#: How many studies are named where many share one identity.
STUDIES_SHOWN = 5

Appearances = NDArray[np.float32]


def groups_of(studies: Sequence[Study]) -> NDArray[np.int64]:
    """Return int64 (n,): equal for studies that share any identity, directly or through others."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    column: dict[tuple[int, str], int] = {}
    edges = [
        (row, column.setdefault((kind, identity), len(column)))
        for row, study in enumerate(studies)
        for kind, identities in enumerate(_identities(study))
        for identity in identities
    ]
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    size = len(studies) + len(column)
    graph = coo_array((np.ones(len(edges)), (rows, columns + len(studies))), shape=(size, size))
    return connected_components(graph, directed=False)[1][: len(studies)].astype(np.int64)


def shared_identities(one: Sequence[Study], other: Sequence[Study]) -> list[Problem]:
    """Return a problem for each identity that stands in both parts, naming studies by UID."""
    problems = []
    for position, name in enumerate(IDENTITIES):
        holders: dict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side, part in enumerate((one, other)):
            for study in part:
                for identity in _identities(study)[position]:
                    holders[identity][side].append(study.uid)
        problems += [
            Problem(
                code=leakage_code(name),
                reason=f"the same {name} stands in both parts",
                item=f"{_named(mine)} | {_named(theirs)}",
                files=0,
            )
            for mine, theirs in holders.values()
            if mine and theirs
        ]
    return problems


def leakage_code(identity: str) -> str:
    """Return the code of a leak through one of the ``IDENTITIES``."""
    return f"LEAKAGE_{identity.replace(' ', '_').upper()}"


def appearance_of(image: NDArray[np.floating]) -> str:
    """Return what a picture looks like, in 512 bits as hexadecimal text.

    A difference hash: whether each of 17 x 17 areas is darker than the one below and the one to
    the right. It hardly changes with encoding, size, brightness and contrast, and shows nothing
    that could be looked at.

    Parameters
    ----------
    image
        (rows, columns), finite.

    References
    ----------
    N. Krawetz, "Kind of like that" (2013), the hash that the package ImageHash calls dhash.
    """
    rows, columns = (_areas(size) for size in image.shape)
    small = rows @ image.astype(np.float64) @ columns.T
    bits = np.stack(
        [np.diff(small, axis=0)[:, :SIDE] > 0, np.diff(small, axis=1)[:SIDE] > 0], dtype=np.bool_
    )
    return np.packbits(bits).tobytes().hex()


def look_alikes(
    studies: Sequence[Study], others: Sequence[Study] | None = None
) -> list[tuple[Study, Study]]:
    """Return pairs of studies that hold nearly the same picture and share no identity.

    Parameters
    ----------
    studies
        Of one part.
    others
        Of another part; None for pairs within the one.
    """
    everybody = [*studies, *(others or ())]
    groups = groups_of(everybody)
    places, signs = _signs(everybody)
    within = others is None
    first = np.flatnonzero(places < len(studies))
    second = first if within else np.flatnonzero(places >= len(studies))
    found: set[tuple[int, int]] = set()
    bits = signs.shape[1]
    for start in range(0, len(first), 1000):
        rows = first[start : start + 1000]
        # The product of signs counts the bits that agree less those that differ.
        alike = signs[rows] @ signs[second].T >= bits * (1 - 2 * ALIKE)
        for row, column in np.argwhere(alike):
            one, other = sorted((int(places[rows[row]]), int(places[second[column]])))
            if groups[one] != groups[other]:
                found.add((one, other))
    return [(everybody[one], everybody[other]) for one, other in sorted(found)]


def _identities(study: Study) -> tuple[set[str], ...]:
    """Return what identifies a study, in the order of IDENTITIES; nothing where it is empty."""
    frames = {series.frame_of_reference_uid for series in study.series} - {""}
    hashes = {series.pixel_hash for series in study.series} - {""}
    return {study.patient}, {study.uid}, frames, hashes


def _named(uids: Sequence[str]) -> str:
    more = f" and {len(uids) - STUDIES_SHOWN} more" if len(uids) > STUDIES_SHOWN else ""
    return f"study {', '.join(sorted(uids)[:STUDIES_SHOWN])}{more}"


def _areas(size: int) -> NDArray[np.float64]:
    """Return (17, size) weights that average pixels over 17 equal areas."""
    edges = np.linspace(0, size, SIDE + 2)
    pixels = np.arange(size)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights: NDArray[np.float64] = np.clip(covered, 0, None) * (SIDE + 1) / size
    return weights


def _signs(studies: Sequence[Study]) -> tuple[NDArray[np.int64], Appearances]:
    """Return the appearance of each series as +1 and -1, and the place of its study."""
    held = [
        (place, bytes.fromhex(series.appearance))
        for place, study in enumerate(studies)
        for series in study.series
        if series.appearance
    ]
    content = np.frombuffer(b"".join(each for _, each in held), dtype=np.uint8)
    bits = np.unpackbits(content).reshape(len(held), 2 * SIDE * SIDE)
    places = np.array([place for place, _ in held], dtype=np.int64)
    return places, 2 * bits.astype(np.float32) - 1
