"""The forest plot of a comparison: each model minus each reader, and minus their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cervispine.evaluation.performance import LABELS
from cervispine.evaluation.plotting import new_axes, style_of
from cervispine.exceptions import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cervispine.evaluation.comparison import Comparison
    from cervispine.evaluation.results import Difference

__all__ = ["plot_differences"]

# Accuracy hides what sensitivity and specificity show, so it is in the table only.
_ENDPOINTS = ("sensitivity", "specificity", "auc")
_MEANS = {"fixed": "mean, these readers", "random": "mean, readers like these"}


@attrs.frozen
class _Row:
    """One line of the plot: a heading, or the models' differences from one opponent."""

    label: str
    differences: dict[str, Difference] | None = None


def plot_differences(comparison: Comparison, *, ax: Axes | None = None) -> Axes:
    """Draw the differences as a forest plot, an endpoint below the other.

    Parameters
    ----------
    comparison
        With at least one reader.
    ax
        Where to draw; new axes, as high as the rows need, when not given.

    Raises
    ------
    UsageError
        There is no reader.
    """
    rows = [row for endpoint in _ENDPOINTS for row in _rows(comparison, endpoint)]
    if not rows:
        raise UsageError("there are no readers to differ from", where="kind")
    models = list(comparison.models)
    if ax is None:
        ax = new_axes("differences", len(rows))
    ax.axvline(0, color="0.6", linewidth=0.8, zorder=1)
    step = 0.7 / max(1, len(models))
    for height, row in enumerate(rows):
        for name, difference in (row.differences or {}).items():
            place = models.index(name)
            _draw(ax, difference, height + step * (place - (len(models) - 1) / 2), place)
        if row.differences is None and height:
            ax.axhline(height - 0.5, color="0.85", linewidth=0.8)
    for place, name in enumerate(models):
        colour, _, marker = style_of(place)
        ax.plot([], [], color=colour, marker=marker, label=name)
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    for tick, row in zip(ax.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("bold" if row.differences is None else "normal")
    ax.tick_params(axis="y", length=0)
    ax.set(
        ylim=(len(rows) - 0.5, -0.5),
        xlabel=f"model minus reader, {100 * comparison.confidence:g} % interval",
    )
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    return ax


def _rows(comparison: Comparison, endpoint: str) -> list[_Row]:
    by_opponent: dict[str, dict[str, Difference]] = {}
    for pair in comparison.against_readers:
        if pair.endpoint == endpoint:
            by_opponent.setdefault(pair.reader, {})[pair.model] = pair.difference
    for item in comparison.against_mean:
        if item.endpoint == endpoint and len(comparison.readers) > 1:
            by_opponent.setdefault(_MEANS[item.readers_are], {})[item.model] = item.difference
    rows = [_Row(opponent, differences) for opponent, differences in by_opponent.items()]
    heading = LABELS[endpoint]
    return [_Row(heading[0].upper() + heading[1:]), *rows] if rows else []


def _draw(ax: Axes, difference: Difference, height: float, place: int) -> None:
    """Draw one difference; without an interval it is a hollow point."""
    colour, _, marker = style_of(place)
    face = "white"
    if difference.low is not None and difference.high is not None:
        face = colour
        ax.plot([difference.low, difference.high], [height] * 2, color=colour, linewidth=1.4)
    ax.plot(difference.value, height, marker, color=colour, markersize=5.5, markerfacecolor=face)
