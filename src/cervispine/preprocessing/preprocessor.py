"""Preprocessor: studies or volumes to the tensor that a network is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from cervispine.exceptions import LoadError, UsageError
from cervispine.loading import ImageLoader
from cervispine.loading.registry import identity_of, made_once
from cervispine.preprocessing.cache import Cache, StoredPixels
from cervispine.preprocessing.loaders import identity_or_class, name_in
from cervispine.preprocessing.normalisation import NORMALISATIONS, normalise
from cervispine.preprocessing.orientation import orient
from cervispine.preprocessing.window import LEAVE_OUT, Window, cut, find_window
from cervispine.records import Study, Volume
from cervispine.records.tables import listing

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from cervispine.preprocessing.augmentation import Augmentation

__all__ = ["Preprocessor"]


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Preprocessor(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Turn sagittal stacks into tensors of one size, spacing, orientation and scale.

    Axes are put in one order by the affine; the mid-sagittal slice and the spinal canal are found
    in the images; the neighbouring slices are cut about the canal, resampled in-plane and
    normalised. Nothing is learned from a cohort, so nothing can leak from one.

    Parameters
    ----------
    size
        Rows and columns of the images.
    spacing
        Of their pixels, mm.
    slices
        How many neighbouring slices about the mid-sagittal one; odd.
    sequences
        Which sequences a study is read in. Where is decided on T2 when it is among them, else on
        the first, and the same place is cut from the others.
    normalise
        "percentile" (0 to 1) or "zscore".
    loader
        Reads the studies: a loader, or the name of an installed one. None for the loader that
        each series names, which is the one that indexed it.
    cache
        Folder in which prepared pixels are kept for the next time; None for no cache. They are
        kept by the loader that read them, its version and, of an object, its parameters.
    """

    size: tuple[int, int] = (224, 224)
    spacing: float = 0.7
    slices: int = 3
    sequences: Sequence[str] = ("T2",)
    normalise: str = "percentile"
    loader: str | ImageLoader | None = None
    cache: str | Path | None = None

    def fit(self, X: Any = None, y: Any = None) -> Preprocessor:  # noqa: ARG002 - scikit-learn's
        """Check the parameters and return the preprocessor; there is nothing to learn."""
        self._check_parameters()
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def transform(self, X: Iterable[Study] | Iterable[Volume]) -> Tensor:
        """Return the tensor of studies, or of volumes of one sequence.

        Parameters
        ----------
        X
            A cohort, or any sequence of Study or of Volume.

        Returns
        -------
        Tensor
            float32 (n, channels, size[0], size[1]); the channels are the sequences, each with its
            slices from right to left.

        Raises
        ------
        UsageError
            When a parameter or an item cannot be meant.
            ``LOADER_UNNAMED``: with a cache, the loader is an object that no distribution
            declares.
        LoadError
            When a study cannot be read, or has too few slices; it is named by its UID.
        """
        import torch

        self._check_parameters()
        items: list[Study | Volume] = list(X)
        studies = [item for item in items if isinstance(item, Study)]
        self._refuse_short(studies)
        if self.cache is not None and len(studies) == len(items) > 0:
            return self._stored(studies, self.cache)[torch.arange(len(items))]
        images = np.empty((len(items), *self._shape()), dtype=np.float32)
        for image, item in zip(images, items, strict=True):
            image[...] = self._prepare_item(item)
        return torch.from_numpy(images)

    def prepared(self, studies: Sequence[Study]) -> Tensor | StoredPixels:
        """Return the tensor of studies, or where the memory does not hold it what stands for it.

        With a cache the pixels are mapped from its files, and memory does not grow with the number
        of studies; where half of what is free holds them all, and without a cache, they are in
        memory. Indexed with a tensor of numbers, both give float32 (n, channels, rows, columns).

        Parameters
        ----------
        studies
            At least one.

        Raises
        ------
        UsageError, LoadError
            As :meth:`transform` does.
        ResourceError
            When the cache cannot be written to.
        """
        if self.cache is None or not studies:
            return self.transform(studies)
        self._check_parameters()
        self._refuse_short(studies)
        return self._stored(studies, self.cache).held()

    def prepare(self, volume: Volume) -> Volume:
        """Prepare one volume; its history tells each step, its affine where it came from.

        Parameters
        ----------
        volume
            A sagittal stack, its axes in any order.

        Returns
        -------
        Volume
            float32 (slices, size[0], size[1]): slices from right to left, rows from superior to
            inferior, columns from anterior to posterior.

        Raises
        ------
        GeometryError
            ``PLANE_OTHER`` when it is not sagittal.
        LoadError
            ``SLICES_TOO_FEW``; ``IMAGE_DEGENERATE``.
        """
        (prepared,) = self.prepare_together({volume.sequence: volume}).values()
        return prepared

    def read(self, study: Study) -> dict[str, Volume]:
        """Return the volumes of a study by sequence, as their loader reads them.

        Raises
        ------
        LoadError
            When one cannot be read.
        """
        return {name: self._read(study, name) for name in self.sequences}

    def prepare_together(self, volumes: Mapping[str, Volume]) -> dict[str, Volume]:
        """Prepare the volumes of one study, cut at the same place of the patient.

        Parameters
        ----------
        volumes
            By sequence. Where to cut is decided on T2 when it is among them, else on the first.

        Returns
        -------
        dict
            By sequence, as :meth:`prepare` gives them.

        Raises
        ------
        GeometryError, LoadError
            As :meth:`prepare`.
        """
        self._check_parameters()
        oriented = {name: orient(volume) for name, volume in volumes.items()}
        window = self._find_window(oriented.get("T2") or next(iter(oriented.values())))
        return {name: self._finish(volume, window) for name, volume in oriented.items()}

    def augment(self, batch: Tensor, generator: Generator) -> Tensor:
        """Change a batch of training images at random.

        Parameters
        ----------
        batch
            float32 (n, channels, rows, columns), on any device.
        generator
            The only source of randomness.

        Returns
        -------
        Tensor
            Of the same shape and device: rotated, scaled, shifted, mirrored, and changed in
            brightness, contrast, gamma and noise, within the bounds that
            ``cervispine.preprocessing.augmentation`` states.
        """
        import torch

        return self.augmentation(len(batch), generator).apply(batch, torch.arange(len(batch)))

    def augmentation(self, count: int, generator: Generator) -> Augmentation:
        """Draw the changes of ``count`` images, to be applied to any batches of them by ``apply``.

        Parameters
        ----------
        count
            How many images there are.
        generator
            The only source of randomness.
        """
        from cervispine.preprocessing.augmentation import Augmentation

        return Augmentation.drawn(count, generator, slices=self.slices)

    def settings(self) -> dict[str, Any]:
        """Return what decides the images, as JSON can hold it: what a saved model keeps.

        Of a loader, where one is given, it is what tells its images from those of another.

        Raises
        ------
        LoaderContractError
            The loader is an object that cannot be pickled.
        """
        settings = {
            "size": list(self.size),
            "spacing": self.spacing,
            "slices": self.slices,
            "sequences": list(self.sequences),
            "normalise": self.normalise,
        }
        if self.loader is not None:
            settings["loader"] = identity_or_class(self.loader)
        return settings

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Preprocessor:
        """Return the preprocessor that :meth:`settings` came from.

        A loader that is installed under a name is taken by it, in the version that is here and with
        the parameters it has by itself. One that never was is left out, and then the loader that
        each series names reads; the settings of what is returned tell these apart.

        Raises
        ------
        UsageError
            When a setting is missing, unknown, or cannot be meant.
        """
        known = set(cls().settings())
        loader = settings.get("loader", "")
        if set(settings) - {"loader"} != known or not isinstance(loader, str):
            raise UsageError(
                f"the settings of a preprocessor are {sorted(known)}, not {sorted(settings)}"
            )
        # JSON has lists where parameters are tuples; what is no list is left for fit to refuse.
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in settings.items()
        }
        return cls(**{**values, "loader": name_in(loader)}).fit()

    def _check_parameters(self) -> None:
        rules = {
            "size is two whole numbers of at least 16": isinstance(self.size, (tuple, list))
            and len(self.size) == 2
            and all(isinstance(side, int) and side >= 16 for side in self.size),
            "spacing is a positive number below 10, mm": isinstance(self.spacing, (int, float))
            and 0 < self.spacing < 10,
            "slices is an odd number": isinstance(self.slices, int)
            and self.slices > 0
            and self.slices % 2 == 1,
            "sequences is a tuple of different names": not isinstance(self.sequences, str)
            and len(set(self.sequences)) == len(self.sequences) > 0,
            f"normalise is one of {', '.join(NORMALISATIONS)}": self.normalise in NORMALISATIONS,
        }
        for rule, kept in rules.items():
            if not kept:
                raise UsageError(rule, where=f"{self!r}")

    def _refuse_short(self, studies: Sequence[Study]) -> None:
        """Refuse the studies that lack slices, all at once and before the first is read."""
        short = [
            f"study {study.uid}: {series.shape[0]} slices in {series.sequence}"
            for study in studies
            for series in study.series
            if series.sequence in self.sequences and series.plane == "sagittal"
            if series.shape[0] < self.slices
        ]
        if short:
            raise LoadError(
                listing(f"{len(short)} series have fewer than {self.slices} slices", short),
                advice=LEAVE_OUT,
                code="SLICES_TOO_FEW",
            )

    def _stored(self, studies: Sequence[Study], folder: str | Path) -> StoredPixels:
        if self.loader is not None:
            identity_of(self.loader)  # refuses one without a version
        # What each series names is the cache's to look at.
        cache = Cache(folder, self.settings())
        return cache.pixels(studies, self._prepare_item, self._shape())

    def _shape(self) -> tuple[int, int, int]:
        return (self.slices * len(self.sequences), *self.size)

    def _prepare_item(self, item: Study | Volume) -> NDArray[np.float32]:
        if isinstance(item, Volume):
            if len(self.sequences) > 1:
                raise UsageError("several sequences are read from studies, not from volumes")
            if item.sequence not in (self.sequences[0], "unknown"):
                raise UsageError(
                    f"a volume of {item.sequence}, and the preprocessor is for {self.sequences[0]}",
                    advice=f"sequences=({item.sequence!r},) prepares it",
                )
            return self.prepare(item).pixels
        if not isinstance(item, Study):
            raise UsageError(f"X is a sequence of Study or Volume, not of {type(item).__name__}")
        try:
            return self._prepare_study(item)
        except LoadError as error:
            where = f"study {item.uid}" + (f", {error.where}" if error.where else "")
            raise type(error)(
                error.what, where=where, advice=error.advice, code=error.code
            ) from error

    def _prepare_study(self, study: Study) -> NDArray[np.float32]:
        prepared = self.prepare_together(self.read(study))
        return np.concatenate([volume.pixels for volume in prepared.values()])

    def _read(self, study: Study, sequence: str) -> Volume:
        loader = study.one_series(sequence).loader if self.loader is None else self.loader
        if isinstance(loader, str):
            loader = made_once(loader, tuple(self.sequences))
        return loader.read(study, sequence)

    def _find_window(self, oriented: Volume) -> Window:
        return find_window(oriented, slices=self.slices, height=self.size[0] * self.spacing)

    def _finish(self, oriented: Volume, window: Window) -> Volume:
        resampled, inside = cut(
            oriented, window, slices=self.slices, size=self.size, spacing=self.spacing
        )
        return normalise(resampled, inside, self.normalise)
