"""What a model remembers of those it was fitted on: enough to know them again, and no more.

A model read on its own training patients looks better than it is, and nothing in its figures
shows it. Images are remembered as hashes of their pixels, which nobody can guess and every site
can compare. Identifiers of patients can be guessed, so they are remembered only under a secret key
that stays with the data; whoever lacks the key compares images alone.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import attrs

from cervispine.exceptions import LeakageError, ProvenanceWarning, UsageError
from cervispine.records import Key, Study
from cervispine.records.tables import listing

__all__ = ["TrainedOn"]

#: Hexadecimal digits kept of each hash: 128 bits.
DIGITS = 32


@attrs.frozen(kw_only=True)
class TrainedOn:
    """The patients of the training and the validation part of a model, as hashes.

    Parameters
    ----------
    salt
        Public, and of this model alone: the hashes of two models cannot be joined.
    images
        Of the middle slice of each series.
    patients
        Of the identifiers, under a key; empty without one.
    key
        The fingerprint of that key.
    """

    salt: str
    images: frozenset[str] = attrs.field(repr=lambda hashes: f"<{len(hashes)} images>")
    patients: frozenset[str] = attrs.field(repr=lambda hashes: f"<{len(hashes)} patients>")
    key: str = ""

    @classmethod
    def of(cls, studies: Iterable[Study], key: Key | None) -> Self:
        """Remember studies; their patients too, where there is a key.

        Raises
        ------
        UsageError
            What was given for a key is none.
        """
        _check_key(key)
        studies = list(studies)
        images = sorted({image for study in studies for image in _images(study)})
        # From the images themselves: the same training gives the same file.
        salt = hashlib.sha256("\n".join(images).encode()).hexdigest()[:DIGITS]
        return cls(
            salt=salt,
            images=frozenset(_salted(salt, image) for image in images),
            patients=frozenset(_keyed(key, study) for study in studies) if key else frozenset(),
            key=key.fingerprint if key else "",
        )

    def known(self, studies: Sequence[Study], key: Key | None) -> list[bool]:
        """Return whether the model was fitted on each study, as far as images and the key tell.

        Raises
        ------
        UsageError
            What was given for a key is none.

        Warns
        -----
        ProvenanceWarning
            The key is not that of the training, so patients are not compared.
        """
        _check_key(key)
        with_key = key if key is not None and key.fingerprint == self.key else None
        if key is not None and with_key is None:
            trained = "with another key" if self.key else "without a key"
            warnings.warn(
                "the patients are not compared with those of the training, only their images: the "
                f"model was trained {trained}",
                ProvenanceWarning,
                stacklevel=2,
            )
        return [
            any(_salted(self.salt, image) in self.images for image in _images(study))
            or (with_key is not None and _keyed(with_key, study) in self.patients)
            for study in studies
        ]

    def refuse(self, studies: Sequence[Study], key: Key | None) -> str:
        """Refuse studies that the model was fitted on; return what was compared.

        Parameters
        ----------
        studies
            To be read by the model.
        key
            The user's; patients are compared only where it is that of the training.

        Returns
        -------
        str
            "images and patients", "images", or "nothing" where studies have no pixel hash.

        Raises
        ------
        LeakageError
            ``LEAKAGE_TRAINING``, naming the studies by UID.

        Warns
        -----
        ProvenanceWarning
            As :meth:`known`.
        """
        known = list(itertools.compress(studies, self.known(studies, key)))
        if known:
            raise LeakageError(
                listing(
                    f"the model was fitted on {len(known)} of these {len(studies)} studies",
                    [f"study {study.uid}" for study in known],
                ),
                advice="leave them out; to read them all the same, knowing that the model looks "
                "better on them than it is: --allow-training-patients, in Python "
                "allow_training_patients=True",
                code="LEAKAGE_TRAINING",
            )
        if key is not None and key.fingerprint == self.key:
            return "images and patients"
        return "images" if all(any(_images(study)) for study in studies) else "nothing"

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold."""
        return {
            "salt": self.salt,
            "images": sorted(self.images),
            "key": self.key,
            "patients": sorted(self.patients),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Take what :meth:`to_dict` gave.

        Raises
        ------
        ValueError
            It is something else.
        """
        images, patients = content["images"], content["patients"]
        texts = [content["salt"], content["key"], *images, *patients]
        if not all(isinstance(text, str) and len(text) <= DIGITS for text in texts):
            raise ValueError("no hashes")
        return cls(
            salt=content["salt"],
            images=frozenset(images),
            patients=frozenset(patients),
            key=content["key"],
        )


def _check_key(key: Any) -> None:
    if not (key is None or isinstance(key, Key)):
        raise UsageError(f"key is a Key or None, not {type(key).__name__}", advice="Key.open(file)")


def _images(study: Study) -> set[str]:
    return {series.pixel_hash for series in study.series} - {""}


def _salted(salt: str, image: str) -> str:
    return hmac.new(salt.encode(), image.encode(), hashlib.sha256).hexdigest()[:DIGITS]


def _keyed(key: Key, study: Study) -> str:
    return key.digest("training", study.patient).hex()[:DIGITS]
