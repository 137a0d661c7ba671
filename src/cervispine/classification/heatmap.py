"""Heatmap: where in the patient the evidence for a class lies, on the original series' pixels."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
from numpy.typing import NDArray

from cervispine.records import Geometry, Predictions, Series, Volume
from cervispine.records.arrays import read_only_bool, read_only_float32
from cervispine.records.files import write_bytes

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["Heatmap", "Peak"]


@attrs.frozen(kw_only=True)
class Peak:
    """The strongest pixel of one sagittal slice.

    Parameters
    ----------
    slice
        Number of the sagittal slice, from 0.
    value
        Evidence there.
    index
        Slice, row and column in the series.
    position
        Left, posterior, superior (LPS), mm, of the pixel's centre.
    """

    slice: int
    value: float
    index: tuple[int, int, int]
    position: tuple[float, float, float]


@attrs.frozen(kw_only=True, eq=False)
class Heatmap:
    """Where in a study the evidence for a class lies, on the pixels of the series as it was stored.

    Parameters
    ----------
    values
        float32 (slices, rows, columns), one for each pixel of ``volume``; read-only. Evidence for
        the target class, 0 where there is none and where the network did not look. For
        "grad-cam" the unit is arbitrary; for "occlusion" it is the loss of the logit when the
        place is blurred. Values of different studies or methods are not to be compared.
    seen
        bool, of the same shape: the pixels that the network was given.
    volume
        The series as it was read: its pixels, and where they lie in the patient.
    series
        What the headers say of it.
    study
        StudyInstanceUID.
    method
        "grad-cam" or "occlusion".
    target
        Name of the class that the evidence is for.
    prediction
        What the model says of the study, as :meth:`~cervispine.Classifier.classify` gives it.
    provenance
        The model's record, and the settings of the method.

    Raises
    ------
    ValueError
        When the shapes differ, or the prediction is not of one study.
    """

    values: NDArray[np.float32] = attrs.field(converter=read_only_float32, repr=False)
    seen: NDArray[np.bool_] = attrs.field(converter=read_only_bool, repr=False)
    volume: Volume
    series: Series
    study: str
    method: str
    target: str
    prediction: Predictions = attrs.field(repr=False)
    provenance: Mapping[str, Any] = attrs.field(factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        shapes = {self.values.shape, self.seen.shape, self.volume.pixels.shape}
        if len(shapes) > 1:
            raise ValueError(f"values, seen and pixels have the shapes {sorted(shapes)}")
        if len(self.prediction) != 1:
            raise ValueError(f"a heat map has the prediction of one study, not {self.prediction}")

    @property
    def geometry(self) -> Geometry:
        """Where the series lies in the patient."""
        return self.series.geometry

    @property
    def synthetic(self) -> bool:
        """Whether the study is a phantom."""
        return self.series.synthetic

    @property
    def probability(self) -> float:
        """Of the positive class."""
        return float(self.prediction.probabilities[0])

    @property
    def threshold(self) -> float:
        """From which probability on the study is called positive."""
        return self.prediction.threshold

    @property
    def called(self) -> bool:
        """Whether the probability reaches the threshold."""
        return bool(self.prediction.calls[0])

    @property
    def advice(self) -> str:
        """The clinical act that would follow, as in :class:`~cervispine.Predictions`."""
        return self.prediction.advice[0]

    @property
    def sagittal_axis(self) -> int:
        """The axis of ``values`` that runs across sagittal slices; 0 in a sagittal series."""
        directions = self.volume.affine[:3, :3] / np.array(self.volume.spacing)
        return int(np.abs(directions[0]).argmax())

    @property
    def slices(self) -> tuple[int, ...]:
        """The sagittal slices that the network was given, numbered from 0 along their axis."""
        others = tuple(axis for axis in range(3) if axis != self.sagittal_axis)
        return tuple(np.flatnonzero(self.seen.any(axis=others)).tolist())

    def peaks(self) -> tuple[Peak, ...]:
        """Return the strongest pixel of each slice that holds any evidence."""
        axis = self.sagittal_axis
        peaks = []
        for number in self.slices:
            plane = self.values.take(number, axis=axis)
            if plane.max() > 0:
                inside = np.unravel_index(int(plane.argmax()), plane.shape)
                first, second, third = np.insert(inside, axis, number).tolist()
                position = self.volume.affine @ (first, second, third, 1.0)
                peaks.append(
                    Peak(
                        slice=number,
                        value=float(plane.max()),
                        index=(first, second, third),
                        position=(float(position[0]), float(position[1]), float(position[2])),
                    )
                )
        return tuple(peaks)

    @property
    def peak(self) -> Peak | None:
        """The strongest pixel of all, None where there is no evidence."""
        return max(self.peaks(), key=lambda peak: peak.value, default=None)

    def to_frame(self) -> pd.DataFrame:
        """Return a row for each slice read: its peak, which is missing without evidence."""
        import pandas as pd

        peaks = {peak.slice: peak for peak in self.peaks()}
        nothing = (np.nan, np.nan, np.nan)
        rows = []
        for number in self.slices:
            peak = peaks.get(number)
            left, posterior, superior = nothing if peak is None else peak.position
            _, row, column = nothing if peak is None else peak.index
            rows.append(
                {
                    "slice": number,
                    "value": 0.0 if peak is None else peak.value,
                    "row": row,
                    "column": column,
                    "left_mm": left,
                    "posterior_mm": posterior,
                    "superior_mm": superior,
                }
            )
        return pd.DataFrame(rows)

    def plot(self, ax: Axes | None = None, *, slice: int | None = None) -> Axes:  # noqa: A002
        """Draw one slice, head up, with the evidence over it.

        Parameters
        ----------
        ax
            Where to draw; new axes when None.
        slice
            Which of ``slices``; that of the peak, or the middle one, when None.

        Raises
        ------
        UsageError
            When the slice is none that the network was given.
        """
        from cervispine.classification.overlay import draw_slice

        return draw_slice(self, ax, slice)

    def to_png(self, path: str | Path | None = None) -> bytes:
        """Return, and write where a path is given, all slices read, side by side, as PNG.

        A phantom is called one in the picture.

        Raises
        ------
        ResourceError
            When the file cannot be written.
        """
        from cervispine.classification.overlay import draw_all

        content = draw_all(self)
        if path is not None:
            write_bytes(Path(path), content)
        return content

    def to_npz(self, path: str | Path) -> None:
        """Write the arrays ``values``, ``seen`` and ``affine`` as a compressed NumPy archive.

        ``numpy.load(path)`` reads it: index (slice, row, column) of ``values`` to patient
        coordinates (LPS, mm) by ``affine``.

        Raises
        ------
        ResourceError
            When the file cannot be written.
        """
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer, values=self.values, seen=self.seen, affine=self.volume.affine,
            series=self.series.uid, study=self.study, method=self.method, target=self.target,
        )  # fmt: skip
        write_bytes(Path(path), buffer.getvalue())
