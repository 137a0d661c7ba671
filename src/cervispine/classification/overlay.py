"""A heat map as a picture: slices in grey, the evidence over them, the strongest pixel marked."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cervispine.exceptions import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from numpy.typing import NDArray

    from cervispine.classification.heatmap import Heatmap

Pixel = TypeVar("Pixel", np.float32, np.bool_)

__all__ = ["draw_all", "draw_slice"]

#: Even to the eye in grey print and for people who see few colours.
COLOURS = "plasma"

#: How much of the picture the strongest evidence hides.
OPACITY = 0.6

#: Evidence below this share of the strongest is not outlined.
OUTLINE = 0.5

#: What is darker is black, what is brighter is white.
PERCENTILES = (1.0, 99.5)

#: Of one slice in the picture of all, inches, and the dots of an inch.
HEIGHT, DPI = 4.0, 130

BANNER = "SYNTHETIC PHANTOM, NOT A PATIENT"
PURPOSE = "Research use only. Not a medical device."


def draw_slice(heatmap: Heatmap, ax: Axes | None, number: int | None) -> Axes:
    """Draw one slice; see :meth:`Heatmap.plot`."""
    from matplotlib import pyplot as plt

    if number is None:
        peak = heatmap.peak
        number = heatmap.slices[len(heatmap.slices) // 2] if peak is None else peak.slice
    if number not in heatmap.slices:
        raise UsageError(f"the network was given the slices {heatmap.slices}, not {number!r}")
    if ax is None:
        _, ax = plt.subplots()
    _draw(heatmap, ax, number)
    if heatmap.synthetic:
        ax.text(
            0.5, 0.02, BANNER, transform=ax.transAxes, ha="center", size="x-small", color="white",
            backgroundcolor="#8a3b00",
        )  # fmt: skip
    return ax


def draw_all(heatmap: Heatmap) -> bytes:
    """Draw every slice read, side by side, as PNG; see :meth:`Heatmap.to_png`."""
    from matplotlib.figure import Figure

    slices = heatmap.slices
    figure = Figure(figsize=(HEIGHT * max(len(slices), 2) * 0.92, HEIGHT + 1.0), dpi=DPI)
    figure.set_layout_engine("constrained")
    for ax, number in zip(np.ravel(figure.subplots(1, len(slices))), slices, strict=True):
        _draw(heatmap, ax, number)
    verdict = "at or above" if heatmap.called else "below"
    figure.suptitle(
        f"Evidence for {heatmap.target} by {heatmap.method}\n"
        f"probability {heatmap.probability:.3f}, {verdict} the threshold "
        f"{heatmap.threshold:.3f}: {heatmap.advice}",
        size="medium",
    )
    bar = figure.colorbar(
        _colours(), ax=figure.axes, orientation="horizontal", aspect=50, shrink=0.5, pad=0.02,
        ticks=(0, OUTLINE, 1),
    )  # fmt: skip
    bar.set_label(
        "share of the strongest evidence, outlined from a half on; + the strongest pixel; "
        "dotted: what the network was given", size="small",
    )  # fmt: skip
    purpose = f"{BANNER}. {PURPOSE}" if heatmap.synthetic else PURPOSE
    figure.supxlabel(
        purpose, size="small", color="white" if heatmap.synthetic else "black",
        backgroundcolor="#8a3b00" if heatmap.synthetic else "white",
    )  # fmt: skip
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw(heatmap: Heatmap, ax: Axes, number: int) -> None:
    axis = heatmap.sagittal_axis
    rest = [each for each in range(3) if each != axis]
    turned = Turned.of(heatmap.volume.affine[:3, rest])
    plane = turned.apply(heatmap.volume.pixels.take([number], axis=axis).squeeze(axis))
    heat = turned.apply(heatmap.values.take([number], axis=axis).squeeze(axis))
    low, high = np.percentile(plane, PERCENTILES)
    ax.imshow(plane, cmap="gray", vmin=low, vmax=high, aspect=turned.aspect)
    seen = turned.apply(heatmap.seen.take([number], axis=axis).squeeze(axis))
    ax.contour(seen, levels=[0.5], colors="white", linewidths=0.6, linestyles="dotted")
    strongest = float(heatmap.values.max())
    if strongest > 0:
        share = heat / strongest
        ax.imshow(share, cmap=COLOURS, vmin=0, vmax=1, alpha=OPACITY * share, aspect=turned.aspect)
        if share.max() > OUTLINE:
            ax.contour(share, levels=[OUTLINE], colors="white", linewidths=0.8)
        if share.max() == 1:
            row, column = np.unravel_index(int(share.argmax()), share.shape)
            ax.plot(column, row, marker="+", color="white", markersize=9, markeredgewidth=1.4)
    ax.set_title(f"slice {number}", size="small")
    ax.set_axis_off()
    for letter, across, up in (("H", 0.5, 0.96), ("A", 0.03, 0.5)):
        ax.text(
            across, up, letter, transform=ax.transAxes, ha="center", va="center", color="white",
            size="small",
        )  # fmt: skip


class Turned:
    """How a sagittal plane is turned so that the head is up and the front to the left."""

    def __init__(self, transposed: bool, flipped: tuple[int, ...], aspect: float) -> None:
        self.transposed, self.flipped, self.aspect = transposed, flipped, aspect

    @classmethod
    def of(cls, steps: NDArray[np.float64]) -> Turned:
        """Find it from the steps (3, 2) along rows and columns, LPS, mm."""
        transposed = bool(abs(steps[2, 0]) < abs(steps[2, 1]))
        down, across = steps.T[::-1] if transposed else steps.T
        # Rows run to inferior and columns to posterior, or are turned so that they do.
        flipped = tuple(axis for axis, wrong in enumerate((down[2] > 0, across[1] < 0)) if wrong)
        return cls(transposed, flipped, float(np.linalg.norm(down) / np.linalg.norm(across)))

    def apply(self, plane: NDArray[Pixel]) -> NDArray[Pixel]:
        """Turn a plane (rows, columns)."""
        upright: NDArray[Pixel] = np.flip(plane.T if self.transposed else plane, self.flipped)
        return upright


def _colours() -> ScalarMappable:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(0, 1), COLOURS)
