"""Training recipes on phantoms: the default against variants of it and against two well-known ones.

    python benchmarks/recipes.py [--patients 160] [--test 75] [--seconds 10] [--seeds 5]
        [--size 64] [--backbone resnet34] [--difficulty 0.2] [--only default,ema] [--folder DIR]

Each recipe trains the same network on the same phantoms for the same number of processor seconds,
in float32 and on one thread, and is judged by its AUC on phantoms that nobody has trained or
chosen on. Printed for each recipe, as soon as its seeds are done: the mean AUC over the seeds with
its 95 % interval (Student's t), the mean paired difference to the default with its interval, and
the epochs that the seconds sufficed for. A seed decides weights, order, augmentation and which
fifth of the training phantoms chooses the epoch. The intervals are of seeds, not of patients.

The variants change one thing each:

ema         weights averaged exponentially over about an epoch (Polyak)
smoothing   label smoothing of 0.1
mix-up      of images and labels, Beta(0.2, 0.2) (Zhang et al. 2018)
no warm-up  the learning rate starts at its height
decay 0     no weight decay
decay 0.1   five times the default's
flips       the mean logit of the image and of its mirror image across the slices, when reading
last        the last epoch instead of the one with the least validation loss

torchvision  references/classification for ResNets: SGD with momentum 0.9, learning rate 0.1 for
             batches of 256 (scaled to the batch), a tenth after each third, decay 1e-4, flips
             and random resized crops, the last epoch
monai        the classification tutorials (mednist_tutorial): Adam, learning rate 1e-5, random
             rotations of 15 degrees, flips and zooms of a tenth, each for half of the images, the
             epoch with the best validation AUC
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import numpy as np
import torch
from scipy import stats
from sklearn.metrics import log_loss, roc_auc_score
from torch import Tensor, nn
from torch.nn import functional

from cervispine import Classifier, Loader, Phantom, Preprocessor
from cervispine.backbones import build_backbone
from cervispine.classification.calibration import class_weights, offset_of, positive_probability
from cervispine.classification.inputs import validation_part
from cervispine.classification.training import WARM_UP


@attrs.frozen(kw_only=True)
class Recipe:
    """One way to train; by default as :class:`~cervispine.Classifier` does."""

    optimizer: str = "adamw"
    learning_rate: float = Classifier().learning_rate
    decay: float = Classifier().weight_decay
    warm_up: float = WARM_UP
    schedule: str = "cosine"
    batch: int = Classifier().batch_size
    augmentation: str = "cervispine"
    average: float = 0.0
    smoothing: float = 0.0
    mix_up: float = 0.0
    flips: bool = False
    keep: str = "loss"


RECIPES = {
    "default": Recipe(),
    "ema": Recipe(average=0.9),
    "smoothing": Recipe(smoothing=0.1),
    "mix-up": Recipe(mix_up=0.2),
    "no warm-up": Recipe(warm_up=0.0),
    "decay 0": Recipe(decay=0.0),
    "decay 0.1": Recipe(decay=0.1),
    "flips": Recipe(flips=True),
    "last": Recipe(keep="last"),
    "torchvision": Recipe(
        optimizer="sgd", learning_rate=0.1 * 16 / 256, decay=1e-4, warm_up=0.0, schedule="steps",
        augmentation="torchvision", keep="last",
    ),
    "monai": Recipe(
        optimizer="adam", learning_rate=1e-5, decay=0.0, warm_up=0.0, schedule="constant",
        augmentation="monai", keep="auc",
    ),
}  # fmt: skip


@attrs.frozen(eq=False)
class Part:
    """Prepared images, float32 (n, channels, rows, columns), and 0/1 truth (n,)."""

    pixels: Tensor
    truth: np.ndarray


def rate_at(recipe: Recipe, progress: float) -> float:
    """Return the share of the learning rate at a share of the time."""
    if progress < recipe.warm_up:
        return (progress + 1e-3) / recipe.warm_up
    if recipe.schedule == "steps":
        return 0.1 ** int(3 * min(progress, 0.999))
    if recipe.schedule == "constant":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * (progress - recipe.warm_up) / (1 - recipe.warm_up)))


def optimizer_of(recipe: Recipe, network: nn.Module) -> torch.optim.Optimizer:
    parameters, rate = network.parameters(), recipe.learning_rate
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=0.9, weight_decay=recipe.decay)
    if recipe.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, weight_decay=recipe.decay)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=recipe.decay, fused=True)


class Augmenter:
    """Changes the images of an epoch as a recipe does."""

    def __init__(self, recipe: Recipe, preprocessor: Preprocessor, seed: int) -> None:
        self.kind, self.preprocessor, self.size = (
            recipe.augmentation, preprocessor, preprocessor.size,
        )  # fmt: skip
        if self.kind == "torchvision":
            from torchvision.transforms import v2

            self.change = v2.Compose(
                [v2.RandomResizedCrop(self.size, antialias=True), v2.RandomHorizontalFlip()]
            )
        elif self.kind == "monai":
            from monai import transforms

            self.change = transforms.Compose(
                [
                    transforms.RandRotate(range_x=math.pi / 12, prob=0.5, keep_size=True),
                    transforms.RandFlip(spatial_axis=0, prob=0.5),
                    transforms.RandZoom(min_zoom=0.9, max_zoom=1.1, prob=0.5),
                ]
            )
            self.change.set_random_state(seed)

    def begin(self, count: int, generator: torch.Generator) -> None:
        """Draw what is drawn once an epoch."""
        if self.kind == "cervispine":
            self.changes = self.preprocessor.augmentation(count, generator)

    def apply(self, images: Tensor, indices: Tensor) -> Tensor:
        """Return a batch of images changed."""
        if self.kind == "cervispine":
            return self.changes.apply(images, indices)
        return torch.stack([torch.as_tensor(self.change(image)) for image in images])


def margins(network: nn.Module, pixels: Tensor, *, flips: bool = False) -> np.ndarray:
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(batch) for batch in torch.split(pixels, 32)])
        if flips:
            logits += torch.cat([network(batch.flip(1)) for batch in torch.split(pixels, 32)])
    network.train()
    return (logits[:, 1] - logits[:, 0]).double().numpy()


def train(
    recipe: Recipe, network: nn.Module, training: Part, validation: Part, augmenter: Augmenter,
    *, seconds: float, seed: int,
) -> int:  # fmt: skip
    """Train for so many processor seconds, leave the epoch that is kept, and return how many."""
    network.train()
    optimizer = optimizer_of(recipe, network)
    averaged = copy.deepcopy(network) if recipe.average else None
    generator = torch.Generator().manual_seed(seed)
    random = np.random.default_rng(seed)
    truth = torch.from_numpy(training.truth)
    weights = class_weights(training.truth, "balanced")
    weight = torch.tensor(weights, dtype=torch.float32)
    best, kept, epochs, began = (
        math.inf,
        copy.deepcopy(network.state_dict()),
        0,
        time.process_time(),
    )
    while (progress := (time.process_time() - began) / seconds) < 1:
        order = torch.randperm(len(truth), generator=generator)
        augmenter.begin(len(truth), generator)
        for indices in torch.split(order, recipe.batch):
            if len(indices) == 1:
                continue
            progress = min((time.process_time() - began) / seconds, 1.0)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * rate_at(recipe, progress)
            images = augmenter.apply(training.pixels[indices], indices)
            target = functional.one_hot(truth[indices], 2).float()
            if recipe.mix_up:
                share = float(random.beta(recipe.mix_up, recipe.mix_up))
                images = share * images + (1 - share) * images.flip(0)
                target = share * target + (1 - share) * target.flip(0)
            loss = functional.cross_entropy(
                network(images), target, weight=weight, label_smoothing=recipe.smoothing
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            if averaged is not None:
                average(averaged, network, recipe.average)
        epochs += 1
        judged = network if averaged is None else averaged
        score = validation_score(recipe, judged, validation, epochs, offset_of(weights))
        if score < best:
            best, kept = score, copy.deepcopy(judged.state_dict())
    network.load_state_dict(kept)
    return epochs


def average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for mean, value in zip(
            averaged.state_dict().values(), network.state_dict().values(), strict=True
        ):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def validation_score(
    recipe: Recipe, network: nn.Module, validation: Part, epochs: int, offset: float
) -> float:
    """Return what is least for the epoch to be kept."""
    if recipe.keep == "last":
        return -epochs
    margin = margins(network, validation.pixels)
    if recipe.keep == "auc":
        return -float(roc_auc_score(validation.truth, margin))
    probabilities = positive_probability(margin + offset)
    return float(log_loss(validation.truth, probabilities, labels=[0, 1]))


def interval(values: list[float]) -> tuple[float, float]:
    """Return the mean and half the 95 % interval."""
    if len(values) < 2:
        return float(np.mean(values)), math.nan
    error = stats.sem(values) * stats.t.ppf(0.975, len(values) - 1)
    return float(np.mean(values)), float(error)


def prepared(folder: Path, count: int, seed: int, difficulty: float, preprocessor: Preprocessor):
    positive = round(0.4 * count)
    made = Phantom(n_opll=positive, n_dss=count - positive, difficulty=difficulty, seed=seed).write(
        folder
    )
    cohort = Loader().index(made.dicom).with_labels(made.labels)
    return cohort, Part(preprocessor.transform(cohort), cohort.labels.astype(np.int64))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--patients", type=int, default=160)
    parser.add_argument("--test", type=int, default=75)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--size", type=int, default=64, help="pixels; 115 mm whatever the size")
    parser.add_argument("--backbone", default="resnet34")
    parser.add_argument("--difficulty", type=float, default=0.2)
    parser.add_argument("--only", default=",".join(RECIPES))
    parser.add_argument("--folder", type=Path, help="keeps the phantoms for the next time")
    options = parser.parse_args()
    torch.set_num_threads(1)
    preprocessor = Preprocessor(size=(options.size,) * 2, spacing=115.2 / options.size)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        cohort, whole = prepared(
            folder / "training", options.patients, 101, options.difficulty, preprocessor
        )
        _, test = prepared(folder / "fresh", options.test, 202, options.difficulty, preprocessor)
    print(
        f"{options.backbone}, {options.patients} phantoms to train and choose, {options.test} to "
        f"test, {options.size} x {options.size} px, difficulty {options.difficulty}, "
        f"{options.seconds:g} s of one thread each, {options.seeds} seeds"
    )
    print(f"{'recipe':14}{'AUC':>7}{'+-':>7}{'v default':>12}{'+-':>7}{'epochs':>8}", flush=True)
    areas: dict[str, list[float]] = {}
    for name in options.only.split(","):
        recipe = RECIPES[name]
        areas[name], epochs = [], []
        for seed in range(options.seeds):
            held_out = validation_part(list(cohort), whole.truth, 0.2, seed)
            training, validation = (
                Part(whole.pixels[torch.from_numpy(np.flatnonzero(part))], whole.truth[part])
                for part in (~held_out, held_out)
            )
            torch.manual_seed(seed)
            network = build_backbone(
                options.backbone, in_channels=3, num_classes=2, size=preprocessor.size
            )
            augmenter = Augmenter(recipe, preprocessor, seed)
            epochs.append(
                train(
                    recipe, network, training, validation, augmenter,
                    seconds=options.seconds, seed=seed,
                )
            )  # fmt: skip
            margin = margins(network, test.pixels, flips=recipe.flips)
            areas[name].append(float(roc_auc_score(test.truth, margin)))
        mean, error = interval(areas[name])
        line = f"{name:14}{mean:7.3f}{error:7.3f}"
        if "default" in areas and name != "default":
            apart = [a - b for a, b in zip(areas[name], areas["default"], strict=True)]
            line += f"{interval(apart)[0]:12.3f}{interval(apart)[1]:7.3f}"
        else:
            line += " " * 19
        print(f"{line}{np.mean(epochs):8.1f}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
