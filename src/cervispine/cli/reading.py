"""The commands ``cervispine read``: surgeons read a cohort in the browser."""

from __future__ import annotations

import ipaddress
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cervispine.cli.options import LoaderName, Saved, Seed, index_folder, names_in
from cervispine.exceptions import MissingExtraError, UsageError
from cervispine.progress import progress
from cervispine.records.files import alone_in

if TYPE_CHECKING:
    from cervispine.reader_study.store import Store
    from cervispine.records import Cohort

__all__ = ["read_app"]

#: The options of ``serve`` that decide a study, and so belong to the command that makes it.
MAKES = (
    "cases", "training", "scores", "model", "heatmaps", "washout", "repeats", "rating_scale",
    "sequences", "title", "loader", "saved", "seed",
)  # fmt: skip

read_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help=(
        "Let surgeons read a cohort in the browser, and export what they say.\n\n"
        "Begin: cervispine read serve COHORT --readers a,b,c --out STUDY\n\n"
        "Go on, also after a crash: cervispine read serve --out STUDY\n\n"
        "One reader more: cervispine read serve --readers a,b,c,d --out STUDY\n\n"
        "Take away: cervispine read export STUDY --out READS"
    ),
)


@read_app.command()
def serve(
    context: typer.Context,
    cohort: Annotated[
        str | None,
        typer.Argument(metavar="COHORT", help="Folder of images; without it, go on with a study."),
    ] = None,
    *,
    out: Annotated[Path, typer.Option(help="Folder of the study; it holds patients and answers.")],
    readers: Annotated[
        str | None, typer.Option(help="Names, with commas between; later also new ones.")
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(help="CSV with the column patient: who is read. Of a split, its test part."),
    ] = None,
    training: Annotated[
        Path | None, typer.Option(help="CSV patient,label[,type]: read first, with feedback.")
    ] = None,
    scores: Annotated[
        Path | None, typer.Option(help="scores.csv: adds a second session, and the aided arm.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Which model of scores.csv aids.")] = None,
    heatmaps: Annotated[
        Path | None, typer.Option(help="Folder of `cervispine explain`, or of PATIENT.png.")
    ] = None,
    washout: Annotated[float, typer.Option(min=0, help="Days between the sessions.")] = 28,
    repeats: Annotated[
        int, typer.Option(min=0, help="Cases that come twice, for agreement with oneself.")
    ] = 0,
    rating_scale: Annotated[
        tuple[int, int], typer.Option(help="Lowest and highest rating: 0 100, or 1 5.")
    ] = (0, 100),
    sequences: Annotated[
        str, typer.Option(help="Sequences shown, with commas between; every study has each.")
    ] = "T2",
    title: Annotated[str, typer.Option(help="What readers see above.")] = "Reader study",
    loader: LoaderName = "dicom",
    saved: Saved = None,
    seed: Seed = 0,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 127.0.0.1 is this computer alone.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8765,
    certificate: Annotated[Path | None, typer.Option(help="PEM file, for https.")] = None,
    private_key: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
) -> None:
    """Serve a reader study until interrupted.

    Prints a private link for each reader, which works once, and one for whoever runs the study.
    Everything is kept at once: killed, it goes on with the same --out. Readers who are named with
    it then and were not before read from then on; nobody can be taken out.
    """
    _need_extra()
    from cervispine.reader_study.joining import add_readers
    from cervispine.reader_study.server import listen, make_app
    from cervispine.reader_study.server import serve as serve_app
    from cervispine.reader_study.study import open_study

    if (certificate is None) != (private_key is None):
        raise UsageError("https needs --certificate and --private-key", where="--certificate")
    for file in (certificate, private_key):
        if file is not None and not file.is_file():
            raise UsageError("the file cannot be read", where=str(file), code="FILE_MISSING")
    with alone_in(out):
        if cohort is None:
            _refuse_what_makes_a_study(context)
            store = open_study(out)
            if readers is not None:
                for name in add_readers(store, names_in(readers)):
                    print(f"note: {name} reads this study from now on", file=sys.stderr)
        else:
            from cervispine.reader_study.cases import Materials
            from cervispine.reader_study.design import ARMS, Design
            from cervispine.reader_study.study import make_study

            if readers is None:
                raise UsageError("who reads?", where="--readers", advice="--readers a,b,c")
            design = Design(
                readers=names_in(readers),
                arms=ARMS if scores is not None else ARMS[:1],
                repeats=repeats,
                washout=washout,
                rating_scale=rating_scale,
                seed=seed,
            )
            shown = names_in(sequences)
            if scores is None and (model is not None or heatmaps is not None):
                raise UsageError("an aided arm needs scores", where="--scores")
            studies = index_folder(cohort, loader=loader, sequences=shown, saved=saved)
            _note_burned_in(studies)
            materials = Materials(
                cohort=studies,
                sequences=shown,
                title=title,
                cases=cases,
                training=training,
                scores=scores,
                model=model,
                heatmaps=heatmaps,
            )
            with progress("preparing images") as report:
                store = make_study(out, design, materials, progress=report)
        secure = certificate is not None
        with listen(host, port) as listening:
            address = _address(host, listening.getsockname()[1], secure=secure)
            _tell(store, address, host, secure=secure)
            app = make_app(store, hosts=_names(host), secure=secure)
            try:
                serve_app(app, listening, certificate=certificate, private_key=private_key)
            except KeyboardInterrupt:
                pass
            finally:
                store.close()
        print(f"\nstopped; `cervispine read serve --out {out}` goes on", file=sys.stderr)


@read_app.command()
def export(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="Folder of the study.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder to write into.")],
    labels: Annotated[
        Path | None,
        typer.Option(help="labels.csv: adds aided against unaided, where both were read."),
    ] = None,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also what was said in sessions not yet locked.")
    ] = False,
) -> None:
    """Write what the readers said: readers.csv for compare, agreement, audit log.

    The server may go on meanwhile.
    """
    _need_extra()
    from cervispine.reader_study.export import export_study
    from cervispine.reader_study.store import Store

    store = Store(study)
    try:
        print(export_study(store, out, labels=labels, unfinished=unfinished).summary())
    finally:
        store.close()


def _refuse_what_makes_a_study(context: typer.Context) -> None:
    """Raise for options that decide a study when one only goes on: they would do nothing."""
    for parameter in context.command.params:
        if parameter.name not in MAKES:
            continue
        source = context.get_parameter_source(parameter.name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                "the study here was decided when it was made",
                where=parameter.opts[0],
                advice="leave it out, or name COHORT and another folder to make another study",
            )


def _note_burned_in(cohort: Cohort) -> None:
    """Warn where headers do not rule out text in the images; where they state it, none is read."""
    notes = () if cohort.intake is None else cohort.intake.identity
    for note in notes:
        if note.code == "BURNED_IN_UNSTATED":
            print(
                f"note: {note.reason} ({note.files} files); look at the pictures of "
                "`cervispine index --out` before readers do",
                file=sys.stderr,
            )


def _need_extra() -> None:
    try:
        import fastapi
        import limits
        import sqlalchemy
        import uvicorn

        del fastapi, limits, sqlalchemy, uvicorn
    except ImportError as error:
        raise MissingExtraError(
            f"a reader study needs {error.name}, which is not installed",
            advice="pip install 'cervispine[reader]'",
        ) from None


def _tell(store: Store, address: str, host: str, *, secure: bool) -> None:
    """Print the links, and warn of what listening elsewhere means."""
    from cervispine.reader_study.store import ADMINISTRATOR

    print("One private link for each reader; it works once, and a new one is made at every start:")
    for person in store.people():
        print(f"  {person.name:24} {address}/#{store.make_link(person.number)}")
    print(
        f"  {'(progress, no answers)':24} {address}/administrator#{store.make_link(ADMINISTRATOR)}"
    )
    if not _is_loopback(host):
        what = "" if secure else "unencrypted: whoever can listen in sees images and answers; "
        print(
            f"note: everybody who reaches {host} can ask this server, {what}a link in wrong hands "
            "reads in its owner's name. Use a network that you trust"
            + ("" if secure else ", or --certificate and --private-key"),
            file=sys.stderr,
        )
    print("Interrupt (Ctrl-C) to stop.", flush=True)


def _address(host: str, port: int, *, secure: bool) -> str:
    name = socket.gethostname() if _is_anything(host) else host
    name = f"[{name}]" if ":" in name else name
    return f"{'https' if secure else 'http'}://{name}:{port}"


def _names(host: str) -> list[str]:
    """Return the names under which the server may be asked for."""
    if _is_anything(host):
        return ["*"]
    names = [host, f"[{host}]"] if ":" in host else [host]
    return [*names, "localhost", "127.0.0.1"] if _is_loopback(host) else names


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_anything(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False
