"""Compare two backbones with readers on patients that neither network has seen.

    python examples/surgeon_comparison.py [DICOM LABELS READERS] [--epochs 10]

The same as ``cervispine experiment``, but step by step, so that each step can be replaced.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cervispine import (
    Evaluator,
    Loader,
    OPLLClassifier,
    Phantom,
    Preprocessor,
    ReaderTable,
)
from cervispine.reporting import MARK, save_comparison


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path, metavar="DICOM LABELS READERS")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--test", type=int, default=24, help="patients of the test part")
    parser.add_argument("--backbones", nargs="+", default=["resnet34", "resnet50"])
    options = parser.parse_args()
    if len(options.data) not in (0, 3):
        parser.error("give a folder of DICOM, labels.csv and readers.csv; or nothing, for phantoms")

    # 1. Data: somebody's DICOM, or synthetic patients with simulated readers.
    if options.data:
        dicom, labels, readers = options.data
    else:
        phantom = Phantom(n_opll=40, n_dss=56, difficulty=0.1, seed=0).write("example-phantom")
        dicom, labels, readers = phantom.dicom, phantom.labels, phantom.readers

    # 2. Which patients there are, and who of them is only for the test.
    cohort = Loader().index(dicom).with_labels(labels)
    print(cohort.summary())
    train, test = cohort.split(test=options.test, seed=0)

    # 3. One network after the other. Threshold and calibration come from patients of `train`.
    preprocessor = Preprocessor(size=(112, 80), spacing=1.0)
    scores, thresholds = {}, {}
    for backbone in options.backbones:
        classifier = OPLLClassifier(
            backbone=backbone, preprocessor=preprocessor, epochs=options.epochs, batch_size=8
        ).fit(train)
        predictions = classifier.classify(test)
        scores[backbone] = dict(zip(predictions.patients, predictions.probabilities, strict=True))
        thresholds[backbone] = predictions.threshold

    # 4. Models and readers on the same patients.
    truth = dict(zip(test.patients, test.labels, strict=True))
    table = ReaderTable.from_csv(readers).select(test.patients)
    comparison = Evaluator().compare(truth, scores, table, thresholds=thresholds)
    print(comparison.summary())
    # Tables and figures; of phantoms each says so, wherever it is taken.
    save_comparison(comparison, Path("comparison"), mark=MARK if test.synthetic else "")


if __name__ == "__main__":
    main()
