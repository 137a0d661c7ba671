"""What every trained model does: choose where it decides, read studies, and say its limits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING, Any, Self

import attrs
import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from cervispine.classification.abstention import Band
from cervispine.classification.calibration import fit_temperature, positive_probability
from cervispine.classification.domain import warn_of_strangers
from cervispine.classification.inputs import warn_of_other_loaders
from cervispine.evaluation import choose_threshold
from cervispine.records import Key, Predictions, Study

if TYPE_CHECKING:
    import torch

    from cervispine.classification.domain import Domain
    from cervispine.classification.estimator import Classifier
    from cervispine.classification.heatmap import Heatmap
    from cervispine.classification.memory import TrainedOn
    from cervispine.preprocessing import Preprocessor

__all__ = ["Reading"]


@attrs.frozen(repr=False)
class Patients:
    """Stands for identifiers of patients where a model is printed."""

    count: int

    def __repr__(self) -> str:
        return f"<{self.count} patients>"


class Reading:
    """The deciding half of a classifier; whoever inherits it has trained, and gives margins."""

    calibrate: bool
    error_rate: float
    validation: float | Sequence[str] | Patients
    preprocessor_: Preprocessor
    temperature_: float
    threshold_: float
    band_: Band | None
    domain_: Domain | None
    trained_on_: TrainedOn
    record_: dict[str, Any]

    def __repr__(self, N_CHAR_MAX: int = 700) -> str:
        return super(Reading, self._shown()).__repr__(N_CHAR_MAX)  # type: ignore[call-arg]

    def _html_repr(self) -> str:
        from sklearn.utils import estimator_html_repr

        return str(estimator_html_repr(self._shown()))

    def _shown(self) -> Self:
        """Return a copy that may be printed: it counts the patients who are named to validate."""
        shown = object.__new__(type(self))
        shown.__dict__.update(vars(self))
        if isinstance(self.validation, Sized):
            shown.validation = Patients(len(self.validation))
        return shown

    @abstractmethod
    def _margins(self, pixels: torch.Tensor) -> NDArray[np.float64]:
        """Return float64 (n,): calibrated margins of prepared images."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What predictions call the model."""

    @property
    @abstractmethod
    def _engine(self) -> str:
        """What it reads with."""

    @property
    @abstractmethod
    def _members(self) -> Sequence[Classifier]:
        """The classifiers whose mean calibrated margin it gives; of one, that one."""

    def _decide(
        self, truth: NDArray[np.int64], margins: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Choose temperature, threshold and band on the validation part.

        Parameters
        ----------
        truth
            0/1, (n,).
        margins
            (n,): logits of the positive class over the negative one, with their offset.

        Returns
        -------
        ndarray
            float64 (n,): their calibrated probabilities.
        """
        self.temperature_ = fit_temperature(truth, margins) if self.calibrate else 1.0
        probabilities = positive_probability(margins, self.temperature_)
        self.threshold_ = choose_threshold(truth, probabilities, rule="youden")
        self.band_ = Band.of(
            truth, probabilities, threshold=self.threshold_, error_rate=self.error_rate
        )
        return probabilities

    def decision_function(self, X: Sequence[Study]) -> NDArray[np.float64]:
        """Return float64 (n,): calibrated logit of the positive class over the negative one."""
        check_is_fitted(self)
        return self._margins(self.preprocessor_.transform(list(X)))

    def predict_proba(self, X: Sequence[Study]) -> NDArray[np.float64]:
        """Return float64 (n, 2): calibrated probabilities of the two classes."""
        positive = positive_probability(self.decision_function(X))
        return np.column_stack([1 - positive, positive])

    def predict(self, X: Sequence[Study]) -> NDArray[np.int64]:
        """Return int64 (n,): 1 where the probability reaches ``threshold_``."""
        return (self.predict_proba(X)[:, 1] >= self.threshold_).astype(np.int64)

    def classify(
        self, X: Sequence[Study], *, key: Key | None = None, allow_training_patients: bool = False
    ) -> Predictions:
        """Return probabilities and calls, what is undecided, and what is unlike the training part.

        Studies that the model was fitted on are refused here, and so by every command; the
        methods of scikit-learn (``predict``, ``predict_proba``, ``score``) read whatever they
        are given, as cross-validation and learning curves need.

        Parameters
        ----------
        X
            Studies.
        key
            That of the training: other images of the same patients are known too.
        allow_training_patients
            Read them all the same.

        Raises
        ------
        LeakageError
            The model was fitted on some of them (``LEAKAGE_TRAINING``).
        BackboneContractError
            The network gives no finite number for some of them (``OUTPUT_NOT_FINITE``).

        Warns
        -----
        ProvenanceWarning
            The images are read by another loader than those the model was trained on.
        DataWarning
            Some studies are unlike those the model was trained on (``UNLIKE_TRAINING``).
        """
        check_is_fitted(self)
        warn_of_other_loaders(self.record_, X, self.preprocessor_)
        compared = "nothing" if allow_training_patients else self.trained_on_.refuse(X, key)
        predictions = self._predictions(X, self.preprocessor_.transform(list(X)), compared)
        if predictions.unlike_training is not None:
            warn_of_strangers(X, predictions.unlike_training)
        return predictions

    def _predictions(
        self, studies: Sequence[Study], pixels: torch.Tensor, compared: str = "nothing"
    ) -> Predictions:
        """Return what is said of studies, of their prepared images; ``compared`` is recorded."""
        strangeness, reasons = None, None
        if self.domain_ is not None:
            strangeness = self.domain_.strangeness(pixels)
            reasons = self.domain_.reasons(studies, strangeness)
        return Predictions(
            patients=tuple(study.patient for study in studies),
            probabilities=positive_probability(self._margins(pixels)),
            threshold=self.threshold_,
            band=None if self.band_ is None else (self.band_.low, self.band_.high),
            out_of_distribution=strangeness,
            unlike_training=reasons,
            model=self.name,
            provenance={
                **self.record_,
                "compared_with_training": compared,
                "engine": self._engine,
            },
        )

    def explain(self, study: Study, *, method: str = "grad-cam", target: int = 1) -> Heatmap:
        """Return where in a study the evidence for a class lies, on its original pixels.

        Parameters
        ----------
        study
            One study.
        method
            "grad-cam": one backward pass, as coarse as the layer that the backbone names.
            "occlusion": hides one place of one slice after another; slow, and for any network.
            That of an ensemble is the mean over its members.
        target
            The class, 0 or 1, that the evidence is for.

        Raises
        ------
        UsageError
            No such method or class; the backbone names no layer (``MAP_LAYER_MISSING``).
        BackboneContractError
            It names a layer that gives no map.
        LoadError
            The study cannot be read.
        """
        from cervispine.classification.explaining import explain

        check_is_fitted(self)
        return explain(self, study, method=method, target=target)
