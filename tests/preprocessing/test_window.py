"""The spine and the midline are found in the images, and the crop lies where it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from cervispine import Volume
from cervispine.exceptions import LoadError
from cervispine.preprocessing.orientation import orient
from cervispine.preprocessing.spine import coarse_images, even, find_canal, find_mid_slice
from cervispine.preprocessing.window import Window, cut, find_window

if TYPE_CHECKING:
    from conftest import Painted

#: LPS position of a voxel, of a stack 3 mm apart with pixels of 0.8 mm by 0.6 mm.
AFFINE = np.array([[3.0, 0, 0, -6], [0, 0, 0.6, -20], [0, -0.8, 0, 30], [0, 0, 0, 1]])


def stack(pixels: np.ndarray) -> Volume:
    return Volume(pixels=pixels, affine=AFFINE, sequence="T2")


def part(volume: Volume, first: int, last: int) -> Volume:
    """Return some neighbouring slices of a volume, where they lay."""
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 0] * first
    return Volume(pixels=volume.pixels[first:last], affine=affine, sequence=volume.sequence)


def mid_slice(volume: Volume) -> int:
    window = find_window(volume, slices=3, height=150)
    return round(float((np.linalg.inv(volume.affine) @ [*window.centre, 1])[0]))


def symmetric(slices: int, plane: int, *, gain: float = 1.0) -> np.ndarray:
    """Return textures, float32 (slices, 96, 96), that mirror each other about one slice."""
    random = np.random.default_rng(8)
    sides = random.normal(size=(slices, 96, 96))
    noise = random.normal(size=(slices, 96, 96))
    distances = np.abs(np.arange(slices) - plane)
    return (100 + gain * (20 * sides[distances] + 4 * noise)).astype(np.float32)


@pytest.mark.parametrize("plane", [4, 5, 6, 7, 8])
@pytest.mark.parametrize("gain", [1.0, 0.2])
def test_the_plane_of_symmetry_is_found(plane: int, gain: float) -> None:
    coarse, _, _ = coarse_images(symmetric(13, plane, gain=gain), (2.0, 2.0))
    evened = even(coarse)
    assert find_mid_slice(evened, find_canal(coarse, evened), range(1, 12)) == plane


@pytest.mark.parametrize("allowed", [range(2, 4), range(8, 11)])
def test_only_a_candidate_is_chosen(allowed: range) -> None:
    coarse, _, _ = coarse_images(symmetric(13, 6), (2.0, 2.0))
    evened = even(coarse)
    assert find_mid_slice(evened, find_canal(coarse, evened), allowed) in allowed


def test_the_painted_midline_is_found_to_a_slice_wherever_the_stack_ends(painted: Painted) -> None:
    whole = orient(painted.t2)
    count = len(whole.pixels)
    # The painter counts from left to right, the canonical frame from right to left.
    truth = count - 1 - painted.mid_slice
    for first, last in [(0, count), (0, count - 2), (2, count), (1, count - 1)]:
        assert abs(mid_slice(part(whole, first, last)) + first - truth) <= 1


def test_the_crop_is_centred_on_the_painted_cord(painted: Painted) -> None:
    volume, cord = orient(painted.t2), orient(painted.cord)
    window = find_window(volume, slices=3, height=150)
    _, rows, columns = np.nonzero(cord.pixels)
    column = (np.linalg.inv(volume.affine) @ [*window.centre, 1])[2]
    assert abs(column - columns.mean()) * volume.spacing[2] < 10
    assert rows.size > 1000
    # Not for want of a search: the cord is not in the middle of the image moved by 3 cm.
    moved = Volume(pixels=np.roll(volume.pixels, 30, axis=2), affine=volume.affine, sequence="T2")
    away = find_window(moved, slices=3, height=150)
    shift = (np.linalg.inv(volume.affine) @ [*away.centre, 1])[2] - column
    assert shift == pytest.approx(30, abs=6)


@pytest.mark.parametrize("height", [0.2, 1.9, 3.0])
def test_a_crop_lower_than_a_coarse_pixel_lies_on_the_canal_too(
    painted: Painted, height: float
) -> None:
    volume, cord = orient(painted.t2), orient(painted.cord)
    window = find_window(volume, slices=3, height=height)
    assert "centred on the spinal canal" in window.found_by
    _, row, column = np.rint(np.linalg.inv(volume.affine) @ [*window.centre, 1])[:3].astype(int)
    columns = np.flatnonzero(cord.pixels[:, row].any(axis=0))
    assert np.abs(columns - column).min() * volume.spacing[2] < 10


def test_neither_scale_nor_place_in_the_scanner_matters(painted: Painted) -> None:
    volume = orient(painted.t2)
    affine = volume.affine.copy()
    affine[:3, 3] += (40, -25, 300)
    brighter = Volume(pixels=8 * volume.pixels, affine=affine, sequence="T2")
    first, second = (find_window(each, slices=3, height=150) for each in (volume, brighter))
    np.testing.assert_allclose(second.centre - first.centre, (40, -25, 300), atol=1e-6)
    assert first.found_by == second.found_by


def test_an_image_without_a_canal_is_cropped_about_its_centre() -> None:
    # A gradient has no band, so nothing stands out.
    gradient = np.broadcast_to(np.linspace(100, 200, 60), (5, 80, 60))
    window = find_window(stack(gradient), slices=3, height=40)
    assert "no spinal canal stands out" in window.found_by
    index = np.linalg.inv(AFFINE) @ [*window.centre, 1]
    np.testing.assert_allclose(index[1:3], (39.5, 29.5), atol=1e-9)


@given(
    count=st.integers(3, 6),
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    height=st.floats(0.2, 200),
    seed=st.integers(0, 9),
)
def test_a_window_is_always_finite_and_within_the_image(
    count: int, rows: int, columns: int, height: float, seed: int
) -> None:
    pixels = np.random.default_rng(seed).gamma(2, 50, (count, rows, columns))
    window = find_window(stack(pixels), slices=3, height=height)
    index = (np.linalg.inv(AFFINE) @ [*window.centre, 1])[:3]
    assert 1 - 1e-9 <= index[0] <= count - 2 + 1e-9
    # Coarse pixels of 2 mm may reach beyond the image by less than one of theirs.
    assert -4 < index[1] < rows + 3
    assert -4 < index[2] < columns + 3


@given(
    row=st.floats(10, 30),
    column=st.floats(10, 30),
    spacing=st.floats(0.2, 0.6),
)
def test_a_crop_holds_what_lies_where_its_affine_says(
    row: float, column: float, spacing: float
) -> None:
    volume = stack(np.random.default_rng(0).normal(size=(5, 40, 44)))
    centre = (AFFINE @ [2, row, column, 1])[:3]
    result, inside = cut(
        volume, Window(centre=centre, found_by=""), slices=3, size=(20, 16), spacing=spacing
    )
    assert result.pixels.shape == (3, 20, 16)
    assert result.spacing == pytest.approx((3, spacing, spacing))
    indices = np.stack([*np.indices((3, 20, 16)), np.ones((3, 20, 16))]).reshape(4, -1)
    places = np.linalg.inv(AFFINE) @ result.affine @ indices
    expected = map_coordinates(volume.pixels.astype(float), places[:3], order=1, mode="nearest")
    np.testing.assert_allclose(result.pixels.ravel(), expected, atol=1e-4)
    np.testing.assert_allclose((result.affine @ [1, 9.5, 7.5, 1])[:3], centre, atol=1e-9)
    assert inside.shape == (20, 16)
    assert inside.all()


def test_a_linear_field_keeps_its_values_through_the_cut() -> None:
    # What a voxel holds tells its position in LPS: analytic, and no interpolation of ours.
    slope = np.array([1.3, -0.7, 0.4])

    def field(affine: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        points = np.stack(np.indices(shape), -1) @ affine[:3, :3].T + affine[:3, 3]
        return np.asarray(points @ slope)

    window = Window(centre=(AFFINE @ [2, 21.3, 18.9, 1])[:3], found_by="")
    volume = stack(field(AFFINE, (5, 40, 44)))
    result, _ = cut(volume, window, slices=3, size=(24, 24), spacing=0.37)
    np.testing.assert_allclose(result.pixels, field(result.affine, (3, 24, 24)), atol=1e-4)


def test_what_lies_beyond_the_image_is_said() -> None:
    volume = stack(np.random.default_rng(0).normal(size=(3, 40, 44)))
    window = Window(centre=(AFFINE @ [1, 0, 21.5, 1])[:3], found_by="")
    result, inside = cut(volume, window, slices=1, size=(20, 20), spacing=0.6)
    assert not inside[:9].any()
    assert inside[10:].all()
    np.testing.assert_array_equal(result.pixels[0, 0], result.pixels[0, 5])


@pytest.mark.parametrize(("count", "slices"), [(1, 3), (2, 3), (4, 5)])
def test_too_few_slices_are_refused_with_advice(count: int, slices: int) -> None:
    with pytest.raises(LoadError) as caught:
        find_window(stack(np.ones((count, 30, 30))), slices=slices, height=20)
    assert caught.value.code == "SLICES_TOO_FEW"
    assert f"{count} slices where {slices} are needed" in caught.value.what
    assert "leave the study out" in caught.value.advice


@pytest.mark.parametrize("mid", [0, 4])
def test_a_window_at_the_edge_of_another_series_is_refused(mid: int) -> None:
    window = Window(centre=(AFFINE @ [mid, 15, 15, 1])[:3], found_by="")
    with pytest.raises(LoadError) as caught:
        cut(stack(np.ones((5, 30, 30))), window, slices=3, size=(16, 16), spacing=0.7)
    assert caught.value.code == "SLICES_TOO_FEW"
    assert "T2" in caught.value.what
