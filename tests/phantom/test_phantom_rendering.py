"""Images repeat bit for bit, show plaques dark, and differ between twins only nearby."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion

from cervispine.exceptions import UsageError
from cervispine.phantom import (
    PatientSpecification,
    Rendering,
    render,
    render_sequences,
    sample_patient,
    twin,
)
from cervispine.phantom.tissues import TISSUES, signals, spin_echo

SEED = 17


@pytest.fixture(scope="module")
def patient() -> PatientSpecification:
    return sample_patient(SEED, "OPLL", difficulty=0.1)


@pytest.fixture(scope="module")
def whole(patient: PatientSpecification) -> Rendering:
    return render(patient)


def test_a_series_has_the_protocols_shape(patient: PatientSpecification, whole: Rendering) -> None:
    protocol = patient.protocol
    assert whole.pixels.shape == (protocol.slices, protocol.matrix, protocol.matrix)
    assert whole.pixels.dtype == np.uint16
    assert 400 < whole.pixels.max() <= 4095
    assert whole.plaque.shape == whole.cord.shape == whole.pixels.shape


def test_rendering_repeats_bit_for_bit(patient: PatientSpecification, whole: Rendering) -> None:
    again = render(patient)
    np.testing.assert_array_equal(again.pixels, whole.pixels)
    np.testing.assert_array_equal(again.plaque, whole.plaque)


def test_a_slice_is_the_same_alone_and_beside_another_sequence(
    patient: PatientSpecification, whole: Rendering
) -> None:
    middle = whole.mid_slice
    t2, t1 = render_sequences(patient, ("T2", "T1"), slices=[middle])
    np.testing.assert_array_equal(t2.pixels[0], whole.pixels[middle])
    np.testing.assert_array_equal(render(patient, sequence="T1", slices=[middle]).pixels, t1.pixels)
    np.testing.assert_allclose(t2.affine[:3, 3], (whole.affine @ [middle, 0, 0, 1])[:3], atol=1e-9)


@pytest.mark.parametrize("seed", [17, 3, 9])
def test_plaques_are_dark_on_t2(seed: int) -> None:
    drawn = sample_patient(seed, "OPLL", difficulty=0.0)
    middle = render(drawn, slices=[0]).mid_slice
    image = render(drawn, slices=[middle])
    core = binary_erosion(image.plaque[0])
    assert core.sum() > 20
    cord = np.median(image.pixels[0][binary_erosion(image.cord[0])])
    assert np.median(image.pixels[0][core]) < 0.5 * cord


def test_twins_differ_by_plaque_and_what_it_displaces() -> None:
    opll = sample_patient(SEED, "OPLL", difficulty=0.1)
    middle = render(opll, slices=[0]).mid_slice
    with_plaque = render(opll, slices=[middle])
    without = render(twin(opll), slices=[middle])
    assert not without.plaque.any()
    difference = np.abs(with_plaque.pixels[0].astype(float) - without.pixels[0])
    changed = difference > 0.25 * np.percentile(without.pixels[0], 99)
    # The plaque pushes sac and cord back: nothing changes further off than the canal is wide.
    reach = round(20 / with_plaque.spacing[1])
    near = binary_dilation(with_plaque.plaque[0], iterations=reach)
    assert changed.sum() > 20
    assert not (changed & ~near).any()
    far = ~binary_dilation(with_plaque.plaque[0], iterations=2 * reach)
    assert difference[far].mean() < 0.02 * without.pixels[0][far].mean()


def test_the_slice_normal_points_to_the_right(whole: Rendering) -> None:
    step, row, column = whole.affine[:3, :3].T
    assert step[0] < 0
    assert row[2] < 0
    assert column[1] > 0
    np.testing.assert_allclose(np.linalg.norm(step), whole.spacing[0])
    np.testing.assert_allclose(
        np.cross(column, row) / whole.spacing[1] ** 2, step / whole.spacing[0], atol=1e-9
    )


def test_the_middle_slice_is_not_always_the_middle_one() -> None:
    def off_centre(seed: int) -> bool:
        drawn = sample_patient(seed, "DSS")
        return render(drawn, slices=[0]).mid_slice != (drawn.protocol.slices - 1) // 2

    assert any(off_centre(seed) for seed in range(12))


def test_contrast_follows_the_spin_echo() -> None:
    water = TISSUES["csf"]
    expected = water.density * (1 - np.exp(-2000 / 4270)) * np.exp(-100 / 1500)
    got = spin_echo(water, strong_field=False, repetition_time=2000, echo_time=100)
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_tissues_have_the_order_that_radiologists_know(seed: int) -> None:
    drawn = sample_patient(seed, "DSS")
    t2, t1 = signals(drawn, "T2"), signals(drawn, "T1")
    assert t2["csf"] > t2["fat"] > t2["cord"] > t2["muscle"] > t2["ossified"]
    assert t1["fat"] > t1["marrow"] > t1["cord"] > t1["csf"]
    assert t2["thick ligament"] > 2 * t2["ossified"]


def test_marrow_is_mostly_darker_than_the_cord_on_t2() -> None:
    ratios = [signals(sample_patient(seed, "DSS"), "T2")["marrow"] for seed in range(40)]
    assert 0.5 < np.median(ratios) < 0.95


def test_what_does_not_exist_is_refused(patient: PatientSpecification) -> None:
    with pytest.raises(UsageError, match="T2 and T1"):
        render(patient, sequence="STIR")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="slices"):
        render(patient, slices=[99])
