"""What a classifier is asked for: whether it can be meant, and what decides its result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from numbers import Integral, Real
from os import PathLike
from types import NoneType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from cervispine.classification.pooling import check_pooling
from cervispine.classification.weights import SAVED, LocalWeights
from cervispine.exceptions import UsageError
from cervispine.preprocessing import Preprocessor
from cervispine.preprocessing.loaders import loaders_of
from cervispine.records import Study

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier

__all__ = [
    "check_error_rate",
    "check_parameters",
    "check_seed",
    "check_switch",
    "check_validation",
    "fingerprint",
    "plain_parameters",
]


def check_parameters(classifier: Classifier) -> None:
    """Raise where a parameter cannot be meant.

    Raises
    ------
    UsageError
        Names the parameter and what it may be.
    """
    for name in ("backbone", "device", "precision"):
        if not isinstance(value := getattr(classifier, name), str):
            raise UsageError(f"{name} is a name, not {value!r}")
    preprocessor: Any = classifier.preprocessor
    if not isinstance(preprocessor, (Preprocessor, NoneType)):
        kind = type(preprocessor).__name__
        raise UsageError(f"preprocessor is a Preprocessor or None, not {kind}")
    check_pooling(classifier.pooling)
    check_validation(classifier.validation)
    for name in ("augment", "calibrate"):
        check_switch(name, getattr(classifier, name))
    for name in ("epochs", "batch_size", "patience"):
        _refuse_number(name, getattr(classifier, name), Integral, least=1)
    check_seed(classifier.seed)
    for name in ("learning_rate", "weight_decay"):
        _refuse_number(name, getattr(classifier, name), Real, least=0)
    if not classifier.learning_rate:
        raise UsageError("learning_rate is a number above 0: at 0 nothing is learned")
    check_error_rate(classifier.error_rate)
    if not isinstance(classifier.pretrained, (bool, str, PathLike, NoneType)):
        raise UsageError(
            f"pretrained is True, None, or a file of weights, not {classifier.pretrained!r}"
        )
    _check_freeze(classifier)
    if classifier.class_weight not in (None, "balanced"):
        raise UsageError(f"class_weight is None or 'balanced', not {classifier.class_weight!r}")


def plain_parameters(classifier: Classifier, weights_sha256: str = "") -> dict[str, Any]:
    """Return every parameter that decides the result, that JSON can hold and others may see.

    Parameters
    ----------
    classifier
        Whose they are.
    weights_sha256
        Of the local file that it started from, whose name stays with those who gave it.
    """
    parameters: dict[str, Any] = classifier.get_params(deep=False)
    for name in ("preprocessor", "progress", "device"):
        parameters.pop(name)
    # Identifiers of patients stay with those who gave them.
    if not isinstance(classifier.validation, Real):
        parameters.pop("validation")
    # A grid of parameters in an array hands out numbers that JSON does not know.
    parameters = {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in parameters.items()
    }
    if weights_sha256:
        parameters["pretrained"] = f"{SAVED}{weights_sha256}"
    return parameters


def fingerprint(
    classifier: Classifier,
    studies: Sequence[Study],
    truth: NDArray[np.int64],
    held_out: NDArray[np.bool_],
    preprocessor: Preprocessor,
    weights: LocalWeights | bool,
    precision: torch.dtype,
) -> str:
    """Return the hash of configuration, versions and data that a resumed training must share.

    Which studies are held out is part of it: what was trained on must not validate. So is the
    precision that it is computed in, which "auto" leaves to the machine.
    """
    from cervispine import __version__

    content = {
        "versions": [__version__, torch.__version__],
        "parameters": plain_parameters(
            classifier, weights.sha256 if isinstance(weights, LocalWeights) else ""
        ),
        "precision": str(precision),
        "preprocessing": preprocessor.settings(),
        "loaders": loaders_of(studies, preprocessor.loader),
        "studies": [study.uid for study in studies],
        "pixels": [[series.pixel_hash for series in study.series] for study in studies],
        "truth": truth.tolist(),
        "held_out": held_out.tolist(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _refuse_number(name: str, value: Any, kind: type, *, least: int) -> None:
    """Raise where a parameter is not a number of a kind from ``least`` up, and below 2^63."""
    fits = isinstance(value, kind) and not isinstance(value, bool)
    if not (fits and least <= value < 2**63):
        whole = "whole " if kind is Integral else ""
        raise UsageError(f"{name} is a {whole}number from {least}, not {value!r}")


def _check_freeze(classifier: Classifier) -> None:
    """Raise where what is to be frozen is neither a number nor names, or is not pretrained."""
    freeze: Any = classifier.freeze
    named = isinstance(freeze, (list, tuple)) and all(isinstance(name, str) for name in freeze)
    if not named:
        _refuse_number("freeze", freeze, Integral, least=0)
    if freeze and not classifier.pretrained:
        raise UsageError(
            "freeze keeps pretrained weights, and these would be random",
            advice="give pretrained=True, or a file of weights",
        )


def check_seed(value: Any) -> None:
    """Raise where a seed is not a whole number from 0, and below 2^63.

    Raises
    ------
    UsageError
        Names the parameter and what it may be.
    """
    _refuse_number("seed", value, Integral, least=0)


def check_switch(name: str, value: Any) -> None:
    """Raise where a parameter that is on or off is neither.

    Raises
    ------
    UsageError
        Names the parameter and what it may be.
    """
    if not isinstance(value, (bool, np.bool_)):
        raise UsageError(f"{name} is True or False, not {value!r}")


def check_validation(value: Any) -> None:
    """Raise where what is to validate is neither a share nor a sequence of identifiers.

    Raises
    ------
    UsageError
        Says what it may be, without naming anybody.
    """
    if isinstance(value, (int, float, np.number)):
        if not 0 < value < 1:
            raise UsageError(f"validation is a share between 0 and 1, not {value}")
    elif isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise UsageError(
            f"validation is a share, or a sequence of patients' identifiers, not a "
            f"{type(value).__name__}"
        )


def check_error_rate(value: Any) -> None:
    """Raise where the share of errors that is asked for cannot be meant.

    Raises
    ------
    UsageError
        Names the parameter and what it may be.
    """
    if not (isinstance(value, (float, np.floating)) and 0 < value < 0.5):
        raise UsageError(f"error_rate is a share above 0 and below one half, not {value!r}")
