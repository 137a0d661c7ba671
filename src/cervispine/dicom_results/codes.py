"""The concepts of the report: standard codes where there are any, our own where there are none."""

from __future__ import annotations

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

__all__ = [
    "EVIDENCE",
    "NOTHING_ADVISED",
    "NOT_SUSPECTED",
    "OPLL",
    "PROCEDURE",
    "RESEARCH_ONLY",
    "SUSPECTED",
    "UNDECIDED",
    "USE",
    "method_of",
]

#: Coding schemes that begin with 99 are private (PS3.16, section 8).
SCHEME = "99CERVISPINE"

PROCEDURE = Code("P1", SCHEME, "Computer reading of sagittal cervical MRI")
OPLL = Code("F1", SCHEME, "Ossification of the posterior longitudinal ligament")
SUSPECTED = Code("F2", SCHEME, "OPLL suspected")
NOT_SUSPECTED = Code("F3", SCHEME, "OPLL not suspected")
#: In the band of probabilities in which a model rules out neither, or unlike what it knows.
UNDECIDED = Code("F4", SCHEME, "OPLL neither suspected nor ruled out")
#: A negative call excludes nothing, so it is followed by no advice.
NOTHING_ADVISED = Code("R1", SCHEME, "No advice")
EVIDENCE = Code("E1", SCHEME, "Evidence for the call, of no unit")
USE = Code("U1", SCHEME, "Permitted use")
RESEARCH_ONLY = Code("U2", SCHEME, "Research only, not a medical device")
OCCLUSION = Code("M1", SCHEME, "Loss of the logit under occlusion")


def method_of(method: str) -> Code:
    """Return the concept of a method that makes heat maps."""
    if method == "grad-cam":
        return Code(*codes.DCM.GradientWeightedClassActivation)
    return OCCLUSION
