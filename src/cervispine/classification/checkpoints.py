"""Generations of checkpoints: written whole, verified, and the last good one found again.

A checkpoint is a safetensors file whose name holds the step it was made at and the beginning of
its own SHA-256. A file that was torn by a crash or damaged on the disk is told by that hash and
passed over, and the generation before it is there until the new one has been read back.
"""

from __future__ import annotations

import hashlib
import json
import re
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import attrs
import torch

from cervispine.exceptions import ProvenanceWarning, ResourceError, TrainingError
from cervispine.records.files import write_bytes

__all__ = [
    "Checkpoint",
    "has_checkpoint",
    "read_checkpoint",
    "remove_checkpoints",
    "write_checkpoint",
]

FORMAT = "cervispine/checkpoint"
VERSION = 1

#: How many generations are kept.
GENERATIONS = 2

_NAME = re.compile(r"checkpoint-(\d{9})-([0-9a-f]{16})\.safetensors")


@attrs.frozen(eq=False)
class Checkpoint:
    """Where a training stood.

    Parameters
    ----------
    tensors
        Weights and the state of the optimiser, by name.
    record
        Everything else, as JSON can hold it.
    """

    tensors: Mapping[str, torch.Tensor]
    record: Mapping[str, Any]


def has_checkpoint(folder: Path) -> bool:
    """Whether a training left anything to resume from."""
    return next(_generations(folder), None) is not None


def write_checkpoint(folder: Path, step: int, checkpoint: Checkpoint) -> None:
    """Write a generation, read it back, and only then remove those before the last.

    Raises
    ------
    ResourceError
        ``OUTPUT_UNWRITABLE`` when it cannot be written; ``CHECKPOINT_UNVERIFIED`` when the disk
        gives back something else. The generations before it are untouched.
    """
    from safetensors.torch import save

    described = {"format": FORMAT, "version": VERSION, "record": dict(checkpoint.record)}
    content = save(
        {name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()},
        metadata={"cervispine": json.dumps(described)},
    )
    path = folder / f"checkpoint-{step:09d}-{_hash(content)}.safetensors"
    write_bytes(path, content)
    if _hash(path.read_bytes()) != _hash(content):
        path.unlink(missing_ok=True)
        raise ResourceError(
            "a checkpoint did not read back as it was written",
            where=str(folder),
            advice="the disk is failing: continue from the generation before, on another one",
            code="CHECKPOINT_UNVERIFIED",
        )
    # One of a later step is damaged, or it would have been continued from: it counts for nothing.
    until_now = [each for each in _generations(folder) if each.name <= path.name]
    for old in until_now[GENERATIONS:]:
        old.unlink(missing_ok=True)


def remove_checkpoints(folder: Path) -> None:
    """Remove every generation: once the model is saved they are only large."""
    for path in list(_generations(folder)):
        path.unlink(missing_ok=True)


def read_checkpoint(folder: Path) -> Checkpoint:
    """Return the newest generation that is whole.

    A damaged generation is passed over with a ProvenanceWarning.

    Raises
    ------
    TrainingError
        ``RESUME_NOTHING`` when there is none.
    """
    for path in _generations(folder):
        checkpoint = _read(path)
        if checkpoint is not None:
            return checkpoint
        warnings.warn(
            f"{path.name} is damaged and was passed over",
            ProvenanceWarning,
            stacklevel=2,
        )
    raise TrainingError(
        "there is no checkpoint to resume from",
        where=str(folder),
        advice="start anew in another folder, or give that of the run that was interrupted",
        code="RESUME_NOTHING",
    )


def _generations(folder: Path) -> Iterator[Path]:
    """Give the files that are checkpoints by their name, the newest first."""
    named = [path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name)]
    yield from sorted(named, reverse=True)


def _read(path: Path) -> Checkpoint | None:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load

    name = _NAME.fullmatch(path.name)
    assert name is not None
    try:
        content = path.read_bytes()
        if _hash(content) != name[2]:
            return None
        with safe_open(path, "pt") as stream:
            described = json.loads((stream.metadata() or {})["cervispine"])
        tensors = load(content)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None
    if (described.get("format"), described.get("version")) != (FORMAT, VERSION):
        return None
    return Checkpoint(tensors, described["record"])


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
