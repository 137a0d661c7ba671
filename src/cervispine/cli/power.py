"""The command ``cervispine power``: how many cases a study needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cervispine.evaluation.power import Design

__all__ = ["power_app"]

power_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=(
        "Say how many cases a study needs.\n\n"
        "One area of 0.8: cervispine power auc --auc 0.8\n\n"
        "Two areas on the same cases, from a pilot: cervispine power paired-auc "
        "--truth labels.csv --scores scores.csv --first a --second b --difference 0.05\n\n"
        "Sensitivities of model and reader, by the shares that only one calls rightly: "
        "cervispine power mcnemar --first-only 0.2 --second-only 0.1\n\n"
        "A reader study, from a pilot: "
        "cervispine power mrmc --pilot pilot.csv --difference 0.05 --readers 8"
    ),
)

Power = Annotated[float, typer.Option(help="The wanted power.")]
Alpha = Annotated[float, typer.Option(help="The two-sided level.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@power_app.command()
def auc(
    *,
    auc: Annotated[float, typer.Option(help="The expected area, above 0.5.")],
    ratio: Annotated[float, typer.Option(help="Negatives to one positive.")] = 1.0,
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    json: Json = False,
) -> None:
    """One area under the ROC curve against 0.5."""
    from cervispine.evaluation.power import OneAUC

    _show(OneAUC(auc, ratio), power, alpha, json)


@power_app.command()
def paired_auc(
    *,
    truth: Annotated[Path, typer.Option(help="labels.csv of a pilot: patient,label.")],
    scores: Annotated[Path, typer.Option(help="scores.csv of the same: patient,model,score.")],
    first: Annotated[str, typer.Option(help="One model of the pilot.")],
    second: Annotated[str, typer.Option(help="The other.")],
    difference: Annotated[float, typer.Option(help="The difference of areas to detect.")],
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    json: Json = False,
) -> None:
    """Two areas on the same cases, from a pilot's variances and covariance."""
    from cervispine.evaluation.files import read_pilot
    from cervispine.evaluation.power import PairedAUCs

    pilot = read_pilot(truth, scores, (first, second))
    _show(PairedAUCs.from_pilot(*pilot, difference=difference), power, alpha, json)


@power_app.command()
def mcnemar(
    *,
    first_only: Annotated[float, typer.Option(help="Share that only the first calls rightly.")],
    second_only: Annotated[float, typer.Option(help="Share that only the second does.")],
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    json: Json = False,
) -> None:
    """Two sensitivities, or specificities, on the same cases of one class."""
    from cervispine.evaluation.power import PairedCalls

    _show(PairedCalls(first_only, second_only), power, alpha, json)


@power_app.command()
def mrmc(
    *,
    pilot: Annotated[Path, typer.Option(help="CSV: case,reader,modality,truth,rating.")],
    difference: Annotated[float, typer.Option(help="The difference of areas to detect.")],
    readers: Annotated[int, typer.Option(help="How many will read.")],
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    json: Json = False,
) -> None:
    """Two modalities read by the same readers, from a pilot's components of variance."""
    from cervispine.evaluation import mrmc as analyse
    from cervispine.evaluation import read_readings
    from cervispine.evaluation.power import ReaderStudy

    study = analyse(read_readings(pilot))
    _show(ReaderStudy(difference, readers, study.components, study.n), power, alpha, json)


def _show(design: Design, power: float, alpha: float, as_json: bool) -> None:
    from json import dumps

    from cervispine.evaluation.power import sample_size

    found = sample_size(design, power=power, alpha=alpha)
    typer.echo(dumps(found.to_dict(), indent=2) if as_json else found.summary())
