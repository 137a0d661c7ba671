"""Which weighting a series has: from the numbers of its protocol first, from its name last.

The bounds are those by which spin-echo images are told apart in textbooks (McRobbie et al., MRI
from Picture to Proton, 3rd ed., ch. 3), widened to what fast spin echo of the spine uses at 1.5 T
and 3 T. Numbers between the bounds decide nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["SEQUENCES", "weighting"]

#: The vocabulary of ``Series.sequence``.
SEQUENCES = ("T1", "T2", "PD", "STIR", "GRE", "unknown")

_NAMES = {
    "STIR": re.compile(r"stir|tirm"),
    "T2": re.compile(r"t2"),
    "T1": re.compile(r"t1"),
    "PD": re.compile(r"(?<![a-z])pd"),
}


def weighting(
    *,
    scanning_sequence: Sequence[str],
    repetition_time: float | None,
    echo_time: float | None,
    inversion_time: float | None,
    description: str,
) -> tuple[str, str]:
    """Return the weighting of a series and what it was recognised by.

    Parameters
    ----------
    scanning_sequence
        ScanningSequence: SE, IR, GR, EP or RM.
    repetition_time, echo_time, inversion_time
        In ms; None when absent.
    description
        SeriesDescription, used only when the numbers do not decide.

    Returns
    -------
    sequence : str
        One of :data:`SEQUENCES`.
    reason : str
        What decided, without the description's own words, which may name a patient.
    """
    if "EP" in scanning_sequence:
        return "unknown", "echo-planar"
    if "GR" in scanning_sequence:
        return "GRE", "gradient echo"
    if inversion_time:
        if 80 <= inversion_time <= 260:
            return "STIR", f"TI {inversion_time:g} ms"
        if inversion_time >= 1500:
            return "unknown", f"TI {inversion_time:g} ms: fluid is suppressed"
    if repetition_time and echo_time:
        numbers = f"TR {repetition_time:g} ms, TE {echo_time:g} ms"
        if echo_time >= 60 and repetition_time >= 1400:
            return "T2", numbers
        if echo_time <= 30 and (repetition_time <= 1200 or inversion_time):
            return "T1", numbers
        if echo_time <= 45 and repetition_time >= 1400:
            return "PD", numbers
    fitting = [name for name, pattern in _NAMES.items() if pattern.search(description.lower())]
    if len(fitting) == 1 or fitting[:1] == ["STIR"]:
        return fitting[0], "the series description; the protocol numbers do not decide"
    return "unknown", "neither protocol numbers nor series description decide"
