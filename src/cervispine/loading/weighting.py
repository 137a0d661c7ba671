"""Which weighting a series has: from the numbers of its protocol first, from its name last.

The bounds are those by which spin-echo images are told apart in textbooks (McRobbie et al., MRI
from Picture to Proton, 3rd ed., ch. 3), widened to what fast spin echo of the spine uses at 1.5 T
and 3 T, in 2D and 3D. Numbers between the bounds decide nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs

__all__ = ["BY_NAME", "SEQUENCES", "UNDECIDED", "Weighting", "weighting"]

#: The vocabulary of ``Series.sequence``.
SEQUENCES = ("T1", "T2", "PD", "STIR", "GRE", "unknown")

#: The reasons where nothing but a name speaks for a weighting, and where nothing speaks at all.
BY_NAME = "the series description; the protocol numbers do not decide"
UNDECIDED = "neither protocol numbers nor series description decide"

_NAMES = {
    "STIR": re.compile(r"stir|tirm"),
    "T2": re.compile(r"t2"),
    "T1": re.compile(r"t1"),
    "PD": re.compile(r"(?<![a-z])pd"),
}
_FLUID_DARK = re.compile(r"flair|dark.?fluid")
_GRADIENT = re.compile(r"medic|merge|m-?ffe|t2\s?\*|t2.?star|cosmic|swi(?![a-z])|hemo")
_FAT_DARK = re.compile(r"(?<![a-z])(fs|fat.?sat|spair|spir|water)(?![a-z])")

#: Words of ScanOptions for spectral fat saturation. Not inversion by TI, which is STIR.
_FAT_OPTIONS = frozenset({"FS", "FAT_SAT", "FATSAT", "SPIR", "SPAIR"})

#: Words of ImageType for the parts of a Dixon acquisition.
_DIXON = {
    **dict.fromkeys(("W", "WATER"), "water"),
    **dict.fromkeys(("F", "FAT"), "fat"),
    **dict.fromkeys(("IP", "IN_PHASE"), "in phase"),
    **dict.fromkeys(("OP", "OPP_PHASE", "OUT_PHASE", "OUT_OF_PHASE"), "out of phase"),
}

#: Past this echo time nothing but free fluid is left: a myelogram, ms.
FLUID_ONLY = 600.0

#: Echoes a shot from which a driven equilibrium lets TR be short and the contrast stay T2.
LONG_TRAIN = 20


@attrs.frozen
class Weighting:
    """What a series was recognised as, and by what; without the description's own words."""

    sequence: str
    reason: str
    fat_suppressed: bool = False


def weighting(
    *,
    scanning_sequence: Sequence[str],
    repetition_time: float | None,
    echo_time: float | None,
    inversion_time: float | None,
    description: str,
    echo_train: float | None = None,
    b_value: float | None = None,
    scan_options: Sequence[str] = (),
    image_words: Sequence[str] = (),
) -> Weighting:
    """Return the weighting of a series and what it was recognised by.

    Parameters
    ----------
    scanning_sequence
        ScanningSequence: SE, IR, GR, EP or RM.
    repetition_time, echo_time, inversion_time
        In ms; None when absent.
    description
        SeriesDescription, used only when the numbers do not decide. It may name a patient, so
        none of it is in the reason.
    echo_train
        Echoes a shot; None when absent.
    b_value
        Of diffusion, s/mm2; None when absent.
    scan_options
        ScanOptions; of these, fat saturation.
    image_words
        ImageType; of these, the parts of a Dixon acquisition.
    """
    name = re.sub(r"[_\s]+", " ", description.lower())
    part = next((_DIXON[word] for word in image_words if word in _DIXON), "")
    fat_option = not _FAT_OPTIONS.isdisjoint(scan_options)
    if part in ("fat", "out of phase"):
        return Weighting("unknown", f"Dixon's {part} image")
    found = (
        _by_pulses(scanning_sequence, b_value)
        or _by_inversion(scanning_sequence, inversion_time, name, spectral=fat_option)
        or _by_times(repetition_time, echo_time, inversion_time, echo_train)
        or _by_name(name)
    )
    dark = part == "water" or (not part and (fat_option or bool(_FAT_DARK.search(name))))
    if found.sequence in ("T1", "T2", "PD") and dark:
        return Weighting(found.sequence, f"{found.reason}; fat is suppressed", True)
    return found


def _by_pulses(scanning_sequence: Sequence[str], b_value: float | None) -> Weighting | None:
    if b_value:
        return Weighting("unknown", "diffusion-weighted")
    if "EP" in scanning_sequence:
        return Weighting("unknown", "echo-planar")
    if {"GR", "SE"} <= set(scanning_sequence):
        return Weighting("unknown", "gradient and spin echoes")
    return Weighting("GRE", "gradient echo") if "GR" in scanning_sequence else None


def _by_inversion(
    scanning_sequence: Sequence[str], inversion_time: float | None, name: str, *, spectral: bool
) -> Weighting | None:
    """Return what an inversion pulse makes of a series.

    Spectral fat saturation may write its own TI; no inversion recovery is declared then.
    """
    if inversion_time and not (spectral and "IR" not in scanning_sequence):
        if 80 <= inversion_time <= 260:
            return Weighting("STIR", f"TI {inversion_time:g} ms")
        if inversion_time >= 1500:
            return Weighting("unknown", f"TI {inversion_time:g} ms: fluid is suppressed")
        return None
    # TR and TE of a STIR or FLAIR are those of a T2: where TI is lacking, only the name can tell.
    by_name = "the series description, which names an inversion that no TI tells of"
    if _NAMES["STIR"].search(name):
        return Weighting("STIR", by_name)
    if _FLUID_DARK.search(name):
        return Weighting("unknown", f"{by_name}: fluid is suppressed")
    if "IR" in scanning_sequence:
        return Weighting("unknown", "inversion recovery, and neither TI nor name tells which")
    return None


def _by_times(
    repetition_time: float | None,
    echo_time: float | None,
    inversion_time: float | None,
    echo_train: float | None,
) -> Weighting | None:
    if not repetition_time or not echo_time:
        return None
    numbers = f"TR {repetition_time:g} ms, TE {echo_time:g} ms"
    if echo_time >= FLUID_ONLY:
        return Weighting("unknown", f"{numbers}: nothing but fluid is left")
    if echo_time >= 60 and repetition_time >= 1400:
        return Weighting("T2", numbers)
    if echo_time >= 60 and repetition_time >= 800 and (echo_train or 0) >= LONG_TRAIN:
        return Weighting("T2", f"{numbers}, {echo_train:g} echoes a shot")
    if echo_time <= 30 and (repetition_time <= 1200 or inversion_time):
        return Weighting("T1", numbers)
    if echo_time <= 45 and repetition_time >= 1400:
        return Weighting("PD", numbers)
    return None


def _by_name(name: str) -> Weighting:
    if _GRADIENT.search(name):
        return Weighting("GRE", BY_NAME)
    fitting = [sequence for sequence, pattern in _NAMES.items() if pattern.search(name)]
    if len(fitting) == 1:
        return Weighting(fitting[0], BY_NAME)
    return Weighting("unknown", UNDECIDED)
