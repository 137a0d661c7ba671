"""A backbone small enough to train in a blink, installed as a plug-in would be."""

from __future__ import annotations

import pytest

from cervispine import Cohort, OPLLClassifier, Preprocessor


@pytest.fixture(scope="session")
def small() -> Preprocessor:
    return Preprocessor(size=(64, 64), spacing=1.8)


@pytest.fixture(scope="session")
def fitted(cohort: Cohort, small: Preprocessor) -> OPLLClassifier:
    classifier = OPLLClassifier(
        backbone="resnet34", preprocessor=small, epochs=2, batch_size=8, validation=0.3,
        progress=False,
    )  # fmt: skip
    return classifier.fit(cohort)
