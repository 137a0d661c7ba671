"""What another process runs in test_reproducibility.py: ``fit_once.py DICOM LABELS OUT``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from cervispine import Loader, OPLLClassifier, Preprocessor


def fit_once(dicom: Path, labels: Path) -> dict[str, object]:
    """Train a small network on a folder, and return what it says of the same patients."""
    cohort = Loader().index(dicom).with_labels(labels)
    classifier = OPLLClassifier(
        backbone="tiny", preprocessor=Preprocessor(size=(64, 64), spacing=1.8), epochs=3,
        batch_size=8, validation=0.3, progress=False,
    ).fit(cohort)  # fmt: skip
    weights = classifier.module_.state_dict()
    return {
        "weights": {name: value.tolist() for name, value in weights.items()},
        "history": classifier.history_,
        "patients": cohort.patients,
        "probabilities": classifier.predict_proba(cohort)[:, 1].tolist(),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    answer = fit_once(Path(sys.argv[1]), Path(sys.argv[2]))
    Path(sys.argv[3]).write_text(json.dumps(answer))
