"""What chance may change in training, and what it may not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cervispine import Preprocessor
from cervispine.preprocessing import augmentation
from cervispine.preprocessing.augmentation import Augmentation

STRENGTHS = ("ROTATION", "SCALE", "SHIFT", "CONTRAST", "BRIGHTNESS", "NOISE")


def augment(images: Tensor, generator: torch.Generator, *, slices: int) -> Tensor:
    drawn = Augmentation.drawn(len(images), generator, slices=slices)
    return drawn.apply(images, torch.arange(len(images)))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(samples: int = 6, channels: int = 3, rows: int = 48, columns: int = 40) -> Tensor:
    return torch.rand(samples, channels, rows, columns, generator=seeded(99))


def switch_off(monkeypatch: pytest.MonkeyPatch, *, keep: tuple[str, ...] = ()) -> None:
    """Leave only some of the changes on; mirroring has no strength and stays."""
    for name in STRENGTHS:
        if name not in keep:
            monkeypatch.setattr(augmentation, name, 0.0)
    if "GAMMA" not in keep:
        monkeypatch.setattr(augmentation, "GAMMA", 1.0)


def test_the_seed_decides() -> None:
    images = batch()
    first, again, other = (augment(images, seeded(seed), slices=3) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=0.05)


def test_the_process_wide_seed_has_no_say_and_is_left_alone() -> None:
    torch.manual_seed(1)
    first = augment(batch(), seeded(4), slices=3)
    state = torch.random.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(augment(batch(), seeded(4), slices=3), first)
    torch.manual_seed(1)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(1, 1, 16, 16), (5, 3, 64, 48), (2, 6, 17, 31)])
def test_shape_dtype_finiteness_and_the_input_are_kept(shape: tuple[int, ...]) -> None:
    images = batch(*shape)
    copy = images.clone()
    changed = augment(images, seeded(0), slices=1 if shape[1] == 1 else 3)
    assert changed.shape == images.shape
    assert changed.dtype == torch.float32
    assert torch.isfinite(changed).all()
    assert torch.equal(images, copy)
    assert not torch.equal(changed, images)


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5])
def test_a_constant_image_stays_finite(value: float) -> None:
    changed = augment(torch.full((4, 3, 20, 20), value), seeded(0), slices=3)
    torch.testing.assert_close(changed, torch.full_like(changed, value), atol=1e-5, rtol=0)


def test_with_every_strength_at_nothing_only_the_mirror_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    switch_off(monkeypatch)
    images = batch(samples=40)
    changed = augment(images, seeded(5), slices=3)
    kept = (changed - images).abs().amax(dim=(1, 2, 3)) < 1e-5
    mirrored = (changed - images.flip(1)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert (kept ^ mirrored).all()
    assert 10 <= int(mirrored.sum()) <= 30


def test_each_sequence_is_mirrored_within_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    switch_off(monkeypatch)
    images = batch(samples=12, channels=6)
    changed = augment(images, seeded(5), slices=3)
    reverse = images[:, [2, 1, 0, 5, 4, 3]]
    mirrored = (changed - reverse).abs().amax(dim=(1, 2, 3)) < 1e-5
    kept = (changed - images).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert (kept ^ mirrored).all()
    assert mirrored.any()
    assert kept.any()


def test_all_slices_of_a_patient_move_and_change_together(monkeypatch: pytest.MonkeyPatch) -> None:
    # Noise is each channel's own, and the only thing that is.
    monkeypatch.setattr(augmentation, "NOISE", 0.0)
    one = batch(channels=1)
    changed = augment(one.repeat(1, 3, 1, 1), seeded(8), slices=3)
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert torch.equal(changed[:, 0], changed[:, 2])
    # Patients do not.
    same = augment(one[:1].repeat(4, 3, 1, 1), seeded(8), slices=3)
    assert (same[0] - same[1]).abs().max() > 0.05


def test_noise_is_each_channels_own_and_at_most_3_percent() -> None:
    with pytest.MonkeyPatch.context() as patch:
        switch_off(patch, keep=("NOISE",))
        ramp = torch.linspace(0, 10, 64).expand(30, 3, 64, 64).contiguous()
        noise = augment(ramp, seeded(2), slices=3) - ramp
    deviations = noise.std(dim=(1, 2, 3))
    assert 0.2 < float(deviations.max()) < 1.05 * 0.3
    assert float(deviations.min()) < 0.1
    flat = noise.flatten(2)
    assert abs(float(torch.corrcoef(flat[0])[0, 1])) < 0.1


def test_a_rotation_turns_without_shearing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Centres of two spots keep their distance, although the image is not square.
    switch_off(monkeypatch, keep=("ROTATION",))
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(64.0), indexing="ij")
    spots = torch.stack([
        torch.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 18)
        for row, column in [(20, 31.5), (47.5, 50), (75, 31.5)]
    ])  # fmt: skip
    # One slice: nothing to mirror, and each spot is a sequence of its own.
    turned = augment(spots.expand(20, 3, 96, 64).contiguous(), seeded(3), slices=1)
    mass = turned.sum(dim=(2, 3))
    centres = torch.stack(
        [(turned * axis).sum(dim=(2, 3)) / mass for axis in (rows, columns)], dim=-1
    )
    top, side, bottom = centres.unbind(1)
    torch.testing.assert_close(
        (top - bottom).norm(dim=1), torch.full((20,), 55.0), atol=0.3, rtol=0
    )
    arms = torch.stack([side - top, side - bottom])
    assert (arms.norm(dim=2)[0] - arms.norm(dim=2)[1]).abs().max() < 0.3
    angles = torch.rad2deg(torch.atan2(*(bottom - top).flip(1).unbind(1)))
    assert 5 < float(angles.abs().max()) <= 10.1


def test_the_preprocessor_knows_how_many_slices_a_sequence_has() -> None:
    images = batch(channels=6)
    preprocessor = Preprocessor(size=(48, 40), slices=3, sequences=("T2", "T1"))
    assert torch.equal(
        preprocessor.augment(images, seeded(6)), augment(images, seeded(6), slices=3)
    )


def test_intensities_stay_within_their_range_but_for_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "NOISE", 0.0)
    images = 4 * batch() - 1
    changed = augment(images, seeded(7), slices=3).numpy()
    assert changed.min() >= float(images.min()) - 1e-4
    assert changed.max() <= float(images.max()) + 1e-4
    assert np.ptp(changed) > 2


def test_neither_the_batch_nor_the_order_changes_what_happens_to_an_image() -> None:
    images = batch(samples=9)
    drawn = Augmentation.drawn(9, seeded(4), slices=3)
    together = drawn.apply(images, torch.arange(9))
    order = torch.tensor([7, 2, 8, 0, 5, 1, 4, 6, 3])
    for part in (order[:4], order[4:8], order[8:]):
        torch.testing.assert_close(drawn.apply(images[part], part), together[part])


def test_no_two_images_share_their_noise() -> None:
    with pytest.MonkeyPatch.context() as patch:
        switch_off(patch, keep=("NOISE",))
        ramp = torch.linspace(0, 10, 64).expand(8, 1, 64, 64).contiguous()
        noise = (augment(ramp, seeded(2), slices=1) - ramp).flatten(1)
    correlations = torch.corrcoef(noise).fill_diagonal_(0)
    assert float(correlations.abs().max()) < 0.1
