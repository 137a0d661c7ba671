"""Draw the montage of the documentation: each type of OPLL above its twin without the plaque.

    python benchmarks/phantom_montage.py [docs/_static/phantom-montage.png]

Everything drawn is synthetic, and the picture says so.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from matplotlib import pyplot as plt

from cervispine.phantom import PatientSpecification, render_sequences, sample_patient, twin

TYPES = ("continuous", "segmental", "mixed", "localized")
#: Half height and the width in front of and behind the image centre, mm.
HEIGHT, FRONT, BEHIND = 75, 48, 62


def middle_slices(patient: PatientSpecification) -> tuple[np.ndarray, np.ndarray]:
    """Return the mid-sagittal T2 and T1 images, cropped around the neck."""
    middle = render_sequences(patient, ("T2",), slices=[0])[0].mid_slice
    images = render_sequences(patient, ("T2", "T1"), slices=[middle])
    cropped = []
    for image in images:
        centre, pixel = image.pixels.shape[1] // 2, image.spacing[1]
        rows = slice(centre - round(HEIGHT / pixel), centre + round(HEIGHT / pixel))
        columns = slice(centre - round(FRONT / pixel), centre + round(BEHIND / pixel))
        cropped.append(image.pixels[0, rows, columns])
    return cropped[0], cropped[1]


def first_of(kind: str) -> PatientSpecification:
    """Return the first patient of a type with a plaque that is neither thin nor extreme."""
    for seed in range(1000):
        patient = sample_patient(seed, "OPLL", difficulty=0.3)
        thickness = max(plaque.shape.thickness for plaque in patient.plaques)
        if patient.opll_type == kind and 4 < thickness < 6 and patient.protocol.shading < 0.7:
            return patient
    raise LookupError(kind)


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/_static/phantom-montage.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure, axes = plt.subplots(3, len(TYPES), figsize=(8.6, 9.4), facecolor="black")
    for column, kind in zip(axes.T, map(first_of, TYPES), strict=True):
        t2, t1 = middle_slices(kind)
        without, _ = middle_slices(twin(kind))
        titles = (f"{kind.opll_type} OPLL, T2", "its twin without plaque, T2", "with plaque, T1")
        for axis, image, title in zip(column, (t2, without, t1), titles, strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=np.percentile(image, 99.3))
            axis.set_title(title, color="white", fontsize=8)
            axis.axis("off")
    figure.suptitle("SYNTHETIC: computed phantoms, not patients", color="white", fontsize=10)
    figure.subplots_adjust(0.005, 0.005, 0.995, 0.935, 0.02, 0.08)
    figure.savefig(path, dpi=100)


if __name__ == "__main__":
    main()
