"""The loop on small tensors: it learns, stops, resumes, and the seed decides."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn

from cervispine.classification import state
from cervispine.classification.calibration import fit_temperature, positive_probability
from cervispine.classification.checkpoints import has_checkpoint
from cervispine.classification.training import Epoch, Images, Recipe, margins_of, train
from cervispine.exceptions import TrainingError
from cervispine.preprocessing.cache import StoredPixels

RECIPE = Recipe(
    epochs=6,
    batch_size=8,
    learning_rate=1e-2,
    weight_decay=0.0,
    patience=6,
    class_weight="balanced",
    device=torch.device("cpu"),
    precision=torch.float32,
    seed=0,
)


def images(count: int, seed: int, *, separable: bool = True) -> Images:
    generator = np.random.default_rng(seed)
    truth = np.arange(count) % 2
    pixels = generator.normal(size=(count, 1, 16, 16)).astype(np.float32)
    if separable:
        pixels[truth == 1, :, 4:8, 4:8] += 2
    return Images(torch.from_numpy(pixels), truth)


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(1, 4, 5), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2),
            nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(4 * 10 * 10, 2),
        )  # fmt: skip


@attrs.frozen(eq=False)
class Jitter:
    """Noise of each image's own."""

    noise: torch.Tensor

    def apply(self, batch: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        return batch + self.noise[indices]


def jitter(count: int, generator: torch.Generator) -> Jitter:
    return Jitter(0.05 * torch.randn(count, 1, 16, 16, generator=generator))


def fit(net: nn.Module, recipe: Recipe = RECIPE, **more: object):  # type: ignore[no-untyped-def]
    reports: list[int] = []
    trained = train(
        net,
        more.pop("training", images(41, 1)),  # type: ignore[arg-type]
        more.pop("validation", images(20, 2)),  # type: ignore[arg-type]
        recipe,
        augment=jitter,
        report=lambda done, total: reports.append(done),
        **more,  # type: ignore[arg-type]
    )
    assert reports == list(range(reports[0], reports[0] + len(reports))) if reports else True
    return trained


def test_every_epoch_is_told(tmp_path: Path) -> None:
    told: list[Epoch] = []
    trained = fit(network(), on_epoch=told.append)
    assert [each.epoch for each in told] == [1, 2, 3, 4, 5, 6]
    for each, record in zip(told, trained.history, strict=True):
        assert (each.epochs, each.seconds > 0, each.images_per_second > 0) == (6, True, True)
        for name in ("training_loss", "loss", "auc", "learning_rate"):
            assert getattr(each, name) == record[name]
    rates = [each.learning_rate for each in told]
    assert max(rates) <= RECIPE.learning_rate
    assert rates == sorted(rates, reverse=True)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        told[0].loss = 0.0  # type: ignore[misc]


def test_what_the_listener_raises_ends_the_training() -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.epoch == 2:
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        fit(network(), on_epoch=stop)


def test_listening_changes_nothing() -> None:
    alone, heard = network(), network()
    fit(alone)
    fit(heard, on_epoch=lambda epoch: torch.rand(3))
    assert weights(alone) == weights(heard)


def weights(net: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in net.state_dict().values())


def test_learns_what_can_be_learnt() -> None:
    net = network()
    trained = fit(net)
    assert len(trained.history) == 6
    assert trained.history[trained.best_epoch]["auc"] > 0.95
    unseen = images(40, 3)
    margins = margins_of(net, unseen.pixels, RECIPE.device, 8)
    assert ((margins > 0) == unseen.truth).mean() > 0.85


def rare(count: int, seed: int) -> Images:
    """Return images of which one in ten is positive, and which alone do not tell it."""
    generator = np.random.default_rng(seed)
    truth = (np.arange(count) % 10 == 0).astype(np.int64)
    pixels = generator.normal(size=(count, 1, 4, 4)).astype(np.float32)
    pixels[truth == 1, :, 0, 0] += 1.5
    return Images(torch.from_numpy(pixels), truth)


@pytest.mark.parametrize("class_weight", ["balanced", None])
def test_probabilities_are_right_where_one_class_is_rare(class_weight: str | None) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        linear = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    validation = rare(2000, 2)
    recipe = attrs.evolve(RECIPE, class_weight=class_weight, learning_rate=0.03, batch_size=50)
    trained = train(
        linear, rare(2000, 1), validation, attrs.evolve(recipe, epochs=10, patience=10),
        augment=None, report=lambda done, total: None,
    )  # fmt: skip
    margins = margins_of(linear, validation.pixels, RECIPE.device, 100) + trained.offset
    assert positive_probability(margins).mean() == pytest.approx(0.1, abs=0.02)
    assert fit_temperature(validation.truth, margins) == pytest.approx(1, abs=0.3)
    # The loss that an epoch is chosen by is that of these probabilities.
    loss = log_loss(validation.truth, positive_probability(margins))
    assert trained.history[trained.best_epoch]["loss"] == pytest.approx(loss)


def test_seed_decides_and_leaves_the_global_generator_alone() -> None:
    first, second, other = network(), network(), network()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    fit(first)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(99)
    fit(second)
    fit(other, attrs.evolve(RECIPE, seed=1))
    assert weights(first) == weights(second)
    assert weights(first) != weights(other)


@pytest.fixture
def checkpoint_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "CHECKPOINT_SECONDS", 0.0)


@pytest.mark.usefixtures("checkpoint_each_step")
def test_interrupted_run_continues_to_the_same_weights(tmp_path: Path) -> None:
    straight, broken = network(), network()
    fit(straight)

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(
            broken, images(41, 1), images(20, 2), RECIPE,
            augment=jitter, report=stop, run_dir=tmp_path, fingerprint="a",
        )  # fmt: skip
    again = network(seed=7)
    trained = fit(again, run_dir=tmp_path, resume=True, fingerprint="a")
    assert len(trained.history) == 6
    assert weights(straight) == weights(again)


def test_short_trainings_write_no_checkpoint(tmp_path: Path) -> None:
    fit(network(), run_dir=tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.usefixtures("checkpoint_each_step")
def test_resume_refuses_nothing_and_something_else(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="RESUME_NOTHING"):
        fit(network(), run_dir=tmp_path, resume=True)
    fit(network(), run_dir=tmp_path, fingerprint="a")
    assert has_checkpoint(tmp_path)
    with pytest.raises(TrainingError, match="RESUME_MISMATCH"):
        fit(network(), run_dir=tmp_path, resume=True, fingerprint="b")


def test_stops_early_and_keeps_the_best_epoch() -> None:
    recipe = attrs.evolve(RECIPE, epochs=40, patience=3)
    net = network()
    noise = images(20, 2, separable=False)
    trained = fit(net, recipe, validation=noise)
    assert len(trained.history) < 40
    assert len(trained.history) - 1 - trained.best_epoch == 3
    losses = [epoch["loss"] for epoch in trained.history]
    assert losses[trained.best_epoch] == min(losses)


def test_loss_that_is_not_finite_ends_it() -> None:
    broken = images(16, 1)
    broken.pixels[3] = float("nan")
    with pytest.raises(TrainingError, match="LOSS_NOT_FINITE"):
        fit(network(), training=broken)


def test_bfloat16_trains_too() -> None:
    trained = fit(network(), attrs.evolve(RECIPE, precision=torch.bfloat16))
    assert trained.history[trained.best_epoch]["auc"] > 0.9


class Interrupting:
    """Changes that end the process's patience at one step: a signal in the middle of an epoch."""

    def __init__(self, changes: Jitter, at: int) -> None:
        self.changes, self.at, self.calls = changes, at, 0

    def apply(self, batch: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == self.at:
            signal.raise_signal(signal.SIGTERM)
        return self.changes.apply(batch, indices)


@pytest.mark.parametrize("at", [1, 3, 5])
def test_a_signal_ends_the_step_and_the_rest_is_the_same(tmp_path: Path, at: int) -> None:
    straight, broken, again = network(), network(), network(seed=7)
    fit(straight)
    with pytest.raises(KeyboardInterrupt):
        train(
            broken, images(41, 1), images(20, 2), RECIPE,
            augment=lambda count, generator: Interrupting(jitter(count, generator), at),
            report=lambda done, total: None, run_dir=tmp_path, fingerprint="a",
        )  # fmt: skip
    trained = fit(again, run_dir=tmp_path, resume=True, fingerprint="a")
    assert len(trained.history) == 6
    assert weights(straight) == weights(again)


@pytest.mark.usefixtures("checkpoint_each_step")
def test_killed_at_any_step_it_continues_to_the_same_weights(tmp_path: Path) -> None:
    # In a child that is killed without warning; benchmarks/kill_campaign.py does it 200 times.
    straight, again = network(), network(seed=7)
    expected = fit(straight)
    child = os.fork()
    if child == 0:
        fit(network(), run_dir=tmp_path, fingerprint="a")
        os._exit(0)
    while not has_checkpoint(tmp_path):
        time.sleep(0.005)
    time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    trained = fit(again, run_dir=tmp_path, resume=True, fingerprint="a")
    assert trained.history == expected.history
    assert weights(straight) == weights(again)


@pytest.mark.usefixtures("checkpoint_each_step")
def test_killed_between_the_last_step_of_an_epoch_and_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, again = network(), network(seed=7)
    expected = fit(straight)

    def killed(*_: object) -> None:
        raise SystemError

    with monkeypatch.context() as context:
        context.setattr(state.TrainingState, "end_epoch", killed)
        with pytest.raises(SystemError):
            fit(network(), run_dir=tmp_path, fingerprint="a")
    trained = fit(again, run_dir=tmp_path, resume=True, fingerprint="a")
    assert trained.history == expected.history
    assert weights(straight) == weights(again)


def test_pixels_on_the_disk_give_the_weights_of_those_in_memory(tmp_path: Path) -> None:
    kept, truth = images(41, 1).pixels, images(41, 1).truth
    np.save(tmp_path / "one.npy", kept[:30].numpy())
    np.save(tmp_path / "other.npy", kept[30:].numpy())
    files = tuple(np.load(tmp_path / f"{n}.npy", mmap_mode="r") for n in ("one", "other"))
    where = np.array([(0, row) for row in range(30)] + [(1, row) for row in range(11)])
    inside, outside = torch.arange(0, 30), torch.arange(30, 41)
    nets = []
    for pixels in (kept, StoredPixels(files, where)):
        nets.append(network())
        fit(
            nets[-1],
            training=Images(pixels, truth[:30], inside),
            validation=Images(pixels, truth[30:], outside),
        )
    assert weights(nets[0]) == weights(nets[1])
