"""What headers share that they should not: one identifier of several persons, one frame of many.

Tools that de-identify write one PatientID, or one FrameOfReferenceUID, into everything. Nothing
can tell that from what is meant, so it is said and counted, and what shares stays together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from cervispine.loading.headers import Header
from cervispine.loading.privacy import PERSON, note
from cervispine.records import Problem, Study

__all__ = ["shared_frames", "shared_identifiers"]


def shared_frames(studies: Iterable[Study]) -> list[Problem]:
    """Note frames of reference that stand under several patients.

    A frame of reference belongs to one examination of one patient (PS3.3, C.7.4.1). Studies that
    share one are never parted by a split.
    """
    patients: dict[str, set[str]] = defaultdict(set)
    for study in studies:
        for series in study.series:
            patients[series.frame_of_reference_uid].add(study.patient)
    sharing = [each for frame, each in patients.items() if frame and len(each) > 1]
    if not sharing:
        return []
    reason = (
        f"{len(set().union(*sharing))} patients share {len(sharing)} FrameOfReferenceUID; a "
        "split never parts them, which leaves it little choice"
    )
    return [note(code="FRAME_SHARED", reason=reason, files=0)]


def shared_identifiers(headers: Iterable[Header]) -> list[Problem]:
    """Note PatientIDs under which headers tell of different birth dates or sexes."""
    persons: dict[str, set[str]] = defaultdict(set)
    for header in headers:
        persons[header.patient] |= {flag for flag in header.identity if flag.startswith(PERSON)}
    several = sum(len(each) > 1 for patient, each in persons.items() if patient)
    if not several:
        return []
    reason = (
        f"{several} PatientID stand for headers of different birth dates or sexes; one row of "
        "labels.csv is for all of them"
    )
    return [note(code="PATIENT_SHARED", reason=reason, files=0)]
