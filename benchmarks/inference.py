"""How fast a fitted ResNet-50 reads one patient: eager float32 torch against each engine.

Prints `name ratio target pass|fail`, where the ratio is the median over rounds of eager time over
an engine's, all of them in turn in each round, on one thread, in processor time: what else the
machine does then counts little. The largest change of a probability stands beside it, and must not
pass 1e-5. OpenVINO is measured as the other engine that could have been the extra.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from cervispine import OPLLClassifier, Preprocessor
from cervispine.backbones import build_backbone
from cervispine.classification.engines import torch_engine
from cervispine.classification.exporting import OnnxNetwork, onnx_of

ROUNDS = 20
TOLERANCE = 1e-5
TARGETS = {"torch": 1.15, "onnxruntime": 2.2, "openvino": None}

Read = Callable[[torch.Tensor], torch.Tensor]


def fitted_network() -> nn.Module:
    """Return a ResNet-50 whose batch normalisation has seen images, as after a training."""
    torch.manual_seed(0)
    network = build_backbone("resnet50", in_channels=3, num_classes=2)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        for _ in range(4):
            network(torch.rand(4, 3, 224, 224))
    return network.eval()


def openvino_engine(content: bytes) -> Read:
    # The package reports its use to its makers when it is imported; nothing here may do that.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    core = openvino.Core()
    settings = {
        # Without this it would take bfloat16 where the processor has it.
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
    }
    compiled = core.compile_model(core.read_model(content), "CPU", settings)
    return lambda images: torch.from_numpy(compiled(images.numpy())[0])


@torch.inference_mode()
def main() -> int:
    torch.set_num_threads(1)
    classifier = OPLLClassifier(backbone="resnet50")
    classifier.module_, classifier.preprocessor_ = fitted_network(), Preprocessor()
    classifier.device_ = torch.device("cpu")
    with torch.inference_mode(False):
        content = onnx_of(classifier)
        engine = torch_engine(classifier.module_, classifier.preprocessor_, classifier.device_)
    reads: dict[str, Read] = {
        "eager": classifier.module_,
        "torch": engine.network,
        "onnxruntime": OnnxNetwork(content),
    }
    try:
        reads["openvino"] = openvino_engine(content)
    except ImportError:
        print("openvino is not installed: not measured")
    seconds: dict[str, list[float]] = {name: [] for name in reads}
    moved = dict.fromkeys(reads, 0.0)
    for number in range(ROUNDS + 1):
        images = torch.rand(1, 3, 224, 224)
        answers = {}
        for name, read in reads.items():
            start = time.process_time()
            answers[name] = torch.softmax(read(images), 1)
            if number:  # the first round warms up
                seconds[name].append(time.process_time() - start)
        for name, answer in answers.items():
            moved[name] = max(moved[name], float((answer - answers["eager"]).abs().max()))
    print(f"torch {torch.__version__}, {engine.name}; "
          f"{torch.backends.cpu.get_cpu_capability()}, one thread")  # fmt: skip
    failed = False
    for name, target in TARGETS.items():
        if name not in reads:
            continue
        ratio = float(np.median(np.divide(seconds["eager"], seconds[name])))
        passed = ratio >= (target or 0) and moved[name] <= TOLERANCE
        failed |= not passed and target is not None
        verdict = "-" if target is None else "pass" if passed else "fail"
        print(f"inference_{name} {ratio:.2f} {target or '-'} {verdict} "
              f"({1e3 * np.median(seconds[name]):.1f} ms against "
              f"{1e3 * np.median(seconds['eager']):.1f} ms; probabilities move by "
              f"{moved[name]:.1e})")  # fmt: skip
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
