"""The errors are a promise: their tree, their codes, their exit codes, and how they travel."""

from __future__ import annotations

import copy
import inspect
import pickle

import pytest

from cervispine import exceptions
from cervispine.exceptions import CervispineError, CervispineWarning, DataError, LoadError

#: Code and exit code of each class, which stay the same from release to release.
PROMISED = {
    "CervispineError": ("CERVISPINE", 1),
    "UsageError": ("USAGE", 2),
    "MissingExtraError": ("EXTRA_MISSING", 2),
    "DataError": ("DATA", 3),
    "LoadError": ("LOAD", 3),
    "NoImagesError": ("NO_IMAGES", 3),
    "NoDicomError": ("NO_DICOM", 3),
    "GeometryError": ("GEOMETRY_INVALID", 3),
    "AmbiguousSeriesError": ("SERIES_MIXED", 3),
    "DecoderMissingError": ("DECODER_MISSING", 3),
    "PixelError": ("PIXELS_INVALID", 3),
    "LoaderError": ("LOADER", 3),
    "LoaderNotFoundError": ("LOADER_NOT_FOUND", 3),
    "LoaderAmbiguousError": ("LOADER_AMBIGUOUS", 3),
    "LoaderLoadError": ("LOADER_LOAD", 3),
    "LoaderContractError": ("LOADER_CONTRACT", 3),
    "LabelError": ("LABELS_INVALID", 3),
    "LeakageError": ("LEAKAGE", 3),
    "EvaluationError": ("EVALUATION", 3),
    "MismatchedCasesError": ("CASES_MISMATCHED", 3),
    "ModelError": ("MODEL", 4),
    "BackboneError": ("BACKBONE", 4),
    "BackboneNotFoundError": ("BACKBONE_NOT_FOUND", 4),
    "BackboneAmbiguousError": ("BACKBONE_AMBIGUOUS", 4),
    "BackboneLoadError": ("BACKBONE_LOAD", 4),
    "BackboneContractError": ("BACKBONE_CONTRACT", 4),
    "ModelFormatError": ("MODEL_FORMAT", 4),
    "TrainingError": ("TRAINING", 4),
    "ResourceError": ("RESOURCES", 5),
}

CLASSES = {
    name: value
    for name, value in vars(exceptions).items()
    if inspect.isclass(value) and value.__module__ == exceptions.__name__
}
ERRORS = {name: each for name, each in CLASSES.items() if issubclass(each, CervispineError)}
WARNINGS = {name: each for name, each in CLASSES.items() if issubclass(each, CervispineWarning)}


def drawn() -> dict[str, str]:
    """Return the base of each class in the tree that the module's docstring draws."""
    base_of, path = {}, list[str]()
    lines = (exceptions.__doc__ or "").split("\n\n")[1].splitlines()
    for line in lines:
        name = next(word for word in line.split() if word.endswith("Error"))
        depth = line.index(name) // 4
        path[depth:] = [name]
        base_of[name] = path[depth - 1] if depth else "Exception"
    return base_of


def test_every_class_is_public() -> None:
    assert set(exceptions.__all__) == set(CLASSES) == set(ERRORS) | set(WARNINGS)
    assert len(exceptions.__all__) == len(set(exceptions.__all__))


def test_codes_and_exit_codes_are_those_promised() -> None:
    found = {name: (each.code, each.exit_code) for name, each in ERRORS.items()}
    assert found == PROMISED


def test_each_class_has_a_code_of_its_own() -> None:
    for name, each in ERRORS.items():
        assert "code" in vars(each), name
    assert len({each.code for each in ERRORS.values()}) == len(ERRORS)


def test_the_tree_is_as_drawn() -> None:
    assert drawn() == {name: each.__bases__[0].__name__ for name, each in ERRORS.items()}


def test_warnings_are_one_family() -> None:
    assert set(WARNINGS) == {"CervispineWarning", "DataWarning", "StatisticsWarning",
                             "ProvenanceWarning"}  # fmt: skip
    assert issubclass(CervispineWarning, UserWarning)


@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
def test_an_error_says_what_where_and_what_to_do(kind: type[CervispineError]) -> None:
    error = kind("it is wrong", where="row 7", advice="correct it")
    assert str(error).splitlines() == [
        f"[{kind.code}] it is wrong",
        "  where: row 7",
        "  next:  correct it",
    ]
    assert (error.what, error.where, error.advice) == ("it is wrong", "row 7", "correct it")
    assert str(kind("it is wrong")) == f"[{kind.code}] it is wrong"


def test_a_code_of_its_own_stays_with_the_error() -> None:
    error = LoadError("cut off", code="DICOM_TRUNCATED")
    assert error.code == "DICOM_TRUNCATED"
    assert str(error) == "[DICOM_TRUNCATED] cut off"
    assert LoadError.code == "LOAD"
    assert isinstance(error, DataError)
    assert error.exit_code == 3


@pytest.mark.parametrize("kind", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("code", [None, "ANOTHER_CODE"])
def test_an_error_is_whole_after_pickling(kind: type[CervispineError], code: str | None) -> None:
    error = kind("what", where="where", advice="advice", code=code)
    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(twin) is kind
        assert str(twin) == str(error)
        assert (twin.code, twin.exit_code) == (code or kind.code, kind.exit_code)
        assert (twin.what, twin.where, twin.advice) == ("what", "where", "advice")
        assert twin.args == error.args


def test_an_account_of_patients_stays_in_its_process() -> None:
    error = exceptions.NoDicomError("what", intake="the account")
    assert error.intake == "the account"
    assert pickle.loads(pickle.dumps(error)).intake is None
