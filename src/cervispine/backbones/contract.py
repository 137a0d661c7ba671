"""What every backbone's module must do, checked on blank images.

`check_module` is the short form, run whenever a backbone is built and before any data are read;
`cervispine.testing.check_backbone` is the long one, for the author of a plug-in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cervispine.exceptions import BackboneContractError, BackboneError, BackboneLoadError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from cervispine.backbones.backbone import Build

__all__ = ["call_build", "check_logits", "check_module"]


def call_build(
    build: Build, *, in_channels: int, num_classes: int, pretrained: bool = False, where: str
) -> object:
    """Return what a backbone's ``build`` returns, or an error that names the backbone.

    Raises
    ------
    BackboneLoadError
        When ``build`` fails in any way; the original error is its cause. An error of ours passes
        as it is, and so does a keyboard interrupt, since it is the user's.
    """
    try:
        return build(in_channels=in_channels, num_classes=num_classes, pretrained=pretrained)
    except BackboneError:
        raise
    except (Exception, SystemExit) as error:
        raise BackboneLoadError(
            f"the backbone failed to build for {in_channels} channels and {num_classes} classes: "
            f"{type(error).__name__}: {error}",
            where=where,
            advice="`cervispine backbones --check` runs the contract of every installed backbone",
        ) from error


def check_module(
    module: object, *, in_channels: int, num_classes: int, size: tuple[int, int], where: str
) -> nn.Module:
    """Return the module once it has turned two blank images into two rows of logits.

    Parameters
    ----------
    module
        What a backbone's ``build`` returned.
    in_channels, num_classes
        What it was asked for.
    size
        Rows and columns of the blank images.
    where
        Names the backbone in the error.

    Raises
    ------
    BackboneContractError
        When it is no module, fails on the images, or gives anything but finite float32 logits
        of shape ``(2, num_classes)``.
    """
    import torch
    from torch import nn

    if not isinstance(module, nn.Module):
        raise BackboneContractError(
            f"build returned a {type(module).__name__} where a torch.nn.Module is expected",
            where=where,
        )
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            check_logits(
                module, torch.zeros(2, in_channels, *size), num_classes=num_classes, where=where
            )
    finally:
        module.train(training)
    return module


def check_logits(module: nn.Module, images: Tensor, *, num_classes: int, where: str) -> Tensor:
    """Return the logits that a module gives for images, once they are what the contract says.

    Raises
    ------
    BackboneContractError
        When the module fails, or its output has another type, shape or dtype, or holds values
        that are not finite.
    """
    import torch
    from torch import Tensor

    given = f"for a {tuple(images.shape)} input"
    try:
        logits = module(images)
    except Exception as error:
        raise BackboneContractError(
            f"the module failed {given}: {type(error).__name__}: {error}", where=where
        ) from error
    expected = (len(images), num_classes)
    if not isinstance(logits, Tensor):
        raise BackboneContractError(
            f"expected a tensor of logits {given}, got a {type(logits).__name__}", where=where
        )
    if tuple(logits.shape) != expected:
        raise BackboneContractError(
            f"expected output of shape {expected} {given}, got {tuple(logits.shape)}", where=where
        )
    if logits.dtype != torch.float32:
        raise BackboneContractError(
            f"expected float32 logits {given}, got {logits.dtype}", where=where
        )
    if not torch.isfinite(logits).all():
        raise BackboneContractError(f"the logits {given} are not finite", where=where)
    return logits
