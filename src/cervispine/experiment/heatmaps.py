"""Where a network found its evidence in the cases that the report shows."""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cervispine.exceptions import BackboneContractError, UsageError
from cervispine.progress import progress as progress_of
from cervispine.records.files import make_folder, write_bytes

if TYPE_CHECKING:
    from cervispine.classification import Heatmap
    from cervispine.reporting.cases import Case

__all__ = ["save_heatmaps"]

logger = logging.getLogger("cervispine.experiment")

#: Of a picture, inches and dots an inch: about as large as that of the case beside it.
SIDE, DPI = 3.4, 100


def save_heatmaps(
    folder: Path, model: Path, cases: Sequence[Case], *, progress: bool | None = None
) -> None:
    """Write a Grad-CAM of the middle slice of each case, under the name of its picture.

    A network without a layer to draw from, or with one that gives no maps, has none, and the report
    then says so.

    Parameters
    ----------
    folder
        Gets one PNG a case.
    model
        Folder of the model that chose the cases.
    cases
        As :func:`~cervispine.reporting.choose_cases` returns them.
    progress
        True for a bar, False for silence, None for a bar on a terminal.

    Raises
    ------
    LoadError
        When a study cannot be read any more.
    ResourceError
        When the folder cannot be written.
    """
    from cervispine.classification import OPLLClassifier

    classifier = OPLLClassifier.load(model)
    with progress_of("explaining", shown=progress) as report:
        for number, case in enumerate(cases, start=1):
            try:
                heatmap = classifier.explain(case.study)
            except (UsageError, BackboneContractError) as error:
                # They illustrate; what was trained and compared for hours does not wait for them.
                logger.warning("no heat maps: %s", error.what)
                return
            write_bytes(make_folder(folder) / f"{case.name}.png", _png(heatmap))
            report(number, len(cases))


def _png(heatmap: Heatmap) -> bytes:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIDE, SIDE), layout="constrained")
    heatmap.plot(figure.subplots(), slice=heatmap.slices[len(heatmap.slices) // 2])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
