"""Which features and which distance tell studies unlike the training part from those like it.

    python benchmarks/out_of_distribution.py [--patients 160] [--epochs 6] [--size 64]
        [--folder PHANTOMS] [--real VOLUME.nii.gz ...]

A ResNet-34 is trained on phantoms. Then its own features and the image statistics that
`cervispine.classification.domain` takes are compared, by Mahalanobis' distance with shrunken
covariance and by the distance to the fifth nearest neighbour, both calibrated on the validation
part by ranks and by the prediction interval of log distances that the library uses. Printed: the
share flagged at 5 % of fresh phantoms of the same scanners (which should be 5 %), of phantoms of
two other scanners, and the p-value of each real image. `--folder` keeps the phantoms.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.base import clone
from sklearn.covariance import LedoitWolf

from cervispine import Classifier, Loader, NiftiLoader, Phantom, Preprocessor
from cervispine.classification.domain import FALSE_ALARMS, image_statistics
from cervispine.exceptions import NoImagesError
from cervispine.phantom import ProtocolRanges

Array = NDArray[np.float64]
Distance = Callable[[Array], Array]

SCANNERS = {
    "fresh": ProtocolRanges(),
    "noisy": ProtocolRanges(signal_to_noise=(6.0, 9.0), shading=(1.5, 2.0), motion=(1.0, 1.6)),
    "coarse": ProtocolRanges(
        matrices=(192,),
        fields_of_view=(280.0,),
        t2_echo=(50.0, 60.0),
        t2_repetition=(1800.0, 2000.0),
    ),
}


def mahalanobis(training: Array) -> Distance:
    precision = LedoitWolf(assume_centered=True).fit(training).precision_
    return lambda images: np.sqrt(np.einsum("ij,jk,ik->i", images, precision, images))


def nearest(training: Array) -> Distance:
    def distance(images: Array) -> Array:
        apart = np.linalg.norm(images[:, None] - training[None], axis=2)
        return np.asarray(np.sort(apart, axis=1)[:, 4])

    return distance


def by_interval(validation: Array, distances: Array) -> Array:
    logs, count = np.log(validation), len(validation)
    spread = logs.std(ddof=1) * np.sqrt(1 + 1 / count)
    return np.asarray(student.sf((np.log(distances) - logs.mean()) / spread, count - 1))


def by_rank(validation: Array, distances: Array) -> Array:
    above = (validation[None] >= distances[:, None]).sum(axis=1)
    return np.asarray((above + 1) / (len(validation) + 1))


def network_features(network: torch.nn.Module, pixels: torch.Tensor) -> Array:
    """Return what the last layer is given."""
    seen: list[torch.Tensor] = []
    last = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1]
    hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    with torch.inference_mode():
        for batch in torch.split(pixels, 32):
            network(batch)
    hook.remove()
    return torch.cat(seen).double().numpy()


def phantoms(folder: Path, patients: int, seed: int, scanner: ProtocolRanges) -> list:
    positive = round(0.4 * patients)
    made = Phantom(
        n_opll=positive, n_dss=patients - positive, difficulty=0.2, seed=seed, protocols=scanner
    ).write(folder)
    return list(Loader().index(made.dicom).with_labels(made.labels))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=160)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--size", type=int, default=64, help="pixels; 115 mm whatever the size")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="NIfTI")
    options = parser.parse_args()
    torch.set_num_threads(1)
    preprocessor = Preprocessor(size=(options.size,) * 2, spacing=115.2 / options.size)
    real = {path.name: real_image(path, preprocessor) for path in options.real}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        training = phantoms(folder / "training", options.patients, 101, ProtocolRanges())
        model = Classifier(
            backbone="resnet34", preprocessor=preprocessor, epochs=options.epochs, validation=0.22
        ).fit(training)
        others = {
            name: preprocessor.transform(
                phantoms(folder / name, 75 if name == "fresh" else 20, 202 + place, scanner)
            )
            for place, (name, scanner) in enumerate(SCANNERS.items())
        }
        pixels = preprocessor.transform(training)
    _print(model, pixels, held_out_of(model, training), others | real)
    return 0


def real_image(path: Path, preprocessor: Preprocessor) -> torch.Tensor:
    """Return the prepared image of a NIfTI file, whether T2 or T1."""
    for sequence in ("T2", "T1"):
        try:
            cohort = NiftiLoader(sequences=(sequence,)).index(path)
        except NoImagesError:
            continue
        return clone(preprocessor).set_params(sequences=(sequence,)).transform(cohort)
    raise SystemExit(f"{path.name} is neither a T2 nor a T1 volume")


def held_out_of(model: Classifier, training: list) -> NDArray[np.bool_]:
    """Return which studies the model kept for validation."""
    from cervispine.classification.inputs import validation_part

    truth = np.array([study.label for study in training])
    return validation_part(training, truth, model.validation, model.seed)


def _print(
    model: Classifier,
    pixels: torch.Tensor,
    held_out: NDArray[np.bool_],
    others: dict[str, torch.Tensor],
) -> None:
    print(f"validation AUC {max(epoch['auc'] for epoch in model.history_):.3f}; flagged, or p:")
    print(f"{'':44}" + "".join(f"{name[:12]:>13}" for name in others))
    network = model.module_.cpu()
    for kind, features_of in (
        ("image statistics", image_statistics),
        ("network features", lambda images: network_features(network, images)),
    ):
        features = features_of(pixels)
        centre, scale = features[~held_out].mean(axis=0), features[~held_out].std(axis=0) + 1e-9
        standard = (features - centre) / scale
        for name, fit in (("Mahalanobis", mahalanobis), ("5th neighbour", nearest)):
            distance = fit(standard[~held_out])
            usual = distance(standard[held_out])
            for calibrated, p_value in (("interval", by_interval), ("ranks", by_rank)):
                cells = []
                for images in others.values():
                    p = p_value(usual, distance((features_of(images) - centre) / scale))
                    several = f"{(p <= FALSE_ALARMS).mean():13.0%}"
                    cells.append(several if len(p) > 1 else f"{p[0]:13.1e}")
                print(f"{kind:18}{name:16}{calibrated:10}" + "".join(cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
