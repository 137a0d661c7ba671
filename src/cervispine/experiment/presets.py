"""How large a study is and how long it trains."""

from __future__ import annotations

from typing import Any

import attrs

from cervispine.exceptions import UsageError

__all__ = ["PRESETS", "Preset", "find_preset"]


@attrs.frozen(kw_only=True)
class Preset:
    """One size of study.

    Parameters
    ----------
    phantom
        Parameters of :class:`~cervispine.Phantom`, where no data are given.
    test
        Patients of the test part: a number for the phantom cohort; of other data the same share.
    preprocessor
        Parameters of :class:`~cervispine.Preprocessor`.
    classifier
        Parameters of :class:`~cervispine.OPLLClassifier`.
    """

    phantom: dict[str, Any]
    test: int
    preprocessor: dict[str, Any]
    classifier: dict[str, Any]

    @property
    def test_share(self) -> float:
        """The share of the patients that the test part takes."""
        return float(self.test / (self.phantom["n_opll"] + self.phantom["n_dss"]))


PRESETS = {
    # A few minutes on two cores: fewer and easier phantoms, smaller images, a short training.
    "quick": Preset(
        phantom={"n_opll": 128, "n_dss": 192, "difficulty": 0.1},
        test=80,
        preprocessor={"size": (112, 80), "spacing": 1.0},
        classifier={"epochs": 8, "batch_size": 8, "learning_rate": 1e-3},
    ),
    # The numbers of Qu et al. 2024: 272 OPLL and 412 degenerative, 513 to train and 171 to test.
    "paper": Preset(
        phantom={"n_opll": 272, "n_dss": 412, "difficulty": 0.5},
        test=171,
        preprocessor={"size": (224, 224), "spacing": 0.7},
        classifier={"epochs": 10, "batch_size": 8, "learning_rate": 1e-3},
    ),
}


def find_preset(name: str) -> Preset:
    """Return the preset of a name.

    Raises
    ------
    UsageError
        When there is none.
    """
    if name not in PRESETS:
        raise UsageError(f"the presets are {', '.join(PRESETS)}; {name!r} is none of them")
    return PRESETS[name]
