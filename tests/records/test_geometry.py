"""Geometry: what lies where, and which numbers cannot be meant."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine.exceptions import GeometryError
from cervispine.records import Geometry

Make = Callable[..., Geometry]
LENGTHS = st.floats(0.05, 20)
PLACES = st.tuples(*[st.floats(-500, 500)] * 3)


@given(
    quaternion=st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: sum(v * v for v in q) > 0.01),
    origin=PLACES,
    spacing=st.tuples(LENGTHS, LENGTHS),
    gap=LENGTHS,
    index=st.tuples(*[st.integers(0, 500)] * 3),
)
def test_a_voxel_lies_where_the_standard_puts_it(
    geometry: Make,
    quaternion: tuple[float, ...],
    origin: tuple[float, float, float],
    spacing: tuple[float, float],
    gap: float,
    index: tuple[int, int, int],
) -> None:
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    row = (1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w))
    column = (2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w))
    normal = np.cross(row, column)
    made = geometry(
        origin=origin, row_cosine=row, column_cosine=column, pixel_spacing=spacing,
        slice_step=tuple(gap * normal),
    )  # fmt: skip
    # DICOM PS3.3 C.7.6.2.1.1: the row direction is stepped by the distance between columns.
    along_row = index[2] * spacing[1] * np.array(row)
    along_column = index[1] * spacing[0] * np.array(column)
    wanted = np.array(origin) + index[0] * gap * normal + along_column + along_row
    np.testing.assert_allclose((made.affine @ [*index, 1])[:3], wanted, atol=1e-6)
    np.testing.assert_allclose(made.normal, normal, atol=1e-9)
    assert made.slice_spacing == pytest.approx(gap)
    assert made.affine.dtype == np.float64


@pytest.mark.parametrize("name", [field.name for field in attrs.fields(Geometry)])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_refused(geometry: Make, name: str, value: float) -> None:
    numbers = list(getattr(geometry(), name))
    numbers[-1] = value
    with pytest.raises(GeometryError, match="not a finite number") as caught:
        geometry(**{name: tuple(numbers)})
    assert caught.value.code == "GEOMETRY_INVALID"


@pytest.mark.parametrize(
    "wrong",
    [
        {"pixel_spacing": (0.0, 0.6)},
        {"pixel_spacing": (0.9, -0.6)},
        {"slice_step": (0.0, 0.0, 0.0)},
    ],
    ids=str,
)
def test_a_spacing_that_is_not_positive_is_refused(
    geometry: Make, wrong: dict[str, tuple[float, ...]]
) -> None:
    with pytest.raises(GeometryError, match="not positive"):
        geometry(**wrong)


@pytest.mark.parametrize(
    ("cosine", "refused"),
    [
        ((0.0, 1.0004, 0.0), False),
        ((0.0, 1.0006, 0.0), True),
        ((0.0, 0.9994, 0.0), True),
        ((0.0, 1.0, 0.0009), False),
        ((0.0, 1.0, 0.0011), True),
    ],
)
@pytest.mark.parametrize("name", ["row_cosine", "column_cosine"])
def test_cosines_are_of_unit_length_at_right_angles_within_a_thousandth(
    geometry: Make, cosine: tuple[float, ...], refused: bool, name: str
) -> None:
    # The other direction is the third axis, so that a tilt towards it is a wrong angle.
    other = {"row_cosine", "column_cosine"} - {name}
    values = {name: cosine, other.pop(): (0.0, 0.0, -1.0)}
    if not refused:
        geometry(**values)
        return
    with pytest.raises(GeometryError, match="unit length at right angles"):
        geometry(**values)


def test_it_is_a_value(geometry: Make) -> None:
    made = geometry()
    assert made == geometry()
    assert hash(made) == hash(geometry())
    assert made != geometry(pixel_spacing=(0.9, 0.7))
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        made.origin = (0.0, 0.0, 0.0)  # type: ignore[misc]
    with pytest.raises(GeometryError):
        attrs.evolve(made, pixel_spacing=(0.9, 0.0))
