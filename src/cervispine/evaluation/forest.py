"""The forest plot of a comparison: each model minus each reader, and minus their mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from cervispine.evaluation.performance import LABELS
from cervispine.evaluation.plotting import as_label, new_axes, style_of
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
    for height, row in enumerate(rows):
        if row.differences is None and height:
            ax.axhline(height - 0.5, color="0.85", linewidth=0.8)
    step = 0.7 / max(1, len(models))
    for place, name in enumerate(models):
        aside = step * (place - (len(models) - 1) / 2)
        found = [
            (height + aside, row.differences[name])
            for height, row in enumerate(rows)
            if row.differences is not None and name in row.differences
        ]
        _draw(ax, name, place, found)
    ax.set_yticks(range(len(rows)), [as_label(row.label) for row in rows])
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


def _draw(ax: Axes, name: str, place: int, found: list[tuple[float, Difference]]) -> None:
    """Draw one model's differences; one without an interval is a hollow point."""
    colour, _, marker = style_of(place)
    for limits in (True, False):
        held = [
            (height, each.value, each.low, each.high)
            for height, each in found
            if (each.low is not None and each.high is not None) == limits
        ]
        heights, values, lows, highs = zip(*held, strict=True) if held else ((),) * 4
        if limits:
            ax.hlines(heights, lows, highs, color=colour, linewidth=1.4)
        ax.plot(
            values,
            heights,
            marker,
            color=colour,
            markersize=5.5,
            markerfacecolor=colour if limits else "white",
            label=as_label(name) if limits else None,
        )
