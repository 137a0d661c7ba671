"""The command that makes the report of a run again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["report"]


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished experiment.")],
) -> None:
    """Make the report of a run again, from what the run saved.

    Nothing is computed: no image is read and no model is asked. What the run's folder holds
    besides by now, such as heat maps, is taken in. Checklists that are not there are written;
    those that are stay as they are.
    """
    from cervispine.reporting import save_checklists, write_report

    print(f"The report is {write_report(run)}")
    if written := save_checklists(run):
        print(f"Checklists to fill in: {written[0].parent}")
