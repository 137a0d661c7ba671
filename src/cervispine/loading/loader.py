"""Loader: a folder of DICOM to a Cohort, a Study to a Volume."""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import attrs
import numpy as np
from pydicom.uid import UID
from sklearn.base import BaseEstimator

from cervispine.exceptions import LoadError, NoDicomError, UsageError
from cervispine.loading.assembly import assemble
from cervispine.loading.geometry import ROUNDING, USUAL_TOLERANCE, distances, evenness
from cervispine.loading.hashing import verify
from cervispine.loading.headers import Header, read_headers
from cervispine.loading.intake import NIFTI, Found, FoundFile, raise_first
from cervispine.loading.limits import DEFAULT_LIMITS, Limits
from cervispine.loading.parsing import quiet_pydicom
from cervispine.loading.pixels import Slice, read_slices
from cervispine.loading.privacy import identity_notes
from cervispine.loading.regions import REGIONS
from cervispine.loading.saved import NoIndex, Outcome, open_index
from cervispine.loading.selection import (
    affine_of,
    blank_ends,
    check_wanted,
    check_words,
    even_slices,
    refusal_of,
    series_of,
)
from cervispine.loading.sharing import shared_frames, shared_identifiers
from cervispine.loading.sources import Source, find
from cervispine.records import Cohort, IntakeReport, Manifest, Problem, Series, Study, Volume
from cervispine.records.arrays import read_only

__all__ = ["Loader"]


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Loader(BaseEstimator):  # type: ignore[misc]
    """Read DICOM as hospitals export it, refusing what is doubtful and accounting for every file.

    Parameters
    ----------
    plane
        The plane wanted: "sagittal", "coronal" or "axial".
    sequences
        The sequences wanted, of "T1", "T2", "PD", "STIR", "GRE" and "unknown". Each study of
        the cohort has exactly one series of each.
    regions
        The parts of the spine wanted, by what a header names: "cervical", "other" or "unknown"
        where it names none. Of several series of a study one of the region named first is taken.
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
    regions: Sequence[str] = ("cervical", "unknown")
    on_problem: Literal["quarantine", "raise"] = "quarantine"
    spacing_tolerance: float = USUAL_TOLERANCE
    limits: Limits = DEFAULT_LIMITS

    def index(
        self,
        source: Source,
        *,
        manifest: Manifest | str | os.PathLike[str] | None = None,
        saved: str | os.PathLike[str] | None = None,
        unpack_into: str | os.PathLike[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Cohort:
        """Find the studies of a source, from headers alone.

        Neither the names nor the order of files decide anything. Files that are not meant
        (no DICOM, localizers, mosaics, derived images, other planes, other sequences, a second
        series of the same sequence) are ignored with a reason; what is meant but broken is
        rejected with a reason. Items are named by series UID, or as ``file N``: the N-th in the
        order of their names, since names of files may name patients.

        Parameters
        ----------
        source
            A folder, in which files may lie at any depth; a zip; a DICOMDIR; a DICOM file; or
            any number of these.
        manifest
            Of the data that are meant, or the path of its file. Every file used is hashed, and
            what was altered or added is rejected; see :func:`~cervispine.loading.verify`.
        saved
            A file that keeps what was read, outside the source. A later index reads only what
            has changed since, and one that was interrupted goes on where it was. It holds
            identifiers of patients.
        unpack_into
            An empty folder to unpack a zip into; without it a private temporary one, which ends
            with the process. Names of the unpacked files are numbers.
        progress
            Called with the number of files read and the number found; before, with the number
            of files unpacked.

        Returns
        -------
        Cohort
            With ``cohort.intake``, the account of all files.

        Raises
        ------
        UsageError
            When a parameter of the loader cannot be meant, the folder to unpack into holds
            something (``OUTPUT_TAKEN``), the saved index would lie among the files, or another
            process uses it (``RUN_LOCKED``).
        LoadError
            ``PATH_NOT_FOUND``, ``NOT_A_FOLDER``, ``ARCHIVE_UNSAFE``, ``ARCHIVE_DAMAGED``,
            ``DICOMDIR_UNSAFE``, ``SAVED_INDEX_INVALID``; with ``on_problem="raise"`` any refusal.
        NoDicomError
            When no study is usable.
        DecoderMissingError
            When series of the cohort cannot be decoded here, with what to install.
        """
        self._check_parameters()
        if isinstance(manifest, (str, os.PathLike)):
            manifest = Manifest.load(manifest)
        found = find(source, self.limits, unpack_into=unpack_into, progress=progress)
        with open_index(saved, source, found, self.limits) as index, quiet_pydicom():
            outcome = index.outcome(
                self._description(), lambda: self._take_in(found, index, progress)
            )
        cohort, intake = Cohort(outcome.studies, outcome.intake), outcome.intake
        if manifest is not None:
            cohort = verify(cohort, manifest, limits=self.limits, progress=progress)
            intake = cohort.intake or intake
        if self.on_problem == "raise":
            raise_first(intake.problems)
        if not len(cohort):
            raise NoDicomError(
                f"no study of {found.count} files can be used:\n{intake.summary()}",
                where=f"what was given, with {len(found.files)} files",
                advice=f"it must hold {self.plane} MR series of {' and '.join(self.sequences)}"
                + _about_nifti(found.files),
                intake=intake,
            )
        return cohort

    def read(
        self,
        study: Study | Series,
        sequence: str | None = None,
        *,
        slices: Sequence[int] | None = None,
    ) -> Volume:
        """Read the pixels of one series.

        Parameters
        ----------
        study
            A study, or the series itself.
        sequence
            Which series of the study; T2 when None. A series is of its own sequence, and not
            read under another name.
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
            When the study has not exactly one series of the sequence, or the series is of another
            one.
        UsageError
            When the slices are not such indices.
        PixelError, DecoderMissingError, LoadError
            When a file is truncated, damaged or degenerate (slices of one value may only end a
            stack), cannot be decoded, or has changed
            since it was indexed (``CHANGED_SINCE_INDEX``; with a manifest in force already when one
            bit has, ``HASH_MISMATCH``). The series is named by its UID.
        """
        series = series_of(study, sequence)
        wanted = even_slices(slices, series.shape[0])
        decoders: set[str] = set()
        constant: list[int] = []
        pixels = np.empty((len(wanted), *series.shape[1:]), dtype=np.float32)
        with quiet_pydicom():
            for indices in _by_file(series, wanted):
                for index, one in zip(indices, self._read_file(series, indices), strict=True):
                    one.write(pixels[wanted.index(index)])
                    decoders.add(one.decoder)
                    constant += [index] if one.constant else []
        blank = blank_ends(series, wanted, constant)
        return Volume(
            pixels=read_only(pixels),
            affine=affine_of(series.geometry, wanted),
            sequence=series.sequence,
            history=(_history(series, wanted, decoders) + blank,),
        )

    def _read_file(self, series: Series, indices: Sequence[int]) -> list[Slice]:
        """Read the slices of a series that lie in one file."""
        frames = [series.frames[index] if series.frames else None for index in indices]
        try:
            first = indices[0]
            sha256 = series.content_hashes[first] if series.content_hashes else None
            slices = read_slices(series.files[first], frames, self.limits, sha256=sha256)
            for index, one in zip(indices, slices, strict=True):
                _check_unchanged(series, index, one.header)
        except LoadError as error:
            numbers = f"{indices[0]}" if len(indices) == 1 else f"{indices[0]} to {indices[-1]}"
            where = f"slice {numbers} of series {series.uid}"
            raise refusal_of(error, where) from None
        return slices

    def _check_parameters(self) -> None:
        check_wanted(self.plane, self.sequences, self.on_problem)
        check_words("regions", self.regions, REGIONS)
        if not 0 <= self.spacing_tolerance < 0.5:
            raise UsageError(
                f"spacing_tolerance is at least 0 and under 0.5, not {self.spacing_tolerance!r}"
            )

    def _description(self) -> str:
        """Return the parameters that decide what the same files come to."""
        return repr(
            (self.plane, tuple(self.sequences), tuple(self.regions), self.spacing_tolerance)
        )

    def _take_in(
        self, found: Found, index: NoIndex, progress: Callable[[int, int], None] | None
    ) -> Outcome:
        headers: list[Header] = []
        problems = list(found.problems)
        for number, file in enumerate(found.files, start=1):
            read = functools.partial(read_headers, file.path, self.limits)
            result = index.reading(number, read)
            if isinstance(result, Problem):
                problems.append(attrs.evolve(result, item=f"file {number}"))
            else:
                headers += result
            if progress is not None:
                progress(number, len(found.files))
        studies, more, used = assemble(
            headers,
            plane=self.plane,
            sequences=self.sequences,
            regions=self.regions,
            tolerance=self.spacing_tolerance,
            limits=self.limits,
            index=index,
        )
        problems += more
        unused = {header.patient for header in headers} - {study.patient for study in studies}
        intake = IntakeReport(
            found=found.count,
            used=used,
            problems=tuple(problems),
            identity=(
                *identity_notes({each.path: each.identity for each in headers}.values()),
                *shared_identifiers(headers),
                *shared_frames(studies),
            ),
            unused_patients=frozenset(unused),
        )
        return Outcome(tuple(studies), intake)


def _about_nifti(files: Iterable[FoundFile]) -> str:
    """Say which loader reads the NIfTI that lies where DICOM was looked for."""
    images = sum(file.name.lower().endswith(NIFTI) for file in files)
    return f"; {images} of the files are NIfTI: --loader nifti, or NiftiLoader()" if images else ""


def _check_unchanged(series: Series, index: int, header: Header) -> None:
    """Refuse a file that is no longer the slice that was indexed, by what the series says of it.

    The loader that reads need not have the parameters of the one that indexed.
    """
    geometry = series.geometry
    if series.positions:
        aside, allowed = math.dist(header.position, series.positions[index]), 2 * ROUNDING
    else:
        (aside,) = distances(geometry, [header.position], first=index)
        allowed = evenness(geometry, series.shape[0])
    cosines = (*geometry.row_cosine, *geometry.column_cosine)
    same = (
        header.series_uid == series.uid
        and header.transfer_syntax in series.transfer_syntaxes
        and (header.rows, header.columns) == series.shape[1:]
        and all(map(_nearly, header.pixel_spacing, geometry.pixel_spacing))
        and max(abs(a - b) for a, b in zip(header.orientation, cosines, strict=True)) <= 2e-3
        and aside <= allowed
    )
    if not same:
        raise LoadError(
            "the file is not the slice that was indexed",
            advice="index the folder again",
            code="CHANGED_SINCE_INDEX",
        )


def _nearly(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=2e-3)


def _by_file(series: Series, wanted: Iterable[int]) -> list[list[int]]:
    """Return the slices wanted, those of one file together, so that it is read once."""
    groups: dict[Path, list[int]] = {}
    for index in wanted:
        groups.setdefault(series.files[index], []).append(index)
    return list(groups.values())


def _history(series: Series, wanted: range, decoders: Iterable[str]) -> str:
    syntaxes = " and ".join(UID(syntax).name for syntax in series.transfer_syntaxes)
    return (
        f"read {len(wanted)} of {series.shape[0]} slices of series {series.uid}, "
        f"{syntaxes}, decoded by {' and '.join(sorted(decoders))}, "
        "rescaled by each slice's own slope and intercept"
    )
