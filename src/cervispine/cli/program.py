"""The program: its commands in order, and how it ends."""

from __future__ import annotations

import signal
import sys
import warnings
from typing import Annotated, NoReturn

import typer

from cervispine.cli.archive import infer
from cervispine.cli.crossval import crossval
from cervispine.cli.data import index, phantom
from cervispine.cli.explain import explain
from cervispine.cli.messages import fault_of, show_logs, show_warning
from cervispine.cli.plugins import backbones, doctor, loaders
from cervispine.cli.power import power_app
from cervispine.cli.reading import read_app
from cervispine.cli.report import report
from cervispine.cli.statistics import compare
from cervispine.cli.study import experiment, export, predict, train
from cervispine.exceptions import CervispineError, ResourceError

__all__ = ["app", "main"]

#: The exit code of a fault of cervispine itself, as in sysexits.h.
INTERNAL = 70

TRACEBACK = "--traceback"

INTERRUPTED = (
    "interrupted; what was finished is kept, and a command that has --resume goes on with it"
)

app = typer.Typer(
    name="cervispine",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would double the time that --help takes
    help=(
        "Cervical OPLL on sagittal MRI: train, test and compare classifiers with surgeons.\n\n"
        "Start with `cervispine experiment --out demo`: it needs no data, runs the "
        "paper's study on synthetic phantoms and writes demo/report.html.\n\n"
        "Research use only; not a medical device. Exit codes: 0 done, 1 done with files rejected "
        "under --strict, 2 usage, 3 data refused, 4 model refused, 5 out of resources, "
        "70 a fault of cervispine, 130 interrupted."
    ),
)
for command in (
    experiment, phantom, index, train, crossval, predict, infer, export, explain, compare, report,
    backbones, loaders, doctor,
):  # fmt: skip
    app.command()(command)
app.add_typer(power_app, name="power")
app.add_typer(read_app, name="read")


def _show_version(value: bool) -> None:
    if value:
        from cervispine import __version__

        print(f"cervispine {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say more while working.")
    ] = False,
    _traceback: Annotated[
        bool,
        typer.Option(TRACEBACK, help="Show all of a fault of cervispine; it may name patients."),
    ] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    show_logs(verbose=verbose)


def main() -> NoReturn:
    """Run the command line and exit with the code of what happened."""
    warnings.showwarning = show_warning
    # As after Ctrl-C: temporary files go and locks are released, which a plain end leaves.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = app(standalone_mode=False)
    except CervispineError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail(INTERRUPTED, 130)
    except MemoryError:
        lack = ResourceError("out of memory", advice="use a smaller batch or smaller images")
        _fail(str(lack), lack.exit_code)
    except Exception as error:
        # Typer's own errors (an unknown option, a missing argument) know how to show themselves.
        if not hasattr(error, "exit_code"):
            if TRACEBACK in sys.argv:
                raise
            _fail(str(fault_of(error)), INTERNAL)
        if hasattr(error, "show"):
            error.show()
        sys.exit(error.exit_code)
    # Typer returns the code of an interruption inside a command instead of raising it.
    if code == 130:
        _fail(INTERRUPTED, 130)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    sys.exit(code)
