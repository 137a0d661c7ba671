"""Which bytes a cohort is made of, and whether they still are the same.

Uncompressed DICOM has no checksum: a changed bit is a changed pixel, or a changed slope, and parses
as well as before. Against a manifest it does not pass, neither when a folder is indexed nor when a
slice is read, however much later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import attrs

from cervispine.exceptions import LoadError
from cervispine.loading.kinds import Fault
from cervispine.loading.limits import DEFAULT_LIMITS, Limits
from cervispine.loading.parsing import parse, quiet_pydicom
from cervispine.records import Cohort, IntakeReport, Manifest, Problem, Series, Study
from cervispine.records.manifest import Fingerprint, SeriesManifest

__all__ = ["make_manifest", "read_whole", "refuse_changed", "seal", "verify"]

#: The loader of DICOM, as a series names it.
DICOM = "cervispine:dicom"

Progress = Callable[[int, int], None]


def make_manifest(
    cohort: Iterable[Study], *, limits: Limits = DEFAULT_LIMITS, progress: Progress | None = None
) -> Manifest:
    """Hash every file of a cohort.

    Parameters
    ----------
    cohort
        Studies as they were indexed.
    limits
        How large a file may be.
    progress
        Called with the number of series hashed and the number there are.

    Raises
    ------
    LoadError
        When a file cannot be read any more. The series is named by its UID.
    """
    return Manifest(
        SeriesManifest(
            study=study.uid,
            series=series.uid,
            sequence=series.sequence,
            slices=_fingerprints(series, limits),
        )
        for study, series in _series_of(cohort, progress)
    )


def verify(
    cohort: Cohort,
    manifest: Manifest,
    *,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Cohort:
    """Return the studies whose every byte is that of the manifest.

    Parameters
    ----------
    cohort
        As it was indexed.
    manifest
        Of the data that are meant.
    limits, progress
        As for :func:`make_manifest`.

    Returns
    -------
    Cohort
        The studies that match; their series carry the hashes
        (:attr:`Series.content_hashes <cervispine.Series>`), against which each later read of a
        slice is checked again. In its intake the others are rejected: ``HASH_MISMATCH`` (a file
        was altered), ``MANIFEST_ADDED`` (a series that the manifest does not know). Series of the
        manifest that are not in the cohort are listed there as ``MANIFEST_MISSING``, with no
        files, since none was found.
    """
    known = {each.key: each for each in manifest}
    faults: dict[str, list[Fault | None]] = {study.uid: [] for study in cohort}
    for study, series in _series_of(cohort, progress):
        expected = known.pop(_key(study, series), None)
        faults[study.uid].append(_compare(series, expected, limits))
    kept = [study for study in cohort if not any(faults[study.uid])]
    refused = [study for study in cohort if any(faults[study.uid])]
    problems = [p for study in refused for p in _refuse(study, faults[study.uid])]
    problems += [_missing(each) for each in known.values()]
    lost = {study.patient for study in refused} - {study.patient for study in kept}
    return seal(Cohort(kept, _account(cohort.intake, problems, lost)), manifest)


def seal(cohort: Cohort, manifest: Manifest) -> Cohort:
    """Return the cohort with the hashes of a manifest, without reading a file now.

    Each later read of a slice is checked against them.

    Raises
    ------
    KeyError
        When the manifest lacks a series of the cohort.
    """
    hashes = {each.key: tuple(one.sha256 for one in each.slices) for each in manifest}
    return Cohort((_with_hashes(study, hashes) for study in cohort), cohort.intake)


def refuse_changed(
    cohort: Iterable[Study],
    manifest: Manifest,
    *,
    whole: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> None:
    """Raise when any file of the studies is not that of the manifest.

    Parameters
    ----------
    cohort
        The studies.
    manifest
        Of the data that are meant.
    whole
        Whether the studies must be all of the manifest's.
    limits, progress
        As for :func:`make_manifest`.

    Raises
    ------
    LoadError
        ``HASH_MISMATCH``, ``MANIFEST_ADDED`` or ``MANIFEST_MISSING``, with how many series are
        concerned.
    """
    known = {each.key: each for each in manifest}
    found = [
        (series.uid, fault)
        for study, series in _series_of(cohort, progress)
        if (fault := _compare(series, known.pop(_key(study, series), None), limits)) is not None
    ]
    if whole:
        missing = map(_missing, known.values())
        found += [(each.item, Fault(each.code, each.reason)) for each in missing]
    if found:
        uid, fault = found[0]
        raise LoadError(
            f"{len(found)} series changed: {fault.reason}",
            where=f"series {uid}",
            advice="restore the data from where they came, or start anew with what is there",
            code=fault.code,
        )


def read_whole(path: Path, limits: Limits, *, sha256: str = "") -> bytes:
    """Return the content of a file, once it is that of the manifest where there is one.

    Parameters
    ----------
    path
        The file.
    limits
        How large it may be.
    sha256
        What it must hash to; empty without a manifest.

    Raises
    ------
    LoadError
        ``FILE_UNREADABLE``, ``DECODE_BUDGET`` or ``HASH_MISMATCH``.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(limits.file_bytes + 1)
    except OSError as error:
        raise LoadError(
            f"the file cannot be read: {type(error).__name__}", code="FILE_UNREADABLE"
        ) from None
    if len(content) > limits.file_bytes:
        raise LoadError(f"more than {limits.file_bytes} bytes", code="DECODE_BUDGET")
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise LoadError(
            "the file is not the one of the manifest",
            advice="restore it from where it came",
            code="HASH_MISMATCH",
        )
    return content


def _series_of(
    studies: Iterable[Study], progress: Progress | None
) -> Iterator[tuple[Study, Series]]:
    pairs = [(study, series) for study in studies for series in study.series]
    for number, pair in enumerate(pairs, start=1):
        yield pair
        if progress is not None:
            progress(number, len(pairs))


def _key(study: Study, series: Series) -> tuple[str, str, str]:
    return study.uid, series.uid, series.sequence


def _missing(expected: SeriesManifest) -> Problem:
    return Problem(
        code="MANIFEST_MISSING",
        reason=f"{len(expected.slices)} slices of the manifest are not there, or cannot be used",
        item=expected.series,
        files=0,
    )


def _fingerprints(series: Series, limits: Limits) -> tuple[Fingerprint, ...]:
    # A file may hold many slices.
    of_file: dict[Path, Fingerprint] = {}
    with quiet_pydicom():
        for path in series.files:
            if path not in of_file:
                try:
                    of_file[path] = _fingerprint(path, series.loader, limits)
                except LoadError as error:
                    raise LoadError(
                        error.what,
                        where=f"series {series.uid}",
                        advice=error.advice,
                        code=error.code,
                    ) from None
    return tuple(of_file[path] for path in series.files)


def _fingerprint(path: Path, loader: str, limits: Limits) -> Fingerprint:
    if loader != DICOM:
        # Where the pixels lie in it only its loader knows: the file stands for them.
        content = read_whole(path, limits)
        digest = hashlib.sha256(content).hexdigest()
        return Fingerprint(sha256=digest, pixels=digest, size=len(content))
    parsed = parse(path, frozenset(), limits, pixels=True, sha256="")
    return Fingerprint(
        sha256=parsed.sha256,
        pixels=hashlib.sha256(parsed.pixels.content if parsed.pixels else b"").hexdigest(),
        size=parsed.size,
    )


def _compare(series: Series, expected: SeriesManifest | None, limits: Limits) -> Fault | None:
    """Return why a series is not that of the manifest, None when it is."""
    if expected is None:
        return Fault("MANIFEST_ADDED", "the manifest has no such series")
    here, there = len(series.files), len(expected.slices)
    if here != there:
        reason = f"{here} slices here, {there} in the manifest"
        return Fault("HASH_MISMATCH", reason)
    try:
        found = _fingerprints(series, limits)
    except LoadError as error:
        return Fault(error.code, error.what)
    altered = [
        (mine, theirs)
        for mine, theirs in zip(found, expected.slices, strict=True)
        if mine.sha256 != theirs.sha256
    ]
    if not altered:
        return None
    images = sum(mine.pixels != theirs.pixels for mine, theirs in altered)
    reason = f"{len(altered)} of {here} slices are not those of the manifest"
    reason += f": {images} have other pixels, {len(altered) - images} only another header"
    return Fault("HASH_MISMATCH", reason)


def _refuse(study: Study, faults: Iterable[Fault | None]) -> list[Problem]:
    """Return a study as refused, each of its files counted once."""
    counted: set[Path] = set()
    problems = []
    for series, own in zip(study.series, faults, strict=True):
        fault = own or Fault("HASH_MISMATCH", "another series of its study does not match")
        files = set(series.files) - counted
        counted |= files
        problems.append(
            Problem(code=fault.code, reason=fault.reason, item=series.uid, files=len(files))
        )
    return problems


def _with_hashes(study: Study, hashes: Mapping[tuple[str, str, str], tuple[str, ...]]) -> Study:
    return attrs.evolve(
        study,
        series=tuple(
            attrs.evolve(series, content_hashes=hashes[_key(study, series)])
            for series in study.series
        ),
    )


def _account(
    intake: IntakeReport | None, problems: list[Problem], lost: set[str]
) -> IntakeReport | None:
    if intake is None:
        return None
    files = sum(problem.files for problem in problems)
    return attrs.evolve(
        intake,
        used=intake.used - files,
        problems=(*intake.problems, *problems),
        unused_patients=intake.unused_patients | lost,
    )
