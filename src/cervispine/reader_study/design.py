"""Who reads which case when, and with which aid: pure functions of a seed.

A reader's order depends on the seed, the reader's name and the cases alone, so that another
reader changes nobody's. Where there is an aided arm every reader reads every case twice, in two
sessions: half of the cases with the aid in the first, the other half in the second. Of two
readers one begins with the half with which the other ends, so that neither the session nor the
half can pass for an effect of the aid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import attrs
import numpy as np

from cervispine.exceptions import UsageError

__all__ = ["ARMS", "TRAINING", "Design", "Slot", "plan"]

#: The arms there are; a study has the first, or both.
ARMS = ("unaided", "aided")

#: The number of the session in which readers are trained; those of the study count from 1.
TRAINING = 0

#: Who else stands in the audit log.
RESERVED = ("administrator", "cervispine")

_NAME_LENGTH = 64


@attrs.frozen(kw_only=True)
class Design:
    """What decides a reader study, beside its cases.

    Parameters
    ----------
    readers
        Their names, in order.
    arms
        ``("unaided",)``, or both of ``ARMS``.
    repeats
        How many cases each reader reads twice in each session, without being told.
    washout
        Days between a reader's sessions.
    rating_scale
        The lowest and the highest rating: whole numbers.
    seed
        Decides all that is drawn.

    Raises
    ------
    UsageError
        When a value cannot be meant.
    """

    readers: tuple[str, ...]
    arms: tuple[str, ...] = ARMS[:1]
    repeats: int = 0
    washout: float = 28.0
    rating_scale: tuple[int, int] = (0, 100)
    seed: int = 0

    def __attrs_post_init__(self) -> None:
        low, high = self.rating_scale
        faults = {
            "readers: name at least one": not self.readers,
            "readers: each needs a name of its own": len(set(self.readers)) < len(self.readers),
            f"readers: names are 1 to {_NAME_LENGTH} printable characters": not all(
                0 < len(name) <= _NAME_LENGTH and name.isprintable() and name == name.strip()
                for name in self.readers
            ),
            f"readers: {' and '.join(RESERVED)} are taken": not {*RESERVED}.isdisjoint(
                self.readers
            ),
            f"arms: {ARMS[0]}, or {' and '.join(ARMS)}": self.arms not in (ARMS[:1], ARMS),
            "repeats: none or more": self.repeats < 0,
            "washout: no days or more": not 0 <= self.washout < np.inf,
            "rating_scale: whole numbers from low to high, 0 to 100 at most": not (
                isinstance(low, int) and isinstance(high, int) and 0 <= low < high <= 100
            ),
            "seed: 0 or more": self.seed < 0,
        }
        if wrong := [fault for fault, is_so in faults.items() if is_so]:
            raise UsageError("; ".join(wrong), where="the design of the reader study")

    @property
    def sessions(self) -> int:
        """How many sessions each reader has, training not counted."""
        return len(self.arms)


@attrs.frozen(kw_only=True)
class Slot:
    """One case in one reader's list.

    Parameters
    ----------
    reader
        The reader's name.
    session
        ``TRAINING``, or the number of the session from 1.
    position
        The place in that session's list, from 0.
    case
        The number of the case.
    arm
        One of ``ARMS``.
    repeated
        Whether the reader has had this case in this session already.
    """

    reader: str
    session: int
    position: int
    case: int
    arm: str
    repeated: bool = False


def plan(
    design: Design,
    cases: Sequence[int],
    *,
    training: Sequence[int] = (),
    aided: Sequence[int] = (),
) -> tuple[Slot, ...]:
    """Return every reader's list of every session.

    Parameters
    ----------
    design
        The study.
    cases
        The numbers of the cases to read.
    training
        Those of the training, each read once, before anything else.
    aided
        Those of the training that are shown with the aid.

    Raises
    ------
    UsageError
        When there are no cases, or more repeats than half of them.
    """
    if not cases:
        raise UsageError("a reader study needs cases to read", where="cases")
    if design.repeats > len(cases) // 2:
        raise UsageError(
            f"{design.repeats} repeats of {len(cases)} cases: at most half can come twice, since "
            "half of the list lies between",
            where="repeats",
        )
    drawn = _generator(design.seed, "repeats").permutation(np.asarray(cases, dtype=np.int64))
    twice = sorted(int(case) for case in drawn[: design.repeats])
    slots: list[Slot] = []
    for place, reader in enumerate(design.readers):
        order = _generator(design.seed, "training", reader).permutation(len(training))
        slots += [
            Slot(
                reader=reader,
                session=TRAINING,
                position=position,
                case=training[index],
                arm=ARMS[training[index] in aided],
            )
            for position, index in enumerate(order)
        ]
        for session in range(1, design.sessions + 1):
            helped = _aided(design, cases, place, session)
            generator = _generator(design.seed, "order", reader, str(session))
            seen: set[int] = set()
            for position, case in enumerate(_order(cases, twice, generator)):
                arm = ARMS[case in helped]
                slots.append(
                    Slot(
                        reader=reader,
                        session=session,
                        position=position,
                        case=case,
                        arm=arm,
                        repeated=case in seen,
                    )
                )
                seen.add(case)
    return tuple(slots)


def _order(cases: Sequence[int], twice: Sequence[int], generator: np.random.Generator) -> list[int]:
    """Return the cases in random order, some of them twice with half of the list between."""
    half = len(cases) // 2
    # What comes twice comes first in the first half; were it anywhere, a late one would come
    # again at once.
    early = {int(place) for place in generator.permutation(half)[: len(twice)]}
    first = iter(generator.permutation(np.asarray(twice, dtype=np.int64)).tolist())
    others = [case for case in cases if case not in set(twice)]
    rest = iter(generator.permutation(np.asarray(others, dtype=np.int64)).tolist())
    order = [next(first) if place in early else next(rest) for place in range(len(cases))]
    for case in generator.permutation(np.asarray(twice, dtype=np.int64)).tolist():
        earliest = order.index(case) + half + 1
        order.insert(int(generator.integers(earliest, len(order) + 1)), case)
    return order


def _aided(design: Design, cases: Sequence[int], place: int, session: int) -> set[int]:
    """Return the cases that a reader reads with the aid in a session."""
    if design.arms == ARMS[:1]:
        return set()
    # Two readers share a pair's halves, one beginning with what the other ends with.
    drawn = _generator(design.seed, "halves", str(place // 2)).permutation(len(cases))
    half = {cases[index] for index in drawn[: len(cases) // 2]}
    return half if (session + place) % 2 else set(cases) - half


def _generator(seed: int, *words: str) -> np.random.Generator:
    """Return a stream of random numbers of its own for each purpose."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, dtype=np.uint32).tolist()])
