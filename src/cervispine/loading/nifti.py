"""NiftiLoader: a folder of NIfTI to a Cohort, a Study to a Volume."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import attrs
import nibabel
import numpy as np
from sklearn.base import BaseEstimator

from cervispine.exceptions import LoadError, NoImagesError, UsageError
from cervispine.loading.bids import read_sidecar, sequence_of
from cervispine.loading.hashing import read_whole, verify
from cervispine.loading.intake import raise_first
from cervispine.loading.limits import DEFAULT_LIMITS, Limits
from cervispine.loading.nifti_file import (
    Layout,
    layout_of,
    read_content,
    read_nifti_header,
    read_pixels,
)
from cervispine.loading.nifti_studies import (
    Image,
    judge_images,
    problems_of_images,
    refuse_namesakes,
    sort_files,
)
from cervispine.loading.selection import (
    affine_of,
    check_wanted,
    even_slices,
    refusal_of,
    series_of,
)
from cervispine.loading.sources import find
from cervispine.records import Cohort, IntakeReport, Manifest, Series, Study, Volume
from cervispine.records.arrays import read_only

__all__ = ["NiftiLoader"]

#: Faults of files that were never meant.
NEVER_MEANT = ("COLOUR",)


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class NiftiLoader(BaseEstimator):  # type: ignore[misc]
    """Read a folder of NIfTI, refusing what is doubtful and accounting for every file.

    Patients come from the names of BIDS, else from the stem of a file or the folder that holds
    it (:func:`~cervispine.loading.bids.names_of`); the sequence from the numbers of a BIDS
    sidecar, else from the suffix, else from the name. Masks and derivatives are ignored. Axes
    are put in the order that DICOM of the plane has.

    Parameters
    ----------
    plane
        The plane wanted: "sagittal", "coronal" or "axial"; a volume fine enough to be cut in it
        will do.
    sequences
        The sequences wanted; see :class:`Loader`.
    on_problem
        "quarantine" leaves out what is refused and lists it in ``cohort.intake``; "raise" stops
        at the first refusal.
    limits
        Budgets checked before anything is decoded.

    Examples
    --------
    >>> cohort = NiftiLoader().index("bids")  # doctest: +SKIP
    >>> volume = NiftiLoader().read(cohort[0])  # doctest: +SKIP
    """

    names_decide: ClassVar[bool] = True

    plane: str = "sagittal"
    sequences: Sequence[str] = ("T2",)
    on_problem: Literal["quarantine", "raise"] = "quarantine"
    limits: Limits = DEFAULT_LIMITS

    def index(
        self,
        source: str | os.PathLike[str],
        *,
        manifest: Manifest | str | os.PathLike[str] | None = None,
        unpack_into: str | os.PathLike[str] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Cohort:
        """Find the studies of a source.

        Each file that is wanted is read once, so that a damaged one is refused here.

        Parameters
        ----------
        source
            A folder, in which files may lie at any depth, a zip of one, or a NIfTI file. No
            list of these: names inside one source say who is who.
        manifest
            Of the data that are meant, or the path of its file; see :meth:`Loader.index`.
        unpack_into
            An empty folder to unpack a zip into; without it a private temporary one, which ends
            with the process.
        progress
            Called with the number of images looked at and the number found; before, with the
            number of files unpacked.

        Returns
        -------
        Cohort
            With ``cohort.intake``, the account of all files. A sidecar shares the fate of its
            image.

        Raises
        ------
        UsageError
            When a parameter of the loader cannot be meant.
        LoadError
            ``PATH_NOT_FOUND``, ``NOT_A_FOLDER``, ``ARCHIVE_UNSAFE``, ``ARCHIVE_DAMAGED``; with
            ``on_problem="raise"`` any refusal.
        NoImagesError
            When no study is usable.
        """
        check_wanted(self.plane, self.sequences, self.on_problem)
        if not isinstance(source, (str, os.PathLike)):
            raise UsageError("NIfTI is indexed one folder or zip at a time, not as a list")
        if isinstance(manifest, (str, os.PathLike)):
            manifest = Manifest.load(manifest)
        found = find(source, self.limits, unpack_into=unpack_into, progress=progress)
        images, others = sort_files(found.files)
        examined = []
        for number, image in enumerate(refuse_namesakes(images), start=1):
            examined.append(self._examine(image))
            if progress is not None:
                progress(number, len(images))
        studies, judged = judge_images(examined, self.sequences)
        problems = [*found.problems, *others, *problems_of_images(judged)]
        used = sum(image.files for image in judged if image.fault is None)
        unused = {image.names.patient for image in judged} - {study.patient for study in studies}
        intake = IntakeReport(
            found=found.count,
            used=used,
            problems=tuple(problems),
            unused_patients=frozenset(unused),
        )
        cohort = Cohort(studies, intake)
        if manifest is not None:
            cohort = verify(cohort, manifest, limits=self.limits, progress=progress)
            intake = cohort.intake or intake
        if self.on_problem == "raise":
            raise_first(intake.problems)
        if not len(cohort):
            raise NoImagesError(
                f"no study of {found.count} files can be used:\n{intake.summary()}",
                where=f"what was given, with {len(found.files)} files",
                advice=f"it must hold {self.plane} NIfTI of {' and '.join(self.sequences)}, "
                "named as BIDS or with a sidecar; for DICOM: --loader dicom, or Loader()",
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
            are kept, and the affine is theirs.

        Returns
        -------
        Volume
            Slices in order along row cosine x column cosine; of a sagittal image, slices to the
            right, rows to inferior, columns to posterior.

        Raises
        ------
        AmbiguousSeriesError
            When the study has not exactly one series of the sequence, or the series is of another
            one.
        UsageError
            When the slices are not such indices.
        PixelError, LoadError
            When the file is damaged, or has changed since it was indexed
            (``CHANGED_SINCE_INDEX``). The series is named by its UID.
        """
        series = series_of(study, sequence)
        wanted = even_slices(slices, series.shape[0])
        file: Path | bytes = series.files[0]
        try:
            if series.content_hashes:
                sha256 = series.content_hashes[0]
                file = read_whole(series.files[0], self.limits, sha256=sha256)
            header = read_nifti_header(file, self.limits)
            layout = layout_of(header, series.plane, self.limits)
            if layout.shape != series.shape or not np.allclose(
                layout.geometry.affine, series.geometry.affine, rtol=0, atol=1e-4
            ):
                raise LoadError(
                    "the file is not the image that was indexed",
                    advice="index the folder again",
                    code="CHANGED_SINCE_INDEX",
                )
            pixels = read_pixels(file, header, layout, wanted)
        except LoadError as error:
            raise refusal_of(error, f"series {series.uid}") from None
        return Volume(
            pixels=read_only(pixels),
            affine=affine_of(series.geometry, wanted),
            sequence=series.sequence,
            history=(_history(series, wanted, layout),),
        )

    def _examine(self, image: Image) -> Image:
        """Find out all that can be known of an image, stopping at the first fault."""
        if image.fault is not None:
            return image
        try:
            header = read_nifti_header(image.path, self.limits)
            protocol = {} if image.sidecar is None else read_sidecar(image.sidecar)
            layout = layout_of(header, self.plane, self.limits)
            weighting = sequence_of(protocol, image.stem)
            sequence, reason = weighting.sequence, weighting.reason
            if layout.plane != self.plane:
                return image.ignored("PLANE_OTHER", f"{layout.plane}, not {self.plane}")
            if sequence not in self.sequences:
                names = " or ".join(self.sequences)
                reason = f"{sequence}, not {names} ({reason})"
                return image.ignored("SEQUENCE_OTHER", reason)
            if layout.shape[0] < 2:
                return image.ignored("SLICES_TOO_FEW", "a single slice is no stack")
            content = read_content(image.path, header, layout)
        except LoadError as error:
            if error.code in NEVER_MEANT:
                return image.ignored(error.code, error.what)
            return image.refused(error.code, error.what)
        return attrs.evolve(
            image,
            layout=layout,
            sequence=sequence,
            sequence_from=reason,
            protocol=protocol,
            content=content,
        )


def _history(series: Series, wanted: range, layout: Layout) -> str:
    unit = ", lengths taken for mm as no unit is named" if layout.units_assumed else ""
    return (
        f"read {len(wanted)} of {series.shape[0]} slices of series {series.uid}, NIfTI, by "
        f"nibabel {nibabel.__version__}, put in the order of {series.plane} DICOM, rescaled by "
        f"slope and intercept{unit}"
    )
