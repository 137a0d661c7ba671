"""Who a group of studies are and how they were imaged, in counts that name nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from cervispine.records.labels import CLASSES
from cervispine.records.study import Series, Study
from cervispine.records.tables import number_in

__all__ = ["describe", "scanner_of"]

#: Vendors that are not written like names.
VENDORS = {"ge": "GE", "uih": "UIH", "cervispine": "phantom"}

#: The columns of labels.csv that are counted: others may say who a patient is.
COUNTED = ("type", "site", "sex")

#: A column with more values than these describes patients, not groups.
MOST_VALUES = 20

NO_BREAK = "\N{NO-BREAK SPACE}"


def scanner_of(series: Series) -> str:
    """Return vendor and field strength of a series in words, as far as its header says them."""
    maker = str(series.protocol.get("manufacturer", "other"))
    maker = "vendor not known" if maker == "other" else VENDORS.get(maker, maker.title())
    strength = series.protocol.get("field_strength_t")
    return f"{maker}, {round(strength, 2):g}{NO_BREAK}T" if strength else maker


def describe(studies: Sequence[Study]) -> dict[str, Any]:
    """Return counts of studies by class, type, site, sex and scanner, and their ages.

    Parameters
    ----------
    studies
        With labels and attributes, as far as there are any.

    Returns
    -------
    dict
        ``patients``, ``studies``, ``series``: numbers; ``synthetic``: how many of the studies
        are of phantoms, as their headers say. ``classes``, ``scanners`` and, where
        labels.csv has the column, ``type``, ``site``, ``sex``: a count for each value that
        occurs. ``age``: ``n``, ``median`` and quartiles ``low`` and ``high``, in years, where
        every age given is a number. As JSON can hold it, and without any patient's identifier.
    """
    found: dict[str, Any] = {
        "patients": len({study.patient for study in studies}),
        "studies": len(studies),
        "series": sum(len(study.series) for study in studies),
        "synthetic": sum(study.synthetic for study in studies),
        "classes": _counts(CLASSES[study.label] for study in studies if study.label is not None),
        "scanners": _counts(scanner_of(series) for study in studies for series in study.series),
    }
    for column in COUNTED:
        counts = _counts(_values(studies, column))
        if counts and len(counts) <= MOST_VALUES:
            found[column] = counts
    if ages := _numbers(_values(studies, "age")):
        low, median, high = np.percentile(ages, (25, 50, 75)).tolist()
        found["age"] = {"n": len(ages), "median": median, "low": low, "high": high}
    return found


def _values(studies: Iterable[Study], column: str) -> list[str]:
    values = (str(study.attributes.get(column) or "") for study in studies)
    return [value for value in values if value]


def _counts(values: Iterable[str]) -> dict[str, int]:
    """Return how often each value occurs, the commonest first."""
    counts = Counter(values)
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def _numbers(values: Iterable[str]) -> list[float]:
    """Return the values as finite numbers, or none where one of them is not."""
    numbers = [number_in(value.strip()) for value in values]
    found = [number for number in numbers if number is not None]
    return found if len(found) == len(numbers) else []
