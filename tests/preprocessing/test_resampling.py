"""Interpolation against SciPy's and PyTorch's, and against ramps whose value is known anywhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates
from torch.nn import functional

from cervispine.preprocessing.resampling import Axis, resample

#: How far a float32 result may be from the float64 reference, for values of about one.
EXACT = 1e-4

finer = st.builds(
    Axis,
    count=st.integers(1, 40),
    start=st.floats(-6, 25),
    step=st.floats(0.05, 1.0),
)


def images(rows: int, columns: int, *, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, rows, columns)).astype(np.float32)


@given(rows=finer, columns=finer)
def test_finer_sampling_is_linear_interpolation(rows: Axis, columns: Axis) -> None:
    source = images(19, 23)
    grid = np.meshgrid(rows.positions, columns.positions, indexing="ij")
    expected = [
        map_coordinates(each, grid, order=1, mode="nearest") for each in source.astype(float)
    ]
    sampled = resample(source, rows, columns)
    assert sampled.dtype == np.float32
    np.testing.assert_allclose(sampled, expected, atol=EXACT)


@given(
    start=st.floats(6, 9),
    step=st.floats(1.0, 2.5),
    slope=st.floats(-1, 1),
    count=st.integers(2, 8),
)
def test_a_ramp_stays_where_it_was_also_when_antialiased(
    start: float, step: float, slope: float, count: int
) -> None:
    # A widened triangle has its centre of mass on the sample only when that lies on a pixel or
    # between two; else on the discrete grid it is off by the ripple of the triangle's sum.
    axis = Axis(count=count, start=start, step=step)
    row, column = np.meshgrid(np.arange(40.0), np.arange(40.0), indexing="ij")
    ramp = (slope * row - 0.5 * column)[None].astype(np.float32)
    sampled = resample(ramp, axis, axis)[0]
    expected = slope * axis.positions[:, None] - 0.5 * axis.positions
    np.testing.assert_allclose(sampled, expected, atol=0.15 * (abs(slope) + 0.5) + EXACT)


@pytest.mark.parametrize("centre", [12.0, 12.5, 14.0])
@pytest.mark.parametrize("step", [2, 3, 4])
def test_a_ramp_is_exact_at_whole_steps(centre: float, step: int) -> None:
    axis = Axis.centred(centre, count=5, step=float(step))
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32), (1, 32, 32))
    sampled = resample(ramp, Axis.centred(15.5, count=4, step=1.0), axis)
    inner = (axis.positions > step) & (axis.positions < 31 - step)
    assert inner.any()
    np.testing.assert_allclose(
        sampled[0][:, inner], np.tile(axis.positions[inner], (4, 1)), atol=EXACT
    )


@pytest.mark.parametrize("size", [(16, 20), (31, 17), (64, 90), (7, 11)])
def test_a_whole_image_as_torch_resizes_it(size: tuple[int, int]) -> None:
    source = images(37, 41)
    rows, columns = (
        Axis.centred((have - 1) / 2, count=want, step=have / want)
        for have, want in zip(source.shape[1:], size, strict=True)
    )
    expected = functional.interpolate(
        torch.from_numpy(source)[None].double(), size=size, mode="bilinear", antialias=True
    )[0]
    np.testing.assert_allclose(resample(source, rows, columns), expected, atol=EXACT)


def test_the_same_grid_gives_the_same_values() -> None:
    source = images(9, 12)
    axes = [Axis(count=count, start=0.0, step=1.0) for count in source.shape[1:]]
    np.testing.assert_array_equal(resample(source, *axes), source)


@given(
    axis=st.builds(
        Axis, count=st.integers(1, 30), start=st.floats(-90, 90), step=st.floats(0.01, 9)
    ),
    size=st.integers(1, 40),
)
def test_weights_are_an_average(axis: Axis, size: int) -> None:
    weights = axis.weights(size)
    assert weights.shape == (axis.count, size)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)


def test_a_grating_too_fine_for_the_output_is_averaged_away() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), 32)
    grating = np.broadcast_to(stripes, (1, 64, 64))
    axis = Axis.centred(31.5, count=15, step=4.0)
    # Picking pixels instead would give stripes of full contrast.
    np.testing.assert_allclose(resample(grating, axis, axis), 0.5, atol=EXACT)


def test_beyond_the_edge_is_the_edge_and_is_said_to_be_outside() -> None:
    axis = Axis(count=6, start=-1.0, step=1.0)
    ramp = np.broadcast_to(np.arange(4, dtype=np.float32), (1, 4, 4))
    sampled = resample(ramp, Axis(count=4, start=0.0, step=1.0), axis)
    np.testing.assert_allclose(sampled[0, 0], [0, 0, 1, 2, 3, 3], atol=EXACT)
    np.testing.assert_array_equal(axis.inside(4), [False, True, True, True, True, False])
    assert Axis(count=2, start=-0.5, step=4.0).inside(4).all()


def test_centred_axes_lie_evenly_about_their_centre() -> None:
    axis = Axis.centred(10.0, count=4, step=3.0)
    np.testing.assert_allclose(axis.positions, [5.5, 8.5, 11.5, 14.5])
