"""Memory of a rollout engine: vLLM's share of a GPU, and how much of it is left for the KV cache. Bytes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lrmctl.planning.memory_items import RULE, VLLM, MemoryItem
from lrmctl.planning.model_shape import ModelShape

GPU_SHARE = {"colocated": 0.6, "separate": 0.9}
"""Default share of a GPU, colocated and with its own GPUs."""
_BATCHED = 8192  # tokens of one step with which vLLM profiles its activations
_SEQUENCES = 256  # sequences with logits in that profile
_GRAPHS = 1024**3


@dataclass(frozen=True)
class ServingMemory:
    """A rollout engine on one of its GPUs.

    Attributes:
        share: bytes that vLLM takes, including the KV cache.
        kv_cache: bytes left for the cache; negative if not even the rest fits.
        per_token: bytes of keys and values of one token on one GPU.
        sequences: number of sequences of `length` tokens that fit into one engine's cache.
        figures: breakdown of the share.
    """

    share: int
    kv_cache: int
    per_token: int
    length: int
    sequences: int
    figures: tuple[MemoryItem, ...]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "figures": [f.to_json() for f in self.figures]}


def kv_bytes_per_token(shape: ModelShape, tensor_parallel: int = 1) -> int:
    """Bytes of one token's keys and values in bf16, on one of `tensor_parallel` GPUs; heads are never split."""
    heads = max(1, shape.kv_heads // tensor_parallel)
    return 2 * shape.layers * heads * shape.head_dim * 2


def serving(
    shape: ModelShape, capacity: int, share: float, *, length: int, tensor_parallel: int = 1, graphs: bool = True
) -> ServingMemory:
    """How vLLM uses its share of a GPU with `capacity` bytes.

    Args:
        length: tokens of the longest sequence, prompt and response.
    """
    total, role = int(share * capacity), "rollout engine"
    per_token = kv_bytes_per_token(shape, tensor_parallel)
    weights = 2 * shape.parameters // tensor_parallel
    working = 2 * _BATCHED * (3 * shape.intermediate // tensor_parallel + 4 * shape.hidden)
    working += 8 * _SEQUENCES * shape.vocab
    drawn = _GRAPHS if graphs else 0
    cache = total - weights - working - drawn
    figures = (
        MemoryItem(role, "weights", weights, "2 P / tensor_parallel", f"{VLLM}: dtype bfloat16"),
        MemoryItem(role, "working memory", working, "8192 tokens, logits of 256 sequences", RULE),
        MemoryItem(role, "CUDA graphs", drawn, "1 GiB", RULE),
        MemoryItem(
            role, "KV cache", max(0, cache), "the rest of the share; 4 L kv_heads head_dim a token", "arXiv 2309.06180"
        ),
    )
    fitting = max(0, cache // per_token // length)
    return ServingMemory(total, cache, per_token, length, fitting, figures)
