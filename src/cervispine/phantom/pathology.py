"""Draws disease: degeneration and its mimics for everybody, plaques for those with OPLL.

Degeneration comes first and never sees the label. Its narrowest level is drawn as such, the sac
that is left there, from mild to severe; :mod:`cervispine.phantom.canal` then lets plaques and
mimics take the room beyond it. Extent and occupying ratio by type follow Korean J Spine 2012;9:205
and Fujiyoshi 2010 as reviewed; involved levels follow PMC9816605 (OPLL) and PMC5958484
(degeneration). Rates of mimics, marrow and unossified tissue are choices.
"""

from __future__ import annotations

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.phantom.randomness import Stream, generator, truncated_normal
from cervispine.phantom.settings import Settings, TypeMix
from cervispine.phantom.specification import (
    DISCS,
    VERTEBRAE,
    Anatomy,
    CordLesion,
    DiscChange,
    Mimic,
    Plaque,
    Ridge,
)
from cervispine.records.labels import TYPES, OPLLType

__all__ = ["sample_discs", "sample_lesion", "sample_mimics", "sample_plaques"]

#: The discs C2/3 to C7/T1, which may be compressed.
CERVICAL = 6
#: The bodies C3 to C7 as indices of VERTEBRAE.
BODIES = (1, 2, 3, 4, 5)
GRADES = (0.30, 0.50, 0.62, 0.75, 0.65, 0.32, 0.20, 0.20, 0.20)
#: Mean and deviation of the occupying ratio by type, before the difficulty.
OCCUPYING: dict[OPLLType, tuple[float, float]] = {
    "continuous": (0.43, 0.12),
    "mixed": (0.40, 0.11),
    "segmental": (0.31, 0.09),
    "localized": (0.33, 0.09),
}


def sample_discs(seed: int, anatomy: Anatomy, age: int) -> tuple[DiscChange, ...]:
    """Return the degeneration of each level, C2/3 to T3/4."""
    random = generator(seed, Stream.DEGENERATION)
    grades = np.clip(
        np.array(GRADES) + 0.008 * (age - 60) + random.normal(0, 0.17, len(DISCS)), 0, 1
    )
    involved = int(random.choice([2, 3, 4, 5], p=[0.25, 0.38, 0.27, 0.10]))
    ranked = np.argsort(-(grades[:CERVICAL] + random.gumbel(0, 0.15, CERVICAL)))[:involved]
    worst = int(random.choice(ranked))

    # What is left of the sac at the worst level; the rest of the canal there is filled.
    residual = truncated_normal(random, 5.6, 1.5, 2.8, 9.0)
    filled = max(anatomy.canal - 0.7 - anatomy.ligament - residual, 1.5)
    share = random.uniform(0.10, 0.40, len(DISCS))
    share[ranked] = random.uniform(0.55, 0.95, involved)
    share[worst] = 1.0
    share[CERVICAL:] = random.uniform(0.0, 0.12, len(DISCS) - CERVICAL)

    changes = []
    for level, name in enumerate(DISCS):
        encroachment = filled * share[level]
        ventral = encroachment * random.uniform(0.55, 0.85)
        spur = ventral * random.uniform(0.1, 0.9)
        changes.append(
            DiscChange(
                level=name,
                grade=float(grades[level]),
                bulge=float(ventral),
                osteophyte=float(spur),
                anterior_osteophyte=float(
                    np.clip(random.normal(1.5, 1.5) * (grades[level] + 0.2), 0, 6)
                ),
                flavum=float(np.clip(encroachment - ventral, 0.1, 4.0)),
                reach=float(random.uniform(1.5, 4.2)),
                offset=float(random.normal(0, 2)),
                width=float(random.uniform(6, 11)),
                darkness=float(random.beta(2, 2)),
                tilt=float(random.normal(0.06, 0.05)),
            )
        )
    # The peak of the worst bulge lies on the midline, or the residual sac would not be there.
    changes[worst] = attrs.evolve(changes[worst], offset=changes[worst].offset / 4)
    return tuple(changes)


def sample_mimics(
    seed: int, anatomy: Anatomy, discs: tuple[DiscChange, ...], settings: Settings
) -> tuple[Mimic, ...]:
    """Return masses that resemble plaques and are not ossified, in either class."""
    random = generator(seed, Stream.MIMICS)
    if random.random() >= settings.mimics:
        return ()
    # As different from a plaque's black as the difficulty allows.
    darkness = np.clip(random.normal(0.15 + 0.45 * settings.difficulty, 0.15), 0.0, 0.85)
    shape = str(random.choice(["segments", "stretch", "disc"], p=[0.40, 0.35, 0.25]))
    ratio = random.normal(0.30, 0.09) * _thinning(settings.difficulty)
    thickness = float(np.clip(ratio, 0.10, 0.62) * anatomy.canal)
    if shape == "disc":
        level = int(np.argmax([change.bulge for change in discs[:CERVICAL]]))
        ridges = [_migrated(random, anatomy, level, thickness)]
    elif shape == "stretch":
        ridges = [_stretch(random, anatomy, int(random.choice([2, 3, 4])), thickness)[0]]
    else:
        bodies = random.choice(BODIES, int(random.choice([1, 2, 3])), replace=False)
        ridges = [
            _behind_body(random, anatomy, int(body), thickness * random.uniform(0.6, 1), settings)
            for body in bodies
        ]
    return tuple(
        Mimic(
            shape=ridge,
            substance="disc" if shape == "disc" else "ligament",
            darkness=float(darkness),
        )
        for ridge in ridges
    )


def sample_lesion(seed: int, compression: float, position: float) -> CordLesion | None:
    """Return high signal in the cord, likelier the more it is compressed.

    Parameters
    ----------
    seed : int
    compression : float
        Least cord diameter over the natural one, without plaques.
    position : float
        Where that is, mm.
    """
    random = generator(seed, Stream.LESION)
    drawn, length, strength = random.random(), random.uniform(3, 9), random.uniform(0.35, 1)
    if drawn >= np.clip((0.85 - compression) * 2.2, 0, 0.85):
        return None
    return CordLesion(position=position, length=float(length), strength=float(strength))


def sample_plaques(
    seed: int, anatomy: Anatomy, settings: Settings
) -> tuple[OPLLType, tuple[Plaque, ...]]:
    """Return the type of OPLL and its plaques."""
    random = generator(seed, Stream.PLAQUES)
    kind = _draw_type(random, settings.type_mix)
    mean, deviation = OCCUPYING[kind]
    ratio = truncated_normal(random, mean, deviation, 0.15, 0.65) * _thinning(settings.difficulty)
    thickness = ratio * anatomy.canal
    plaques: list[Plaque] = []

    def add(shape: Ridge, bodies: range | list[int]) -> None:
        # Fatty marrow is a matter of thickness: a tenth at 3 mm, most at 7 mm.
        has_marrow = random.random() < np.clip(0.1 + 0.15 * (shape.thickness - 3), 0.05, 0.7)
        plaques.append(
            Plaque(
                shape=shape,
                levels=tuple(VERTEBRAE[body] for body in bodies),
                marrow=float(random.uniform(0.3, 0.9)) if has_marrow else 0.0,
                fibrous=float(
                    np.clip(random.beta(1.3, 4) * (0.4 + 1.2 * settings.difficulty), 0, 0.8)
                ),
            )
        )

    covered: set[int] = set()
    if kind in ("continuous", "mixed"):
        count = (
            int(random.choice([2, 3, 4, 5], p=[0.30, 0.40, 0.20, 0.10]))
            if kind == "continuous"
            else int(random.choice([2, 3], p=[0.7, 0.3]))
        )
        ridge, first = _stretch(random, anatomy, count, thickness)
        covered.update(range(first, first + count))
        add(ridge, range(first, first + count))
    if kind in ("segmental", "mixed"):
        count = int(random.choice([2, 3, 4], p=[0.45, 0.40, 0.15])) if kind == "segmental" else 1
        free = [body for body in BODIES if body not in covered]
        for number, body in enumerate(random.permutation(free)[:count].tolist()):
            full = number == 0 and kind == "segmental"
            here = thickness * (1 if full else random.uniform(0.55, 1))
            add(_behind_body(random, anatomy, body, here, settings), [body])
    if kind == "localized":
        disc = int(random.choice([1, 2, 3, 4]))
        length = random.uniform(9, 15)
        centre = anatomy.disc_centres[disc] + random.normal(0, 1)
        add(_ridge(random, centre, length, thickness), [disc, disc + 1])
    return kind, tuple(plaques)


def _thinning(difficulty: float) -> float:
    return 1.4 - 0.95 * difficulty


def _draw_type(random: np.random.Generator, mix: TypeMix) -> OPLLType:
    bounds = np.cumsum([getattr(mix, kind) for kind in TYPES])
    return TYPES[min(int(np.searchsorted(bounds, random.random(), side="right")), len(TYPES) - 1)]


def _ridge(random: np.random.Generator, centre: float, length: float, thickness: float) -> Ridge:
    waves: NDArray[np.float64] = random.normal(0, 1, 6)
    return Ridge(
        top=float(centre - length / 2),
        bottom=float(centre + length / 2),
        thickness=float(thickness),
        offset=float(random.normal(0, 1.4)),
        width=float(random.uniform(6, 10)),
        edge=float(random.uniform(2, 4.5)),
        waves=tuple(waves.tolist()),
    )


def _body(anatomy: Anatomy, body: int) -> tuple[float, float]:
    """Return upper and lower end of a body, mm; of C2, those below the dens."""
    bottom = anatomy.body_bottoms[body]
    return max(anatomy.body_tops[body], bottom - 15), bottom


def _behind_body(
    random: np.random.Generator, anatomy: Anatomy, body: int, thickness: float, settings: Settings
) -> Ridge:
    """Return a ridge behind one body, half to all of its height, or a little more."""
    top, bottom = _body(anatomy, body)
    length = (bottom - top) * random.uniform(0.65, 1.2) * (1.05 - 0.3 * settings.difficulty)
    return _ridge(random, (top + bottom) / 2 + random.normal(0, 1.5), length, thickness)


def _stretch(
    random: np.random.Generator, anatomy: Anatomy, count: int, thickness: float
) -> tuple[Ridge, int]:
    """Return a ridge behind several bodies without a gap, and the first of them."""
    first = int(np.clip(round(random.normal(2.0, 0.9)), 0, 6 - count))
    upper, lower = _body(anatomy, first), _body(anatomy, first + count - 1)
    top = upper[1] - 12 * random.uniform(0.4, 1.0)
    bottom = lower[0] + (lower[1] - lower[0]) * random.uniform(0.4, 1.0)
    return _ridge(random, (top + bottom) / 2, bottom - top, thickness), first


def _migrated(random: np.random.Generator, anatomy: Anatomy, disc: int, thickness: float) -> Ridge:
    """Return disc material that moved up or down behind the neighbouring body."""
    length = float(random.uniform(8, 15))
    side = int(random.choice([-1, 1]))
    return _ridge(random, anatomy.disc_centres[disc] + side * length / 2, length, thickness)
