"""What is installed and what it can do: versions, devices, decoders, plug-ins."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["diagnose"]

DISTRIBUTIONS = (
    "cervispine",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "scikit-learn",
    "nibabel",
    "pydicom",
    "pylibjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "pyjpegls",
    "pillow",
    "python-gdcm",
    "onnxruntime",
)


def diagnose() -> dict[str, str]:
    """Return a table of what can matter to a result: names and values, ready to print."""
    found = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    found |= {name: _version(name) for name in DISTRIBUTIONS}
    return found | _devices() | _decoders() | _plugins()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> dict[str, str]:
    try:
        import torch
    except ImportError as error:
        return {"device": f"torch does not import ({type(error).__name__})"}
    from cervispine.classification.hardware import choose_device, choose_precision

    device = choose_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    precision = str(choose_precision("auto", device)).removeprefix("torch.")
    return {"device": name, "training precision": precision}


def _decoders() -> dict[str, str]:
    from pydicom.uid import UID

    from cervispine.loading.decoders import DECODERS, missing_decoder

    table = {}
    for syntax, choice in sorted(DECODERS.items()):
        install = missing_decoder(syntax)
        answer = choice.package if install is None else f"missing; pip install {install}"
        table[f"decoder {UID(syntax).name[:60]}"] = answer
    return table


def _plugins() -> dict[str, str]:
    from cervispine.backbones import list_backbones
    from cervispine.loading import list_loaders

    return {
        f"{plugin.kind} {plugin.name}": f"{plugin.distribution} {plugin.version}"
        for plugin in (*list_backbones(), *list_loaders())
    }
