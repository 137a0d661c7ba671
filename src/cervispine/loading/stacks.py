"""Slices of one series to stacks: split where acquisitions mix, order, check, describe.

Two acquisitions under one series UID that share positions interleave silently in loaders that
sort and trust. Here a mixed series is split only where every part is a regular stack by itself,
and no two parts are halves of one; otherwise all of it is refused.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable, Sequence

import attrs
import numpy as np

from cervispine.exceptions import GeometryError
from cervispine.loading.geometry import plane_of, stack_slices
from cervispine.loading.headers import MARKS, Header
from cervispine.loading.kinds import Fault
from cervispine.loading.limits import Limits
from cervispine.records import Geometry
from cervispine.records.geometry import COSINE_TOLERANCE

__all__ = ["Refusal", "Stack", "sort_series"]

#: Echo times closer than this are one echo, ms.
ECHO_TOLERANCE = 0.5

#: Slices further aside than this belong to another station of the table, mm: no stack leans as
#: much, and the stations of a whole spine lie much further apart.
STATION = 50.0

Mark = Callable[[Header], float | str]

#: What images of one stack have in common.
KINDS: tuple[Mark, ...] = (
    lambda header: header.sequence,
    lambda header: header.fat_suppressed,
    lambda header: header.processed,
    lambda header: header.corrected,
)


def _mark(name: str) -> Mark:
    return lambda header: header.marks.get(name, 0.0)


#: What may tell apart acquisitions of one kind that share positions.
APART = tuple(map(_mark, MARKS))


@attrs.frozen(kw_only=True)
class Stack:
    """Slices of one series that form a regular stack, in order along their normal."""

    headers: tuple[Header, ...]
    plane: str
    sequence: str
    sequence_from: str
    geometry: Geometry


@attrs.frozen(kw_only=True)
class Refusal:
    """Slices that form no stack that is wanted, and why."""

    headers: tuple[Header, ...]
    fault: Fault


def sort_series(
    headers: Sequence[Header],
    *,
    plane: str,
    sequences: Sequence[str],
    regions: Sequence[str],
    tolerance: float,
    limits: Limits,
) -> list[Stack | Refusal]:
    """Return what the slices of one SeriesInstanceUID amount to.

    Parameters
    ----------
    headers
        All slices of the series, in any order.
    plane, sequences, regions
        What is wanted; other stacks are ignored, not checked further.
    tolerance
        See :func:`~cervispine.loading.geometry.stack_slices`.
    limits
        How long and how large a stack may be.

    Returns
    -------
    list of Stack or Refusal
        Together they hold each header exactly once.
    """
    every = sorted(headers, key=_sort_key)
    results: list[Stack | Refusal] = _never_meant(every)
    headers = tuple(h for h in every if h.fault is None or not h.fault.ignored)
    faults = [header.fault for header in headers if header.fault is not None]
    if faults:
        count = f"{len(faults)} of {len(headers)} slices: " if len(headers) > 1 else ""
        return [*results, _refuse(headers, faults[0].code, count + faults[0].reason)]
    if len({(header.patient, header.study_uid) for header in headers}) > 1:
        reason = "one series UID stands in several studies or patients"
        return [*results, _refuse(headers, "UID_CONFLICT", reason)]
    planes = {plane_of(each) for each in {header.orientation for header in headers}}
    if len(planes) > 2:
        reason = "a series in three planes is a localizer"
        return [*results, _ignore(headers, "LOCALIZER", reason)]

    parts: list[tuple[Header, ...]] = []
    for part in _acquisitions(headers):
        found = plane_of(part[0].orientation)
        if found != plane:
            results.append(_ignore(part, "PLANE_OTHER", f"{found}, not {plane}"))
            continue
        for piece in _repetitions(part, tolerance):
            first = piece[0]
            if first.sequence not in sequences:
                names = " or ".join(sequences)
                reason = f"{first.sequence}, not {names} ({first.sequence_from})"
                results.append(_ignore(piece, "SEQUENCE_OTHER", reason))
            elif first.region not in regions:
                reason = f"region: {first.region}, by its description or BodyPartExamined"
                results.append(_ignore(piece, "REGION_OTHER", reason))
            else:
                parts.append(piece)
    stacks = [_stack(piece, plane, tolerance, limits) for piece in parts]
    failed = [each for each in stacks if isinstance(each, Refusal)]
    if len(stacks) > 1 and failed:
        mixed = tuple(header for piece in parts for header in piece)
        reason = (
            f"several acquisitions in one series, not all of them whole: {failed[0].fault.reason}"
        )
        return [*results, _refuse(mixed, "SERIES_MIXED", reason)]
    if any(_are_halves(one, other, tolerance) for one, other in itertools.combinations(parts, 2)):
        mixed = tuple(header for piece in parts for header in piece)
        reason = "what seems several acquisitions in one series are parts of one stack"
        return [*results, _refuse(mixed, "SERIES_MIXED", reason)]
    return [*results, *stacks]


def _sort_key(header: Header) -> tuple[object, ...]:
    """Order that no file name and no InstanceNumber decides."""
    return (
        header.orientation,
        header.position,
        header.instance_uid,
        -1 if header.frame is None else header.frame,
    )


def _never_meant(headers: Sequence[Header]) -> list[Stack | Refusal]:
    """Return the slices that were never meant to be used, one refusal a reason."""
    by_fault: dict[Fault, list[Header]] = {}
    for header in headers:
        if header.fault is not None and header.fault.ignored:
            by_fault.setdefault(header.fault, []).append(header)
    return [Refusal(headers=tuple(same), fault=fault) for fault, same in by_fault.items()]


def _refuse(headers: Iterable[Header], code: str, reason: str) -> Refusal:
    return Refusal(headers=tuple(headers), fault=Fault(code, reason))


def _ignore(headers: Iterable[Header], code: str, reason: str) -> Refusal:
    return Refusal(headers=tuple(headers), fault=Fault(code, reason, ignored=True))


def _acquisitions(headers: Sequence[Header]) -> list[tuple[Header, ...]]:
    """Split by orientation, station, size, spacing and echo time, which one stack cannot mix.

    How the pixels are encoded is not among them: an archive that was moved, or sent again in part,
    holds slices of one stack in several ways, and each file is decoded by its own.
    """
    groups: list[list[Header]] = []
    for header in headers:
        for group in groups:
            if _alike(group[0], header):
                group.append(header)
                break
        else:
            groups.append([header])
    return [tuple(group) for group in groups]


def _alike(one: Header, other: Header) -> bool:
    echoes = (one.echo_time or 0.0, other.echo_time or 0.0)
    return (
        (one.rows, one.columns) == (other.rows, other.columns)
        and (one.part, one.frame is None) == (other.part, other.frame is None)
        and _close(one.orientation, other.orientation, rtol=0, atol=COSINE_TOLERANCE)
        and _close(one.pixel_spacing, other.pixel_spacing, rtol=1e-3, atol=0)
        and abs(echoes[0] - echoes[1]) <= ECHO_TOLERANCE
        and _aside(one, other) <= STATION
    )


def _aside(one: Header, other: Header) -> float:
    """Return how far a slice lies beside the normal through another one, mm."""
    if one.position == other.position:
        return 0.0
    step = [there - here for here, there in zip(one.position, other.position, strict=True)]
    cosines = one.orientation[:3], one.orientation[3:]
    return math.hypot(*(sum(map(operator.mul, step, cosine)) for cosine in cosines))


def _close(one: Sequence[float], other: Sequence[float], *, rtol: float, atol: float) -> bool:
    # Almost all slices of a series agree to the last digit, and NumPy takes its time to say so.
    return one == other or bool(np.allclose(one, other, rtol=rtol, atol=atol))


def _repetitions(headers: tuple[Header, ...], tolerance: float) -> list[tuple[Header, ...]]:
    """Split by what tells acquisitions apart, but only where slices share a position.

    Many scanners number the interleaved halves of one stack as two acquisitions, and a hole in a
    stack must not be hidden by taking its halves for two. So of all ways to split images of one
    kind, those that break the fewest stacks count, and of these the one with the fewest pieces.
    """
    if not _share_position(headers, tolerance):
        return [headers]
    for kind in KINDS:
        if len(kinds := _pieces(headers, [kind])) > 1:
            return [piece for each in kinds for piece in _repetitions(each, tolerance)]
    told = [apart for apart in APART if len({apart(header) for header in headers}) > 1]
    ways = [
        _pieces(headers, marks)
        for count in range(1, len(told) + 1)
        for marks in itertools.combinations(told, count)
    ]

    def cost(pieces: Sequence[Sequence[Header]]) -> tuple[int, int]:
        return sum(not _is_stack(piece, tolerance) for piece in pieces), len(pieces)

    return min(ways, key=cost, default=[headers])


def _pieces(headers: Sequence[Header], marks: Sequence[Mark]) -> list[tuple[Header, ...]]:
    pieces: dict[tuple[float | str, ...], list[Header]] = {}
    for header in headers:
        pieces.setdefault(tuple(mark(header) for mark in marks), []).append(header)
    return [tuple(piece) for _, piece in sorted(pieces.items())]


def _are_halves(one: Sequence[Header], other: Sequence[Header], tolerance: float) -> bool:
    """Tell whether two pieces make one stack, where the file does not say that they are two."""
    same = (one[0].sequence, one[0].part) == (other[0].sequence, other[0].part)
    return same and _is_stack((*one, *other), tolerance)


def _share_position(headers: Sequence[Header], tolerance: float) -> bool:
    return len(headers) > 1 and (
        _code_of(lambda: _geometry(headers, tolerance)) == "SLICE_DUPLICATE"
    )


def _is_stack(headers: Sequence[Header], tolerance: float) -> bool:
    return len(headers) > 1 and not _code_of(lambda: _geometry(headers, tolerance))


def _code_of(act: Callable[[], object]) -> str:
    try:
        act()
    except GeometryError as error:
        return error.code
    return ""


def _geometry(headers: Sequence[Header], tolerance: float) -> tuple[list[Header], Geometry]:
    positions = np.array([header.position for header in headers], dtype=np.float64)
    first = headers[0]
    rows, columns = first.pixel_spacing
    order, geometry = stack_slices(
        positions, first.orientation, (rows, columns), tolerance=tolerance
    )
    return [headers[index] for index in order], geometry


def _stack(
    headers: tuple[Header, ...], plane: str, tolerance: float, limits: Limits
) -> Stack | Refusal:
    first = headers[0]
    if len(headers) < 2:
        return _ignore(headers, "SLICES_TOO_FEW", "a single slice is no stack")
    if len(headers) > limits.slices:
        return _refuse(headers, "DECODE_BUDGET", f"a stack of {len(headers)} slices")
    if (size := 4 * len(headers) * first.rows * first.columns) > limits.series_bytes:
        return _refuse(headers, "DECODE_BUDGET", f"{size} bytes of pixels")
    try:
        ordered, geometry = _geometry(headers, tolerance)
    except GeometryError as error:
        return _refuse(headers, error.code, error.what)
    return Stack(
        headers=tuple(ordered),
        plane=plane,
        sequence=first.sequence,
        sequence_from=first.sequence_from,
        geometry=geometry,
    )
