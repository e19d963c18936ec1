"""Which errors are of running out of memory, and may be answered by a smaller batch."""

from __future__ import annotations

import pytest
import torch

from lrmctl.engines.hf.memory import out_of_memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("CUDA error: out of memory"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_is_recognised(error: Exception) -> None:
    assert out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("shape mismatch"),
        ValueError("out of memory"),
    ],
)
def test_other_errors_are_not(error: Exception) -> None:
    assert not out_of_memory(error)
