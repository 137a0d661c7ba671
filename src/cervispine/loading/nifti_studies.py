"""NIfTI images to studies: whose they are, which are meant, one series a sequence."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import attrs
import numpy as np

from cervispine.loading.bids import Names, is_nifti, names_of, stem_of
from cervispine.loading.intake import FoundFile
from cervispine.loading.kinds import Fault
from cervispine.loading.nifti_file import Content, Layout
from cervispine.loading.studies import group_by
from cervispine.records import Problem, Series, Study

#: Which of several images of one sequence is taken.
RULE = "the study has more slices, else finer pixels, else the lower UID"

__all__ = ["Image", "judge_images", "problems_of_images", "refuse_namesakes", "sort_files"]


@attrs.frozen(kw_only=True, eq=False)
class Image:
    """One NIfTI file, as far as it is known, and how many files its fate concerns."""

    number: int
    path: Path
    stem: str = attrs.field(repr=False)
    names: Names
    files: int
    sidecar: Path | None
    fault: Fault | None = None
    layout: Layout | None = None
    sequence: str = ""
    sequence_from: str = ""
    protocol: dict[str, Any] = attrs.field(factory=dict)
    content: Content | None = None

    @property
    def examination(self) -> str:
        """Patient and session, which no name of a file can hold a NUL between."""
        return f"{self.names.patient}\0{self.names.session}"

    @property
    def uid(self) -> str:
        """A UID made of what the image shows and where (PS3.5 B.2 has the root)."""
        assert self.layout is not None
        assert self.content is not None
        place = np.round(self.layout.geometry.affine, 4).tobytes()
        return _uid(self.content.digest.encode(), place)

    def refused(self, code: str, reason: str) -> Image:
        """Return the image as one that should have been usable and is not."""
        return attrs.evolve(self, fault=Fault(code, reason))

    def ignored(self, code: str, reason: str) -> Image:
        """Return the image as one that was never meant."""
        return attrs.evolve(self, fault=Fault(code, reason, ignored=True))


def judge_images(
    images: Sequence[Image], sequences: Sequence[str]
) -> tuple[list[Study], list[Image]]:
    """Return the studies that images amount to, and every image with its fate.

    Parameters
    ----------
    images
        As far as each was found out.
    sequences
        Which sequences a study must have.
    """
    judged = [image for image in images if image.fault is not None]
    usable = [image for image in images if image.fault is None]
    studies = []
    for same in group_by(usable, lambda image: image.uid).values():
        if len({image.examination for image in same}) > 1:
            reason = "one image stands for several patients or sessions"
            judged += [image.refused("UID_CONFLICT", reason) for image in same]
        else:
            reason = "a copy of an image that is there already"
            judged += [image.ignored("DUPLICATE_FILE", reason) for image in same[1:]]
    judged_numbers = {image.number for image in judged}
    usable = [image for image in usable if image.number not in judged_numbers]
    for examination in group_by(usable, lambda image: image.examination).values():
        chosen, refused = _choose(examination, sequences)
        judged += [*chosen, *refused]
        if chosen:
            studies.append(_study_of(chosen))
    return studies, judged


def _choose(images: Sequence[Image], sequences: Sequence[str]) -> tuple[list[Image], list[Image]]:
    """Choose one image for each sequence of one examination."""
    chosen: list[Image] = []
    refused: list[Image] = []
    missing: list[str] = []
    for sequence in sequences:
        fitting = sorted((i for i in images if i.sequence == sequence), key=_rank)
        if not fitting:
            missing.append(sequence)
        elif len(fitting) > 1 and fitting[0].names.place is not None:
            reason = f"several {sequence} images, and no names of BIDS say whose they are"
            refused += [image.refused("PATIENT_AMBIGUOUS", reason) for image in fitting]
            missing.append(sequence)
        else:
            reason = f"another {sequence} series of {RULE}"
            chosen.append(fitting[0])
            refused += [i.ignored("SERIES_PASSED_OVER", reason) for i in fitting[1:]]
    if missing and chosen:
        reason = f"the study has no usable {' nor '.join(missing)} series"
        refused += [image.refused("SERIES_MISSING", reason) for image in chosen]
    return ([] if missing else chosen), refused


def sort_files(files: Sequence[FoundFile]) -> tuple[list[Image], list[Problem]]:
    """Tell images, with their sidecars, from what is no NIfTI; masks are ignored images."""
    sidecars = {
        _without_suffix(file.name): file for file in files if file.name.lower().endswith(".json")
    }
    images: list[Image] = []
    taken: set[str] = set()
    for number, file in enumerate(files, start=1):
        if not is_nifti(file.name):
            continue
        sidecar = sidecars.get(_without_suffix(file.name))
        # Of two images with one sidecar, the first carries it in the account.
        counted = sidecar is not None and sidecar.name not in taken
        if sidecar is not None:
            taken.add(sidecar.name)
        image = Image(
            number=number,
            path=Path(file.path),
            stem=stem_of(file.name),
            names=names_of(file.name),
            files=1 + counted,
            sidecar=None if sidecar is None else Path(sidecar.path),
        )
        if image.names.derived:
            image = image.ignored("DERIVED", "in a folder of derivatives")
        elif image.names.component:
            reason = f"the {image.names.component} part of an image, by its name"
            image = image.ignored("NOT_MAGNITUDE", reason)
        elif image.names.mask:
            image = image.ignored("SEGMENTATION", "a mask or labels, by its name")
        images.append(image)
    others = [
        Problem(code="NOT_NIFTI", reason="no NIfTI file", item=f"file {number}", fate="ignored")
        for number, file in enumerate(files, start=1)
        if not is_nifti(file.name) and file.name not in taken
    ]
    return images, others


def _without_suffix(name: str) -> str:
    return str(PurePosixPath(name).with_name(stem_of(name)))


def refuse_namesakes(images: Sequence[Image]) -> list[Image]:
    """Refuse images of patients whose name stands for several places, as ``anat`` would."""
    places: dict[str, set[str | None]] = defaultdict(set)
    for image in images:
        if image.fault is None:
            places[image.names.patient].add(image.names.place)
    reason = "several folders have the name that would be the patient's; name files as BIDS does"
    return [
        image.refused("PATIENT_AMBIGUOUS", reason)
        if image.fault is None and len(places[image.names.patient]) > 1
        else image
        for image in images
    ]


def _rank(image: Image) -> tuple[object, ...]:
    assert image.layout is not None
    rows, columns = image.layout.geometry.pixel_spacing
    return -image.layout.shape[0], rows * columns, image.uid


def _study_of(images: Sequence[Image]) -> Study:
    series = tuple(_series_of(image) for image in images)
    uid = _uid(*sorted(each.uid.encode() for each in series))
    return Study(patient=images[0].names.patient, uid=uid, series=series)


def _series_of(image: Image) -> Series:
    assert image.layout is not None
    assert image.content is not None
    protocol = {name: v for name, v in image.protocol.items() if name != "scanning_sequence"}
    return Series(
        uid=image.uid,
        plane=image.layout.plane,
        sequence=image.sequence,
        files=(image.path,) * image.layout.shape[0],
        shape=image.layout.shape,
        geometry=image.layout.geometry,
        transfer_syntaxes=(),
        pixel_hash=image.content.pixel_hash,
        appearance=image.content.appearance,
        protocol={
            "manufacturer": "other",
            **protocol,
            "sequence_from": image.sequence_from,
        },
        loader="cervispine:nifti",
    )


def _uid(*parts: bytes) -> str:
    """Return a UID under the root that takes any 128 bits, PS3.5 B.2."""
    digest = hashlib.sha256(b"\0".join(parts)).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def problems_of_images(images: Iterable[Image]) -> list[Problem]:
    """Return what reports list of images: what is not used, and what is to be known."""
    problems = []
    for image in sorted(images, key=lambda image: image.number):
        if image.fault is not None:
            problems.append(
                Problem(
                    code=image.fault.code,
                    reason=image.fault.reason,
                    item=f"file {image.number}",
                    fate="ignored" if image.fault.ignored else "rejected",
                    files=image.files,
                )
            )
        elif image.layout is not None and image.layout.units_assumed:
            problems.append(
                Problem(
                    code="UNITS_ASSUMED",
                    reason="the header names no unit of length; lengths were taken for mm",
                    item=image.uid,
                    fate="noted",
                )
            )
    return problems
