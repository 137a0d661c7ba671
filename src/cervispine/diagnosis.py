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
    "pydicom",
    "pylibjpeg",
    "pyjpegls",
    "python-gdcm",
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
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import UID, AllTransferSyntaxes

    table = {}
    for syntax in AllTransferSyntaxes:
        uid = UID(syntax)
        if uid.is_private or not uid.is_transfer_syntax:
            continue
        try:
            decoder = get_decoder(uid)
        except NotImplementedError:
            continue
        answer = ", ".join(decoder.available_plugins) if decoder.is_available else "missing"
        table[f"decoder {uid.name[:60]}"] = answer or "native"
    return table


def _plugins() -> dict[str, str]:
    from cervispine.backbones import list_backbones

    return {
        f"backbone {backbone.name}": f"{backbone.distribution} {backbone.version}"
        for backbone in list_backbones()
    }
