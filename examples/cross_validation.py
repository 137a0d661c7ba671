"""Cross-validate a backbone with scikit-learn, in folds that never part a patient.

python examples/cross_validation.py [DICOM LABELS] [--epochs 10] [--folds 5]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

from cervispine import Loader, OPLLClassifier, Phantom, Preprocessor
from cervispine.evaluation import auc


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="*", type=Path, metavar="DICOM LABELS")
    parser.add_argument("--backbone", default="resnet34")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()
    if len(options.data) not in (0, 2):
        parser.error("give a folder of DICOM and labels.csv; or nothing, for phantoms")
    if options.data:
        dicom, labels = options.data
    else:
        phantom = Phantom(n_opll=40, n_dss=56, difficulty=0.1, seed=0).write("example-phantom")
        dicom, labels = phantom.dicom, phantom.labels

    cohort = Loader().index(dicom).with_labels(labels)
    classifier = OPLLClassifier(
        backbone=options.backbone,
        preprocessor=Preprocessor(size=(112, 80), spacing=1.0),
        epochs=options.epochs,
        batch_size=8,
    )
    probabilities = cross_val_predict(
        classifier,
        cohort,
        cohort.labels,
        groups=cohort.patients,
        cv=StratifiedGroupKFold(options.folds, shuffle=True, random_state=0),
        method="predict_proba",
    )
    # Each fold has a network of its own, so this AUC is of the procedure, not of one model.
    area = auc(cohort.labels, probabilities[:, 1])
    print(f"{area}: AUC of {len(cohort)} patients")


if __name__ == "__main__":
    main()
