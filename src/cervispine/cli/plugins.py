"""The commands about the installation: its backbones, its loaders, and what it can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cervispine.exceptions import CervispineError, NoImagesError

if TYPE_CHECKING:
    from cervispine.plugins import InstalledPlugin

__all__ = ["backbones", "doctor", "loaders"]


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
        line = _line(backbone)
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


def loaders(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One of them; without it, all.")
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Import each and run the contract on this folder."),
    ] = None,
) -> None:
    """List the installed loaders.

    Without --check nothing is imported; with it each loader is imported and tested on a folder
    that it can read. One that finds nothing of its kind there is only an error when it was named.
    """
    from cervispine.loading import find_loader, list_loaders

    failed: CervispineError | None = None
    for loader in list_loaders() if name is None else [find_loader(name)]:
        line = _line(loader)
        if check is not None:
            from cervispine.testing import check_loader

            try:
                check_loader(loader.qualified_name, check)
                line += " ok"
            except NoImagesError as error:
                failed = failed if name is None else error
                line += f" nothing of its kind here: {error.code}"
            except CervispineError as error:
                failed = error
                line += f" {error}"
        print(line)
    if failed is not None:
        raise typer.Exit(failed.exit_code)


def _line(plugin: InstalledPlugin) -> str:
    return f"{plugin.qualified_name:32} {plugin.version:10} {plugin.licence:14}"


def doctor() -> None:
    """Show versions, devices, decoders and plug-ins.

    Send this with a question or a report of a fault.
    """
    from cervispine.diagnosis import diagnose

    for name, value in diagnose().items():
        print(f"{name:28} {value}")
