"""What real transformers models take, measured with torch on CPU: the memory model is held against this."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lrmctl.planning.model_shape import ModelShape

SHAPES = {
    "llama": {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 6, "num_attention_heads": 8},
    "qwen2": {"hidden_size": 448, "intermediate_size": 2368, "num_hidden_layers": 7, "num_attention_heads": 7},
    "qwen3": {
        "hidden_size": 512,
        "intermediate_size": 1536,
        "num_hidden_layers": 6,
        "num_attention_heads": 8,
        "head_dim": 128,
    },
}
VOCAB = 16_000


def build(
    family: str, *, tied: bool = False, dtype: torch.dtype = torch.float32, attention: str = "sdpa", **changes: Any
) -> Any:
    """A real model of the family with random weights."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {"num_key_value_heads": 1 if family == "qwen2" else 4, "vocab_size": VOCAB, **SHAPES[family], **changes}
    config = AutoConfig.for_model(family, tie_word_embeddings=tied, max_position_embeddings=4096, **shape)
    config.use_cache = False
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention, dtype=dtype)
    return model.train()


def shape_of(model: Any) -> ModelShape:
    from lrmctl.planning.model_shape import shape_from_config

    return shape_from_config(model.config.to_dict(), "measured", "transformers")


def tensor_bytes(tensors: Any) -> int:
    return sum(t.numel() * t.element_size() for t in tensors if isinstance(t, torch.Tensor))


def saved_bytes(model: nn.Module, ids: torch.Tensor) -> int:
    """Bytes that a forward pass keeps for the backward one: distinct storages, parameters and buffers left out."""
    own = {t.untyped_storage().data_ptr() for t in [*model.parameters(), *model.buffers()]}
    kept: dict[int, int] = {}
    holds = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
            holds.append(storage)  # so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        output = model(ids, use_cache=False).logits
    logits = output.untyped_storage().data_ptr()
    return sum(size for place, size in kept.items() if place != logits)
