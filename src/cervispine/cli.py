"""The command line; the only place that prints."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cervispine.cli_power import power_app
from cervispine.exceptions import CervispineError, CervispineWarning, ResourceError, UsageError
from cervispine.progress import progress

__all__ = ["app", "main"]

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
        "130 interrupted."
    ),
)
app.add_typer(power_app, name="power")

Data = Annotated[Path, typer.Argument(metavar="DATA", help="Folder of DICOM, of any depth.")]
Labels = Annotated[
    Path | None, typer.Option(help="CSV with the columns patient,label (OPLL or DSS).")
]
Readers = Annotated[
    Path | None, typer.Option(help="CSV with the columns patient,reader,call and/or rating.")
]
Out = Annotated[Path, typer.Option(help="Folder to write into.")]
Seed = Annotated[int, typer.Option(help="Decides everything random.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 when any file was rejected.")]


INTERRUPTED = "interrupted; what was finished is kept, and --resume continues a run"


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
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    logging.basicConfig(format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr)
    # A terminal has progress bars; a log file gets a line now and then.
    quiet = sys.stderr.isatty() and not verbose
    logging.getLogger("cervispine").setLevel(logging.WARNING if quiet else logging.INFO)


@app.command()
def experiment(
    data: Annotated[
        Path | None,
        typer.Argument(metavar="DATA", help="Folder of DICOM; without it, the phantom cohort."),
    ] = None,
    *,
    out: Out,
    labels: Labels = None,
    readers: Readers = None,
    backbones: Annotated[
        str, typer.Option(help="Installed backbones, with commas between.")
    ] = "resnet34,resnet50,resnet101",
    preset: Annotated[
        str, typer.Option(help="quick: a few minutes on two cores. paper: 684 patients, 224 px.")
    ] = "quick",
    split: Annotated[
        Path | None, typer.Option(help="CSV with the columns patient,part; else one is drawn.")
    ] = None,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    strict: Strict = False,
) -> None:
    """Run the paper's study and write its report.

    Each network is trained on most patients and tested on patients it has never seen; the
    report compares it with the readers. Without DATA it runs on synthetic phantoms.
    """
    from cervispine.experiment import run_experiment

    result = run_experiment(
        data,
        out=out,
        labels=labels,
        readers=readers,
        backbones=_names(backbones),
        preset=preset,
        split=split,
        seed=seed,
        resume=resume,
    )
    print(result.summary())
    print(f"\nThe report is {result.report}")
    _strict(result.parts["test"].intake, strict)


@app.command()
def phantom(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write into.")],
    patients: Annotated[
        int, typer.Option(min=2, help="How many; 272 of 684 have OPLL, as in the paper.")
    ] = 684,
    difficulty: Annotated[float, typer.Option(min=0, max=1, help="0 is easy, 1 is hard.")] = 0.5,
    t1: Annotated[bool, typer.Option("--t1", help="Write a T1 series beside each T2.")] = False,
    seed: Seed = 0,
) -> None:
    """Write a cohort of synthetic patients as DICOM.

    Beside the images stand their truth (masks and measures), labels.csv, and readers.csv with
    what simulated readers would have said.
    """
    from cervispine.phantom import Phantom

    n_opll = round(patients * 272 / 684)
    cohort = Phantom(
        n_opll=n_opll,
        n_dss=patients - n_opll,
        difficulty=difficulty,
        seed=seed,
        sequences=["T2", "T1"] if t1 else ["T2"],
    )
    with progress("making phantoms") as report:
        written = cohort.write(folder, progress=report)
    print(f"{n_opll} OPLL and {patients - n_opll} DSS phantoms, synthetic, no patients:")
    for name in ("dicom", "labels", "readers", "truth"):
        print(f"  {name:8} {getattr(written, name)}")


@app.command()
def index(data: Data, labels: Labels = None, strict: Strict = False) -> None:
    """Say what is there, what is refused and why. Writes nothing."""
    cohort = _index(data, None)
    try:
        if labels is not None:
            cohort = cohort.with_labels(labels)
    finally:
        # Also where the labels are refused: what became of the files may be the reason.
        print(cohort.summary())
    _strict(cohort.intake, strict)


@app.command()
def train(
    data: Data,
    *,
    labels: Annotated[Path, typer.Option(help="CSV: patient,label (OPLL or DSS).")],
    out: Out,
    backbone: Annotated[str, typer.Option(help="An installed backbone.")] = "resnet50",
    epochs: Annotated[int, typer.Option(min=1, help="At most so many.")] = 30,
    seed: Seed = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
) -> None:
    """Train one model on a whole cohort and save it as a folder."""
    from cervispine.classification import OPLLClassifier

    cohort = _index(data, labels)
    if (out / "config.json").exists():
        raise UsageError("the folder holds a model already", where=str(out), code="RUN_EXISTS")
    classifier = OPLLClassifier(backbone=backbone, epochs=epochs, seed=seed)
    classifier.fit(cohort, run_dir=out, resume=resume).save(out)
    print(f"saved {out}: threshold {classifier.threshold_:.3f}, see {out / 'README.md'}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a saved model.")],
    data: Data,
    *,
    out: Annotated[Path, typer.Option(help="CSV to write: patient,model,score,call.")],
    strict: Strict = False,
) -> None:
    """Read a cohort with a saved model."""
    from cervispine.classification import OPLLClassifier

    classifier = OPLLClassifier.load(model)
    cohort = _index(data, None, sequences=classifier.preprocessor_.sequences)
    predictions = classifier.classify(cohort)
    predictions.to_csv(out)
    print(f"{len(predictions)} studies, {predictions.calls.sum()} called OPLL: {out}")
    _strict(cohort.intake, strict)


@app.command()
def compare(
    *,
    truth: Annotated[Path, typer.Option(help="labels.csv: patient,label (OPLL or DSS).")],
    scores: Annotated[Path, typer.Option(help="scores.csv: patient,model,score[,call].")],
    readers: Readers = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Scores at or above it are calls; needed where scores.csv has none."),
    ] = None,
    strata: Annotated[
        str | None,
        typer.Option(help="Columns of labels.csv, with commas; without it, those of few levels."),
    ] = None,
    complete_cases: Annotated[
        bool, typer.Option("--complete-cases", help="Leave out patients a reader did not read.")
    ] = False,
    rating_scale: Annotated[
        tuple[float, float], typer.Option(help="Lowest and highest rating there is.")
    ] = (0, 100),
    out: Out,
) -> None:
    """Compare models' scores with readers.

    Any models' scores will do, of the same patients that the readers read; torch is not needed.
    """
    from cervispine.evaluation import compare_files
    from cervispine.records.files import make_folder
    from cervispine.reporting import save_comparison

    comparison = compare_files(
        truth,
        scores,
        readers,
        threshold=threshold,
        strata=None if strata is None else _names(strata),
        complete_cases=complete_cases,
        rating_scale=rating_scale,
    )
    save_comparison(comparison, make_folder(out))
    print(comparison.summary())


@app.command()
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


@app.command()
def doctor() -> None:
    """Show versions, devices, decoders and plug-ins.

    Send this with a question or a report of a fault.
    """
    from cervispine.diagnosis import diagnose

    for name, value in diagnose().items():
        print(f"{name:28} {value}")


def main() -> NoReturn:
    """Run the command line and exit with the code of what happened."""
    warnings.showwarning = _show_warning
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
            raise
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


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    # Other libraries' warnings can carry values of a header, so only their kind is shown.
    if issubclass(category, CervispineWarning):
        print(f"note: {message}", file=sys.stderr)
    else:
        logging.getLogger("cervispine").debug("a %s was given", category.__name__)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _index(data: Path, labels: Path | None, sequences: Sequence[str] = ("T2",)) -> Any:
    from cervispine.loading import Loader

    with progress("reading headers") as report:
        cohort = Loader(sequences=sequences).index(data, progress=report)
    return cohort if labels is None else cohort.with_labels(labels)


def _strict(intake: Any, strict: bool) -> None:
    if strict and intake is not None and intake.rejected:
        print(f"{intake.rejected} files were rejected", file=sys.stderr)
        raise typer.Exit(1)
