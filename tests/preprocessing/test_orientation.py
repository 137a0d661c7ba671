"""Whatever the order and direction of a stack's axes, the patient comes out the same way round."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cervispine import Volume
from cervispine.exceptions import GeometryError
from cervispine.preprocessing.orientation import orient

#: Slices 2.4 mm to the left, rows 0.8 mm to inferior, columns 0.6 mm to posterior: in LPS.
CANONICAL = np.array(
    [[2.4, 0, 0, -7.0], [0, 0, 0.6, 11.0], [0, -0.8, 0, 23.0], [0, 0, 0, 1.0]],
)
SHAPE = (4, 5, 6)
ARRANGEMENTS = [
    (order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)
]


def turned(affine: NDArray[np.float64], axis: int, degrees: float) -> NDArray[np.float64]:
    """Return the affine of the same stack turned about one of the patient's axes."""
    angle = np.deg2rad(degrees)
    first, second = (each for each in range(3) if each != axis)
    turn = np.eye(4)
    turn[first, first] = turn[second, second] = np.cos(angle)
    turn[first, second], turn[second, first] = -np.sin(angle), np.sin(angle)
    return np.asarray(turn @ affine)


def positions(volume: Volume) -> NDArray[np.float64]:
    """Float64 (*shape, 3): where each voxel lies, LPS, mm."""
    indices = np.stack(np.indices(volume.pixels.shape), axis=-1)
    return np.asarray(indices @ volume.affine[:3, :3].T + volume.affine[:3, 3])


def numbered(affine: NDArray[np.float64]) -> Volume:
    return Volume(pixels=np.arange(np.prod(SHAPE)).reshape(SHAPE), affine=affine, sequence="T2")


def rearranged(volume: Volume, order: tuple[int, ...], signs: tuple[int, ...]) -> Volume:
    """Return the same patient, stored with the axes in another order and direction."""
    pixels, affine = volume.pixels.transpose(order), volume.affine.copy()
    affine[:3, :3] = affine[:3, order]
    for axis in (axis for axis in range(3) if signs[axis] < 0):
        affine[:3, 3] += affine[:3, axis] * (pixels.shape[axis] - 1)
        affine[:3, axis] *= -1
        pixels = np.flip(pixels, axis)
    return Volume(pixels=pixels, affine=affine, sequence="T2")


@pytest.mark.parametrize(("order", "signs"), ARRANGEMENTS)
def test_all_48_arrangements_come_out_alike(order: tuple[int, ...], signs: tuple[int, ...]) -> None:
    volume = numbered(CANONICAL)
    oriented = orient(rearranged(volume, order, signs))
    np.testing.assert_array_equal(oriented.pixels, volume.pixels)
    np.testing.assert_allclose(oriented.affine, CANONICAL, atol=1e-12)


@given(
    arrangement=st.sampled_from(ARRANGEMENTS),
    axis=st.integers(0, 2),
    degrees=st.floats(-29.5, 29.5),
)
def test_an_oblique_stack_keeps_every_voxel_where_it_lies(
    arrangement: tuple[tuple[int, ...], tuple[int, ...]], axis: int, degrees: float
) -> None:
    volume = numbered(turned(CANONICAL, axis, degrees))
    oriented = orient(rearranged(volume, *arrangement))
    np.testing.assert_array_equal(oriented.pixels, volume.pixels)
    np.testing.assert_allclose(positions(oriented), positions(volume), atol=1e-9)


@pytest.mark.parametrize("signs", list(product((1, -1), repeat=3)))
def test_left_stays_left(signs: tuple[int, ...]) -> None:
    # A bright mark at the leftmost, lowest, most posterior voxel: the largest L and P, least S.
    pixels = np.zeros(SHAPE)
    pixels[-1, -1, -1] = 1
    oriented = orient(rearranged(Volume(pixels=pixels, affine=CANONICAL), (2, 0, 1), signs))
    place = positions(oriented)[oriented.pixels == 1]
    corner = [*positions(oriented)[..., :2].max(axis=(0, 1, 2)), positions(oriented)[..., 2].min()]
    np.testing.assert_allclose(place, [corner])
    assert oriented.pixels[-1, -1, -1] == 1


@pytest.mark.parametrize("axis", range(3))
def test_more_than_30_degrees_is_another_plane(axis: int) -> None:
    assert orient(numbered(turned(CANONICAL, axis, 29.9))).pixels.shape == SHAPE
    with pytest.raises(GeometryError) as caught:
        orient(numbered(turned(CANONICAL, axis, 30.1)))
    assert caught.value.code == "PLANE_OTHER"


def test_two_axes_along_one_direction_are_refused() -> None:
    affine = CANONICAL.copy()
    affine[:3, 0] = affine[:3, 1]
    with pytest.raises(GeometryError) as caught:
        orient(numbered(affine))
    assert caught.value.code == "PLANE_OTHER"


def test_an_axial_stack_of_thick_slices_is_not_cut_sagittally() -> None:
    scaled = CANONICAL.copy()
    scaled[:3, 1] *= 2.4 / 0.8
    assert orient(numbered(scaled)).spacing == pytest.approx((2.4, 2.4, 0.6))
    scaled[:3, 1] *= 3.0 / 2.4
    with pytest.raises(GeometryError, match=r"3\.0 mm") as caught:
        orient(numbered(scaled))
    assert caught.value.code == "PLANE_OTHER"
    assert "sagittal" in caught.value.advice


def test_the_step_is_recorded_after_those_before() -> None:
    before = numbered(CANONICAL).with_step("read", pixels=np.ones(SHAPE))
    history = orient(before).history
    assert history[0] == "read"
    assert len(history) == 2
    assert history[1].startswith("oriented")
    assert before.history == ("read",)
