"""How the networks learned: losses and areas by epoch, as a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cervispine.evaluation.plotting import as_label, style_of
from cervispine.records.files import make_folder
from cervispine.reporting.figures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["History", "save_history"]

#: Of each epoch: ``training_loss``, ``loss`` and ``auc`` of the validation part.
History = Sequence[Mapping[str, float]]


def save_history(
    histories: Mapping[str, History], kept: Mapping[str, int], folder: Path, *, mark: str = ""
) -> None:
    """Write ``history.svg`` and ``history.png``: losses beside areas, by epoch.

    Parameters
    ----------
    histories
        Of each model, by name, in the order of the other figures.
    kept
        The epoch whose weights each model kept, counted from 1.
    folder
        Is made when it is not there.
    mark
        Stands in the figure.

    Raises
    ------
    ResourceError
        When the folder cannot be written.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(layout="constrained", figsize=(6.5, 3.4))
    losses, areas = figure.subplots(1, 2)
    for place, (name, history) in enumerate(histories.items()):
        colour, _, marker = style_of(place)
        epochs = range(1, len(history) + 1)
        training, validation, area = (
            [epoch[key] for epoch in history] for key in ("training_loss", "loss", "auc")
        )
        losses.plot(epochs, training, color=colour, linestyle=":", linewidth=1.2)
        for ax, values in ((losses, validation), (areas, area)):
            ax.plot(epochs, values, color=colour, linewidth=1.6, label=as_label(name))
            ax.plot(
                kept[name],
                values[kept[name] - 1],
                marker,
                color=colour,
                markersize=8,
                markeredgecolor="white",
            )
    losses.plot([], [], color="0.25", linestyle=":", label="training part")
    losses.plot([], [], color="0.25", label="validation part")
    losses.set(ylabel="loss", ylim=(0, None))
    areas.set(ylabel="AUC, validation part", ylim=(_floor(areas), 1.02))
    for ax in (losses, areas):
        ax.set(xlabel="epoch; a marker is the one kept")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.spines[["top", "right"]].set_visible(False)
    losses.legend(frameon=False, fontsize="small")
    save_figure(figure, make_folder(folder), "history", mark=mark)


def _floor(areas: Axes) -> float:
    """Return the lower end of an axis of areas: chance, or below it where a model was."""
    return float(min(0.48, areas.get_ylim()[0]))
