"""What the thickness of the dark band alone achieves on a run's split, beside its networks.

    python benchmarks/dark_band.py [RUN] [--out DIR]

RUN, `demo` unless said, is the folder of a finished `cervispine experiment` on phantoms. A forest
of 300 trees sees nothing but `cervispine.testing.dark_band` of each patient's mid-sagittal slice.
It is trained on the run's training part, takes its threshold (Youden) from the validation part, and
reads the test part beside the networks' saved scores and the run's readers, by the statistics that
the run was compared with. Printed: the comparison; with --out its tables and figures are kept.
Everything here is synthetic.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import attrs
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

from cervispine import Cohort, Evaluator, Loader, Preprocessor
from cervispine.evaluation import ReaderTable, Threshold, choose_threshold
from cervispine.evaluation.files import read_scores
from cervispine.experiment.folder import read_split
from cervispine.reporting import MARK, save_comparison
from cervispine.testing import dark_band

NAME = "dark band, forest"


def features(cohort: Cohort) -> NDArray[np.float64]:
    """Return the measurements of a cohort's mid-sagittal slices, (n, 7)."""
    preprocessor = Preprocessor(slices=1)
    return np.vstack(
        [dark_band(preprocessor.transform([study])[0], preprocessor.spacing) for study in cohort]
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if not (options.run / "predictions.csv").is_file():
        print(f"nothing measured: {options.run} is no finished run; make demo makes one")
        return 0
    data = options.run / "phantom"
    cohort = Loader().index(data / "dicom").with_labels(data / "labels.csv")
    parts = read_split(options.run / "split.csv", cohort)
    measured = {name: features(part) for name, part in parts.items()}

    forest = RandomForestClassifier(300, min_samples_leaf=4, random_state=0)
    forest.fit(measured["train"], parts["train"].labels)
    scores = {name: forest.predict_proba(values)[:, 1] for name, values in measured.items()}
    threshold = Threshold(
        choose_threshold(parts["validation"].labels, scores["validation"]),
        "Youden, validation part",
    )

    test = parts["test"]
    networks, thresholds = read_scores(options.run / "predictions.csv")
    comparison = Evaluator().compare(
        dict(zip(test.patients, test.labels.tolist(), strict=True)),
        {NAME: dict(zip(test.patients, scores["test"].tolist(), strict=True)), **networks},
        ReaderTable.from_csv(data / "readers.csv").select(test.patients),
        thresholds={NAME: threshold, **thresholds},
        strata={"type": {study.patient: study.attributes.get("type") or "" for study in test}},
    )
    comparison = attrs.evolve(comparison, notes=(f"{MARK}: no figure here is of patients",))
    print(comparison.summary())
    if options.out is not None:
        save_comparison(comparison, options.out, mark=MARK)
    return 0


if __name__ == "__main__":
    sys.exit(main())
