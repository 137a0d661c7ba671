"""Series, Study and Volume: what is known of an examination, and its pixels."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.exceptions import AmbiguousSeriesError, PixelError
from cervispine.records.arrays import held_float32, read_only_float64
from cervispine.records.geometry import Geometry

__all__ = ["Series", "Study", "Volume"]


def _texts(paths: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    return tuple(os.fspath(path) for path in paths)


def _frozen_mapping(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


@attrs.frozen(kw_only=True, eq=False)
class _Mapped:
    """Pickling for values that hold a read-only mapping, which Python does not pickle."""

    def __getstate__(self) -> dict[str, Any]:
        return {
            field.name: dict(value) if isinstance(value, MappingProxyType) else value
            for field in attrs.fields(type(self))
            for value in [getattr(self, field.name)]
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(
                self, name, _frozen_mapping(value) if isinstance(value, dict) else value
            )


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Series(_Mapped):
    """One stack of parallel slices, known from its headers alone.

    Parameters
    ----------
    uid
        SeriesInstanceUID.
    plane
        "sagittal", "coronal", "axial" or "oblique".
    sequence
        The weighting: "T1", "T2", "PD", "STIR", "GRE" or "unknown".
    files
        One path a slice, in order along the normal of the slices; the same path several times
        where one file holds several slices.
    shape
        Slices, rows, columns.
    geometry
        Where the stack lies in the patient.
    transfer_syntaxes
        UIDs of how the files encode their pixels, each once, sorted; empty for NIfTI.
    frame_of_reference_uid
        FrameOfReferenceUID, empty when absent.
    pixel_hash
        SHA-256 of the stored values of the middle slice: equal for a copied image whatever its
        header says and however it is encoded.
    appearance
        What the middle slice looks like, in 512 bits: nearly equal for a copy that was rescaled,
        compressed or cropped a little.
    content_hashes
        SHA-256 of each slice's file, where a manifest is in force; a file that has another one is
        not read.
    protocol
        Header values that describe the acquisition (field strength, TR, TE, manufacturer ...).
    frames
        Which image of its file each slice is, counted from 0; empty where each file holds one
        image.
    loader
        Name of the installed loader that reads the files, with its distribution.
    positions
        Centre of the first voxel of each slice, LPS, mm, where the slices lie less evenly than
        the geometry says; empty where it says it.
    """

    uid: str
    plane: str
    sequence: str
    # A text takes a third of the memory of a Path, and a hundred thousand are found at once.
    _files: tuple[str, ...] = attrs.field(alias="files", converter=_texts, repr=False)
    shape: tuple[int, int, int]
    geometry: Geometry = attrs.field(repr=False)
    transfer_syntaxes: tuple[str, ...] = attrs.field(repr=False)
    frame_of_reference_uid: str = attrs.field(default="", repr=False)
    pixel_hash: str = attrs.field(default="", repr=False)
    appearance: str = attrs.field(default="", repr=False)
    content_hashes: tuple[str, ...] = attrs.field(default=(), repr=False)
    protocol: Mapping[str, Any] = attrs.field(
        factory=dict, converter=_frozen_mapping, repr=False, hash=False
    )
    frames: tuple[int, ...] = attrs.field(default=(), repr=False)
    loader: str = attrs.field(default="cervispine:dicom", repr=False)
    positions: tuple[tuple[float, ...], ...] = attrs.field(default=(), repr=False)

    def __attrs_post_init__(self) -> None:
        for name in ("frames", "positions"):
            if (count := len(getattr(self, name))) not in (0, len(self._files)):
                raise ValueError(f"{count} {name} for {len(self._files)} slices")

    @functools.cached_property
    def files(self) -> tuple[Path, ...]:
        """One path a slice, in order along the normal of the slices."""
        return tuple(map(Path, self._files))

    @property
    def synthetic(self) -> bool:
        """Whether its headers say that cervispine's phantom made it."""
        return bool(self.protocol.get("manufacturer") == "cervispine")


@attrs.frozen(kw_only=True, getstate_setstate=False)
class Study(_Mapped):
    """A patient's imaging study, as in DICOM.

    Parameters
    ----------
    patient
        The patient's identifier, as text. Never shown by ``repr`` nor in an error.
    uid
        StudyInstanceUID.
    series
        The series that were accepted, at most one for each sequence wanted.
    label
        1 for OPLL, 0 for degenerative stenosis, None while unknown.
    attributes
        The other columns of labels.csv: type, site, age, sex ...
    """

    patient: str = attrs.field(repr=False)
    uid: str
    series: tuple[Series, ...]
    label: int | None = None
    attributes: Mapping[str, Any] = attrs.field(
        factory=dict, converter=_frozen_mapping, repr=False, hash=False
    )

    @property
    def synthetic(self) -> bool:
        """Whether cervispine's phantom made any of its series."""
        return any(series.synthetic for series in self.series)

    def one_series(self, sequence: str) -> Series:
        """Return the series of one sequence.

        Raises
        ------
        AmbiguousSeriesError
            When the study holds none, or more than one.
        """
        fitting = [series for series in self.series if series.sequence == sequence]
        if len(fitting) == 1:
            return fitting[0]
        held = sorted({series.sequence for series in self.series})
        raise AmbiguousSeriesError(
            f"{len(fitting)} {sequence} series where exactly one is needed; the study holds {held}",
            where=f"study {self.uid}",
            advice="index with the sequences you mean to read: Loader(sequences=(...))",
            code="SERIES_MISSING" if not fitting else "SERIES_MIXED",
        )


@attrs.frozen(kw_only=True, eq=False)
class Volume:
    """The pixels of one series, with where they lie and what was done to them.

    Parameters
    ----------
    pixels
        float32 (slices, rows, columns), after the modality's rescale; read-only. What is given is
        copied, unless nobody can write to it.
    affine
        float64 (4, 4): index (slice, row, column) to patient LPS, mm, at pixel centres.
    sequence
        "T1", "T2", "PD", "STIR", "GRE" or "unknown".
    history
        What was done so far, one sentence a step, oldest first.

    Raises
    ------
    PixelError
        When the pixels are not three-dimensional or not finite.
    """

    pixels: NDArray[np.float32] = attrs.field(
        converter=held_float32, repr=lambda pixels: f"<float32 {pixels.shape}>"
    )
    affine: NDArray[np.float64] = attrs.field(converter=read_only_float64, repr=False)
    sequence: str = "unknown"
    history: tuple[str, ...] = attrs.field(default=(), repr=False)

    def __attrs_post_init__(self) -> None:
        if self.pixels.ndim != 3 or 0 in self.pixels.shape:
            raise PixelError(
                f"a volume has slices, rows and columns; these pixels have {self.pixels.shape}"
            )
        # Slice by slice, since what is compared then stays in the cache of the processor.
        if not all(np.isfinite(each).all() for each in self.pixels):
            raise PixelError("the pixels hold values that are not finite", code="IMAGE_DEGENERATE")

    def __reduce__(self) -> tuple[Any, ...]:
        # NumPy's pickling forgets that an array is read-only; making the volume anew does not.
        return functools.partial(type(self), **attrs.asdict(self, recurse=False)), ()

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Distance between slices, rows and columns, mm."""
        slices, rows, columns = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(slices), float(rows), float(columns)

    def with_step(
        self, step: str, *, pixels: NDArray[Any], affine: NDArray[Any] | None = None
    ) -> Volume:
        """Return the volume after one more step of its history."""
        return attrs.evolve(
            self,
            pixels=pixels,
            affine=self.affine if affine is None else affine,
            history=(*self.history, step),
        )
