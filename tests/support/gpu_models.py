"""Random models of 0.1 to 1 billion parameters, made where they are needed; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SIZES: dict[str, dict[str, int]] = {
    "small": {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 8, "num_attention_heads": 12},
    "half": {"hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 24, "num_attention_heads": 16},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
}
"""`small`: 0.1, `half`: 0.45 billion parameters with a vocabulary of 32,000; `tiny` is for trying a test on a CPU."""


def config_of(family: str = "llama", size: str = "small", vocab: int = 32_000, **changes: Any) -> Any:
    """A configuration with four query heads (`small`: three) for each key head, and end-of-text token 0."""
    from transformers import AutoConfig

    shape = {**SIZES[size], "num_key_value_heads": 4 if size != "tiny" else 2, "head_dim": 64, "vocab_size": vocab}
    ends = {"eos_token_id": 0, "bos_token_id": 0, "pad_token_id": 0}
    return AutoConfig.for_model(family, **{"max_position_embeddings": 4096, **shape, **ends, **changes})


def network(config: Any, *, device: str = "cpu", dtype: str = "float32", seed: int = 0) -> Any:
    """A model with random weights, in evaluation mode, with an output head far from uniform."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(12)
    return model.eval()


def saved(folder: Path, config: Any, seed: int = 0) -> Path:
    """A checkpoint of random weights in bf16, with the tokenizer of one token per character."""
    from tiny_network import tiny_tokenizer

    network(config, device="cuda", dtype="bfloat16", seed=seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def prompts_of(count: int, shortest: int, longest: int, vocab: int, seed: int = 0) -> list[list[int]]:
    """Random token ids, without the end-of-text token."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(shortest, longest + 1, (count,), generator=generator).tolist()
    return [torch.randint(1, vocab, (n,), generator=generator).tolist() for n in lengths]
