"""Where the evidence lies: Grad-CAM and occlusion, and their way back to the stored pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import nn

from cervispine.backbones import load_backbone
from cervispine.classification.cells import NO_MAPS, cells_of
from cervispine.classification.hardware import within_memory
from cervispine.classification.heatmap import Heatmap
from cervispine.classification.pooling import AttentionOverSlices, PooledSlices
from cervispine.exceptions import BackboneContractError, UsageError
from cervispine.preprocessing.resampling import resample
from cervispine.records import Study, Volume

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier
    from cervispine.classification.reading import Reading

__all__ = ["METHODS", "check_method", "explain", "onto_series"]

METHODS = ("grad-cam", "occlusion")

#: Side of what occlusion hides at once, and from one such place to the next, mm.
PATCH, STEP = 10.0, 5.0


def check_method(method: str) -> None:
    """Raise when a method is not one of those that exist."""
    if method not in METHODS:
        raise UsageError(f"method is one of {', '.join(METHODS)}, not {method!r}")


def explain(model: Reading, study: Study, *, method: str, target: int) -> Heatmap:
    """Return where the evidence for a class lies; see :meth:`Reading.explain`."""
    check_method(method)
    if target not in (0, 1):
        raise UsageError(f"target is the class 0 or 1, not {target!r}")
    volumes = model.preprocessor_.read(study)
    prepared = model.preprocessor_.prepare_together(volumes)
    # All sequences are cut at one place, so one map serves them; it is drawn on the leading one.
    sequence = "T2" if "T2" in volumes else next(iter(volumes))
    images = torch.from_numpy(np.concatenate([each.pixels for each in prepared.values()]))[None]
    members = model._members
    maps, settings = zip(
        *(_evidence(each, images, method, sign=1 if target == 1 else -1) for each in members),
        strict=True,
    )
    evidence = maps[0] if len(maps) == 1 else _mean(maps, members, method)
    values, seen = onto_series(np.maximum(evidence, 0), prepared[sequence], volumes[sequence])
    return Heatmap(
        values=values,
        seen=seen,
        volume=volumes[sequence],
        series=study.one_series(sequence),
        study=study.uid,
        method=method,
        target=members[0].class_names[target],
        prediction=model._predictions([study], images),
        provenance={
            **model.record_,
            **(settings[0] if len(settings) == 1 else {"maps": list(settings)}),
        },
    )


def _mean(
    maps: Sequence[NDArray[np.float32]], members: Sequence[Classifier], method: str
) -> NDArray[np.float32]:
    """Return the mean of the members' maps, each on a scale that all of them share.

    Of occlusion that is the calibrated logit, whose mean decides, and of which differences know no
    offset; the unit of Grad-CAM is each network's own, and its highest value becomes 1.
    """
    scales = [
        member.temperature_ if method == "occlusion" else max(float(each.max()), 1e-12)
        for each, member in zip(maps, members, strict=True)
    ]
    scaled = [each / scale for each, scale in zip(maps, scales, strict=True)]
    return np.asarray(np.mean(scaled, axis=0), dtype=np.float32)


def _evidence(
    classifier: Classifier, images: torch.Tensor, method: str, *, sign: int
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Return the evidence that one network finds in prepared images, and the method's settings."""
    preprocessor = classifier.preprocessor_
    with within_memory(classifier.device_):
        subject = Subject(
            classifier.module_.eval(),
            images.to(classifier.device_),
            slices=preprocessor.slices,
            sign=sign,
        )
        if method == "grad-cam":
            return grad_cam(subject, classifier.name)
        return occlusion(subject, spacing=preprocessor.spacing, at_once=classifier.batch_size)


@attrs.frozen(eq=False)
class Subject:
    """A network and the one study that it is asked about.

    Parameters
    ----------
    module
        Maps float32 (n, sequences * slices, rows, columns) to logits (n, 2).
    images
        float32 (1, sequences * slices, rows, columns).
    slices
        How many slices each sequence has.
    sign
        1 where the evidence for the positive class is asked for, -1 for the negative one.
    """

    module: nn.Module
    images: torch.Tensor
    slices: int = attrs.field(kw_only=True)
    sign: int = attrs.field(kw_only=True)

    @property
    def network(self) -> nn.Module:
        """What the backbone built: inside what pools slices, where they are pooled."""
        if isinstance(self.module, (PooledSlices, AttentionOverSlices)):
            return self.module.network
        return self.module

    @property
    def channels(self) -> int:
        """How many channels the images of ``network`` have."""
        channels = self.images.shape[1]
        return channels if self.network is self.module else channels // self.slices

    def margins(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n,): the logit of the target class over the other one."""
        logits: torch.Tensor = self.module(images)
        return self.sign * (logits[:, 1] - logits[:, 0])


def grad_cam(subject: Subject, backbone: str) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Weigh the activations of a layer by their gradients.

    Selvaraju et al. 2017 (ICCV, p. 618), of the margin between the two logits, in the layer that
    the backbone names. Where the slices are the channels of one network, all of them have the
    same map.

    Returns
    -------
    float32 (slices, rows, columns) and the settings
        On the pixels of the prepared images.

    Raises
    ------
    UsageError
        ``MAP_LAYER_MISSING``: the backbone names no layer.
    BackboneContractError
        It names one that is not there, or whose activations are not maps.
    """
    from captum.attr import LayerGradCam

    name = load_backbone(backbone).map_layer
    layer = _layer(subject.network, name, backbone)
    rows, columns = subject.images.shape[2:]
    down, across = cells_of(subject.network, layer, channels=subject.channels)
    method = LayerGradCam(subject.margins, layer)
    maps = method.attribute(subject.images, relu_attributions=True).detach().cpu().numpy()[:, 0]
    evidence = resample(maps, down.samples(rows), across.samples(columns))
    settings = {"layer": name, "cell_pixels": [down.step, across.step]}
    return np.broadcast_to(evidence, (subject.slices, rows, columns)), settings


def occlusion(
    subject: Subject, *, spacing: float, at_once: int
) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """Hide one place of one slice after another, and see what that takes from the logit.

    Zeiler and Fergus 2014 (ECCV, p. 818). A place is hidden by blur, not by black: what is black
    on MRI may itself be taken for bone.

    Returns
    -------
    float32 (slices, rows, columns) and the settings
        The mean loss of the margin over all patches that hid a pixel.

    Raises
    ------
    UsageError
        A patch is larger than the images.
    """
    from captum.attr import Occlusion

    patch, step = (max(1, round(length / spacing)) for length in (PATCH, STEP))
    sequences = subject.images.shape[1] // subject.slices
    # A slice is hidden in all sequences at once, so they get an axis of their own.
    rows, columns = subject.images.shape[2:]
    if patch > min(rows, columns):
        raise UsageError(
            f"the images are {min(rows, columns) * spacing:g} mm, and occlusion hides {PATCH:g} mm "
            "at once",
            advice="explain by grad-cam, or train on larger images",
        )
    images = subject.images.view(1, sequences, subject.slices, rows, columns)
    blurred = ndimage.gaussian_filter(images.cpu().numpy(), patch / 2, axes=(3, 4))
    method = Occlusion(lambda each: subject.margins(each.flatten(1, 2)))
    with torch.no_grad():
        losses = method.attribute(
            images,
            sliding_window_shapes=(sequences, 1, patch, patch),
            strides=(sequences, 1, step, step),
            baselines=torch.from_numpy(blurred).to(images.device),
            perturbations_per_eval=at_once,
        )
    settings = {"patch_mm": patch * spacing, "step_mm": step * spacing, "hidden_by": "blur"}
    return losses[0].mean(dim=0).cpu().numpy().astype(np.float32), settings


def _layer(network: nn.Module, name: str, backbone: str) -> nn.Module:
    if not name:
        raise UsageError(
            "the backbone names no layer to draw a map from",
            where=f"backbone {backbone!r}",
            advice="use occlusion, or Backbone(..., map_layer=...) in the plug-in",
            code="MAP_LAYER_MISSING",
        )
    try:
        return network.get_submodule(name)
    except AttributeError as error:
        raise BackboneContractError(
            "the backbone names a layer that its network does not have",
            where=f"backbone {backbone!r}, map_layer {name!r}",
            advice=NO_MAPS,
        ) from error


def onto_series(
    evidence: NDArray[np.float32], prepared: Volume, original: Volume
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Bring values from the prepared pixels back to the pixels of the series as it was stored.

    Parameters
    ----------
    evidence
        float32 (slices, rows, columns), on the pixels of ``prepared``.
    prepared
        What :meth:`~cervispine.Preprocessor.prepare` made of ``original``.
    original
        The series as it was read, its axes in any order.

    Returns
    -------
    values : float32, of the shape of ``original``
        By linear interpolation in-plane; 0 where ``seen`` is False.
    seen : bool, of the same shape
        The pixels whose centres lie within the prepared images.
    """
    # Preprocessing permutes, flips, crops and scales axes, and so does this matrix. Slices fall on
    # slices: what inverting left of fractions would let one slice shine into the next.
    back = (np.linalg.inv(prepared.affine) @ original.affine).round(9)
    matrix, shift, shape = back[:3, :3], back[:3, 3], original.pixels.shape
    inside = np.ones(evidence.shape, dtype=np.uint8)
    seen = ndimage.affine_transform(
        inside, matrix, shift, output_shape=shape, order=0, mode="grid-constant"
    ).astype(bool)
    values = ndimage.affine_transform(
        np.ascontiguousarray(evidence, dtype=np.float32),
        matrix, shift, output_shape=shape, order=1, mode="nearest",
    )  # fmt: skip
    return np.where(seen, values, np.float32(0)), seen
