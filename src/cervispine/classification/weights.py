"""Where a network starts from: weights of a file, and stages that keep what they were given."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import attrs
import numpy as np
import torch
from torch import nn

from cervispine.backbones import load_backbone
from cervispine.exceptions import BackboneContractError, ModelFormatError, UsageError
from cervispine.records.tables import listing

__all__ = ["SAVED", "LocalWeights", "freeze_stages", "start", "train_mode"]

#: What other programs put before every name.
PREFIXES = ("module.", "network.", "backbone.", "model.")

#: Stands before the hash of the file, in the place of its name, in what is saved.
SAVED = "sha256:"

#: Where other programs keep the weights among other things.
HOLDERS = ("state_dict", "model", "model_state_dict")


@attrs.frozen(eq=False)
class LocalWeights:
    """The weights of a file.

    Parameters
    ----------
    name
        Of the file, without its folder.
    sha256
        Of its content.
    tensors
        By the names of the backbone's module.
    """

    name: str
    sha256: str
    tensors: Mapping[str, torch.Tensor] = attrs.field(repr=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """Read safetensors, or what ``torch.save`` wrote of a state dict. No code of it is run.

        Raises
        ------
        UsageError
            ``FILE_MISSING``; or the name ends in neither .safetensors, .pth nor .pt.
        ModelFormatError
            ``WEIGHTS_INVALID``: it is something else, or holds values that are not finite.
        """
        path = Path(path)
        readers = {".safetensors": _safetensors, ".pth": _state_dict, ".pt": _state_dict}
        if path.suffix not in readers:
            raise UsageError(
                "pretrained is True, or a file of weights", where=path.name,
                advice=f"its name ends in {', '.join(readers)}",
            )  # fmt: skip
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(
                "the file of weights cannot be read", where=path.name, code="FILE_MISSING"
            ) from error
        try:
            tensors = _without_prefix(readers[path.suffix](content))
        # The readers of torch and safetensors raise whatever the bytes lead them to.
        except Exception as error:
            raise _invalid(path.name, "it does not hold a network's weights") from error
        if not all(value.isfinite().all() for value in tensors.values()):
            raise _invalid(path.name, "its weights are not all finite")
        return cls(path.name, hashlib.sha256(content).hexdigest(), tensors)

    def put_into(self, network: nn.Module) -> None:
        """Give a network these weights, all but those of its last layer.

        A first convolution of red, green and blue is averaged over them and scaled, where the
        network has another number of channels: a grey image in every channel then gives what it
        gave the original network.

        Raises
        ------
        ModelFormatError
            ``WEIGHTS_MISMATCH``: names or shapes are not those of the network; each is listed.
        """
        head = _last_linear(network)
        expected = {
            name: value
            for name, value in network.state_dict().items()
            if not _belongs(name, head) and not name.endswith("num_batches_tracked")
        }
        given = {
            name: value
            for name, value in self.tensors.items()
            if not _belongs(name, head) and not name.endswith("num_batches_tracked")
        }
        first = _first_convolution(network)
        if first in given and first in expected:
            given[first] = _for_channels(given[first], expected[first].shape)
        faults = [
            *(f"{name} is missing" for name in expected if name not in given),
            *(f"{name} is not of this network" for name in given if name not in expected),
            *(
                f"{name} has shape {tuple(given[name].shape)}, not {tuple(value.shape)}"
                for name, value in expected.items()
                if name in given and given[name].shape != value.shape
            ),
        ]
        if faults:
            raise ModelFormatError(
                listing("the weights do not fit the backbone", faults),
                where=self.name,
                advice="give weights of the same backbone, of any number of classes",
                code="WEIGHTS_MISMATCH",
            )
        network.load_state_dict(given, strict=False)


def start(pretrained: bool | str | os.PathLike[str] | None) -> LocalWeights | bool:
    """Return what a classifier's ``pretrained`` asks for: its backbone's own weights, or a file's.

    Raises
    ------
    UsageError, ModelFormatError
        As :meth:`LocalWeights.read`.
    """
    if isinstance(pretrained, str) and pretrained.startswith(SAVED):
        raise UsageError(
            "a saved model knows the weights it started from by their hash alone",
            where=f"pretrained={pretrained!r}",
            advice="set_params(pretrained=FILE) names their file again",
            code="FILE_MISSING",
        )
    if isinstance(pretrained, (str, os.PathLike)):
        return LocalWeights.read(pretrained)
    return bool(pretrained)


def freeze_stages(network: nn.Module, backbone: str, freeze: int | Sequence[str]) -> list[str]:
    """Keep stages of a backbone's network as they are, and return their names.

    Parameters
    ----------
    network
        What the backbone built.
    backbone
        Its name; it declares its stages.
    freeze
        How many stages from the input on, or their names.

    Raises
    ------
    UsageError
        ``STAGES_MISSING`` where the backbone declares none; or it has not so many, or none of
        that name.
    BackboneContractError
        It declares a stage that its module does not have.
    """
    stages = load_backbone(backbone).stages
    if not stages:
        raise UsageError(
            "the backbone does not say what its stages are, so none can be frozen",
            where=f"backbone {backbone!r}",
            advice="train all of it; its author gives Backbone(..., stages={...})",
            code="STAGES_MISSING",
        )
    if isinstance(freeze, (int, np.integer)):
        names, known = list(stages)[:freeze], freeze <= len(stages)
    else:
        names, known = list(freeze), set(freeze) <= set(stages)
    if not known:
        raise UsageError(
            f"freeze is a number up to {len(stages)}, or some of {', '.join(stages)}; "
            f"not {freeze!r}",
            where=f"backbone {backbone!r}",
        )
    for name in names:
        for path in stages[name]:
            try:
                network.get_submodule(path).requires_grad_(False)
            except AttributeError as error:
                raise BackboneContractError(
                    f"the backbone declares the stage {name!r} with a module that it does not have",
                    where=f"backbone {backbone!r}, module {path!r}",
                ) from error
    return names


def train_mode(network: nn.Module) -> None:
    """Put a network into training mode, and what is frozen in it into that of evaluation.

    A frozen batch normalisation keeps its statistics, which its weights were trained with.
    """
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()


def _safetensors(content: bytes) -> dict[str, torch.Tensor]:
    from safetensors.torch import load

    return dict(load(content))


def _state_dict(content: bytes) -> dict[str, torch.Tensor]:
    held = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    for holder in HOLDERS:
        if isinstance(held, Mapping) and isinstance(held.get(holder), Mapping):
            held = held[holder]
            break
    if not held or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in held.items()
    ):
        raise ValueError("no state dict")
    return dict(held)


def _without_prefix(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not tensors:
        raise ValueError("no tensors")
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in tensors):
            return {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _invalid(name: str, reason: str) -> ModelFormatError:
    return ModelFormatError(
        f"this is no file of weights: {reason}",
        where=name,
        advice="give safetensors, or a state dict that torch.save wrote",
        code="WEIGHTS_INVALID",
    )


def _belongs(name: str, module: str) -> bool:
    return bool(module) and name.startswith(f"{module}.")


def _last_linear(network: nn.Module) -> str:
    names = [name for name, each in network.named_modules() if isinstance(each, nn.Linear)]
    return names[-1] if names else ""


def _first_convolution(network: nn.Module) -> str:
    names = [name for name, each in network.named_modules() if isinstance(each, nn.Conv2d)]
    return f"{names[0]}.weight" if names else ""


def _for_channels(weight: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """Return a first convolution's RGB weights for another number of channels."""
    fits = weight.ndim == 4 and weight.shape[1] == 3 and len(shape) == 4
    if not fits or shape[1] == 3:
        return weight
    grey = weight.sum(dim=1, keepdim=True) / shape[1]
    return grey.expand(-1, shape[1], -1, -1).clone()
