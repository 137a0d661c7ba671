"""From the files found to the patients of each part: the flow diagram of STARD and TRIPOD."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from cervispine.records.files import make_folder
from cervispine.reporting.figures import save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Flow", "Step", "flow_of", "save_flow"]

#: How many reasons a box names; rejected.csv names all.
REASONS_SHOWN = 5


@attrs.frozen
class Step:
    """A box of the diagram and what left the way before it.

    Parameters
    ----------
    name
        What the box counts, with the count.
    lines
        More about it.
    left
        What left before it: a heading and its reasons; empty where nothing did.
    """

    name: str
    lines: tuple[str, ...] = ()
    left: tuple[tuple[str, tuple[str, ...]], ...] = ()


@attrs.frozen
class Flow:
    """The diagram: boxes one below the other, and the parts side by side at their end."""

    steps: tuple[Step, ...]
    parts: tuple[Step, ...]


def flow_of(manifest: Mapping[str, Any]) -> Flow:
    """Return the way from files to parts that the manifest of a run tells.

    Raises
    ------
    KeyError
        When the manifest is not that of a finished run.
    """
    intake, cohort = manifest["intake"], manifest["cohort"]
    patients = "phantoms" if manifest["synthetic"] else "patients"
    left = tuple(
        (
            f"{_files(intake[fate])} {fate}",
            _reasons([each for each in intake["reasons"] if each["fate"] == fate]),
        )
        for fate in ("rejected", "ignored")
    )
    return Flow(
        steps=(
            Step(f"{_files(intake['found'])} found"),
            Step(f"{_files(intake['used'])} used", (f"{cohort['series']:,} series",), left),
            Step(
                f"{cohort['patients']:,} {patients}",
                (f"{cohort['studies']:,} studies", _classes(cohort["classes"])),
            ),
        ),
        parts=tuple(
            Step(f"{part}: {described['patients']:,}", (_classes(described["classes"]),))
            for part, described in manifest["participants"].items()
        ),
    )


def save_flow(manifest: Mapping[str, Any], folder: Path, *, mark: str = "") -> None:
    """Draw the diagram that a manifest tells as ``flow.svg`` and ``flow.png``.

    Raises
    ------
    ResourceError
        When the folder cannot be written.
    """
    from matplotlib.figure import Figure

    flow = flow_of(manifest)
    heights = [1.2 + 0.5 * len(step.lines) for step in flow.steps]
    asides = [sum(1 + len(reasons) for _, reasons in step.left) for step in flow.steps]
    # A box stands below what left before it.
    gaps = [max(0.7, 0.5 * lines) for lines in asides]
    total = sum(heights) + sum(gaps) + 2.6
    figure = Figure(layout="constrained", figsize=(6.5, 0.36 * total + 0.4))
    ax = figure.subplots()
    ax.set(xlim=(0, 10), ylim=(-total, 0))
    ax.axis("off")
    below = 0.0
    for place, (step, height, gap) in enumerate(zip(flow.steps, heights, gaps, strict=True)):
        if place:
            _arrow(ax, (3, below), (3, below - gap))
        if step.left:
            text = "\n".join(
                line
                for title, reasons in step.left
                for line in (title, *(f"  {r}" for r in reasons))
            )
            ax.text(5.2, below - gap / 2, text, va="center", fontsize=8.5, linespacing=1.35)
            ax.plot([3, 5.1], [below - gap / 2] * 2, color="0.25", linewidth=0.9)
        below -= gap if place else 0.0
        _box(ax, 3, below - height / 2, "\n".join((step.name, *step.lines)))
        below -= height
    for place, part in enumerate(flow.parts):
        middle = 10 * (place + 0.5) / len(flow.parts)
        _arrow(ax, (3, below), (middle, below - 0.9))
        _box(ax, middle, below - 1.6, "\n".join((part.name, *part.lines)))
    save_figure(figure, make_folder(folder), "flow", mark=mark)


def _box(ax: Axes, middle: float, height: float, text: str) -> None:
    frame = {"boxstyle": "round,pad=0.5", "facecolor": "#f4f6f9", "edgecolor": "0.25"}
    ax.text(middle, height, text, ha="center", va="center", fontsize=9, bbox=frame, linespacing=1.4)


def _arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": "0.25", "linewidth": 0.9, "shrinkA": 4, "shrinkB": 2}
    ax.annotate("", xy=end, xytext=start, arrowprops=style)


def _files(count: int) -> str:
    return f"{count:,} file{'' if count == 1 else 's'}"


def _classes(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{counts[name]:,} {name}" for name in sorted(counts, reverse=True))


def _reasons(reasons: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    shown = [f"{each['files']:,} {each['code']}" for each in reasons[:REASONS_SHOWN]]
    if others := reasons[REASONS_SHOWN:]:
        shown.append(f"{sum(each['files'] for each in others):,} for {len(others)} other reasons")
    return tuple(shown)
