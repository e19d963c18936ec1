"""How many rows fit into memory, and what running out of it looks like. Knows models' shapes; samples nothing."""

from __future__ import annotations

from typing import Any

_SHARE = 0.6
"""Of the free memory that is planned for rows: growing and shrinking a batch needs some twice."""

_AT_MOST = 512
"""Rows: with the lab's model on one CPU thread 512 took 13 to 18 % less time than 256, 1024 only 5 % less than 512."""

_WORK = 8
"""Copies of a row's logits, float32, that drawing a token makes: scaled, sorted, filtered, cumulated and so on."""


def rows_that_fit(model: Any, tokens: int) -> int:
    """Rows side by side for which the memory that is free now suffices, at least 1.

    Args:
        tokens: of prompt and completion, at most.
    """
    per_row = cache_bytes(model) * tokens + _WORK * 4 * vocabulary(model)
    return max(1, min(_AT_MOST, int(_SHARE * free_bytes(model.device) / per_row)))


def cache_bytes(model: Any) -> int:
    """Bytes of keys and values per token."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * config.num_hidden_layers * kept * size * model.dtype.itemsize)


def vocabulary(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


def free_bytes(device: Any) -> int:
    """Bytes that can still be had on a device (a torch.device): of the machine, and within this process's limits."""
    if device.type == "cuda":
        import torch

        # what torch holds in its own pool but does not use is free for the rows
        pooled = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + pooled
    import resource

    import psutil

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    left = limit - psutil.Process().memory_info().vms if limit != resource.RLIM_INFINITY else None
    free = int(psutil.virtual_memory().available)
    return free if left is None else max(0, min(free, left))


def free_cached() -> None:
    """Give back what is not used any more, after running out."""
    import gc

    import torch

    gc.collect()  # a traceback may hold what the failed step had made
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    import torch

    on_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator: can't allocate" in str(error)  # no class for it
    return on_cpu or isinstance(error, (torch.OutOfMemoryError, MemoryError))
