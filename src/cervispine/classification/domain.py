"""What the training part looked like, and how far another study is from it.

A network answers whatever it is shown. Two things are compared before its answer is believed: how a
study was acquired, and simple statistics of its prepared images. The statistics are the network's
input and not its features: features that were learned to tell two classes apart drop what else is
strange about an image, and by `benchmarks/out_of_distribution.py` they see less of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.classification.protocols import Protocols
from cervispine.exceptions import DataWarning
from cervispine.records import Study
from cervispine.records.tables import listing

if TYPE_CHECKING:
    import torch

    from cervispine.preprocessing.cache import StoredPixels

__all__ = ["Domain", "image_statistics", "warn_of_strangers"]

#: Share of the studies that are like the training part and are flagged all the same.
FALSE_ALARMS = 0.05

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

#: Rings of the power spectrum, from the whole image's frequency to beyond Nyquist's in the corners.
RINGS = 6

#: Images whose spectra are held at once.
CHUNK = 32


@attrs.frozen(kw_only=True, eq=False)
class Domain:
    """The protocols and the image statistics of the training part.

    The distance of an image is Mahalanobis' in the space of its statistics, with the covariance
    shrunk after Ledoit and Wolf 2004, J Multivar Anal 88:365. Its logarithm is compared with those
    of the validation part, which the mean and the covariance have not seen, by the prediction
    interval of one more normal value: so a dozen validation studies suffice to flag what is far
    away, which ranks among a dozen could not.

    Parameters
    ----------
    protocols
        How the training studies were acquired.
    centre, scale, precision
        float64 (k,), (k,), (k, k): mean and standard deviation of the statistics, and the inverse
        of their shrunken correlation.
    typical, scatter
        Mean and standard deviation of the log distances of the validation part.
    studies
        How many studies the validation part had.
    """

    protocols: Protocols
    centre: NDArray[np.float64] = attrs.field(repr=False)
    scale: NDArray[np.float64] = attrs.field(repr=False)
    precision: NDArray[np.float64] = attrs.field(repr=False)
    typical: float
    scatter: float
    studies: int

    @classmethod
    def of(
        cls,
        studies: Sequence[Study],
        pixels: torch.Tensor | StoredPixels,
        held_out: NDArray[np.bool_],
        sequences: Sequence[str],
    ) -> Self:
        """Take it from studies and their prepared images.

        Parameters
        ----------
        studies
            Training and validation part, n of them.
        pixels
            float32 (n, channels, rows, columns), prepared, in their order.
        held_out
            (n,): which are the validation part.
        sequences
            Which the model reads.
        """
        from sklearn.covariance import LedoitWolf

        statistics = image_statistics(pixels)
        training = statistics[~held_out]
        centre, scale = training.mean(axis=0), training.std(axis=0)
        # What did not vary in training is compared as it is.
        scale[scale == 0] = 1
        precision = LedoitWolf(assume_centered=True).fit((training - centre) / scale).precision_
        distances = np.log(_distances(statistics[held_out], centre, scale, precision))
        return cls(
            protocols=Protocols.of(
                (study for study, out in zip(studies, held_out, strict=True) if not out), sequences
            ),
            centre=centre,
            scale=scale,
            precision=np.asarray(precision, dtype=np.float64),
            typical=float(distances.mean()),
            scatter=max(float(distances.std(ddof=1)), 1e-6),
            studies=len(distances),
        )

    def strangeness(self, pixels: torch.Tensor) -> NDArray[np.float64]:
        """Return float64 (n,), 0 to 1: the share of usual studies that are less strange.

        Parameters
        ----------
        pixels
            float32 (n, channels, rows, columns), prepared as the training part was.
        """
        from scipy.stats import t

        if not len(pixels):
            return np.empty(0)
        distances = np.log(
            _distances(image_statistics(pixels), self.centre, self.scale, self.precision)
        )
        spread = self.scatter * np.sqrt(1 + 1 / self.studies)
        return np.asarray(t.cdf((distances - self.typical) / spread, self.studies - 1))

    def reasons(
        self, studies: Sequence[Study], strangeness: NDArray[np.float64]
    ) -> tuple[tuple[str, ...], ...]:
        """Return for each study why it is unlike the training part; nothing where it is not.

        Parameters
        ----------
        studies
            n of them.
        strangeness
            (n,) of their images.
        """
        return tuple(
            (
                *self.protocols.differences(study),
                *([f"the look of its images (p = {max(1 - strange, 1e-15):.1g})"]
                  if strange > 1 - FALSE_ALARMS else []),
            )
            for study, strange in zip(studies, strangeness, strict=True)
        )  # fmt: skip

    def summary(self) -> str:
        """Return the protocols and what the look of images is compared with, in a sentence."""
        return (
            f"{self.protocols.summary()}; images stranger than {1 - FALSE_ALARMS:.0%} of usual "
            f"ones, by {self.studies} studies of the validation part"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "protocols": self.protocols.to_dict(),
            "centre": self.centre.tolist(),
            "scale": self.scale.tolist(),
            "precision": self.precision.tolist(),
            "typical": self.typical,
            "scatter": self.scatter,
            "studies": self.studies,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take what :meth:`to_dict` gave.

        Raises
        ------
        ValueError, TypeError, KeyError
            It is something else.
        """
        centre, scale, precision = (
            np.array(content[name], dtype=np.float64) for name in ("centre", "scale", "precision")
        )
        domain = cls(
            protocols=Protocols.from_dict(content["protocols"]),
            centre=centre,
            scale=scale,
            precision=precision,
            typical=float(content["typical"]),
            scatter=float(content["scatter"]),
            studies=int(content["studies"]),
        )
        numbers = [*centre, *scale, *precision.ravel(), domain.typical, domain.scatter]
        size = len(centre)
        if (
            not np.isfinite(numbers).all()
            or scale.shape != (size,)
            or precision.shape != (size, size)
            or min(*scale, domain.scatter) <= 0
            or domain.studies < 2
        ):
            raise ValueError("no domain")
        return domain


def image_statistics(pixels: torch.Tensor | StoredPixels) -> NDArray[np.float64]:
    """Return simple statistics of prepared images, float64 (n, 12 + channels - 1).

    Quantiles and standard deviation of the intensities, log power in rings of the spectrum (mean
    over the channels), and how alike neighbouring channels are (Fisher's transform of their
    correlation).

    Parameters
    ----------
    pixels
        float32 (n, channels, rows, columns).
    """
    import torch

    # Images may lie on the disk, and are given by their numbers.
    return np.concatenate(
        [_statistics(pixels[batch]) for batch in torch.split(torch.arange(len(pixels)), CHUNK)]
    )


def _statistics(batch: torch.Tensor) -> NDArray[np.float64]:
    from scipy import fft

    images = np.asarray(batch, dtype=np.float32)
    rings = _rings(images.shape[-2:])
    count, channels = images.shape[:2]
    flat = images.reshape(count, -1)
    power = np.abs(fft.rfft2(images)).astype(np.float64) ** 2
    power = power.mean(axis=1).reshape(count, -1)
    sizes = np.bincount(rings, minlength=RINGS + 1)[1:]
    ringed = np.array([np.bincount(rings, each, RINGS + 1)[1:] / sizes for each in power])
    centred = images.reshape(count, channels, -1).astype(np.float64)
    centred -= centred.mean(axis=2, keepdims=True)
    norms = np.linalg.norm(centred, axis=2) + 1e-12
    alike = (centred[:, 1:] * centred[:, :-1]).sum(axis=2) / (norms[:, 1:] * norms[:, :-1])
    return np.column_stack(
        [
            np.quantile(flat, QUANTILES, axis=1).T,
            flat.std(axis=1, dtype=np.float64),
            np.log(ringed + 1e-9),
            np.arctanh(np.clip(alike, -0.9999, 0.9999)),
        ]
    ).astype(np.float64)


def _rings(shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Return for each frequency of a real transform which ring it lies in; 0 for none, the mean."""
    rows, columns = shape
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    edges = np.geomspace(1 / max(rows, columns), 0.5, RINGS + 1)[:-1] * (1 - 1e-9)
    return np.asarray(np.searchsorted(edges, frequency.ravel(), side="right"), dtype=np.int64)


def _distances(
    statistics: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    precision: NDArray[np.float64],
) -> NDArray[np.float64]:
    standard = (statistics - centre) / scale
    squares = np.einsum("ij,jk,ik->i", standard, precision, standard)
    return np.asarray(np.sqrt(np.maximum(squares, 1e-12)), dtype=np.float64)


def warn_of_strangers(studies: Sequence[Study], reasons: Sequence[Sequence[str]]) -> None:
    """Warn of the studies that are unlike the training part, by their UIDs."""
    strangers = [
        f"study {study.uid}: {'; '.join(why)}"
        for study, why in zip(studies, reasons, strict=True)
        if why
    ]
    if strangers:
        _warn(
            listing(
                f"{len(strangers)} of {len(studies)} studies are unlike those the model was "
                "trained on, and it rules nothing out for them (of usual ones about "
                f"{FALSE_ALARMS:.0%} are flagged too)",
                strangers,
            ),
            code="UNLIKE_TRAINING",
        )


def _warn(what: str, *, code: str) -> None:
    # Through _warn, the caller, classify, to whoever called that.
    warnings.warn(f"[{code}] {what}", DataWarning, stacklevel=4)
