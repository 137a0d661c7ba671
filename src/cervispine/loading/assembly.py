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
    refuse_study,
    study_of,
)
from cervispine.records import Problem, Study

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
    chosen, passed_over = _choose(stacks, sequences, regions)
    refused += passed_over
    _refuse_missing_decoders(stack for study in chosen for stack in study)
    studies: list[Study] = []
    used: set[str] = set()
    for study in chosen:
        try:
            studies.append(study_of(study, limits, index))
            used |= {header.path for stack in study for header in stack.headers}
        except LoadError as error:
            refused += refuse_study(study, error)
    return studies, [*problems_of(refused, used), *_notes(chosen)], len(used)


def _choose(
    stacks: Sequence[Stack], sequences: Sequence[str], regions: Sequence[str]
) -> tuple[list[list[Stack]], list[Refusal]]:
    chosen: list[list[Stack]] = []
    refused: list[Refusal] = []
    for study in group_by(stacks, lambda stack: stack.headers[0].study_uid).values():
        if len({stack.headers[0].patient for stack in study}) > 1:
            conflict = LoadError("one study UID stands for several patients", code="UID_CONFLICT")
            refused += refuse_study(study, conflict)
            continue
        best, passed_over = choose_stacks(study, sequences, regions)
        refused += passed_over
        if best:
            chosen.append(best)
    return chosen, refused


def _refuse_missing_decoders(stacks: Iterable[Stack]) -> None:
    syntax_of = {
        header.path: header.transfer_syntax for stack in stacks for header in stack.headers
    }
    files = Counter(syntax_of.values())
    refuse_missing_decoders(sorted(files.items()))


def _notes(studies: Iterable[Sequence[Stack]]) -> list[Problem]:
    """Return what is to be known of series that are used all the same."""
    return [
        Problem(
            code=note.code,
            reason=note.reason,
            item=stack.headers[0].series_uid,
            fate="noted",
            files=_count_files(stack),
        )
        for study in studies
        for stack in study
        for note in NOTES
        if any(note.code in header.notes for header in stack.headers)
    ]


def _count_files(stack: Stack) -> int:
    return len({header.path for header in stack.headers})
