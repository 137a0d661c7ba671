"""Classifier: scikit-learn outside, a plain torch module inside."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import attrs
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from cervispine.classification.domain import Domain
from cervispine.classification.engines import Engine, engine_of, torch_engine
from cervispine.classification.hardware import choose_device, choose_precision, within_memory
from cervispine.classification.inputs import (
    labelled_studies,
    validation_part,
)
from cervispine.classification.memory import TrainedOn
from cervispine.classification.networks import build_network
from cervispine.classification.parameters import check_parameters, fingerprint, plain_parameters
from cervispine.classification.reading import Reading
from cervispine.classification.record import training_record, validated
from cervispine.classification.state import refuse_begun
from cervispine.classification.training import Images, OnEpoch, Recipe, margins_of, train
from cervispine.classification.weights import start
from cervispine.exceptions import BackboneContractError
from cervispine.preprocessing import Preprocessor
from cervispine.preprocessing.cache import StoredPixels
from cervispine.progress import progress
from cervispine.records import Cohort, IntakeReport, Key, Study
from cervispine.records.files import make_folder

__all__ = ["Classifier"]


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Classifier(Reading, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Tell two classes of studies apart with a convolutional network.

    A scikit-learn estimator whose ``X`` is a sequence of :class:`~cervispine.Study` and whose
    ``y`` is 0/1; ``clone``, ``GridSearchCV``, ``cross_val_predict`` and pickling work. The
    network itself is an ordinary ``nn.Module`` in ``module_``.

    Parameters
    ----------
    backbone
        Name of an installed backbone, ``list_backbones()``, or ``distribution:name``.
    preprocessor
        What turns studies into tensors; None for ``Preprocessor()``.
    pooling
        How slices become a patient: "channels" gives them to the network side by side, "mean"
        and "max" pool the logits of each slice alone, "attention" learns which slices to heed.
    pretrained
        None for random weights, True for the backbone's own, or a local file of weights of the same
        backbone (.safetensors, or .pth as torch.save writes a state dict); the last layer of it is
        left out.
    freeze
        With pretrained weights: how many stages of the backbone, from the input on, stay as they
        are, or their names; 0 for none.
    epochs
        The most passes over the training part; the epoch with the least validation loss is kept.
    batch_size
        Studies in one step.
    learning_rate
        The highest, of AdamW: it climbs linearly for a short time, then descends as a cosine.
    weight_decay
        Of AdamW.
    patience
        Stop after so many epochs without a better validation loss.
    class_weight
        "balanced" weighs the classes equally in the loss; None weighs every study equally. What
        that takes from the probabilities, ``offset_`` gives back.
    augment
        Change the training images a little each time they are seen.
    validation
        Share of the patients of ``X`` kept out of training to choose the epoch, the temperature
        and the threshold; or the identifiers of these patients.
    calibrate
        Divide the logits by the temperature that the validation part asks for.
    error_rate
        Share of the patients of either class who may lie outside the band, on the wrong side of it.
    device
        "auto", "cpu", "cuda" ...
    precision
        Of training: "auto", "float32" or "bfloat16". Evaluation is in float32.
    seed
        Decides everything random: weights, validation part, order, augmentation.
    progress
        True for a bar, False for silence, None for a bar on a terminal and log lines elsewhere.

    Attributes
    ----------
    module_ : nn.Module
        float32 (n, channels, rows, columns) to logits (n, 2); the weights of the best epoch.
    threshold_ : float
        Probability at or above which a study is called positive: Youden's on the validation part.
    offset_ : float
        What is added to the logit of the positive class over the negative one: with balanced
        classes the log of the odds of the training part, else 0; also 0 of a model that was saved
        before there were offsets.
    temperature_ : float
        What that logit is divided by then.
    band_ : Band or None
        The probabilities between which neither class is ruled out, so that CT is advised whatever
        the call; None of a model that was saved before there were bands.
    domain_ : Domain or None
        What the training part looked like; None of a model that was saved before there were any.
    classes_ : ndarray
        [0, 1].
    history_ : tuple of dict
        Training loss, validation loss, validation AUC and last learning rate of each epoch.
    parameters_ : dict
        What it was fitted with, whatever parameters are set afterwards: what is saved.
    trained_on_ : TrainedOn
        Hashes of the images it was fitted on, and of the patients where there was a key.
    record_ : dict
        How it was trained: versions, device, precision, who was in which part, best epoch, and
        the figures of the validation part.
    """

    class_names: ClassVar[tuple[str, str]] = ("negative", "positive")
    intended_use: ClassVar[str] = "Research on medical images. Not a medical device."

    backbone: str = "resnet50"
    preprocessor: Preprocessor | None = None
    pooling: str = "channels"
    pretrained: bool | str | Path | None = None
    freeze: int | Sequence[str] = 0
    epochs: int = 30
    batch_size: int = 16
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    patience: int = 10
    class_weight: str | None = "balanced"
    augment: bool = True
    validation: float | Sequence[str] = 0.15
    calibrate: bool = True
    error_rate: float = 0.1
    device: str = "auto"
    precision: str = "auto"
    seed: int = 0
    progress: bool | None = None

    def fit(
        self,
        X: Sequence[Study],
        y: ArrayLike | None = None,
        *,
        run_dir: str | Path | None = None,
        resume: bool = False,
        key: Key | None = None,
        on_epoch: OnEpoch | None = None,
    ) -> Self:
        """Train on studies.

        Parameters
        ----------
        X
            Studies; a :class:`~cervispine.Cohort` or any sequence.
        y
            (n,) 0/1, 1 for the positive class; None for the studies' own labels.
        run_dir
            Folder for checkpoints, written once a minute and when Ctrl-C or SIGTERM ends it. One
            that holds those of a training is refused (``RUN_EXISTS``) without ``resume``.
        resume
            Continue from the newest whole checkpoint in ``run_dir``; refused when parameters,
            data or versions differ.
        key
            With it the model knows its patients again, and not only their images; see
            :meth:`classify`.
        on_epoch
            Called with an :class:`~cervispine.classification.Epoch` after each epoch.

        Raises
        ------
        UsageError
            A parameter that cannot be meant.
        BackboneError
            The backbone is missing or breaks its contract; found before any image is read.
        LabelError
            A label is missing or not 0/1, or a class is absent.
        LoadError
            A study cannot be read.
        TrainingError
            Training could not resume, or its loss was not finite.
        ResourceError
            The memory does not suffice, or ``run_dir`` cannot be written.
        """
        studies, truth = labelled_studies(X, y)
        self._fit(
            studies, truth, lambda: self._preprocessor().prepared(studies),
            run_dir=run_dir, resume=resume, key=key,
            on_epoch=on_epoch, intake=X.intake if isinstance(X, Cohort) else None,
        )  # fmt: skip
        return self

    def _preprocessor(self) -> Preprocessor:
        """Return the preprocessor that it will be trained with."""
        return Preprocessor() if self.preprocessor is None else clone(self.preprocessor)

    def _fit(
        self,
        studies: tuple[Study, ...],
        truth: NDArray[np.int64],
        prepare: Callable[[], torch.Tensor | StoredPixels],
        *,
        run_dir: str | Path | None,
        resume: bool,
        key: Key | None,
        on_epoch: OnEpoch | None,
        intake: IntakeReport | None,
    ) -> None:
        """Train on images that ``prepare`` reads, once all else has been found right."""
        check_parameters(self)
        trained_on = TrainedOn.of(studies, key)
        device = choose_device(self.device)
        recipe = Recipe(
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            patience=self.patience,
            class_weight=self.class_weight,
            device=device,
            precision=choose_precision(self.precision, device),
            seed=self.seed,
        )
        preprocessor = self._preprocessor()
        weights = start(self.pretrained)
        network = build_network(self, preprocessor, weights)
        held_out = validation_part(studies, truth, self.validation, self.seed)
        folder = None if run_dir is None else make_folder(Path(run_dir))
        if folder is not None and not resume:
            refuse_begun(folder)

        pixels = prepare()
        kept_in = torch.from_numpy(np.flatnonzero(~held_out))
        kept_out = torch.from_numpy(np.flatnonzero(held_out))
        validation = Images(pixels, truth[held_out], kept_out)
        with (
            progress(f"training {self.backbone}", shown=self.progress) as report,
            within_memory(device),
        ):
            trained = train(
                network,
                Images(pixels, truth[~held_out], kept_in),
                validation,
                recipe,
                augment=preprocessor.augmentation if self.augment else None,
                report=report,
                on_epoch=on_epoch,
                run_dir=folder,
                resume=resume,
                fingerprint=fingerprint(
                    self, studies, truth, held_out, preprocessor, weights, recipe.precision
                ),
            )
        with within_memory(device):
            engine = torch_engine(network, preprocessor, device)
            margins = margins_of(engine.network, validation, device, self.batch_size)
        domain = Domain.of(studies, pixels, held_out, preprocessor.sequences)
        record = training_record(
            self, preprocessor, weights, recipe, studies, truth, held_out, trained.best_epoch,
            intake=intake,
        )  # fmt: skip
        # Nothing fails from here on, so that what is fitted is of one training.
        probabilities = self._decide(validation.truth, margins + trained.offset)
        self.offset_ = trained.offset
        self.engine_: Engine = engine
        self.domain_: Domain | None = domain
        self.classes_ = np.array([0, 1])
        self.preprocessor_ = preprocessor
        self.module_ = network
        self.device_ = device
        self.history_ = trained.history
        self.parameters_ = plain_parameters(self, record["pretrained_sha256"])
        self.record_ = {
            **record,
            "validated": validated(validation.truth, probabilities, self.threshold_),
        }
        self.trained_on_ = trained_on

    def _margins(self, pixels: torch.Tensor) -> NDArray[np.float64]:
        with within_memory(self.device_):
            network = engine_of(self).network
            margins = margins_of(network, pixels, self.device_, self.batch_size)
        wrong = np.flatnonzero(~np.isfinite(margins)) + 1
        if wrong.size:
            # A contract that random images held may break on others.
            raise BackboneContractError(
                f"the backbone {self.name} gave no finite answer for {wrong.size} of "
                f"{margins.size} studies",
                where=f"studies {', '.join(map(str, wrong[:10]))}, counted from 1",
                advice="read the others without them; float32 overflows less than shorter numbers",
                code="OUTPUT_NOT_FINITE",
            )
        return (margins + self.offset_) / self.temperature_

    @property
    def name(self) -> str:
        """What predictions call the model: the backbone that it was fitted with."""
        return str(self.record_["backbone"])

    @property
    def _engine(self) -> str:
        return engine_of(self).name

    @property
    def _members(self) -> Sequence[Classifier]:
        return (self,)

    def save(self, folder: str | Path) -> Path:
        """Write the fitted classifier as a folder: safetensors, JSON and a model card.

        Raises
        ------
        ResourceError
            When the folder cannot be written.
        """
        from cervispine.classification.storage import save_classifier

        check_is_fitted(self)
        return save_classifier(self, Path(folder))

    def export(self, folder: str | Path) -> Path:
        """Write the network as ONNX beside the saved model, which is saved if need be.

        It maps what the preprocessor gives, float32 (n, channels, rows, columns), to logits (n, 2).
        Offset, temperature and threshold stay in the model.

        Raises
        ------
        MissingExtraError
            The extra ``cervispine[onnxruntime]`` is not installed.
        ModelFormatError
            The network cannot be written as ONNX (``EXPORT_IMPOSSIBLE``), or its probabilities
            would move by more than 1e-5 (``EXPORT_DIFFERS``).
        UsageError
            The folder holds another model (``RUN_EXISTS``).
        ResourceError
            When the folder cannot be written.
        """
        from cervispine.classification.storage import export_classifier

        check_is_fitted(self)
        return export_classifier(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "auto", engine: str = "torch") -> Self:
        """Read a classifier that :meth:`save` wrote. No code of the folder is run.

        Parameters
        ----------
        folder
            Of the model.
        device
            "auto", "cpu", "cuda" ...
        engine
            What it reads with: "torch"; "onnxruntime", for which :meth:`export` has written into
            the folder; or "auto", which is onnxruntime where that can be used. The probabilities
            are the same to 1e-5, which is tested on two images when the engine is made.

        Raises
        ------
        ModelFormatError
            The folder is foreign, incomplete, damaged or of another class; or it was not exported
            (``EXPORT_MISSING``), or the export answers otherwise (``EXPORT_DIFFERS``).
        BackboneError
            The backbone it needs is not installed.
        MissingExtraError
            onnxruntime is not installed.
        """
        from cervispine.classification.storage import load_classifier

        return load_classifier(cls, Path(folder), device=device, engine=engine)

    def __getstate__(self) -> dict[str, Any]:
        # A model fitted on a GPU must open on a machine without one.
        state = dict(super().__getstate__())
        # What reads is made from the module, and anew.
        state.pop("engine_", None)
        if "module_" in state:
            state["module_"] = _cpu_copy(state["module_"])
            state["device_"] = torch.device("cpu")
        return state


def _cpu_copy(module: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(module).to("cpu")
