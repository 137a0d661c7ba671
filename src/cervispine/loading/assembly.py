"""The headers of all files to studies: copies dropped, stacks made and chosen, all accounted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from cervispine.exceptions import LoadError
from cervispine.loading.decoders import refuse_missing_decoders
from cervispine.loading.headers import Header
from cervispine.loading.kinds import NOTES
from cervispine.loading.limits import Limits
from cervispine.loading.saved import NoIndex
from cervispine.loading.stacks import Refusal, Stack, sort_series
from cervispine.loading.studies import (
    choose_stacks,
    drop_copies,
    group_by,
    problems_of,
    refuse_stack,
    series_of,
)
from cervispine.records import Problem, Series, Study

__all__ = ["assemble"]


def assemble(
    headers: Sequence[Header],
    *,
    plane: str,
    sequences: Sequence[str],
    regions: Sequence[str],
    tolerance: float,
    limits: Limits,
    index: NoIndex,
) -> tuple[list[Study], list[Problem], int]:
    """Return the studies that slices make, and what becomes of all other slices.

    Parameters
    ----------
    headers
        Of every slice found, in any order.
    plane, sequences, regions
        What is wanted.
    tolerance
        See :func:`~cervispine.loading.geometry.stack_slices`.
    limits
        How long and how large a stack may be.
    index
        Remembers hashes.

    Returns
    -------
    studies : list of Study
    problems : list of Problem
        What is refused or ignored, and what is to be known of series that are used.
    used : int
        How many files the studies are made of.

    Raises
    ------
    DecoderMissingError
        When series of the studies cannot be decoded here, with what to install.
    """
    kept, refused = drop_copies(headers, limits, index)
    stacks: list[Stack] = []
    for series in group_by(kept, lambda header: header.series_uid).values():
        for part in sort_series(
            series,
            plane=plane,
            sequences=sequences,
            regions=regions,
            tolerance=tolerance,
            limits=limits,
        ):
            if isinstance(part, Stack):
                stacks.append(part)
            else:
                refused.append(part)
    groups, conflicts = _by_study(stacks)
    refused += conflicts
    _refuse_missing_decoders(
        stack for group in groups for stack in choose_stacks(group, sequences, regions)[0]
    )
    studies: list[Study] = []
    chosen: list[Stack] = []
    for group in groups:
        readable, best, more = _readable(group, sequences, regions, limits, index)
        refused += more
        chosen += best
        if readable:
            first = best[0].headers[0]
            studies.append(
                Study(patient=first.patient, uid=first.study_uid, series=tuple(readable))
            )
    used = {header.path for stack in chosen for header in stack.headers}
    return studies, [*problems_of(refused, used), *_notes(chosen)], len(used)


def _by_study(stacks: Sequence[Stack]) -> tuple[list[list[Stack]], list[Refusal]]:
    groups: list[list[Stack]] = []
    refused: list[Refusal] = []
    for study in group_by(stacks, lambda stack: stack.headers[0].study_uid).values():
        if len({stack.headers[0].patient for stack in study}) > 1:
            conflict = LoadError("one study UID stands for several patients", code="UID_CONFLICT")
            refused += [refuse_stack(stack, conflict) for stack in study]
        else:
            groups.append(study)
    return groups, refused


def _readable(
    stacks: Sequence[Stack],
    sequences: Sequence[str],
    regions: Sequence[str],
    limits: Limits,
    index: NoIndex,
) -> tuple[list[Series], Sequence[Stack], list[Refusal]]:
    """Choose the series of one study; where one cannot be decoded, choose among the others.

    Returns
    -------
    series : list of Series
        One a sequence; empty when the study is refused.
    chosen : sequence of Stack
        What they are made of.
    refused : list of Refusal
        All other stacks.
    """
    broken: list[Refusal] = []
    left = list(stacks)
    while True:
        chosen, passed_over = choose_stacks(left, sequences, regions)
        series: list[Series] = []
        for stack in chosen:
            try:
                series.append(series_of(stack, limits, index))
            except LoadError as error:
                broken.append(refuse_stack(stack, error))
                left = [other for other in left if other is not stack]
                break
        else:
            return series, chosen, [*broken, *passed_over]


def _refuse_missing_decoders(stacks: Iterable[Stack]) -> None:
    syntax_of = {
        header.path: header.transfer_syntax for stack in stacks for header in stack.headers
    }
    files = Counter(syntax_of.values())
    refuse_missing_decoders(sorted(files.items()))


def _notes(stacks: Iterable[Stack]) -> list[Problem]:
    """Return what is to be known of series that are used all the same."""
    return [
        Problem(
            code=note.code,
            reason=note.reason,
            item=stack.headers[0].series_uid,
            fate="noted",
            files=_count_files(stack),
        )
        for stack in stacks
        for note in NOTES
        if any(note.code in header.notes for header in stack.headers)
    ]


def _count_files(stack: Stack) -> int:
    return len({header.path for header in stack.headers})
