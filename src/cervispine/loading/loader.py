"""Loader: a folder of DICOM to a Cohort, a Study to a Volume."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import attrs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import UID
from sklearn.base import BaseEstimator

from cervispine.exceptions import (
    AmbiguousSeriesError,
    GeometryError,
    LoadError,
    NoDicomError,
    PixelError,
    UsageError,
)
from cervispine.loading.decoders import refuse_missing_decoders
from cervispine.loading.geometry import PLANES
from cervispine.loading.headers import Header, read_headers
from cervispine.loading.intake import find_files
from cervispine.loading.kinds import NOTES
from cervispine.loading.limits import DEFAULT_LIMITS, Limits
from cervispine.loading.parsing import quiet_pydicom
from cervispine.loading.pixels import Slice, read_slices
from cervispine.loading.stacks import Refusal, Stack, sort_series
from cervispine.loading.studies import (
    choose_stacks,
    drop_copies,
    group_by,
    problems_of,
    refuse_study,
    study_of,
)
from cervispine.loading.weighting import SEQUENCES
from cervispine.records import Cohort, IntakeReport, Problem, Series, Study, Volume

__all__ = ["Loader"]

_ERRORS: dict[str, type[LoadError]] = {
    "GEOMETRY_MISSING": GeometryError,
    "GEOMETRY_INVALID": GeometryError,
    "SLICE_DUPLICATE": GeometryError,
    "SPACING_IRREGULAR": GeometryError,
    "SERIES_MIXED": AmbiguousSeriesError,
    "UID_CONFLICT": AmbiguousSeriesError,
    "DICOM_TRUNCATED": PixelError,
}


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Loader(BaseEstimator):  # type: ignore[misc]
    """Read a folder of DICOM, refusing what is doubtful and accounting for every file.

    Parameters
    ----------
    plane
        The plane wanted: "sagittal", "coronal" or "axial".
    sequences
        The sequences wanted, of "T1", "T2", "PD", "STIR", "GRE" and "unknown". Each study of
        the cohort has exactly one series of each.
    on_problem
        "quarantine" leaves out what is refused and lists it in ``cohort.intake``; "raise" stops
        at the first refusal.
    spacing_tolerance
        How far gaps between slices may differ, as a fraction of the usual gap.
    limits
        Budgets checked before anything is decoded.

    Examples
    --------
    >>> cohort = Loader().index("archive")  # doctest: +SKIP
    >>> volume = Loader().read(cohort[0])  # doctest: +SKIP
    """

    plane: str = "sagittal"
    sequences: Sequence[str] = ("T2",)
    on_problem: Literal["quarantine", "raise"] = "quarantine"
    spacing_tolerance: float = 0.01
    limits: Limits = DEFAULT_LIMITS

    def index(
        self, path: str | Path, *, progress: Callable[[int, int], None] | None = None
    ) -> Cohort:
        """Find the studies under a folder, from headers alone.

        Neither the names nor the order of files decide anything. Files that are not meant
        (no DICOM, localizers, mosaics, derived images, other planes, other sequences, a second
        series of the same sequence) are ignored with a reason; what is meant but broken is
        rejected with a reason. Items are named by series UID, or as ``file N``: the N-th of
        :func:`~cervispine.loading.intake.find_files`, since names of files may name patients.

        Parameters
        ----------
        path
            The folder; files may lie at any depth.
        progress
            Called with the number of files read and the number found.

        Returns
        -------
        Cohort
            With ``cohort.intake``, the account of all files.

        Raises
        ------
        UsageError
            When a parameter of the loader cannot be meant.
        LoadError
            ``PATH_NOT_FOUND``, ``NOT_A_FOLDER``; with ``on_problem="raise"`` any refusal.
        NoDicomError
            When no study is usable.
        DecoderMissingError
            When series of the cohort cannot be decoded here, with what to install.
        """
        self._check_parameters()
        files, problems = find_files(path)
        found = len(files) + sum(problem.files for problem in problems)
        headers: list[Header] = []
        with quiet_pydicom():
            for number, file in enumerate(files, start=1):
                result = read_headers(file, self.limits)
                if isinstance(result, Problem):
                    problems.append(attrs.evolve(result, item=f"file {number}"))
                else:
                    headers += result
                if progress is not None:
                    progress(number, len(files))
            studies, more = self._studies(headers)
        problems += more
        used = len({file for study in studies for each in study.series for file in each.files})
        unused = {header.patient for header in headers} - {study.patient for study in studies}
        intake = IntakeReport(
            found=found, used=used, problems=tuple(problems), unused_patients=frozenset(unused)
        )
        if self.on_problem == "raise":
            _raise_first(problems)
        if not studies:
            raise NoDicomError(
                f"no study of {found} files can be used:\n{intake.summary()}",
                where=f"the folder given, with {len(files)} files",
                advice=f"it must hold {self.plane} MR series of {' and '.join(self.sequences)}",
            )
        return Cohort(studies, intake)

    def read(
        self,
        study: Study | Series,
        sequence: str = "T2",
        *,
        slices: Sequence[int] | None = None,
    ) -> Volume:
        """Read the pixels of one series.

        Parameters
        ----------
        study
            A study, or the series itself.
        sequence
            Which series of the study.
        slices
            Indices of the slices wanted, evenly spaced and ascending; all when None. Only these
            are decoded, and the affine is theirs.

        Returns
        -------
        Volume
            Slices in order along row cosine x column cosine.

        Raises
        ------
        AmbiguousSeriesError
            When the study has not exactly one series of the sequence.
        UsageError
            When the slices are not such indices.
        PixelError, DecoderMissingError, LoadError
            When a file is truncated, damaged or degenerate, cannot be decoded, or has changed
            since it was indexed (``CHANGED_SINCE_INDEX``). The series is named by its UID.
        """
        series = study if isinstance(study, Series) else study.one_series(sequence)
        wanted = range(series.shape[0]) if slices is None else _even(slices, series.shape[0])
        read: list[Slice] = []
        pixels = np.empty((len(wanted), *series.shape[1:]), dtype=np.float32)
        with quiet_pydicom():
            for indices in _by_file(series, wanted):
                for index, one in zip(indices, self._read_file(series, indices), strict=True):
                    number = wanted.index(index)
                    pixels[number] = one.pixels
                    read.append(attrs.evolve(one, pixels=pixels[number]))
        return Volume(
            pixels=pixels,
            affine=_affine_of(series, wanted),
            sequence=series.sequence,
            history=(_history(series, wanted, read),),
        )

    def _read_file(self, series: Series, indices: Sequence[int]) -> list[Slice]:
        """Read the slices of a series that lie in one file."""
        frames = [series.frames[index] if series.frames else None for index in indices]
        try:
            slices = read_slices(series.files[indices[0]], frames, self.limits)
            for index, one in zip(indices, slices, strict=True):
                self._check_unchanged(series, index, one.header)
        except LoadError as error:
            numbers = f"{indices[0]}" if len(indices) == 1 else f"{indices[0]} to {indices[-1]}"
            where = f"slice {numbers} of series {series.uid}"
            raise type(error)(
                error.what, where=where, advice=error.advice, code=error.code
            ) from None
        return slices

    def _check_parameters(self) -> None:
        if self.plane not in PLANES:
            raise UsageError(f"plane is one of {', '.join(PLANES)}, not {self.plane!r}")
        strangers = set(self.sequences) - set(SEQUENCES)
        if isinstance(self.sequences, str) or strangers or not self.sequences:
            raise UsageError(
                f"sequences is a tuple of {', '.join(SEQUENCES)}, not {self.sequences!r}"
            )
        if len(set(self.sequences)) < len(self.sequences):
            raise UsageError("sequences names one sequence twice")
        if self.on_problem not in ("quarantine", "raise"):
            raise UsageError(f"on_problem is 'quarantine' or 'raise', not {self.on_problem!r}")
        if not 0 <= self.spacing_tolerance < 0.5:
            raise UsageError(
                f"spacing_tolerance is at least 0 and under 0.5, not {self.spacing_tolerance!r}"
            )

    def _studies(self, headers: Sequence[Header]) -> tuple[list[Study], list[Problem]]:
        kept, refused = drop_copies(headers)
        stacks: list[Stack] = []
        for series in group_by(kept, lambda header: header.series_uid).values():
            for part in sort_series(
                series,
                plane=self.plane,
                sequences=self.sequences,
                tolerance=self.spacing_tolerance,
                limits=self.limits,
            ):
                if isinstance(part, Stack):
                    stacks.append(part)
                else:
                    refused.append(part)
        chosen, passed_over = self._choose(stacks)
        refused += passed_over
        self._refuse_missing_decoders(stack for study in chosen for stack in study)
        studies = []
        for study in chosen:
            try:
                studies.append(study_of(study, self.limits))
            except LoadError as error:
                refused += refuse_study(study, error)
        used = {file for study in studies for each in study.series for file in each.files}
        return studies, [*problems_of(refused, used), *_notes(chosen)]

    def _choose(self, stacks: Sequence[Stack]) -> tuple[list[list[Stack]], list[Refusal]]:
        chosen: list[list[Stack]] = []
        refused: list[Refusal] = []
        for study in group_by(stacks, lambda stack: stack.headers[0].study_uid).values():
            if len({stack.headers[0].patient for stack in study}) > 1:
                conflict = LoadError("one study UID stands for several patients")
                conflict.code = "UID_CONFLICT"
                refused += refuse_study(study, conflict)
                continue
            best, passed_over = choose_stacks(study, self.sequences)
            refused += passed_over
            if best:
                chosen.append(best)
        return chosen, refused

    def _refuse_missing_decoders(self, stacks: Iterable[Stack]) -> None:
        files = Counter[str]()
        for stack in stacks:
            files[stack.headers[0].transfer_syntax] += _count_files(stack)
        refuse_missing_decoders(sorted(files.items()))

    def _check_unchanged(self, series: Series, index: int, header: Header) -> None:
        """Refuse a file that is no longer the slice that was indexed."""
        geometry = series.geometry
        position = np.add(geometry.origin, np.multiply(index, geometry.slice_step))
        allowed = (
            max(self.spacing_tolerance, 0.01) * geometry.slice_spacing * series.shape[0] + 0.02
        )
        same = (
            header.series_uid == series.uid
            and header.transfer_syntax == series.transfer_syntax
            and (header.rows, header.columns) == series.shape[1:]
            and np.allclose(header.pixel_spacing, geometry.pixel_spacing, rtol=2e-3, atol=0)
            and np.allclose(
                header.orientation, (*geometry.row_cosine, *geometry.column_cosine), atol=2e-3
            )
            and np.linalg.norm(np.subtract(header.position, position)) <= allowed
        )
        if not same:
            raise LoadError(
                "the file is not the slice that was indexed",
                advice="index the folder again",
                code="CHANGED_SINCE_INDEX",
            )


def _raise_first(problems: Sequence[Problem]) -> None:
    for problem in problems:
        if problem.fate == "rejected":
            raise _ERRORS.get(problem.code, LoadError)(
                problem.reason,
                where=problem.item,
                advice="mend or remove it, or index with on_problem='quarantine'",
                code=problem.code,
            )


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


def _by_file(series: Series, wanted: Iterable[int]) -> list[list[int]]:
    """Return the slices wanted, those of one file together, so that it is read once."""
    groups: dict[Path, list[int]] = {}
    for index in wanted:
        groups.setdefault(series.files[index], []).append(index)
    return list(groups.values())


def _even(slices: Sequence[int], count: int) -> range:
    """Return the indices as a range, which has an affine; others have none."""
    indices = [int(index) for index in slices]
    step = indices[1] - indices[0] if len(indices) > 1 else 1
    if indices and step > 0:
        even = range(indices[0], indices[-1] + 1, step)
        if list(even) == indices and indices[0] >= 0 and indices[-1] < count:
            return even
    raise UsageError(
        f"slices are ascending, evenly spaced indices under {count}, not {list(slices)}"
    )


def _affine_of(series: Series, wanted: range) -> NDArray[np.float64]:
    affine = series.geometry.affine
    affine[:3, 3] += wanted[0] * affine[:3, 0]
    affine[:3, 0] *= wanted.step
    return affine


def _history(series: Series, wanted: range, read: Sequence[Slice]) -> str:
    decoders = sorted({one.decoder for one in read})
    return (
        f"read {len(wanted)} of {series.shape[0]} slices of series {series.uid}, "
        f"{UID(series.transfer_syntax).name}, decoded by {' and '.join(decoders)}, "
        "rescaled by each slice's own slope and intercept"
    )
