"""intake.html: what became of every file, and what each study looks like, on one page."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from markupsafe import Markup

from cervispine.exceptions import DataError, UsageError
from cervispine.records import CLASSES, Cohort, IntakeReport, Key, Problem, Series, Study
from cervispine.records.describing import scanner_of
from cervispine.records.files import make_folder, write_text
from cervispine.reporting.pages import render

if TYPE_CHECKING:
    from cervispine.reporting.thumbnails import Reader

__all__ = ["save_intake"]

#: How many series UIDs or files the page names for one code; rejected.csv names all.
ITEMS_SHOWN = 20

NO_BREAK = "\N{NO-BREAK SPACE}"


@attrs.frozen(kw_only=True)
class _Card:
    """One study as the page shows it."""

    name: str
    label: str
    synthetic: bool
    series: tuple[dict[str, Any], ...]
    notes: tuple[Problem, ...]

    @property
    def noted(self) -> bool:
        """Whether there is something to look at first."""
        return bool(self.notes) or any(each["fault"] for each in self.series)


def save_intake(
    cohort: Cohort,
    folder: str | Path,
    *,
    loader: Reader | None = None,
    key: Key | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write ``intake.html``, ``rejected.csv`` and, of usable studies, ``data-manifest.json``.

    The page shows the way from the files found to those used, with the count of each reason, and
    the middle slice of each series with the facts of its header. It names no patient, no folder
    and no file: studies are numbered in the order of the cohort, or named by their pseudonym where
    there is a key. Images are images of patients all the same.

    Parameters
    ----------
    cohort
        As it was indexed, with its intake; labels are shown where there are any. Without a study
        (``Cohort((), error.intake)`` of a :class:`~cervispine.exceptions.NoImagesError`) the page
        is the account alone.
    folder
        Where to write; made when it is not there.
    loader
        What reads the middle slices; when None the loader that each series names, which is the
        one that indexed it.
    key
        Makes the pseudonyms.
    progress
        Called with the number of studies drawn and the number there are.

    Returns
    -------
    Path
        Of the page: one file, without scripts and without anything from the network.

    Raises
    ------
    UsageError
        When the cohort was made by hand, and has no account of files.
    LoadError
        When a file cannot be read any more.
    ResourceError
        When the folder cannot be written.
    """
    # The other reports need neither images nor what reads them.
    from cervispine.loading import make_manifest

    intake = cohort.intake
    if intake is None:
        raise UsageError(
            "a cohort that was not indexed has no intake to show", advice="Loader().index(folder)"
        )
    folder = make_folder(Path(folder))
    cards = []
    for number, study in enumerate(cohort, start=1):
        name = f"study {number}" if key is None else key.pseudonym(study.patient)
        cards.append(_card(study, name, intake, loader))
        if progress is not None:
            progress(number, len(cohort))
    intake.to_csv(folder / "rejected.csv")
    digest = ""
    if len(cohort):
        manifest = make_manifest(cohort)
        manifest.save(folder / "data-manifest.json")
        digest = manifest.digest
    values = {
        "intake": intake,
        "studies": len(cohort),
        "patients": len(set(cohort.patients)),
        "labels": _labels(cohort),
        "reasons": {fate: _reasons(intake, fate) for fate in ("rejected", "ignored", "noted")},
        "scanners": _scanners(series for study in cohort for series in study.series),
        "groups": {
            "noted": [card for card in cards if card.noted],
            "plain": [card for card in cards if not card.noted],
        },
        "synthetic": sum(card.synthetic for card in cards),
        "digest": digest,
    }
    path = folder / "intake.html"
    write_text(path, render("intake.html", values, number=_number, breakable=_breakable))
    return path


def _card(study: Study, name: str, intake: IntakeReport, loader: Reader | None) -> _Card:
    uids = {series.uid for series in study.series}
    return _Card(
        name=name,
        label="" if study.label is None else CLASSES[study.label],
        synthetic=study.synthetic,
        series=tuple(_series(series, loader) for series in study.series),
        notes=tuple(p for p in intake.problems if p.fate == "noted" and p.item in uids),
    )


def _series(series: Series, loader: Reader | None) -> dict[str, Any]:
    from cervispine.loading.registry import made_once
    from cervispine.reporting.thumbnails import thumbnail

    protocol = series.protocol
    slices, rows, columns = series.shape
    between_rows, between_columns = series.geometry.pixel_spacing
    times = [
        f"{name} {_number(protocol[key])}{NO_BREAK}ms"
        for name, key in (
            ("TR", "repetition_time_ms"),
            ("TE", "echo_time_ms"),
            ("TI", "inversion_time_ms"),
        )
        if protocol.get(key)
    ]
    image, fault = "", None
    try:
        reader = loader or made_once(series.loader, (series.sequence,))
        picture = thumbnail(series, reader, mark="synthetic" if series.synthetic else "")
        image = f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}"
    except DataError as error:
        fault = Problem(code=error.code, reason=error.what, item=series.uid)
    return {
        "uid": series.uid,
        "sequence": series.sequence,
        "plane": series.plane,
        "why": protocol.get("sequence_from", ""),
        "image": image,
        "fault": fault,
        "matrix": f"{rows} \N{MULTIPLICATION SIGN} {columns}",
        "spacing": f"{_number(between_rows)} \N{MULTIPLICATION SIGN} {_number(between_columns)} mm",
        "slices": f"{slices}, {_number(series.geometry.slice_spacing)} mm apart",
        "times": ", ".join(times),
        "scanner": scanner_of(series),
    }


def _labels(cohort: Cohort) -> str:
    counts = Counter(
        "unlabelled" if study.label is None else CLASSES[study.label] for study in cohort
    )
    return ", ".join(f"{counts[name]} {name}" for name in sorted(counts, reverse=True))


def _reasons(intake: IntakeReport, fate: str) -> list[dict[str, Any]]:
    """Return each code of a fate with its files, an example of its reason, and its items."""
    by_code: dict[str, list[Problem]] = {}
    for problem in intake.problems:
        if problem.fate == fate:
            by_code.setdefault(problem.code, []).append(problem)
    reasons = []
    for code, problems in by_code.items():
        texts = Counter(problem.reason for problem in problems)
        items = sorted({problem.item for problem in problems if problem.item}, key=_by_number)
        reasons.append(
            {
                "code": code,
                "files": sum(problem.files for problem in problems),
                "reason": texts.most_common(1)[0][0],
                "others": len(texts) - 1,
                "items": items[:ITEMS_SHOWN],
                "more": max(0, len(items) - ITEMS_SHOWN),
            }
        )
    return sorted(reasons, key=lambda each: (-each["files"], each["code"]))


def _by_number(item: str) -> tuple[str, int, str]:
    """Order "file 2" before "file 10", and both before UIDs."""
    number = item.removeprefix("file ")
    return ("", int(number), "") if number.isdigit() and number != item else ("uid", 0, item)


def _scanners(series: Iterable[Series]) -> list[dict[str, Any]]:
    by_scanner: dict[tuple[str, str], list[Series]] = {}
    for each in series:
        by_scanner.setdefault((scanner_of(each), each.sequence), []).append(each)
    return [
        {
            "scanner": scanner,
            "sequence": sequence,
            "series": len(group),
            "matrix": _most_common(
                f"{s.shape[1]} \N{MULTIPLICATION SIGN} {s.shape[2]}" for s in group
            ),
            "spacing": _range([s for each in group for s in each.geometry.pixel_spacing]),
            "slices": _range([each.shape[0] for each in group]),
            "apart": _range([each.geometry.slice_spacing for each in group]),
        }
        for (scanner, sequence), group in sorted(by_scanner.items())
    ]


def _most_common(texts: Iterable[str]) -> str:
    counts = Counter(texts)
    text, _ = counts.most_common(1)[0]
    others = len(counts) - 1
    return f"{text}, and {others} other{'s' if others > 1 else ''}" if others else text


def _range(values: Sequence[float]) -> str:
    low, high = _number(min(values)), _number(max(values))
    return low if low == high else f"{low} to {high}"


def _breakable(code: str) -> Markup:
    """Return a code that may go on in the next line after an underscore."""
    return Markup("_<wbr>").join(code.split("_"))


def _number(value: Any) -> str:
    """Return a number with thousands apart, and no more than two decimals."""
    return f"{float(value):,.2f}".rstrip("0").rstrip(".")
