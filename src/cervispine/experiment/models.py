"""A model that is trained once, however often its run is interrupted."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cervispine.classification import OPLLClassifier
    from cervispine.records import Key, Study

__all__ = ["trained_model"]


def trained_model(
    folder: Path, classifier: OPLLClassifier, studies: Sequence[Study], key: Key | None
) -> OPLLClassifier:
    """Return the model of a folder, trained now if it was not before.

    A model folder that is there is a model that was finished; a checkpoint that is there is a
    training that was not.

    Parameters
    ----------
    folder
        Of the model.
    classifier
        Not fitted; its preprocessor knows the cache of the run.
    studies
        Its training and its validation part.
    key
        With it the model knows its patients again.
    """
    from cervispine.classification import OPLLClassifier
    from cervispine.classification.checkpoints import has_checkpoint

    unfinished = folder.with_name(f"{folder.name}.unfinished")
    if (folder / "config.json").is_file():
        model = OPLLClassifier.load(folder)
        # A model that was loaded knows the settings, not this run's cache.
        assert classifier.preprocessor is not None
        model.preprocessor_ = classifier.preprocessor
        return model
    classifier.fit(studies, run_dir=unfinished, resume=has_checkpoint(unfinished), key=key)
    classifier.save(folder)
    shutil.rmtree(unfinished)
    return classifier
