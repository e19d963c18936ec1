"""How far the memory model is off: against published figures, and against real transformers models under torch.

    python tests/benchmarks/memory_model.py

Saved activations are measured with saved-tensor hooks on small models. Peaks of a whole forward and backward pass are
measured at full size with fake tensors and torch's memory tracker, which allocates nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "planning"))

from measured import SHAPES, build, saved_bytes, shape_of

from lrmctl.planning import training_memory as train
from lrmctl.planning.model_shape import ModelShape, known_models
from lrmctl.planning.training_memory import TrainedModelMemory

GIB = 1024**3


class KernelLoss(torch.autograd.Function):
    """Takes the memory of flash-attention's cross entropy: logits are kept as they are, one gradient comes back."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(logits)
        return logits.detach()[:, 0] * 1.0

    @staticmethod
    def backward(ctx: Any, *_: torch.Tensor) -> torch.Tensor:
        return torch.empty_like(ctx.saved_tensors[0])


def _kernel_attention(module: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> tuple[torch.Tensor, None]:
    """Causal attention without a mask tensor and without repeated keys, as flash attention takes it."""
    out = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=module.scaling, enable_gqa=True
    )
    return out.transpose(1, 2).contiguous(), None


def line(what: str, model: float, real: float, unit: float = GIB) -> None:
    print(f"{what:72} model {model / unit:9.3f}  real {real / unit:9.3f}  {model / real - 1:+7.2%}")


def trained(shape: ModelShape, **changes: Any) -> TrainedModelMemory:
    base: dict[str, Any] = {"role": "actor", "element": 2, "processes": 1, "zero_stage": 0, "offload": False}
    return TrainedModelMemory(shape=shape, **{**base, "checkpointing": False, "tokens": 1, **changes})


def published() -> None:
    print("ZeRO, arXiv 1910.02054, figure 1: 7.5e9 parameters, 64 GPUs (1e9 bytes)")
    for stage, known in ((0, 120), (1, 31.4), (2, 16.6), (3, 1.9)):
        model = trained(known_models()["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"], processes=64, zero_stage=stage)
        states = sum(f.bytes for f in train.resident(model)) / model.parameters * 7.5e9
        line(f"  stage {stage}", states, known * 1e9, 1e9)


def activations_of_gpt() -> None:
    """The measure itself: GPT's layer against s b h (34 + 5 a s / h) of arXiv 2205.05198, equation 1.

    A mask of dropout is one byte in the paper and two (bf16) in torch on CPU, hence 36 and 6.
    """
    from transformers import GPT2Config, GPT2LMHeadModel

    saved = []
    for layers in (2, 4):
        shape = {"n_layer": layers, "n_embd": 512, "n_head": 8, "n_positions": 512, "vocab_size": 1000}
        config = GPT2Config(**shape, activation_function="gelu", use_cache=False, bos_token_id=0, eos_token_id=0)
        model = GPT2LMHeadModel._from_config(config, attn_implementation="eager", dtype=torch.bfloat16).train()
        saved.append(saved_bytes(model, torch.randint(0, 100, (2, 256))))
    line("GPT layer, s b h (36 + 6 a s / h)", 512 * 512 * (36 + 6 * 8 * 256 / 512), (saved[1] - saved[0]) / 2, 1024**2)


def saved() -> None:
    print("activations kept for the backward pass, 512 tokens (MiB)")
    for family in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            for checkpointing in (False, True):
                model = build(family, dtype=dtype)
                if checkpointing:
                    model.gradient_checkpointing_enable({"use_reentrant": False})
                figures = train.activations(
                    trained(shape_of(model), element=dtype.itemsize, tokens=512, checkpointing=checkpointing)
                )
                expected = sum(f.bytes for f in (figures[:1] if checkpointing else figures))
                name = f"  {family} {str(dtype)[6:]}{' checkpointed' if checkpointing else ''}"
                line(name, expected, saved_bytes(model, torch.randint(0, 100, (2, 256))), 1024**2)


def peak(name: str, tokens: int, checkpointing: bool, temperature: float = 1.0) -> None:
    """Largest amount beside weights and gradients during one forward and backward pass."""
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.distributed._tools.mem_tracker import MemTracker

    shape = known_models()[name]
    with FakeTensorMode():
        model = _full_size(shape)
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        for parameter in model.parameters():  # a gradient is given away as soon as it is there
            parameter.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))
        tracker = MemTracker()
        tracker.track_external(model)
        with tracker:
            output = model(torch.zeros(1, tokens, dtype=torch.long), use_cache=False)
            output["logits"] = output["logits"].to(torch.float32)  # from here on as openrlhf/models/actor.py does
            if temperature != 1.0:
                output["logits"].div_(temperature)
            KernelLoss.apply(output["logits"].reshape(-1, shape.vocab)).sum().backward()
    (snapshot,) = tracker.get_tracker_snapshot("peak").values()
    real = sum(v for k, v in snapshot.items() if str(k) == "Total")
    weights = 2 * shape.parameters
    estimated = trained(shape, tokens=tokens, checkpointing=checkpointing, head=shape.vocab, temperature=temperature)
    passes = sum(f.bytes for f in train.passing(estimated))
    kind = "checkpointed" if checkpointing else "whole"
    line(f"  {name.split('/')[1]}, {tokens} tokens, {kind}, T={temperature}", passes, real - weights)


def _full_size(shape: ModelShape) -> Any:
    changes = {
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocab,
    }
    from transformers import AttentionInterface

    AttentionInterface.register("kernel", _kernel_attention)
    return build(shape.family, tied=shape.tied, dtype=torch.bfloat16, attention="kernel", **changes)


def main() -> None:
    published()
    activations_of_gpt()
    saved()
    print("peak of one pass beside weights and gradients, bf16, full size (GiB)")
    peak("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 4096, True)
    peak("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 4096, False)
    peak("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 4096, True, 0.6)
    peak("Qwen/Qwen3-4B", 4096, False)
    peak("deepseek-ai/DeepSeek-R1-Distill-Llama-8B", 8192, True)


if __name__ == "__main__":
    main()
