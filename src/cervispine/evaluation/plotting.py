"""The ROC plot: models as curves, readers as points with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cervispine.evaluation.performance import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_roc"]

# Okabe and Ito's palette, which the colour-blind can tell apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_STYLES = ("-", "--", "-.", ":")


def plot_roc(
    models: Mapping[str, Evaluation], readers: Mapping[str, Evaluation], *, ax: Axes | None = None
) -> Axes:
    """Draw the curves of the models with their operating points, and the readers.

    Parameters
    ----------
    models
        Each with scores, and calls at its operating point.
    readers
        Each with calls; a reader who gave ratings only is drawn as a thin curve.
    ax
        Where to draw; new axes when not given.
    """
    if ax is None:
        from matplotlib import pyplot as plt

        ax = plt.subplots(figsize=(5.5, 5.5), layout="constrained")[1]
    ax.plot([0, 1], [0, 1], color="0.75", linewidth=0.8, zorder=1)
    for place, (name, model) in enumerate(models.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        area = "" if model.auc is None else f", AUC {model.auc.value:.3f}"
        style = _STYLES[place // len(_COLOURS) % len(_STYLES)]
        _draw_curve(ax, model, colour, style, 1.8, f"{name}{area}")
        _draw_point(ax, model, colour, "o", None, filled=True)
    for place, (name, reader) in enumerate(readers.items()):
        if reader.sensitivity is None:
            _draw_curve(ax, reader, "0.3", "-", 0.8, name)
            continue
        _draw_point(ax, reader, "0.15", _MARKERS[place % len(_MARKERS)], name, filled=False)
    _draw_mean(ax, readers)
    ax.set(
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        xlabel="1 - specificity",
        ylabel="sensitivity",
        aspect="equal",
    )
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc="lower right", frameon=False, fontsize="small")
    return ax


def _draw_curve(
    ax: Axes, rater: Evaluation, colour: str, style: str, width: float, label: str
) -> None:
    curve = rater.curve
    if curve is not None:
        ax.plot(
            1 - curve.specificity,
            curve.sensitivity,
            color=colour,
            linestyle=style,
            linewidth=width,
            label=label,
            zorder=2,
        )


def _draw_point(
    ax: Axes, rater: Evaluation, colour: str, marker: str, label: str | None, *, filled: bool
) -> None:
    sensitivity, specificity = rater.sensitivity, rater.specificity
    if sensitivity is None or specificity is None:
        return
    bars: dict[str, list[list[float]]] = {}
    if not filled:
        bars["yerr"] = _arms(sensitivity.value, sensitivity.low, sensitivity.high)
        bars["xerr"] = _arms(specificity.value, specificity.high, specificity.low)
    ax.errorbar(
        1 - specificity.value,
        sensitivity.value,
        **bars,  # type: ignore[arg-type]
        color=colour,
        marker=marker,
        markersize=7,
        markerfacecolor=colour if filled else "white",
        linestyle="none",
        linewidth=0.8,
        label=label,
        zorder=3,
    )


def _draw_mean(ax: Axes, readers: Mapping[str, Evaluation]) -> None:
    points = [
        (1 - reader.specificity.value, reader.sensitivity.value)
        for reader in readers.values()
        if reader.specificity is not None and reader.sensitivity is not None
    ]
    if len(points) > 1:
        x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
        ax.plot(x, y, "+", color="0.15", markersize=12, label="mean of the readers", zorder=4)


def _arms(value: float, first: float | None, second: float | None) -> list[list[float]]:
    """Return the arms of an error bar, from the value to each of its limits."""
    assert first is not None
    assert second is not None
    return [[abs(value - first)], [abs(second - value)]]
