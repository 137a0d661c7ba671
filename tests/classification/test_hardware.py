"""What a machine lacks is told as what to do about it."""

from __future__ import annotations

import pytest
import torch

from cervispine.classification.hardware import within_memory
from cervispine.exceptions import ResourceError


@pytest.mark.parametrize(
    "lack",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=["Python", "GPU", "processor"],
)
def test_a_lack_of_memory_says_what_to_do(lack: Exception) -> None:
    with pytest.raises(ResourceError, match="batch_size"), within_memory(torch.device("cpu")):
        raise lack


def test_another_fault_is_not_called_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"), within_memory(torch.device("cpu")):
        raise RuntimeError("shapes differ")
