"""Ensemble: several classifiers that answer as one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import attrs
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.validation import check_is_fitted

from cervispine.backbones import find_backbone
from cervispine.classification.checkpoints import has_checkpoint
from cervispine.classification.estimator import Classifier
from cervispine.classification.inputs import labelled_studies, validation_part
from cervispine.classification.parameters import (
    check_error_rate,
    check_parameters,
    check_seed,
    check_switch,
    check_validation,
)
from cervispine.classification.reading import Reading
from cervispine.classification.state import refuse_begun
from cervispine.classification.training import Epoch
from cervispine.exceptions import UsageError
from cervispine.preprocessing import Preprocessor
from cervispine.records import Cohort, Key, Study

__all__ = ["Ensemble", "member_folder"]

#: Parameters of a member that are the ensemble's, or do not tell its training from another's.
NOT_ITS_OWN = ("preprocessor", "validation", "error_rate", "device", "progress")


@attrs.define(eq=False, kw_only=True, slots=False, repr=False)
class Ensemble(Reading, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Classifiers of several depths or seeds as one, after Lakshminarayanan et al. 2017 (NeurIPS).

    Its logit is the mean of the members' calibrated logits, divided by a temperature of its own:
    pooled first and calibrated then, since the mean of members that are each well calibrated is
    not sure enough of itself (Rahaman and Thiery 2021, NeurIPS). The members are trained on the
    same patients, and one validation part, which none of them is trained on, chooses their
    epochs and temperatures and the ensemble's temperature, threshold and band.

    Parameters
    ----------
    members
        Classifiers of one class and with the same preprocessing, each with a backbone or a seed
        of its own. They are cloned; their ``validation`` and ``error_rate`` are the ensemble's.
    validation
        As for :class:`~cervispine.Classifier`, for all members.
    calibrate
        Divide the mean logit by the temperature that the validation part asks for.
    error_rate
        As for :class:`~cervispine.Classifier`.
    seed
        Decides the validation part. Members have seeds of their own.

    Attributes
    ----------
    members_ : list of Classifier
        Fitted.
    threshold_, temperature_, band_, domain_, classes_, trained_on_
        As those of a classifier.
    record_ : dict
        That of the training: of each member, and what they share.
    """

    members: Sequence[Classifier] = ()
    validation: float | Sequence[str] = 0.15
    calibrate: bool = True
    error_rate: float = 0.1
    seed: int = 0

    @property
    def class_names(self) -> tuple[str, str]:
        """Of the negative and the positive class."""
        return self.members[0].class_names

    def fit(
        self,
        X: Sequence[Study],
        y: ArrayLike | None = None,
        *,
        run_dir: str | Path | None = None,
        resume: bool = False,
        key: Key | None = None,
        on_epoch: Callable[[int, Epoch], object] | None = None,
    ) -> Self:
        """Train the members one after the other, on images that are prepared once.

        Parameters
        ----------
        X, y, key
            As for :meth:`cervispine.Classifier.fit`.
        run_dir
            Folder for checkpoints, a folder in it for each member; as there.
        resume
            Continue: members with a checkpoint from there, the others from the start.
        on_epoch
            Called after each epoch with the number of the member, from 1, and an
            :class:`~cervispine.classification.Epoch`.

        Raises
        ------
        UsageError
            The members cannot be one ensemble.
        CervispineError
            As :meth:`cervispine.Classifier.fit`.
        """
        self._check_parameters()
        studies, truth = labelled_studies(X, y)
        held_out = validation_part(studies, truth, self.validation, self.seed)
        patients = {study.patient for study, out in zip(studies, held_out, strict=True) if out}
        members = [
            clone(member).set_params(validation=sorted(patients), error_rate=self.error_rate)
            for member in self.members
        ]
        folders = [
            None if run_dir is None else member_folder(Path(run_dir), number)
            for number in range(len(members))
        ]
        begun = [folder is not None and has_checkpoint(folder) for folder in folders]
        if not resume:
            # Before the first member trains, not when the turn of the second one comes.
            for each in filter(None, folders):
                refuse_begun(each)
        # A member is known to be right before it asks for images, and the first one reads them.
        prepare = functools.cache(lambda: members[0]._preprocessor().prepared(studies))
        for place, (member, folder) in enumerate(zip(members, folders, strict=True)):
            member._fit(
                studies,
                truth,
                prepare,
                run_dir=folder,
                # Where no member had begun, the first one says that there is nothing to resume.
                resume=resume and (begun[place] or not any(begun)),
                key=key,
                on_epoch=None if on_epoch is None else functools.partial(on_epoch, place + 1),
                intake=X.intake if isinstance(X, Cohort) else None,
            )
        self._take(members)
        validation = prepare()[torch.from_numpy(np.flatnonzero(held_out))]
        self.temperature_ = 1.0
        self._decide(truth[held_out], self._margins(validation))
        return self

    @property
    def _members(self) -> Sequence[Classifier]:
        return self.members_

    def save(self, folder: str | Path) -> Path:
        """Write a folder for each member, and what the ensemble adds as JSON.

        Raises
        ------
        ResourceError
            When the folder cannot be written.
        """
        from cervispine.classification.storage_of_ensembles import save_ensemble

        check_is_fitted(self, "members_")
        return save_ensemble(self, Path(folder))

    def export(self, folder: str | Path) -> Path:
        """Write each member's network as ONNX beside the saved ensemble, saved if need be.

        Raises
        ------
        CervispineError
            As :meth:`cervispine.Classifier.export`.
        """
        from cervispine.classification.storage_of_ensembles import export_ensemble

        check_is_fitted(self, "members_")
        return export_ensemble(self, Path(folder))

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        kind: type[Classifier] | None = None,
        device: str = "auto",
        engine: str = "torch",
    ) -> Self:
        """Read an ensemble that :meth:`save` wrote. No code of the folder is run.

        Parameters
        ----------
        folder
            Of the ensemble.
        kind
            What its members must be; None for :class:`~cervispine.OPLLClassifier`.
        device, engine
            As for :meth:`cervispine.Classifier.load`, for each member.

        Raises
        ------
        ModelFormatError
            The folder is foreign, incomplete or damaged, or holds members of another class.
        BackboneError
            A backbone it needs is not installed.
        """
        from cervispine.classification.storage_of_ensembles import load_ensemble

        return load_ensemble(cls, Path(folder), kind=kind, device=device, engine=engine)

    def _check_parameters(self) -> None:
        check_error_rate(self.error_rate)
        check_seed(self.seed)
        check_switch("calibrate", self.calibrate)
        check_validation(self.validation)
        strangers = [each for each in self.members if not isinstance(each, Classifier)]
        if len(self.members) < 2 or strangers:
            raise UsageError("an ensemble has at least two members, each of them a Classifier")
        for member in self.members:
            check_parameters(member)
        shared: dict[str, list[Any]] = {
            "class": [type(member).__name__ for member in self.members],
            "preprocessing": [
                (member.preprocessor or Preprocessor()).settings() for member in self.members
            ],
        }
        for name, values in shared.items():
            if any(value != values[0] for value in values):
                raise UsageError(f"the members of an ensemble have one {name}, not {values}")
        ways = [
            {
                **member.get_params(deep=False),
                **dict.fromkeys(NOT_ITS_OWN),
                "backbone": find_backbone(member.backbone).qualified_name,
            }
            for member in self.members
        ]
        if any(way in ways[:place] for place, way in enumerate(ways)):
            raise UsageError(
                "two members of the ensemble are trained alike and would be the same",
                advice="give each a backbone or a seed of its own",
            )

    def _take(self, members: list[Classifier]) -> None:
        """Take what all fitted members share from the first."""
        first = members[0]
        self.members_ = members
        self.preprocessor_ = first.preprocessor_
        self.domain_ = first.domain_
        self.trained_on_ = first.trained_on_
        self.classes_ = np.array([0, 1])
        shared = ("cervispine", "torch", "loaders", "training_patients", "validation_patients",
                  "positive", "negative")  # fmt: skip
        self.record_: dict[str, Any] = {
            **{name: first.record_[name] for name in shared if name in first.record_},
            "backbone": self.name,
            "members": [member.record_ for member in members],
        }

    def _margins(self, pixels: torch.Tensor) -> NDArray[np.float64]:
        margins = np.mean([member._margins(pixels) for member in self.members_], axis=0)
        return np.asarray(margins / self.temperature_, dtype=np.float64)

    @property
    def name(self) -> str:
        """What predictions call the model: its members' backbones."""
        return " + ".join(member.name for member in self.members_)

    def _shown(self) -> Self:
        shown = super()._shown()
        # scikit-learn prints what lies in an estimator by its parameters, not by its own words.
        shown.members = [
            each._shown() if isinstance(each, Classifier) else each for each in self.members
        ]
        return shown

    @property
    def _engine(self) -> str:
        return self.members_[0]._engine


def member_folder(folder: Path, number: int) -> Path:
    """Return the folder of a member, counted from 0, within that of its ensemble."""
    return folder / f"member-{number + 1}"
