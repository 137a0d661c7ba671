"""The errors and warnings of cervispine.

CervispineError
├── UsageError                  a call or a command that cannot be meant
│   └── MissingExtraError       an optional dependency is not installed
├── DataError                   the data are refused
│   ├── LoadError               files, series, geometry, pixels
│   │   ├── NoImagesError
│   │   │   └── NoDicomError
│   │   ├── GeometryError
│   │   ├── AmbiguousSeriesError
│   │   ├── DecoderMissingError
│   │   └── PixelError
│   ├── LoaderError             a plug-in that should read the data
│   │   ├── LoaderNotFoundError
│   │   │   └── LoaderAmbiguousError
│   │   ├── LoaderLoadError
│   │   └── LoaderContractError
│   ├── LabelError              labels.csv, readers.csv, scores.csv, split.csv
│   ├── LeakageError            the same patient on both sides of a split
│   └── EvaluationError         statistics that cannot be answered honestly
│       └── MismatchedCasesError
├── ModelError                  the model is refused
│   ├── BackboneError
│   │   ├── BackboneNotFoundError
│   │   │   └── BackboneAmbiguousError
│   │   ├── BackboneLoadError
│   │   └── BackboneContractError
│   ├── ModelFormatError
│   └── TrainingError
└── ResourceError               disk, memory, permission

Each error says what is wrong, where, and what to do next, and carries a code
that stays the same from release to release. None carries a patient's name or
identifier: items are named by file name, row number or UID.
"""

from __future__ import annotations

__all__ = [
    "AmbiguousSeriesError",
    "BackboneAmbiguousError",
    "BackboneContractError",
    "BackboneError",
    "BackboneLoadError",
    "BackboneNotFoundError",
    "CervispineError",
    "CervispineWarning",
    "DataError",
    "DataWarning",
    "DecoderMissingError",
    "EvaluationError",
    "GeometryError",
    "LabelError",
    "LeakageError",
    "LoadError",
    "LoaderAmbiguousError",
    "LoaderContractError",
    "LoaderError",
    "LoaderLoadError",
    "LoaderNotFoundError",
    "MismatchedCasesError",
    "MissingExtraError",
    "ModelError",
    "ModelFormatError",
    "NoDicomError",
    "NoImagesError",
    "PixelError",
    "ProvenanceWarning",
    "ResourceError",
    "StatisticsWarning",
    "TrainingError",
    "UsageError",
]


class CervispineError(Exception):
    """Base of every error that cervispine raises on purpose.

    Parameters
    ----------
    what
        What is wrong, in one sentence, without anything that names a patient.
    where
        The file, row, series or parameter concerned.
    advice
        What to do next.
    code
        A stable code in capitals; the class's own when not given.

    Attributes
    ----------
    exit_code : int
        What the command line returns when this error ends it.
    """

    code: str = "CERVISPINE"
    exit_code: int = 1

    def __init__(
        self, what: str, *, where: str = "", advice: str = "", code: str | None = None
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.advice = advice
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        lines = [f"[{self.code}] {self.what}"]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.advice:
            lines.append(f"  next:  {self.advice}")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by Exception's own pickling, and errors
        # travel between processes.
        return (_rebuild, (type(self), self.what, self.where, self.advice, self.code))


def _rebuild(
    kind: type[CervispineError], what: str, where: str, advice: str, code: str
) -> CervispineError:
    return kind(what, where=where, advice=advice, code=code)


class UsageError(CervispineError):
    """A parameter or a command that cannot be meant."""

    code = "USAGE"
    exit_code = 2


class MissingExtraError(UsageError):
    """An optional dependency is needed and not installed."""

    code = "EXTRA_MISSING"


class DataError(CervispineError):
    """The data are refused."""

    code = "DATA"
    exit_code = 3


class LoadError(DataError):
    """Files, series, geometry or pixels are refused."""

    code = "LOAD"


class NoImagesError(LoadError):
    """Nothing usable was found where images were expected.

    Parameters
    ----------
    intake
        The :class:`~cervispine.records.IntakeReport` of every file, where the loader made one:
        ``error.intake.to_csv("rejected.csv")``. It knows patients, and so does not travel to
        another process with the error.
    """

    code = "NO_IMAGES"

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        advice: str = "",
        code: str | None = None,
        intake: object = None,
    ) -> None:
        super().__init__(what, where=where, advice=advice, code=code)
        self.intake = intake


class NoDicomError(NoImagesError):
    """Nothing usable was found where DICOM was expected."""

    code = "NO_DICOM"


class GeometryError(LoadError):
    """Position, orientation or spacing is missing or contradictory."""

    code = "GEOMETRY_INVALID"


class AmbiguousSeriesError(LoadError):
    """More than one series could be meant, or one series holds several."""

    code = "SERIES_MIXED"


class DecoderMissingError(LoadError):
    """No installed package decodes a transfer syntax."""

    code = "DECODER_MISSING"


class PixelError(LoadError):
    """Pixel data are truncated, undecodable, degenerate or too large."""

    code = "PIXELS_INVALID"


class LoaderError(DataError):
    """A loader plug-in cannot be used."""

    code = "LOADER"


class LoaderNotFoundError(LoaderError):
    """No loader is installed under a name."""

    code = "LOADER_NOT_FOUND"


class LoaderAmbiguousError(LoaderNotFoundError):
    """Several loaders are installed under one name."""

    code = "LOADER_AMBIGUOUS"


class LoaderLoadError(LoaderError):
    """A loader's entry point fails to import, or to make a loader."""

    code = "LOADER_LOAD"


class LoaderContractError(LoaderError):
    """A loader does not do what the contract says."""

    code = "LOADER_CONTRACT"


class LabelError(DataError):
    """A table that people bring (labels, readers, scores, split) is refused."""

    code = "LABELS_INVALID"


class LeakageError(DataError):
    """The same patient, study or image stands on both sides of a split."""

    code = "LEAKAGE"


class EvaluationError(DataError):
    """A statistic is undefined, or cannot be answered honestly, for these data."""

    code = "EVALUATION"


class MismatchedCasesError(EvaluationError):
    """Truth, scores and readers do not cover the same patients."""

    code = "CASES_MISMATCHED"


class ModelError(CervispineError):
    """The model is refused."""

    code = "MODEL"
    exit_code = 4


class BackboneError(ModelError):
    """A backbone cannot be used."""

    code = "BACKBONE"


class BackboneNotFoundError(BackboneError):
    """No backbone is installed under a name."""

    code = "BACKBONE_NOT_FOUND"


class BackboneAmbiguousError(BackboneNotFoundError):
    """Several backbones are installed under one name."""

    code = "BACKBONE_AMBIGUOUS"


class BackboneLoadError(BackboneError):
    """A backbone's entry point fails to import or to build."""

    code = "BACKBONE_LOAD"


class BackboneContractError(BackboneError):
    """A backbone's module does not do what the contract says."""

    code = "BACKBONE_CONTRACT"


class ModelFormatError(ModelError):
    """A model folder is foreign, incomplete, damaged or hostile."""

    code = "MODEL_FORMAT"


class TrainingError(ModelError):
    """Training cannot start, or ended without a usable model."""

    code = "TRAINING"


class ResourceError(CervispineError):
    """Disk, memory or permission is lacking."""

    code = "RESOURCES"
    exit_code = 5


class CervispineWarning(UserWarning):
    """Base of every warning that cervispine gives."""


class DataWarning(CervispineWarning):
    """The data are usable, and something about them should be known."""


class StatisticsWarning(CervispineWarning):
    """A figure is given, and its meaning is narrower than it looks."""


class ProvenanceWarning(CervispineWarning):
    """A model was made with other versions than those installed."""
