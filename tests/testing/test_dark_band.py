"""The dark band is measured in millimetres, where it lies, and nothing else is."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cervispine import Loader, Preprocessor
from cervispine.exceptions import UsageError
from cervispine.phantom import PatientSpecification, Phantom, render, twin, write_series
from cervispine.testing import DARK_BAND, dark_band

MEAN, MEDIAN, GREATEST = (
    DARK_BAND.index(f"{name} thickness, mm") for name in ("mean", "median", "greatest smooth")
)


def spine(thickness: float, spacing: float, slope: float = 0.0) -> np.ndarray:
    """Return 120 x 120 mm: grey bodies, a dark band of so many mm, a bright canal of 12 mm."""
    size = round(120 / spacing)
    rows, columns = np.mgrid[:size, :size] * spacing
    behind = columns - 54 - slope * (rows - 60)
    image = np.full((size, size), 0.4)
    image[(behind >= -thickness) & (behind < 0)] = 0.05
    image[(behind >= 0) & (behind < 12)] = 1.0
    return image


@given(
    thickness=st.sampled_from([3.0, 5.0, 8.0]),
    spacing=st.sampled_from([0.5, 0.7, 1.0]),
    slope=st.floats(-0.15, 0.15),
)
def test_a_band_of_known_thickness_is_measured(
    thickness: float, spacing: float, slope: float
) -> None:
    measured = dark_band([spine(thickness, spacing, slope)], spacing)[0]
    for place in (MEAN, MEDIAN, GREATEST):
        # The edges are blurred, and a run is a whole number of pixels.
        assert measured[place] == pytest.approx(thickness, abs=1.5 * spacing + 0.5)


def test_without_a_band_nothing_is_measured() -> None:
    assert not dark_band([spine(0.0, 0.7)], 0.7).any()
    assert not dark_band(np.zeros((2, 120, 120)), 0.7).any()


@given(scale=st.floats(0.01, 100))
def test_brightness_is_of_no_matter(scale: float) -> None:
    image = spine(4.0, 0.7)
    np.testing.assert_allclose(dark_band([image * scale], 0.7), dark_band([image], 0.7))


def test_a_plaque_thickens_the_band_of_its_twin(tmp_path_factory: pytest.TempPathFactory) -> None:
    def mean_thickness(patients: list[PatientSpecification]) -> float:
        folder = tmp_path_factory.mktemp("twins")
        for number, patient in enumerate(patients):
            write_series(render(patient), patient, folder / str(number), name=str(number))
        images = Preprocessor(slices=1).transform(Loader().index(folder))[:, 0]
        return float(dark_band(images, 0.7)[:, MEAN].mean())

    phantom = Phantom(n_opll=6, n_dss=0, difficulty=0.0, seed=3)
    patients = list(phantom.specifications())
    assert mean_thickness(patients) > mean_thickness([twin(patient) for patient in patients]) + 0.3


@pytest.mark.parametrize(
    "images",
    [np.ones((120, 120)), np.full((1, 120, 120), -1.0), np.full((1, 120, 120), np.nan)],
    ids=["one image", "negative", "not finite"],
)
def test_what_is_no_stack_of_images_is_refused(images: np.ndarray) -> None:
    with pytest.raises(UsageError, match="finite, not negative"):
        dark_band(images, 0.7)


@given(
    width=st.floats(36.1, 50),
    height=st.floats(45, 60),
    spacing=st.sampled_from([0.4, 0.7, 0.93, 1.0]),
    seed=st.integers(0, 100),
)
def test_an_image_just_wide_enough_is_measured(
    width: float, height: float, spacing: float, seed: int
) -> None:
    shape = (1, math.ceil(height / spacing), math.ceil(width / spacing))
    assert np.isfinite(dark_band(np.random.default_rng(seed).random(shape), spacing)).all()


@pytest.mark.parametrize("width", [40.0, 44.0])
def test_a_canal_at_the_edge_is_measured(width: float) -> None:
    columns = round(width / 0.7)
    image = np.full((120, columns), 0.4)
    image[:, :8] = 1.0
    assert not dark_band([image], 0.7)[0, :6].any()


@pytest.mark.parametrize("shape", [(1, 40, 120), (1, 61, 120), (1, 120, 40)])
def test_a_small_image_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(UsageError, match="more than 42 mm"):
        dark_band(np.ones(shape), 0.7)
