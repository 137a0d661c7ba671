"""A cohort and a design to a folder that can be served, and served again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import attrs

from cervispine.exceptions import DataError, UsageError
from cervispine.loading import build_loader
from cervispine.progress import Report
from cervispine.reader_study.cases import Case, Materials, choose_cases
from cervispine.reader_study.design import Design, Slot, plan
from cervispine.reader_study.images import (
    IMAGES,
    Frames,
    heatmap_path,
    image_path,
    make_frames,
)
from cervispine.reader_study.joining import add_readers, rows_of_reader
from cervispine.reader_study.schema import Base, CaseRow, ImageRow, ReaderRow
from cervispine.reader_study.store import ADMINISTRATOR, ADMINISTRATOR_NAME, DATABASE, Store
from cervispine.records.files import make_folder, refuse_taken, write_bytes

__all__ = ["check_images", "make_study", "open_study"]


def make_study(
    folder: Path, design: Design, materials: Materials, *, progress: Report | None = None
) -> Store:
    """Make a study, or open the one that was made of the same, with whoever reads it now too.

    Every image is read once, now, so that none fails under a reader's eyes; copies of the pixels
    are what is served.

    Raises
    ------
    UsageError
        ``RESUME_MISMATCH``: the folder holds a study of another design or other data, or one with
        a reader who is not in this design, while one who is new is added to it;
        ``OUTPUT_TAKEN``: it holds something else; a design that these cases do not allow.
    LabelError
        A table that names patients who are not in the cohort.
    DataError
        ``PATIENT_REPEATED``: two studies of one patient; images that cannot be read or shown; heat
        maps that are missing.
    """
    cases = choose_cases(design, materials)
    slots = _slots(design, cases)
    configuration = _configuration(design, materials, cases)
    if (folder / DATABASE).exists():
        store = open_study(folder)
        refuse_other(store, configuration)
        add_readers(store, design.readers)
        return store
    refuse_taken(folder, own={IMAGES})
    make_folder(folder / IMAGES)
    folder.chmod(0o700)
    images: dict[int, list[Frames]] = {}
    for done, case in enumerate(cases, start=1):
        images[case.number] = _write_images(folder, case, materials.sequences)
        if progress is not None:
            progress(done, len(cases))
    return Store.create(folder, configuration, lambda: _rows(design, cases, slots, images))


def open_study(folder: Path) -> Store:
    """Go on with a study, after checking that its images are what was made.

    Raises
    ------
    UsageError
        ``STUDY_MISSING``: there is none in the folder.
    DataError
        ``STUDY_INVALID``, ``STUDY_DAMAGED``.
    """
    store = Store(folder)
    check_images(store)
    return store


def check_images(store: Store) -> None:
    """Raise when an image of a study is not the one that was made.

    Raises
    ------
    DataError
        ``STUDY_DAMAGED``
    """
    from sqlalchemy import select

    with store.reads() as session:
        wanted = {
            image_path(store.folder, row.case, row.place): row.digest
            for row in session.scalars(select(ImageRow))
        }
        wanted |= {
            heatmap_path(store.folder, row.number): row.heatmap
            for row in session.scalars(select(CaseRow))
            if row.heatmap is not None
        }
    damaged = sum(not path.is_file() or _digest(path) != digest for path, digest in wanted.items())
    if damaged:
        raise DataError(
            f"{damaged} of {len(wanted)} images of the study are not what was made",
            where=str(store.folder / IMAGES),
            advice="restore the folder from a copy; the answers are in the database",
            code="STUDY_DAMAGED",
        )


def refuse_other(store: Store, configuration: Mapping[str, Any]) -> None:
    """Raise when a study was made of something else; who reads it is no part of that.

    Raises
    ------
    UsageError
        ``RESUME_MISMATCH``
    """
    before = store.configuration
    changed = sorted(
        name
        for name in {*before, *configuration} - {"readers"}
        if before.get(name) != configuration.get(name)
    )
    if changed:
        raise UsageError(
            f"the study here was made with other values of {', '.join(changed)}",
            where=str(store.folder),
            advice="give the folder alone to go on with it, or choose another folder",
            code="RESUME_MISMATCH",
        )


def _slots(design: Design, cases: Sequence[Case]) -> tuple[Slot, ...]:
    return plan(
        design,
        [case.number for case in cases if case.lesson is None],
        training=[case.number for case in cases if case.lesson is not None],
        # Readers learn the aid where they learn the form.
        aided=[case.number for case in cases if case.lesson is not None and case.aid is not None],
    )


def _configuration(design: Design, materials: Materials, cases: Sequence[Case]) -> dict[str, Any]:
    """Return all that decides a study; of patients and images only a hash."""
    content = [
        [
            case.study.patient,
            [
                [series.uid, series.pixel_hash]
                for name in materials.sequences
                for series in [case.study.one_series(name)]
            ],
            None if case.lesson is None else [case.lesson["label"], case.lesson_type],
            None
            if case.aid is None
            else [
                case.aid.probability,
                case.aid.advice,
                case.aid.heatmap and hashlib.sha256(case.aid.heatmap).hexdigest(),
            ],
        ]
        for case in cases
    ]
    configuration = {
        **attrs.asdict(design),
        "title": materials.title,
        "sequences": materials.sequences,
        "cases": sum(case.lesson is None for case in cases),
        "training": sum(case.lesson is not None for case in cases),
        "data": hashlib.sha256(json.dumps(content).encode()).hexdigest(),
    }
    return dict(json.loads(json.dumps(configuration)))


@cache
def _loader_of(name: str, sequence: str) -> Any:
    return build_loader(name, sequences=(sequence,))


def _write_images(folder: Path, case: Case, sequences: Sequence[str]) -> list[Frames]:
    made = []
    for place, sequence in enumerate(sequences):
        series = case.study.one_series(sequence)
        frames = make_frames(_loader_of(series.loader, sequence).read(series, sequence))
        write_bytes(image_path(folder, case.number, place), frames.content)
        made.append(frames)
    if case.aid is not None and case.aid.heatmap is not None:
        write_bytes(heatmap_path(folder, case.number), case.aid.heatmap)
    return made


def _rows(
    design: Design,
    cases: Sequence[Case],
    slots: Sequence[Slot],
    images: Mapping[int, Sequence[Frames]],
) -> Iterator[Base]:
    yield ReaderRow(number=ADMINISTRATOR, name=ADMINISTRATOR_NAME)
    for case in cases:
        aid = case.aid
        yield CaseRow(
            number=case.number,
            patient=case.study.patient,
            label=None if case.lesson is None else case.lesson["label"],
            type=case.lesson_type,
            probability=None if aid is None else aid.probability,
            advice=None if aid is None else aid.advice,
            heatmap=None
            if aid is None or aid.heatmap is None
            else hashlib.sha256(aid.heatmap).hexdigest(),
        )
        for place, frames in enumerate(images[case.number]):
            yield ImageRow(
                case=case.number,
                place=place,
                sequence=frames.sequence,
                shape=list(frames.shape),
                spacing=list(frames.spacing),
                window=list(frames.window),
                slope=frames.slope,
                intercept=frames.intercept,
                digest=frames.digest,
            )
    for number, name in enumerate(design.readers, start=1):
        yield from rows_of_reader(number, name, design, slots)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
