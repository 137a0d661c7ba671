"""The figure of a comparison by stratum: each rater's rates in each level, the hardest first."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from cervispine.evaluation.performance import LABELS
from cervispine.evaluation.plotting import as_label, new_axes, reader_marker_of, style_of
from cervispine.exceptions import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cervispine.evaluation.comparison import Comparison, StratumFigures
    from cervispine.evaluation.results import Estimate

__all__ = ["plot_levels"]

_RATES = ("sensitivity", "specificity")


def plot_levels(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Draw sensitivity and specificity by level, as points with their intervals.

    Parameters
    ----------
    comparison
        With strata, and raters who gave calls.
    ax
        Where to draw; new axes, as high as the rows need, when not given.

    Raises
    ------
    UsageError
        There is no level with a rate.
    """
    rows = [
        (rate, levels)
        for rate in _RATES
        for levels in _levels(comparison)
        if any(getattr(each, rate) is not None for each in levels)
    ]
    if not rows:
        raise UsageError("there are no strata with calls to show", where="kind")
    if ax is None:
        ax = new_axes("strata", len(rows))
    raters = list(comparison.raters)
    step = 0.75 / len(raters)
    for height, (rate, levels) in enumerate(rows):
        if height:
            ax.axhline(height - 0.5, color="0.85", linewidth=0.8)
        for figures in levels:
            estimate: Estimate | None = getattr(figures, rate)
            place = raters.index(figures.rater)
            if estimate is not None:
                _draw(ax, comparison, place, estimate, height + step * (place - len(raters) / 2))
    for place, name in enumerate(raters):
        ax.plot([], [], label=as_label(name), **_style(comparison, place))
    ax.set_yticks(range(len(rows)), [_label(rate, levels[0]) for rate, levels in rows])
    ax.tick_params(axis="y", length=0)
    ax.set(
        xlim=(-0.02, 1.02),
        ylim=(len(rows) - 0.5, -0.5),
        xlabel=f"rate, {100 * comparison.confidence:g} % interval",
    )
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return ax


def _levels(comparison: Comparison) -> list[list[StratumFigures]]:
    """Return the figures of each level together, in their order."""
    return [
        list(figures)
        for _, figures in groupby(comparison.strata, key=lambda each: (each.stratum, each.level))
    ]


def _label(rate: str, figures: StratumFigures) -> str:
    cases = figures.positives if rate == "sensitivity" else figures.negatives
    level = as_label(f"{figures.stratum} {figures.level}")
    return f"{level}\n{LABELS[rate]}, n = {cases}"


def _draw(ax: Axes, comparison: Comparison, place: int, estimate: Estimate, height: float) -> None:
    style = _style(comparison, place)
    if estimate.low is not None and estimate.high is not None:
        ax.hlines(height, estimate.low, estimate.high, color=style["color"], linewidth=1.2)
    ax.plot(estimate.value, height, **style)


def _style(comparison: Comparison, place: int) -> dict[str, Any]:
    """Return how a rater is drawn: models filled in their colours, readers hollow and grey."""
    models = len(comparison.models)
    if place < models:
        colour, _, marker = style_of(place)
        face = colour
    else:
        colour, face = "0.35", "white"
        marker = reader_marker_of(place - models)
    return {
        "color": colour,
        "markerfacecolor": face,
        "marker": marker,
        "markersize": 5.5,
        "linestyle": "none",
    }
