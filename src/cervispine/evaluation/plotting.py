"""The figures: ROC curves with readers, differences, strata, calibration, decision curves.

Models differ in colour, line and marker, so that nothing rests on colour alone: the
figures read in grey print and by people who see few colours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from cervispine.evaluation.calibration import net_benefit
from cervispine.evaluation.checking import choose
from cervispine.evaluation.performance import Evaluation
from cervispine.evaluation.proportions import proportion
from cervispine.exceptions import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cervispine.evaluation.comparison import Comparison

__all__ = [
    "KINDS",
    "as_label",
    "figure_of",
    "new_axes",
    "plot_comparison",
    "plot_evaluation",
    "reader_marker_of",
    "style_of",
]

KINDS = ("roc", "differences", "strata", "calibration", "decision")

# Okabe and Ito's palette, which the colour-blind can tell apart; dark first, for grey print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_LINES = ("-", "--", "-.", (0, (1, 1.2)), (0, (6, 2)), (0, (4, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P")
# Hollow, where the models are filled.
_READERS = ("D", "v", "<", "X", ">", "p", "P", "h")
_READER = "0.25"
_FAINT = "0.6"


def plot_comparison(comparison: Comparison, kind: str, *, ax: Axes | None = None) -> Axes:
    """Draw one of the ``KINDS``; see ``Comparison.plot``."""
    choose(kind, KINDS, "kind")
    if kind == "differences":
        from cervispine.evaluation.forest import plot_differences

        return plot_differences(comparison, ax=ax)
    if kind == "strata":
        from cervispine.evaluation.levels import plot_levels

        return plot_levels(comparison, ax=ax)
    return _plot(comparison.models, comparison.readers, kind, ax)


def figure_of(comparison: Comparison, kind: str) -> Figure:
    """Return one of the ``KINDS`` as a figure to be saved, which belongs to no window."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    ax = plot_comparison(comparison, kind, ax=figure.subplots())
    rows = len(ax.get_yticks()) if kind in ("differences", "strata") else 0
    figure.set_size_inches(*size_of(kind, rows))
    return figure


def size_of(kind: str, rows: int = 0) -> tuple[float, float]:
    """Return width and height in inches; a plot of rows is as high as they need."""
    return {
        "differences": (6.5, 1.2 + 0.34 * rows),
        "strata": (6.5, 1.2 + 0.75 * rows),
        "decision": (6.0, 4.5),
    }.get(kind, (5.5, 5.5))


def plot_evaluation(evaluation: Evaluation, kind: str, *, ax: Axes | None = None) -> Axes:
    """Draw one model alone; see ``Evaluation.plot``."""
    choose(kind, ("roc", "calibration", "decision"), "kind")
    return _plot({evaluation.name: evaluation}, {}, kind, ax)


def new_axes(kind: str, rows: int = 0) -> Axes:
    """Return axes of a new figure of pyplot's, which a notebook shows."""
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=size_of(kind, rows), layout="constrained")[1]


def style_of(place: int) -> tuple[str, str | tuple[int, tuple[float, ...]], str]:
    """Return colour, line and marker of the model at a place, alike in all figures."""
    return (
        _COLOURS[place % len(_COLOURS)],
        _LINES[place % len(_LINES)],
        _MARKERS[place % len(_MARKERS)],
    )


def as_label(name: str) -> str:
    """Return a name, in one line, as text that matplotlib shows as it stands.

    It would take what stands between dollars for mathematics, and leave a label out of the key
    that begins with an underscore, before which a space without width therefore stands.
    """
    text = " ".join(name.split()).replace("$", r"\$")
    return f"\N{ZERO WIDTH SPACE}{text}" if text.startswith("_") else text


def reader_marker_of(place: int) -> str:
    """Return the marker of the reader at a place, alike in all figures."""
    return _READERS[place % len(_READERS)]


def _plot(
    models: Mapping[str, Evaluation],
    readers: Mapping[str, Evaluation],
    kind: str,
    ax: Axes | None,
) -> Axes:
    if kind == "roc":
        return _plot_roc(models, readers, ax or new_axes(kind))
    calibrated = {name: model for name, model in models.items() if model.calibration is not None}
    if not calibrated:
        raise UsageError(
            "no model gives probabilities",
            where="kind",
            advice="scores outside 0 to 1 have neither calibration nor net benefit",
        )
    if kind == "calibration":
        return _plot_calibration(calibrated, models, ax or new_axes(kind))
    return _plot_decision(calibrated, models, readers, ax or new_axes(kind))


def _plot_roc(
    models: Mapping[str, Evaluation], readers: Mapping[str, Evaluation], ax: Axes
) -> Axes:
    """Curves of the models with their operating points, and the readers.

    A reader who gave ratings only is a thin curve.
    """
    ax.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.8, zorder=1)
    for place, (name, model) in enumerate(models.items()):
        colour, line, marker = style_of(place)
        area = "" if model.auc is None else f", AUC {model.auc.value:.3f}"
        curve = model.curve
        assert curve is not None
        ax.plot(
            1 - curve.specificity,
            curve.sensitivity,
            color=colour,
            linestyle=line,
            linewidth=1.8,
            zorder=2,
        )
        # The key shows curve and operating point as they are drawn, as one entry.
        ax.plot(
            [], [], color=colour, linestyle=line, marker=marker, label=f"{as_label(name)}{area}"
        )
        if model.sensitivity is not None and model.specificity is not None:
            ax.plot(
                1 - model.specificity.value,
                model.sensitivity.value,
                color=colour,
                marker=marker,
                markersize=8,
                markeredgecolor="white",
                zorder=5,
            )
    for place, (name, reader) in enumerate(readers.items()):
        _draw_reader(ax, name, reader, reader_marker_of(place))
    _draw_mean(ax, readers)
    ax.set(
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        xlabel="1 - specificity",
        ylabel="sensitivity",
        aspect="equal",
    )
    return _finish(ax, "lower right")


def _draw_reader(ax: Axes, name: str, reader: Evaluation, marker: str) -> None:
    sensitivity, specificity = reader.sensitivity, reader.specificity
    if sensitivity is None or specificity is None:
        curve = reader.curve
        assert curve is not None
        ax.plot(
            1 - curve.specificity,
            curve.sensitivity,
            color=_READER,
            linewidth=0.8,
            label=as_label(name),
        )
        return
    ax.errorbar(
        1 - specificity.value,
        sensitivity.value,
        xerr=_arms(specificity.value, specificity.high, specificity.low),
        yerr=_arms(sensitivity.value, sensitivity.low, sensitivity.high),
        fmt="none",
        ecolor=_FAINT,
        elinewidth=0.9,
        zorder=3,
    )
    ax.plot(
        1 - specificity.value,
        sensitivity.value,
        marker,
        color=_READER,
        markerfacecolor="white",
        markersize=7,
        label=as_label(name),
        zorder=4,
    )


def _draw_mean(ax: Axes, readers: Mapping[str, Evaluation]) -> None:
    points = [
        (1 - reader.specificity.value, reader.sensitivity.value)
        for reader in readers.values()
        if reader.specificity is not None and reader.sensitivity is not None
    ]
    if len(points) > 1:
        x, y = (sum(values) / len(points) for values in zip(*points, strict=True))
        ax.plot(x, y, "*", color="black", markersize=11, label="mean of the readers", zorder=4)


def _plot_calibration(
    calibrated: Mapping[str, Evaluation], models: Mapping[str, Evaluation], ax: Axes
) -> Axes:
    """Share of positives against mean probability, in ten bins of equal width."""
    ax.plot([0, 1], [0, 1], color=_FAINT, linewidth=0.8, zorder=1)
    order = list(models)
    for name, model in calibrated.items():
        colour, line, marker = style_of(order.index(name))
        assert model.calibration is not None
        mean, share, count = model.calibration.bins.T
        limits = [
            proportion(round(each * number), int(number), confidence=model.confidence)
            for each, number in zip(share, count, strict=True)
        ]
        low, high = np.array([(limit.low, limit.high) for limit in limits], dtype=float).T
        slope = model.calibration.slope
        told = "" if slope is None else f", slope {slope:.2f}"
        # Models side by side in a bin would hide each other's intervals.
        shift = 0.006 * (order.index(name) - (len(order) - 1) / 2)
        ax.errorbar(
            mean + shift,
            share,
            yerr=[np.maximum(share - low, 0), np.maximum(high - share, 0)],
            color=colour,
            linestyle=line,
            marker=marker,
            markersize=5,
            linewidth=1.4,
            elinewidth=0.7,
            label=f"{as_label(name)}{told}, ECE {model.calibration.ece:.3f}",
            zorder=2,
        )
    ax.set(
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
        xlabel="probability given (mean of the bin)",
        ylabel="share of positives",
        aspect="equal",
    )
    return _finish(ax, "upper left")


def _plot_decision(
    calibrated: Mapping[str, Evaluation],
    models: Mapping[str, Evaluation],
    readers: Mapping[str, Evaluation],
    ax: Axes,
) -> Axes:
    """Net benefit against the probability at which one would act."""
    thresholds = np.linspace(0.01, 0.99, 99)
    any_model = next(iter(calibrated.values()))
    prevalence = any_model.positives / any_model.n
    everybody = net_benefit(any_model.truth, np.ones(any_model.n), thresholds)
    ax.plot(thresholds, everybody, color=_FAINT, linewidth=1.0, label="act on everybody")
    ax.axhline(0, color="black", linewidth=1.0, label="act on nobody")
    called = [reader.calls for reader in readers.values() if reader.calls is not None]
    for place, calls in enumerate(called):
        # A call does not depend on the threshold; only what a false one costs does.
        label = "each reader's calls" if place == 0 else None
        benefit = net_benefit(any_model.truth, calls, thresholds)
        ax.plot(thresholds, benefit, color=_READER, linestyle=":", linewidth=0.9, label=label)
    for name, model in calibrated.items():
        colour, line, _ = style_of(list(models).index(name))
        assert model.scores is not None
        benefit = net_benefit(model.truth, model.scores, thresholds)
        ax.plot(
            thresholds, benefit, color=colour, linestyle=line, linewidth=1.8, label=as_label(name)
        )
    ax.set(
        xlim=(0, 1),
        ylim=(-0.15 * prevalence, 1.1 * prevalence),
        xlabel="probability at which one would act",
        ylabel="net benefit",
    )
    return _finish(ax, "upper right")


def _finish(ax: Axes, corner: Literal["lower right", "upper left", "upper right"]) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(loc=corner, frameon=False, fontsize="small")
    return ax


def _arms(value: float, first: float | None, second: float | None) -> list[list[float]]:
    """Return the arms of an error bar, from the value to each of its limits."""
    assert first is not None
    assert second is not None
    return [[abs(value - first)], [abs(second - value)]]
