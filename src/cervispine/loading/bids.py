"""What the name of a NIfTI file and its BIDS sidecar say: patient, session, sequence, protocol.

NIfTI knows no patient, so names must say who is who. The names of BIDS (the Brain Imaging Data
Structure) say it without doubt; of other names only those are taken that can be read in one way.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import attrs

from cervispine.exceptions import LoadError
from cervispine.loading.headers import manufacturer_of
from cervispine.loading.intake import NIFTI
from cervispine.loading.weighting import BY_NAME, UNDECIDED, Weighting, weighting

__all__ = ["Names", "is_nifti", "names_of", "read_sidecar", "sequence_of", "stem_of"]

#: Words of a file's name by which it is a mask of an image.
MASKS = {"mask", "seg", "segmentation", "label", "labels", "discs", "centerline", "lesion"}

#: Words of BIDS for other than magnitude.
COMPONENTS = {"phase", "real", "imag"}

#: Words of a file's name that name a sequence; the first six are suffixes of BIDS.
WORDS = {
    "t2w": "T2", "t1w": "T1", "pdw": "PD", "t2starw": "GRE", "t2star": "GRE", "flash": "GRE",
    "t2": "T2", "t1": "T1", "pd": "PD", "stir": "STIR", "tirm": "STIR", "t2s": "GRE",
    "t2tse": "T2", "t1tse": "T1", "t2fse": "T2", "t1fse": "T1",
}  # fmt: skip

#: Fields of a sidecar, what they are kept as, and what makes milliseconds of BIDS' seconds.
NUMBERS = {
    "RepetitionTime": ("repetition_time_ms", 1000.0),
    "EchoTime": ("echo_time_ms", 1000.0),
    "InversionTime": ("inversion_time_ms", 1000.0),
    "MagneticFieldStrength": ("field_strength_t", 1.0),
    "SliceThickness": ("slice_thickness_mm", 1.0),
    "EchoTrainLength": ("echo_train_length", 1.0),
}

#: No sidecar comes near this many bytes.
LARGEST_SIDECAR = 1_000_000


@attrs.frozen(kw_only=True)
class Names:
    """What the place and the name of a NIfTI file say.

    Parameters
    ----------
    patient
        Who the image is of, as text; not shown by ``repr``.
    session
        The session of BIDS; empty where there is none.
    place
        The folder that the patient's name was taken from, by rule 2 or 3; None where BIDS has
        named the patient, who may then have images in many places.
    mask
        Whether it is a segmentation or a set of labels.
    component
        "phase", "real" or "imag" where BIDS says that it is; else empty.
    derived
        Whether it lies in a ``derivatives`` folder, where BIDS keeps what was computed.
    """

    patient: str = attrs.field(repr=False)
    session: str = attrs.field(default="", repr=False)
    place: str | None = attrs.field(default=None, repr=False)
    mask: bool = False
    component: str = ""
    derived: bool = False


def is_nifti(name: str) -> bool:
    """Say whether a file is NIfTI by its name."""
    return name.lower().endswith(NIFTI)


def stem_of(name: str) -> str:
    """Return the name of a file without its folders and without its suffix."""
    last = PurePosixPath(name).name
    suffix = next((s for s in (".nii.gz", ".nii", ".json") if last.lower().endswith(s)), "")
    return last.removesuffix(last[len(last) - len(suffix) :])


def names_of(name: str) -> Names:
    """Read the place and the name of a file, by this rule.

    1. ``sub-<label>`` in the file's name, else in a folder, is the patient, with ``sub-``, as
       participants.tsv has it; ``ses-<label>`` is the session.
    2. Without it, a file directly in the folder given is a patient of its own, named by the stem
       of the file, less its last word where that names a sequence: ``00123_T2w.nii.gz`` is
       ``00123``.
    3. Else the folder that holds the file is the patient.

    Parameters
    ----------
    name
        What the file is called inside the folder or archive given, with "/" between folders.
    """
    stem = stem_of(name)
    folders = PurePosixPath(name).parts[:-1]
    part = _entity("part", stem, ()).removeprefix("part-").lower()
    what = Names(
        patient="",
        mask=_is_mask(stem),
        component=part if part in COMPONENTS else "",
        derived="derivatives" in (folder.lower() for folder in folders),
    )
    if patient := _entity("sub", stem, folders):
        return attrs.evolve(what, patient=patient, session=_entity("ses", stem, folders))
    if folders:
        return attrs.evolve(what, patient=folders[-1], place="/".join(folders))
    rest, _, last = stem.rpartition("_")
    return attrs.evolve(what, patient=rest if rest and last.lower() in WORDS else stem, place="")


def _is_mask(stem: str) -> bool:
    """Tell a mask by any word of its name; also by a suffix such as ``_defacemask``."""
    _, _, suffix = stem.lower().rpartition("_")
    computed = suffix != stem.lower() and re.fullmatch(r"[a-z]+(mask|seg)", suffix)
    return bool(computed) or bool(MASKS & set(_words(stem)))


def _entity(name: str, stem: str, folders: tuple[str, ...]) -> str:
    """Return ``name-label`` of a file's name, else of the nearest folder; empty without one."""
    for part in (stem, *reversed(folders)):
        for word in part.split("_"):
            if re.fullmatch(rf"{name}-[^_]+", word):
                return word
    return ""


def _words(stem: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", stem.lower()) if word]


def read_sidecar(path: Path) -> dict[str, Any]:
    """Read the protocol from a BIDS sidecar; what else it holds is not looked at.

    Returns
    -------
    dict
        As a series' protocol, and ``scanning_sequence``, a tuple.

    Raises
    ------
    LoadError
        ``SIDECAR_INVALID`` when it is no JSON object, or a number in it is none.
    """
    try:
        if path.stat().st_size > LARGEST_SIDECAR:
            raise ValueError
        fields = json.loads(path.read_text(encoding="utf-8-sig"))
        if not isinstance(fields, Mapping):
            raise ValueError
    except (OSError, ValueError, RecursionError):
        raise LoadError("the sidecar is no JSON object", code="SIDECAR_INVALID") from None
    protocol: dict[str, Any] = {}
    for field, (name, factor) in NUMBERS.items():
        value = fields.get(field)
        if isinstance(value, list) and len(value) == 1:
            # Converters write the only echo as a list of one.
            (value,) = value
        if value is None:
            continue
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not plain or not math.isfinite(value) or value < 0:
            raise LoadError(f"{field} of the sidecar is no number", code="SIDECAR_INVALID")
        protocol[name] = round(value * factor, 6)
    if isinstance(fields.get("Manufacturer"), str):
        protocol["manufacturer"] = manufacturer_of(fields["Manufacturer"])
    scanning = fields.get("ScanningSequence", ())
    words = [scanning] if isinstance(scanning, str) else scanning
    if not isinstance(words, (list, tuple)) or not all(isinstance(word, str) for word in words):
        raise LoadError("ScanningSequence of the sidecar is no text", code="SIDECAR_INVALID")
    protocol["scanning_sequence"] = tuple(
        part for word in words for part in re.split(r"[^A-Z]+", word.upper()) if part
    )
    return protocol


def sequence_of(protocol: Mapping[str, Any], stem: str) -> Weighting:
    """Return the weighting of an image and what it was recognised by.

    The numbers of the sidecar decide first; then the suffix of BIDS, the last word of the name;
    then any word of the name, as long as no two disagree. An inversion that the name tells of,
    and no number does, is believed.

    Parameters
    ----------
    protocol
        As :func:`read_sidecar` gives it; empty without a sidecar.
    stem
        The name of the file.
    """
    # mod-T2w names the image that this one was made for.
    words = _words(re.sub(r"(^|_)mod-[^_]*", "", stem))
    found = weighting(
        scanning_sequence=protocol.get("scanning_sequence", ()),
        repetition_time=protocol.get("repetition_time_ms"),
        echo_time=protocol.get("echo_time_ms"),
        inversion_time=protocol.get("inversion_time_ms"),
        echo_train=protocol.get("echo_train_length"),
        description=" ".join(words),
    )
    if not found.reason.startswith((BY_NAME, UNDECIDED)):
        # What is called the description of a series is here the name of a file.
        reason = found.reason.replace("series description", "name of the file")
        return attrs.evolve(found, reason=reason)
    if words and words[-1] in list(WORDS)[:6]:
        return Weighting(WORDS[words[-1]], "the BIDS suffix; no protocol numbers decide")
    named = {WORDS[word] for word in words if word in WORDS}
    if len(named) == 1:
        return Weighting(named.pop(), "the name of the file; no protocol numbers decide")
    return Weighting("unknown", "neither protocol numbers nor the name of the file decide")
