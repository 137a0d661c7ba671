"""A fitted network as an ONNX file beside its weights, and ONNX Runtime to read with it."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import nn

from cervispine.classification.engines import Engine, probe_images, weights_now
from cervispine.classification.folding import TOLERANCE, largest_difference
from cervispine.exceptions import MissingExtraError, ModelFormatError, UsageError
from cervispine.records.files import write_bytes, write_json

if TYPE_CHECKING:
    from cervispine.classification.estimator import Classifier

__all__ = ["EXPORT", "NETWORK", "OnnxNetwork", "choose_engine", "export_network", "onnx_of"]

logger = logging.getLogger("cervispine.inference")

FORMAT = "cervispine/export"
VERSION = 1
NETWORK = "model.onnx"
EXPORT = "export.json"

#: What a network takes in an ONNX file beside its weights.
LARGEST_GRAPH = 16_000_000


class OnnxNetwork(nn.Module):
    """An ONNX file that ONNX Runtime computes, in float32 and with as many threads as torch.

    Parameters
    ----------
    content
        The file.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__()
        runtime = _imported("onnxruntime")
        # Some builds report their use to their makers.
        runtime.disable_telemetry_events()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self.session = runtime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.input = self.session.get_inputs()[0].name

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map float32 (n, channels, rows, columns) to logits (n, 2)."""
        given = {self.input: images.cpu().contiguous().numpy()}
        (logits,) = self.session.run(None, given)
        return torch.from_numpy(logits)


def export_network(classifier: Classifier, folder: Path, weights_sha256: str) -> Path:
    """Write the network of a fitted classifier as ONNX, once ONNX Runtime gives its answers.

    Parameters
    ----------
    classifier
        Fitted.
    folder
        Of the saved model.
    weights_sha256
        Of the weights saved there.

    Raises
    ------
    MissingExtraError
        onnx, onnxscript or onnxruntime is not installed.
    ModelFormatError
        The network cannot be written as ONNX, or answers otherwise there (``EXPORT_DIFFERS``).
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        _imported(name)
    content = onnx_of(classifier)
    difference = _difference(OnnxNetwork(content), classifier)
    if difference > TOLERANCE:
        raise _differs(folder, difference)
    write_bytes(folder / NETWORK, content)
    write_json(
        folder / EXPORT,
        {
            "format": FORMAT,
            "version": VERSION,
            "weights_sha256": weights_sha256,
            "network_sha256": hashlib.sha256(content).hexdigest(),
            "largest_difference": difference,
            "versions": {name: version(name) for name in ("torch", "onnx", "onnxruntime")},
        },
    )
    return folder / NETWORK


def choose_engine(
    classifier: Classifier, folder: Path, name: str, weights_sha256: str
) -> Engine | None:
    """Return the engine asked for; None for torch, whose engine is made when it is needed.

    Raises
    ------
    MissingExtraError
        onnxruntime is not installed.
    ModelFormatError
        There is no export (``EXPORT_MISSING``), or it is damaged, of other weights, or answers
        otherwise than torch (``EXPORT_DIFFERS``). "auto" goes on with torch instead, and logs why.
    UsageError
        The device is not the CPU, and "auto" was not asked for, which then takes torch.
    """
    if name == "torch":
        return None
    if name == "onnxruntime":
        return _read(classifier, folder, weights_sha256)
    if classifier.device_.type != "cpu" or not (folder / EXPORT).exists():
        return None
    try:
        return _read(classifier, folder, weights_sha256)
    except (MissingExtraError, ModelFormatError) as error:
        logger.warning("reading with torch: %s", error.what)
        return None


def _read(classifier: Classifier, folder: Path, weights_sha256: str) -> Engine:
    if classifier.device_.type != "cpu":
        raise UsageError(
            f"onnxruntime reads on the CPU, and the device is {classifier.device_}",
            advice="device='cpu', or engine='torch'",
        )
    _imported("onnxruntime")
    try:
        record = json.loads((folder / EXPORT).read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFormatError(
            "the model was not exported",
            where=str(folder),
            advice="`cervispine export MODEL` writes what this engine reads; or engine='torch'",
            code="EXPORT_MISSING",
        ) from error
    except (ValueError, RecursionError) as error:
        raise _refused(folder, f"{EXPORT} cannot be read") from error
    if not isinstance(record, dict) or (record.get("format"), record.get("version")) != (
        FORMAT, VERSION,
    ):  # fmt: skip
        raise _refused(folder, f"{EXPORT} does not say {FORMAT!r}, version {VERSION}")
    if record.get("weights_sha256") != weights_sha256:
        raise _refused(folder, "it was made from other weights than those beside it")
    content = _network(folder, classifier, str(record.get("network_sha256")))
    try:
        network = OnnxNetwork(content)
        difference = _difference(network, classifier)
    except Exception as error:
        raise _refused(folder, f"{NETWORK} is no network of these images") from error
    if difference > TOLERANCE:
        raise _differs(folder, difference)
    name = f"onnxruntime {version('onnxruntime')}"
    return Engine(network, name, weights_now(classifier.module_))


def _network(folder: Path, classifier: Classifier, sha256: str) -> bytes:
    weights = sum(
        value.numel() * value.element_size() for value in classifier.module_.state_dict().values()
    )
    try:
        if (folder / NETWORK).stat().st_size > weights + LARGEST_GRAPH:
            raise _refused(folder, f"{NETWORK} is larger than its weights")
        content = (folder / NETWORK).read_bytes()
    except OSError as error:
        raise _refused(folder, f"{NETWORK} cannot be read") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _refused(folder, f"{NETWORK} is damaged or of another model: its hash differs")
    return content


def onnx_of(classifier: Classifier) -> bytes:
    """Return the network of a fitted classifier as an ONNX file.

    Raises
    ------
    ModelFormatError
        ``EXPORT_IMPOSSIBLE``.
    """
    images = probe_images(classifier.preprocessor_)
    network = classifier.module_.eval()
    device = classifier.device_
    # torch says how far it has come on standard output, and warns of what is its own affair.
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                network.to("cpu"),
                (images,),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: torch.export.Dim("studies")},),
            )
        except Exception as error:
            raise ModelFormatError(
                f"the network of {classifier.backbone} cannot be written as ONNX",
                advice="read with engine='torch'",
                code="EXPORT_IMPOSSIBLE",
            ) from error
        finally:
            network.to(device)
    assert program is not None
    content: bytes = program.model_proto.SerializeToString()
    return content


@torch.inference_mode()
def _difference(network: nn.Module, classifier: Classifier) -> float:
    probe = probe_images(classifier.preprocessor_)
    expected = classifier.module_.eval()(probe.to(classifier.device_)).cpu()
    return largest_difference(network, expected, probe)


def _imported(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError(
            f"{name} is not installed",
            advice="pip install 'cervispine[onnxruntime]', or read with engine='torch'",
        ) from error


def _refused(folder: Path, reason: str) -> ModelFormatError:
    return ModelFormatError(
        f"this is not an export that can be used: {reason}",
        where=str(folder),
        advice="`cervispine export MODEL` writes it anew; or engine='torch'",
    )


def _differs(folder: Path, difference: float) -> ModelFormatError:
    return ModelFormatError(
        f"the export gives probabilities that differ from the network's by {difference:.1e}",
        where=str(folder),
        advice="read with engine='torch'",
        code="EXPORT_DIFFERS",
    )
