"""Who a group of studies are: counts, and nothing that names anybody."""

from __future__ import annotations

import json

import pytest

from cervispine import Cohort, Study
from cervispine.records.describing import describe


def study(number: int, label: int | None = 1, **attributes: object) -> Study:
    return Study(
        patient=f"P{number:02d}", uid=str(number), series=(), label=label, attributes=attributes
    )


def test_everything_is_counted_the_commonest_first() -> None:
    found = describe(
        [
            study(1, type="mixed", sex="F", site="b", age="60"),
            study(2, type="segmental", sex="F", site="a", age=70),
            study(3, type="mixed", sex="M", site="a", age="50.5"),
            study(4, 0, type="", sex="M", site="a", age=""),
            study(4, None),
        ]
    )
    assert (found["patients"], found["studies"], found["series"]) == (4, 5, 0)
    assert found["classes"] == {"OPLL": 3, "DSS": 1}
    assert list(found["type"].items()) == [("mixed", 2), ("segmental", 1)]
    assert found["sex"] == {"F": 2, "M": 2}
    assert list(found["site"]) == ["a", "b"]
    assert found["age"] == {"n": 3, "median": 60.0, "low": 55.25, "high": 65.0}
    assert "P0" not in json.dumps(found)


def test_scanners_are_those_of_the_series(cohort: Cohort) -> None:
    found = describe(cohort)
    assert sum(found["scanners"].values()) == found["series"] == len(cohort)
    assert all(name.startswith("phantom, ") for name in found["scanners"])
    assert not set(cohort.patients) & set(json.dumps(found).split('"'))


@pytest.mark.parametrize("age", ["60 y", "1970-01-01", "nan", "inf", "1_0"])
def test_ages_that_are_not_numbers_are_left_out(age: str) -> None:
    assert "age" not in describe([study(1, age="60"), study(2, age=age)])


def test_a_column_that_describes_patients_is_left_out() -> None:
    assert "site" in describe([study(number, site=number) for number in range(1, 21)])
    assert "site" not in describe([study(number, site=number) for number in range(1, 22)])


def test_columns_that_nobody_asked_for_are_not_taken() -> None:
    found = describe([study(1, name="Doe^Jane", birth="1970-01-01")])
    assert "Doe" not in json.dumps(found)
    assert set(found) == {"patients", "studies", "series", "synthetic", "classes", "scanners"}
