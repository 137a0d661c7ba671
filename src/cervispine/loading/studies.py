"""Stacks to studies: copies counted once, contradictions refused, one series a sequence."""

from __future__ import annotations

import functools
import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import attrs
from pydicom.uid import UID

from cervispine.exceptions import LoadError
from cervispine.loading.geometry import distances, evenness
from cervispine.loading.headers import Header
from cervispine.loading.kinds import CUT_OFF, Fault
from cervispine.loading.limits import Limits
from cervispine.loading.pixels import fingerprint, pixels_hash
from cervispine.loading.saved import NoIndex
from cervispine.loading.stacks import Refusal, Stack
from cervispine.records import Problem, Series

__all__ = ["choose_stacks", "drop_copies", "group_by", "problems_of", "refuse_stack", "series_of"]

T = TypeVar("T")


def group_by(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    """Return the items by their key, the keys sorted."""
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return dict(sorted(groups.items()))


def drop_copies(
    headers: Sequence[Header], limits: Limits, index: NoIndex
) -> tuple[list[Header], list[Refusal]]:
    """Keep one of each group of identical images; mark the series of images that contradict.

    What was exported twice may differ in how it is encoded and in who wrote it. Two files are one
    image when all that decides is equal in their headers, and all their pixels are.

    Parameters
    ----------
    headers
        Every slice found.
    limits
        How large a file may be.
    index
        Remembers the hashes of files.

    Returns
    -------
    kept : list of Header
        One for each SOPInstanceUID, or all of them, with a fault, where they differ.
    copies : list of Refusal
        Those that are left out: copies, and what was cut off where the whole is there.
    """
    # Almost always there are none: of a hundred thousand slices no groups are made to find that.
    first: dict[str, str] = {}
    doubled = {
        header.instance_uid
        for header in headers
        if first.setdefault(header.instance_uid, header.path) != header.path
    }
    kept = [header for header in headers if header.instance_uid not in doubled]
    copies: list[Refusal] = []
    others = (header for header in headers if header.instance_uid in doubled)
    for same in group_by(others, lambda header: header.instance_uid).values():
        whole = [header for header in same if header.fault != CUT_OFF]
        if whole and len(whole) < len(same):
            cut_off = tuple(header for header in same if header.fault == CUT_OFF)
            copies.append(Refusal(headers=cut_off, fault=CUT_OFF))
            same = whole
        by_file = list(group_by(same, lambda header: header.path).values())
        if len(by_file) == 1:
            kept += same
        elif (best := _one_image(by_file, limits, index)) is not None:
            kept += best
            again = tuple(header for one in by_file if one is not best for header in one)
            fault = Fault("DUPLICATE_FILE", "a copy of a file that is there already", ignored=True)
            copies.append(Refusal(headers=again, fault=fault))
        else:
            fault = Fault("UID_CONFLICT", "one SOPInstanceUID stands for different images")
            # What cannot be used anyway says why by itself.
            kept += [attrs.evolve(header, fault=header.fault or fault) for header in same]
    return kept, copies


def _one_image(
    by_file: Sequence[Sequence[Header]], limits: Limits, index: NoIndex
) -> Sequence[Header] | None:
    """Return the file to keep of several that hold one image; None where they hold several.

    Of copies that differ in their bytes one that is not compressed is kept, which needs no decoder.
    """
    contents = [_content(one[0].path, index) for one in by_file]
    if len(set(contents)) > 1:
        first, *others = map(_decisive, by_file)
        if any(other != first for other in others):
            return None
        if len({_pixels(one, limits, index) for one in by_file}) > 1:
            return None
    best = min(
        range(len(by_file)),
        key=lambda n: (UID(by_file[n][0].transfer_syntax).is_compressed, contents[n]),
    )
    return by_file[best]


def _decisive(headers: Sequence[Header]) -> list[Header]:
    """Return headers without where they lie, how they are encoded, and what is noted."""
    return [
        attrs.evolve(header, path="", transfer_syntax="", notes=(), identity=())
        for header in headers
    ]


def _pixels(headers: Sequence[Header], limits: Limits, index: NoIndex) -> str:
    """Return a hash of the pixels of a file as they are read, or what no other file has."""
    path = headers[0].path
    frames = [header.frame for header in headers]

    def values() -> tuple[str]:
        return (pixels_hash(Path(path), frames, limits),)

    try:
        (found,) = index.facts(path, "pixels", values)
    except LoadError:
        return f"unreadable: {path}"
    return found


def _content(path: str, index: NoIndex) -> str:
    try:
        (content,) = index.facts(
            path, "content", lambda: (hashlib.sha256(Path(path).read_bytes()).hexdigest(),)
        )
    except OSError:
        return f"unreadable: {path}"
    return content


def choose_stacks(
    stacks: Sequence[Stack], sequences: Sequence[str], regions: Sequence[str]
) -> tuple[list[Stack], list[Refusal]]:
    """Choose one stack for each sequence of one study.

    Where several fit, one of the region wanted first is taken, then one that no other lies above
    (of several stations of the table the neck's is the highest), one without fat suppression
    before one with it, one as the scanner first made it before a derived one, then the one with
    the most slices, with the finest pixels, with its distortion corrected, and last the one whose
    SeriesInstanceUID sorts first. What was passed over is listed. A study that lacks a sequence
    is refused.

    Parameters
    ----------
    stacks
        The stacks of one study that are wanted.
    sequences
        Which sequences a study must have.
    regions
        Which regions are wanted, the best first.

    Returns
    -------
    chosen : list of Stack
        One a sequence, in their order; empty when the study is refused.
    refused : list of Refusal
    """
    chosen: list[Stack] = []
    refused: list[Refusal] = []
    missing: list[str] = []
    for sequence in sequences:
        fitting = [stack for stack in stacks if stack.sequence == sequence]
        if not fitting:
            missing.append(sequence)
            continue
        best, *others = _ranked(fitting, regions)
        chosen.append(best.stack)
        refused += [
            Refusal(headers=other.stack.headers, fault=_passed_over(other, best))
            for other in others
        ]
    if missing:
        fault = Fault("SERIES_MISSING", f"the study has no usable {' nor '.join(missing)} series")
        return [], [*refused, *(Refusal(headers=stack.headers, fault=fault) for stack in chosen)]
    return chosen, refused


#: How stacks of one sequence are compared after their regions and places, and what is said of the
#: one passed over.
RULES: tuple[tuple[str, Callable[[Stack], float | str]], ...] = (
    ("shows fat as it is", lambda stack: stack.headers[0].fat_suppressed),
    ("is not derived", lambda stack: stack.headers[0].processed),
    ("has more slices", lambda stack: -len(stack.headers)),
    ("has finer pixels", lambda stack: math.prod(stack.geometry.pixel_spacing)),
    ("has its distortion corrected", lambda stack: not stack.headers[0].corrected),
    ("has the lower UID", lambda stack: stack.headers[0].series_uid),
)


class _Ranked(NamedTuple):
    """A stack, and what speaks for it and against it; less is better."""

    costs: tuple[float | str, ...]
    stack: Stack


def _ranked(stacks: Sequence[Stack], regions: Sequence[str]) -> list[_Ranked]:
    """Return stacks of one sequence, the best first."""
    ranked = [
        _Ranked(
            (
                regions.index(stack.headers[0].region),
                any(_is_below(stack, other) for other in stacks),
                *(cost(stack) for _, cost in RULES),
            ),
            stack,
        )
        for stack in stacks
    ]

    def key(each: _Ranked) -> tuple[object, ...]:
        # The last two decide between stacks of one series, whose UID is one.
        first = each.stack.headers[0]
        return (*each.costs, sorted(first.marks.items()), first.position)

    return sorted(ranked, key=key)


def _is_below(stack: Stack, other: Stack) -> bool:
    """Tell whether the middle of another stack lies above all of this one.

    Only in one frame of reference are places of two series comparable.
    """
    frame = stack.headers[0].frame_of_reference_uid
    if not frame or frame != other.headers[0].frame_of_reference_uid:
        return False
    return sum(_heights(other)) / 2 > max(_heights(stack))


def _heights(stack: Stack) -> tuple[float, float]:
    """Return between which heights in the patient a stack lies, mm."""
    first, geometry = stack.headers[0], stack.geometry
    corner = geometry.origin[2]
    ends = [corner]
    for step, count in (
        (geometry.slice_step[2], len(stack.headers) - 1),
        (geometry.column_cosine[2] * geometry.pixel_spacing[0], first.rows - 1),
        (geometry.row_cosine[2] * geometry.pixel_spacing[1], first.columns - 1),
    ):
        ends = [end + each for end in ends for each in (0.0, step * count)]
    return min(ends), max(ends)


def _passed_over(other: _Ranked, best: _Ranked) -> Fault:
    rules = ("is of the region wanted first", "lies higher", *(rule for rule, _ in RULES))
    reason = next(
        (
            rule
            for rule, mine, its in zip(rules, other.costs, best.costs, strict=True)
            if mine != its
        ),
        "comes first in the same series",
    )
    text = f"another {other.stack.sequence} series of the study {reason}"
    return Fault("SERIES_PASSED_OVER", text, ignored=True)


def series_of(stack: Stack, limits: Limits, index: NoIndex) -> Series:
    """Return the series that a stack is, with a fingerprint of its middle slice.

    Raises
    ------
    LoadError
        When the middle slice cannot be decoded.
    """
    middle = stack.headers[len(stack.headers) // 2]
    pixel_hash, appearance = index.facts(
        middle.path,
        f"fingerprint {middle.frame}",
        functools.partial(fingerprint, Path(middle.path), middle.frame, limits),
    )
    return _series(stack, pixel_hash, appearance)


def _series(stack: Stack, pixel_hash: str, appearance: str) -> Series:
    first = stack.headers[0]
    positions = tuple(header.position for header in stack.headers)
    even = max(distances(stack.geometry, positions)) <= evenness(stack.geometry, len(positions))
    return Series(
        uid=first.series_uid,
        plane=stack.plane,
        sequence=stack.sequence,
        files=tuple(header.path for header in stack.headers),
        frames=tuple(h.frame for h in stack.headers if h.frame is not None),
        shape=(len(stack.headers), first.rows, first.columns),
        geometry=stack.geometry,
        transfer_syntaxes=tuple(sorted({header.transfer_syntax for header in stack.headers})),
        frame_of_reference_uid=first.frame_of_reference_uid,
        pixel_hash=pixel_hash,
        appearance=appearance,
        protocol={**first.protocol, "sequence_from": stack.sequence_from},
        # A loader that is made by its name reads what another one, told to, took for a stack.
        positions=() if even else positions,
    )


def problems_of(refusals: Sequence[Refusal], used: Iterable[str]) -> list[Problem]:
    """Return refusals as reports list them: by the UID of their series.

    Each file is counted once. One of which some frames are used is used; one of which some are
    rejected and the others ignored is rejected.

    Parameters
    ----------
    refusals
        What is not used.
    used
        The files that are, wholly or in part.
    """
    counted = set(used)
    files: dict[int, int] = {}
    for number in sorted(range(len(refusals)), key=lambda n: refusals[n].fault.ignored):
        own = {header.path for header in refusals[number].headers} - counted
        counted |= own
        files[number] = len(own)
    return [
        Problem(
            code=refusal.fault.code,
            reason=refusal.fault.reason,
            item=refusal.headers[0].series_uid,
            fate="ignored" if refusal.fault.ignored else "rejected",
            files=files[number],
        )
        for number, refusal in enumerate(refusals)
    ]


def refuse_stack(stack: Stack, error: LoadError) -> Refusal:
    """Return a stack as refused for a reason."""
    return Refusal(headers=stack.headers, fault=Fault(error.code, error.what))
