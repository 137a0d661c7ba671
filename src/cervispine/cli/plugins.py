"""The commands about the installation: its backbones, and what it can do."""

from __future__ import annotations

from typing import Annotated

import typer

from cervispine.exceptions import CervispineError

__all__ = ["backbones", "doctor"]


def backbones(
    check: Annotated[
        bool, typer.Option("--check", help="Import each and run the contract.")
    ] = False,
) -> None:
    """List the installed backbones.

    Without --check nothing is imported; with it each backbone is imported and tested.
    """
    from cervispine.backbones import list_backbones

    failed: CervispineError | None = None
    for backbone in list_backbones():
        line = f"{backbone.qualified_name:32} {backbone.version:10} {backbone.licence:14}"
        if check:
            from cervispine.testing import check_backbone

            try:
                check_backbone(backbone.qualified_name)
                line += " ok"
            except CervispineError as error:
                failed = error
                line += f" {error}"
        print(line)
    if failed is not None:
        raise typer.Exit(failed.exit_code)


def doctor() -> None:
    """Show versions, devices, decoders and plug-ins.

    Send this with a question or a report of a fault.
    """
    from cervispine.diagnosis import diagnose

    for name, value in diagnose().items():
        print(f"{name:28} {value}")
