"""Which part of the spine a series is of, as far as its header names one.

Studies of a whole spine hold a T2 series of each part, alike in everything but the name. What the
series is called decides before BodyPartExamined, of which such a study often has one for all.
"""

from __future__ import annotations

import functools
import re

__all__ = ["REGIONS", "region_of"]

#: The vocabulary of ``Loader.regions``: the neck, another part of the body, nothing is said.
REGIONS = ("cervical", "other", "unknown")

# Clinics write English, German, Dutch, French, Italian, Spanish, Chinese and Japanese.
_CERVICAL = re.compile(
    r"cervi[ck]|zervi[kc]|(?<![a-z])(c[ /-]?t?l?[ /-]?(spine|sp(?![a-z]))|hws|cwk|neck)|颈|頚|頸"
)
_OTHER = re.compile(
    r"brain|cerebr|crani|kopf|hirn|sch(ä|ae)del|脑|脳|颅"
    r"|thora[ck]|torac|dorsal|dorso|lumb[aeo]|lombai?r|sacr[aou]|coccy|胸椎|腰椎|骶|仙骨"
    r"|(?<![a-z])([tl]s?l?[ /-]?(spine|sp(?![a-z]))|bws|lws|twk|lwk|s[ -]?spine)"
)


@functools.lru_cache(maxsize=1024)
def region_of(name: str, body_part: str) -> str:
    """Return the region of a series, one of :data:`REGIONS`.

    Parameters
    ----------
    name
        SeriesDescription and ProtocolName. They may name a patient, so none of it is kept.
    body_part
        BodyPartExamined, which counts where the name says nothing.
    """
    for text in (name, body_part):
        text = re.sub(r"[_\s]+", " ", text.lower())
        # A series of neck and chest shows the neck.
        if _CERVICAL.search(text):
            return "cervical"
        if _OTHER.search(text):
            return "other"
    return "unknown"
