"""Whether a file still says who the patient is: looked at, counted, and never kept.

What is found is a fact about headers. That nothing is found proves nothing: a name can stand in a
comment, in a private element, in the pixels. cervispine does not de-identify, and does not say that
others did.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from cervispine.loading.elements import Plain, tags_of
from cervispine.loading.parsing import Parsed
from cervispine.records import Problem

__all__ = ["IDENTITY_TAGS", "PERSON", "identity_notes", "identity_of", "note"]

#: Of the attributes that the Basic Profile removes, replaces or empties (PS3.15 table E.1-1), those
#: that name a person, a place or a number under which others know the patient.
IDENTIFYING = (
    "PatientName", "PatientBirthDate", "PatientBirthTime", "OtherPatientIDs", "OtherPatientNames",
    "OtherPatientIDsSequence", "PatientBirthName", "PatientMotherBirthName", "PatientAddress",
    "PatientTelephoneNumbers", "MilitaryRank", "Occupation", "MedicalRecordLocator",
    "IssuerOfPatientID", "ResponsiblePerson", "AccessionNumber", "InstitutionName",
    "InstitutionAddress", "InstitutionalDepartmentName", "ReferringPhysicianName",
    "ReferringPhysicianAddress", "ReferringPhysicianTelephoneNumbers", "PhysiciansOfRecord",
    "PerformingPhysicianName", "NameOfPhysiciansReadingStudy", "RequestingPhysician",
    "OperatorsName",
)  # fmt: skip

CLAIMS = ("PatientIdentityRemoved", "DeidentificationMethodCodeSequence", "BurnedInAnnotation")

#: What a header is looked through for, beside what the images need.
IDENTITY_TAGS = tags_of("PatientID", "PatientSex", *IDENTIFYING, *CLAIMS)

#: The codes of CID 7050; any other text may be anything, and is not repeated.
METHODS = frozenset(str(code) for code in range(113100, 113113))

#: What stands in place of a value that was taken out. Case does not matter.
_PLACEHOLDER = re.compile(
    r"anon(ym(e|ous|ized|ised)?)?|de-?identified|removed|redacted|deleted|none|unknown|na|"
    r"pseudonym|patient|name|subject|test|x+|0+|-+|\?+|\.+|"
    r"(19|18)000101|0*1"
)

#: What makes all of a value invented, whatever else it says.
_INVENTED = ("synthetic", "phantom")

PRIVATE = "private"
UNSTATED = "burned-in unstated"
REMOVED = "removed "
METHOD = "method "
PERSON = "person "


def identity_of(parsed: Parsed) -> tuple[str, ...]:
    """Return what a file says of identity: names of elements and claims, none of their values.

    Birth date and sex are hashed together, to be compared with those of other files.
    """
    elements = parsed.elements
    patient = _plain(elements, "PatientID")
    found = [keyword for keyword in IDENTIFYING if _holds(_plain(elements, keyword), patient)]
    removed = _plain(elements, "PatientIdentityRemoved").upper()
    found.append(REMOVED + (removed if removed in ("YES", "NO") else "absent"))
    found += sorted(METHOD + code for code in _methods(elements))
    if parsed.private:
        found.append(PRIVATE)
    if not _plain(elements, "BurnedInAnnotation"):
        found.append(UNSTATED)
    person = "\\".join(_plain(elements, name) for name in ("PatientBirthDate", "PatientSex"))
    if person != "\\":
        found.append(PERSON + hashlib.sha256(person.encode()).hexdigest()[:8])
    return tuple(found)


def identity_notes(files: Iterable[tuple[str, ...]]) -> list[Problem]:
    """Return what an intake notes of identity.

    Parameters
    ----------
    files
        Of each file that was read as MR, what :func:`identity_of` says.
    """
    files = list(files)
    counts = Counter(flag for file in files for flag in file)
    named = [keyword for keyword in IDENTIFYING if counts[keyword]]
    problems = []
    if named:
        listed = ", ".join(f"{keyword} in {counts[keyword]}" for keyword in named)
        any_named = sum(not set(named).isdisjoint(file) for file in files)
        reason = f"neither empty nor a placeholder: {listed}"
        problems.append(note(code="IDENTITY_PRESENT", reason=reason, files=any_named))
    claimed = counts[REMOVED + "YES"]
    if claimed:
        methods = ", ".join(
            f"{code} in {counts[METHOD + code]}"
            for code in sorted(METHODS)
            if counts[METHOD + code]
        )
        reason = "PatientIdentityRemoved is YES, which is a claim; "
        reason += f"methods by code: {methods}" if methods else "no method is coded"
        problems.append(note(code="DEIDENTIFICATION_CLAIMED", reason=reason, files=claimed))
    if claimed < len(files):
        denied = counts[REMOVED + "NO"]
        reason = f"PatientIdentityRemoved is NO in {denied} and absent in "
        reason += f"{len(files) - claimed - denied}"
        problems.append(
            note(code="DEIDENTIFICATION_UNCLAIMED", reason=reason, files=len(files) - claimed)
        )
    if counts[PRIVATE]:
        reason = "private elements, which may hold anything, stand in the header"
        problems.append(note(code="PRIVATE_ELEMENTS", reason=reason, files=counts[PRIVATE]))
    if counts[UNSTATED]:
        reason = "BurnedInAnnotation is absent: text in the image is not ruled out"
        problems.append(note(code="BURNED_IN_UNSTATED", reason=reason, files=counts[UNSTATED]))
    return problems


def note(*, code: str, reason: str, files: int) -> Problem:
    """Return what is to be known of files that are used all the same."""
    return Problem(code=code, reason=reason, fate="noted", files=files)


def _plain(elements: Plain, keyword: str) -> str:
    """Return the text of an element as it lies in the file; nothing is converted or checked."""
    value = elements.unread(keyword)
    if isinstance(value, bytes):
        # Whatever the character set is, what is empty is empty in it, and placeholders are ASCII.
        return value.decode("latin-1").strip(" \0")
    if not value:
        return ""
    # A sequence holds something where it holds an item; it need not be shown to say so.
    return value.strip(" \0") if isinstance(value, str) else "items"


def _holds(text: str, patient: str) -> bool:
    """Tell whether a value says more than a placeholder, or than the identifier itself."""
    if not text:
        return False
    words = {word.lower() for word in re.split(r"[\^=\s_,;:/\\]+", text) if word}
    if text == patient or not words.isdisjoint(_INVENTED):
        return False
    return any(word != patient.lower() and not _PLACEHOLDER.fullmatch(word) for word in words)


def _methods(elements: Plain) -> set[str]:
    keyword = "DeidentificationMethodCodeSequence"
    try:
        return {str(item.CodeValue) for item in elements.get(keyword) or ()} & METHODS
    except Exception:  # a malformed claim claims nothing
        return set()
