"""How large a study is and how long it trains."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from cervispine.exceptions import UsageError

__all__ = ["PRESETS", "Preset", "find_preset", "preset_settings"]

#: What a run decides by itself, so that no preset may set it.
RESERVED = {
    "phantom": {"seed"},
    "preprocessor": {"cache"},
    "classifier": {"backbone", "preprocessor", "validation", "seed", "progress"},
}


@attrs.frozen(kw_only=True)
class Preset:
    """One size of study: how many phantoms, which images, how long a training.

    Those with a name are "quick" and "paper". One of your own goes to
    :func:`~cervispine.run_experiment` and :func:`cross_validate` in the place of a name.

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


def find_preset(preset: str | Preset) -> Preset:
    """Return the preset of a name, or the preset itself once its parameters are checked.

    Raises
    ------
    UsageError
        When no preset has the name; when a preset sets what a run decides by itself, or a
        parameter that does not exist.
    """
    if isinstance(preset, Preset):
        _check(preset)
        return preset
    if not isinstance(preset, str) or preset not in PRESETS:
        raise UsageError(f"the presets are {', '.join(PRESETS)}; {preset!r} is none of them")
    return PRESETS[preset]


def preset_settings(preset: str | Preset) -> dict[str, Any]:
    """Return what a run that is resumed must have been given as its preset, as JSON can hold it.

    Of a preset with a name, the name; of another one, all its parameters too.
    """
    if isinstance(preset, str):
        return {"preset": preset}
    return {"preset": "own", "preset_parameters": attrs.asdict(preset)}


def _check(preset: Preset) -> None:
    from cervispine.classification import OPLLClassifier
    from cervispine.phantom import Phantom
    from cervispine.preprocessing import Preprocessor

    kinds: dict[str, Callable[..., Any]] = {
        "phantom": Phantom,
        "preprocessor": Preprocessor,
        "classifier": OPLLClassifier,
    }
    for part, kind in kinds.items():
        parameters: Mapping[str, Any] = getattr(preset, part)
        if taken := sorted(RESERVED[part] & set(parameters)):
            raise UsageError(f"a run decides {', '.join(taken)} by itself; no preset sets it")
        try:
            kind(**parameters)
            json.dumps(dict(parameters))
        except (TypeError, ValueError) as error:
            raise UsageError(f"the preset's {part} cannot be used: {error}") from error
    try:
        fits = 0 < preset.test_share < 1
    except (LookupError, TypeError, ZeroDivisionError) as error:
        raise UsageError(
            "the preset's phantom needs n_opll and n_dss, its test a number"
        ) from error
    if not fits:
        raise UsageError("the preset's test part is no part of its phantoms")
