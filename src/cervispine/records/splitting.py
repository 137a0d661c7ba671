"""Drawing a test part: whole groups, exact counts, the same share of every stratum."""

from __future__ import annotations

import warnings
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import DataWarning, UsageError
from cervispine.records.identity import groups_of
from cervispine.records.study import Study

__all__ = ["draw_folds", "draw_test"]


def draw_test(
    studies: Sequence[Study],
    labels: NDArray[np.int64],
    test: int | float,
    *,
    stratify: Sequence[str],
    seed: int,
) -> NDArray[np.bool_]:
    """Return bool (n,): which studies are in the test part.

    Parameters
    ----------
    studies, labels
        In the order of the cohort.
    test
        Patients, or the share of them.
    stratify
        Attributes by whose values each label is divided again.
    seed
        Decides the draw.

    Raises
    ------
    UsageError
        ``SPLIT_IMPOSSIBLE``; an attribute that no study has; a negative seed.

    Warns
    -----
    DataWarning
        ``STRATUM_WHOLE`` when a stratum gives nobody to the test part because its patients must
        stay together.
    """
    if seed < 0:
        raise UsageError(f"a seed is a whole number from 0, not {seed}")
    for name in stratify:
        if not any(name in study.attributes for study in studies):
            raise UsageError(
                f"no study has the attribute {name!r}", advice="name columns of the labels' table"
            )
    groups = groups_of(studies)
    sizes = _patients(studies, groups)
    total = sum(sizes.values())
    wanted = _wanted(test, total)
    generator = np.random.default_rng(seed)
    chosen: set[int] = set()
    short = whole = 0
    strata = _strata(studies, labels, groups, stratify)
    for members, quota in _quotas(strata, sizes, wanted):
        # What one stratum of large groups cannot fill, the next one does.
        drawn = _draw(generator.permutation(members).tolist(), sizes, quota + short)
        short += quota - sum(sizes[group] for group in drawn)
        chosen.update(drawn)
        whole += bool(stratify) and quota > 0 and not drawn
    if whole:
        _warn(
            f"{whole} of the strata by {', '.join(stratify)} give nobody to a part, since their "
            "patients must stay together: they share a frame of reference, or pixels",
            code="STRATUM_WHOLE",
        )
    if short:
        rest = sorted(set(sizes) - chosen)
        chosen.update(_draw(generator.permutation(rest).tolist(), sizes, short))
    taken = sum(sizes[group] for group in chosen)
    mask = np.isin(groups, list(chosen))
    lacking = [
        part for part, held in (("training", ~mask), ("test", mask)) if set(labels[held]) != {0, 1}
    ]
    if lacking or (taken != wanted and not isinstance(test, float)):
        reason = (
            f"leaves the {lacking[0]} part without one of the two classes"
            if lacking
            else f"cannot be drawn whole, only {taken}"
        )
        largest = max(sizes.values(), default=0)
        raise UsageError(
            f"a test part of {wanted} of {total} patients {reason}; the largest group that must "
            f"stay together has {largest}",
            advice="choose another size, or bring more patients of the rarer class; studies stay "
            "together that share a patient, a study UID, a frame of reference or pixels",
            code="SPLIT_IMPOSSIBLE",
        )
    return mask


def draw_folds(
    studies: Sequence[Study],
    labels: NDArray[np.int64],
    count: int,
    *,
    stratify: Sequence[str],
    seed: int,
) -> NDArray[np.int64]:
    """Return int64 (n,): which of ``count`` parts each study is in, from 0.

    One part after the other is drawn as a test part is, from those that are left.

    Raises
    ------
    UsageError
        Fewer than two parts; as :func:`draw_test`.
    """
    if count < 2:
        raise UsageError(f"folds are at least 2, not {count}")
    patients = {study.patient: int(label) for study, label in zip(studies, labels, strict=True)}
    rarer = min(Counter(patients.values()).values(), default=0)
    if rarer < count:
        raise UsageError(
            f"{count} folds each need a patient of either class, and the rarer one has {rarer}",
            advice="fewer folds, or more patients of that class",
            code="SPLIT_IMPOSSIBLE",
        )
    parts = np.full(len(studies), count - 1, dtype=np.int64)
    left = np.arange(len(studies))
    for part in range(count - 1):
        rest = [studies[place] for place in left.tolist()]
        share = 1 / (count - part)
        drawn = draw_test(rest, labels[left], share, stratify=stratify, seed=seed)
        parts[left[drawn]] = part
        left = left[~drawn]
    return parts


def _warn(what: str, *, code: str) -> None:
    # Through _warn, draw_test and split, to whoever called that.
    warnings.warn(f"{code}: {what}", DataWarning, stacklevel=4)


def _wanted(test: int | float, total: int) -> int:
    if isinstance(test, float):
        if not 0 < test < 1:
            raise UsageError(
                f"a test part is a number of patients or a share between 0 and 1, not {test}",
                code="SPLIT_IMPOSSIBLE",
            )
        return round(test * total)
    return min(max(int(test), 0), total)


def _patients(studies: Sequence[Study], groups: NDArray[np.int64]) -> Counter[int]:
    """Return how many patients each group has."""
    group_of = {study.patient: int(group) for study, group in zip(studies, groups, strict=True)}
    return Counter(group_of.values())


def _strata(
    studies: Sequence[Study],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    stratify: Sequence[str],
) -> tuple[list[list[int]], list[list[int]]]:
    """Return the groups that hold a positive study and the others, each by attribute.

    A group of both labels counts as positive, which is at least as rare; one of several values
    of an attribute has that of its first study.
    """
    positive = {int(group) for group, label in zip(groups, labels, strict=True) if label == 1}
    values: dict[int, tuple[str, ...]] = {}
    for study, group in zip(studies, groups, strict=True):
        values.setdefault(
            int(group), tuple(str(study.attributes.get(name, "")) for name in stratify)
        )
    strata: tuple[dict[tuple[str, ...], list[int]], ...] = (defaultdict(list), defaultdict(list))
    for group in sorted(values):
        strata[group not in positive][values[group]].append(group)
    first, second = ([each[key] for key in sorted(each)] for each in strata)
    return first, second


def _quotas(
    strata: Sequence[Sequence[Sequence[int]]], sizes: Counter[int], wanted: int
) -> list[tuple[Sequence[int], int]]:
    """Return how many patients each stratum gives: shared out by label first, then within."""

    def patients(members: Sequence[int]) -> int:
        return sum(sizes[group] for group in members)

    by_label = _largest_remainders(wanted, [sum(map(patients, each)) for each in strata])
    return [
        pair
        for members, quota in zip(strata, by_label, strict=True)
        for pair in zip(
            members, _largest_remainders(quota, list(map(patients, members))), strict=True
        )
    ]


def _largest_remainders(seats: int, sizes: Sequence[int]) -> list[int]:
    """Share out seats in proportion to sizes (Hamilton's method)."""
    total = max(sum(sizes), 1)
    whole = [seats * size // total for size in sizes]
    rest = sorted(range(len(sizes)), key=lambda place: (-(seats * sizes[place] % total), place))
    for place in rest[: seats - sum(whole)]:
        whole[place] += 1
    return whole


def _draw(groups: Sequence[int], sizes: Counter[int], quota: int) -> list[int]:
    """Return groups with as many patients as possible up to a quota, the first ones first."""
    drawn, taken = [], 0
    for group in groups:
        if taken + sizes[group] <= quota:
            drawn.append(group)
            taken += sizes[group]
    if taken == quota:
        return drawn
    # Bit s of reached[k] says that some of the first k groups have s patients together.
    reached = [1]
    for group in groups:
        reached.append((reached[-1] | reached[-1] << sizes[group]) & ((2 << quota) - 1))
    left = reached[-1].bit_length() - 1
    drawn = []
    for place in range(len(groups) - 1, -1, -1):
        if not reached[place] >> left & 1:
            drawn.append(groups[place])
            left -= sizes[groups[place]]
    return drawn
