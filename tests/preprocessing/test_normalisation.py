"""Intensities have no unit, so a scanner's scale must not reach the network."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine import Volume
from cervispine.exceptions import PixelError, UsageError
from cervispine.preprocessing.normalisation import NORMALISATIONS, normalise

SHAPE = (3, 24, 20)
EVERYWHERE = np.ones(SHAPE[1:], dtype=bool)


def volume(pixels: np.ndarray) -> Volume:
    return Volume(pixels=pixels, affine=np.eye(4), sequence="T2", history=("read",))


def tissue() -> np.ndarray:
    return np.random.default_rng(3).gamma(2.0, 100.0, SHAPE)


@pytest.mark.parametrize("method", NORMALISATIONS)
@given(gain=st.floats(0.01, 100), offset=st.floats(-500, 500))
def test_gain_and_offset_of_the_scanner_are_gone(method: str, gain: float, offset: float) -> None:
    plain = normalise(volume(tissue()), EVERYWHERE, method)
    scaled = normalise(volume(gain * tissue() + offset), EVERYWHERE, method)
    # Float32 holds the offset and the smallest gain's signal together to about 1e-4 of it.
    np.testing.assert_allclose(scaled.pixels, plain.pixels, atol=2e-4)


def test_percentiles_go_to_0_and_1_and_the_rest_is_clipped() -> None:
    values = tissue()
    low, high = np.quantile(values.astype(np.float32).astype(float), (0.01, 0.99), method="linear")
    expected = np.clip((values - low) / (high - low), 0, 1)
    result = normalise(volume(values), EVERYWHERE, "percentile")
    np.testing.assert_allclose(result.pixels, expected, atol=1e-5)
    assert (result.pixels.min(), result.pixels.max()) == (0, 1)
    assert result.pixels.dtype == np.float32


def test_one_bright_vessel_changes_little() -> None:
    values = tissue()
    bright = values.copy()
    bright[1, 3, 4] = 1e6
    plain, spoilt = (
        normalise(volume(each), EVERYWHERE, "percentile").pixels for each in (values, bright)
    )
    others = np.ones(SHAPE, dtype=bool)
    others[1, 3, 4] = False
    assert np.abs(plain - spoilt)[others].max() < 0.02


def test_zscore_has_mean_0_and_deviation_1() -> None:
    result = normalise(volume(tissue()), EVERYWHERE, "zscore").pixels.astype(float)
    assert result.mean() == pytest.approx(0, abs=1e-5)
    assert result.std() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("method", NORMALISATIONS)
def test_pixels_outside_the_image_count_for_nothing_and_are_dark(method: str) -> None:
    inside = EVERYWHERE.copy()
    inside[:, :5] = False
    values = tissue()
    replaced = values.copy()
    replaced[:, :, :5] = 1e5
    plain, other = (normalise(volume(each), inside, method) for each in (values, replaced))
    np.testing.assert_array_equal(plain.pixels, other.pixels)
    assert (plain.pixels[:, ~inside] == plain.pixels[:, inside].min()).all()
    assert f"{5 * SHAPE[1]} of {inside.size} pixels lie outside" in plain.history[-1]


@pytest.mark.parametrize("method", NORMALISATIONS)
@pytest.mark.parametrize("value", [0.0, -3.0, 1000.1])
def test_one_value_only_is_refused(method: str, value: float) -> None:
    with pytest.raises(PixelError) as caught:
        normalise(volume(np.full(SHAPE, value)), EVERYWHERE, method)
    assert caught.value.code == "IMAGE_DEGENERATE"


def test_nearly_one_value_only_is_refused() -> None:
    pixels = np.zeros(SHAPE)
    pixels[0, 0, :3] = 900
    with pytest.raises(PixelError, match="nearly one value") as caught:
        normalise(volume(pixels), EVERYWHERE, "percentile")
    assert caught.value.code == "IMAGE_DEGENERATE"


@pytest.mark.parametrize("method", NORMALISATIONS)
def test_what_rounding_leaves_of_a_constant_is_no_signal(method: str) -> None:
    pixels = np.full(SHAPE, 7, np.float32)
    pixels[:, ::2] = np.nextafter(pixels[:, ::2], np.float32(8))
    with pytest.raises(PixelError) as caught:
        normalise(volume(pixels), EVERYWHERE, method)
    assert caught.value.code == "IMAGE_DEGENERATE"


@pytest.mark.parametrize("method", NORMALISATIONS)
def test_a_slice_of_one_value_is_refused(method: str) -> None:
    pixels = tissue()
    pixels[-1] = 7
    with pytest.raises(PixelError, match="a slice of the crop") as caught:
        normalise(volume(pixels), EVERYWHERE, method)
    assert caught.value.code == "IMAGE_DEGENERATE"


@pytest.mark.parametrize("method", NORMALISATIONS)
def test_a_crop_beside_the_image_is_refused(method: str) -> None:
    with pytest.raises(PixelError, match="outside the image") as caught:
        normalise(volume(tissue()), ~EVERYWHERE, method)
    assert caught.value.code == "IMAGE_DEGENERATE"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_never_becomes_a_volume(value: float) -> None:
    pixels = tissue()
    pixels[2, 1, 0] = value
    with pytest.raises(PixelError) as caught:
        volume(pixels)
    assert caught.value.code == "IMAGE_DEGENERATE"


def test_another_method_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="minmax") as caught:
        normalise(volume(tissue()), EVERYWHERE, "minmax")
    assert caught.value.code == "USAGE"
    assert all(method in caught.value.what for method in NORMALISATIONS)


@pytest.mark.parametrize("method", NORMALISATIONS)
def test_the_step_is_recorded_and_the_input_left_alone(method: str) -> None:
    before = volume(tissue())
    copy = before.pixels.copy()
    after = normalise(before, EVERYWHERE, method)
    assert after.history[0] == "read"
    assert after.history[1].startswith("normalised")
    assert len(after.history) == 2
    np.testing.assert_array_equal(before.pixels, copy)
    np.testing.assert_array_equal(after.affine, before.affine)
