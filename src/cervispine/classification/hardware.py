"""Which device, which precision and how much memory the machine offers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cervispine.exceptions import ResourceError, UsageError

__all__ = ["choose_device", "choose_precision", "within_memory"]

PRECISIONS = ("auto", "float32", "bfloat16")


def choose_device(name: str) -> torch.device:
    """Return the device asked for; "auto" is the GPU where there is one, else the CPU.

    Raises
    ------
    UsageError
        When a device asked for by name is not there (``DEVICE_MISSING``): only "auto" falls back.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            f"the device {name!r} cannot be used here",
            advice="device='auto' takes a GPU where there is one and the CPU otherwise",
            code="DEVICE_MISSING",
        ) from error
    return device


@contextmanager
def within_memory(device: torch.device) -> Iterator[None]:
    """Turn a lack of memory into an error that says what to do.

    Raises
    ------
    ResourceError
        When the device, or the machine, has no memory left.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # A GPU's lack has a class of its own, torch.OutOfMemoryError; a processor's has not.
        known = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if not known and "DefaultCPUAllocator" not in str(error):
            raise
        raise ResourceError(
            "out of memory",
            where=f"device {device}",
            advice="a smaller batch_size, smaller images, or a smaller backbone",
        ) from error


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the type that training computes in; "auto" is bfloat16 where it is native.

    Evaluation is in float32 whatever this says: the figures of a paper must not depend on it.
    """
    if name not in PRECISIONS:
        raise UsageError(f"precision is one of {PRECISIONS}, not {name!r}")
    if name == "auto":
        return torch.bfloat16 if _native_bfloat16(device) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Emulated bfloat16 is slower than float32, so only processors that have it count.
    return device.type == "cpu" and _avx512_bfloat16()


def _avx512_bfloat16() -> bool:
    # Absent from older releases of torch, where float32 is the safe answer.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16", False))
