"""The memory model of plans against the peaks of torch's allocator, for one process on one GPU.

The SFT step is plain torch with the states that OpenRLHF and DeepSpeed hold: bf16 weights and gradients, fp32 master
weights and Adam's moments, fp32 logits that live through the backward pass, and a cross entropy that keeps nothing but
one gradient, as flash-attention's kernel. `test_gpu_training.py` takes the same figures of the real trainer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gpu_figures import Figures, peak_bytes
from gpu_models import config_of, network, prompts_of, saved

MIB = 1024**2
MARGIN = 0.15
"""A plan may be below the peak by this share of the peak; activations and the allocator's rounding are not exact."""
_ROWS, _LENGTH = 4, 1024


def planned_bytes(config: Any, checkpointing: bool) -> dict[str, int]:
    """What the plan of an SFT recipe says of one process, by item, without the CUDA context."""
    from lrmctl.planning.derived import DataFacts
    from lrmctl.planning.describe import describe
    from lrmctl.planning.model_shape import shape_from_config
    from lrmctl.planning.workload import Lengths
    from lrmctl.recipe.schema.recipes import SftRecipe

    optimizer = {"micro_batch_size": _ROWS, "zero_stage": 0, "gradient_checkpointing": checkpointing, "packing": False}
    recipe = SftRecipe.model_validate(
        {
            "kind": "sft",
            "name": "plan",
            "model": "m",
            "data": {"sources": [{"use": "lab-teacher"}], "max_len": _LENGTH},
            "train": {"epochs": 1, "batch_size": _ROWS},
            "optimizer": {"learning_rate": 1e-4, **optimizer},
        }
    )
    shape = shape_from_config(config.to_dict(), "m", "here")
    facts = DataFacts(rows=64, lengths=Lengths(_LENGTH))
    memory = describe(recipe, shape, device="cuda", dtype="bf16", data=facts).memory
    assert memory is not None
    return {item.what: item.bytes for item in memory.groups[0].peak.figures if item.what != "CUDA context"}


def log_probabilities(logits: Any, labels: Any) -> Any:
    """Of the labels `[T]` under logits `[T, V]`; for the backward pass one fp32 gradient and nothing else is made."""
    import torch

    class Kernel(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, logits: Any, labels: Any) -> Any:
            total = torch.cat([part.logsumexp(-1) for part in logits.split(512)])
            ctx.save_for_backward(logits, labels, total)
            return logits.gather(1, labels[:, None])[:, 0] - total

        @staticmethod
        def backward(ctx: Any, *given: Any) -> Any:
            logits, labels, total = ctx.saved_tensors
            out = torch.empty_like(logits)
            for start in range(0, len(logits), 512):
                rows = slice(start, start + 512)
                torch.sub(logits[rows], total[rows, None], out=out[rows])
                out[rows].exp_().mul_(-given[0][rows, None])
            return out.scatter_add_(1, labels[:, None], given[0][:, None]), None

    return Kernel.apply(logits, labels)  # type: ignore[no-untyped-call]


def train(model: Any, steps: int = 2) -> list[float]:
    """Steps of SFT on random tokens, with the states of DeepSpeed's bf16 optimizer; the losses."""
    import torch

    weights = list(model.parameters())
    masters = [weight.detach().float() for weight in weights]
    optimizer = torch.optim.AdamW(masters, lr=1e-4, fused=model.device.type == "cuda")
    tokens = torch.randint(1, model.config.vocab_size, (_ROWS, _LENGTH), device=model.device)
    losses = []
    for _ in range(steps):
        logits = model(input_ids=tokens, use_cache=False).logits.float()
        flat = log_probabilities(logits.flatten(0, 1), tokens.roll(-1, 1).flatten())
        loss = -flat.mean()
        loss.backward()
        losses.append(float(loss.detach()))
        del logits, flat, loss
        for master, weight in zip(masters, weights, strict=True):
            master.grad = weight.grad.float()
        optimizer.step()
        with torch.no_grad():
            for master, weight in zip(masters, weights, strict=True):
                weight.copy_(master)
                master.grad = weight.grad = None
    return losses


@pytest.mark.parametrize("checkpointing", [True, False], ids=["checkpointing", "no checkpointing"])
@pytest.mark.parametrize(("family", "vocab"), [("llama", 32_000), ("qwen3", 152_000)])
def test_an_sft_step_takes_no_more_than_planned(family: str, vocab: int, checkpointing: bool, figures: Figures) -> None:
    import torch

    config = config_of(family, "half", vocab, tie_word_embeddings=family == "qwen3")
    model = network(config, device="cuda", dtype="bfloat16").train()
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    losses: list[float] = []
    peak = peak_bytes(lambda: losses.extend(train(model)))
    reserved = torch.cuda.max_memory_reserved()
    items = planned_bytes(config, checkpointing)
    planned = sum(items.values())
    size = sum(p.numel() for p in model.parameters()) / 1e9
    how = "checkpointing" if checkpointing else "no checkpointing"
    case = f"SFT step, {family} of {size:.2f} B, V = {vocab:,}, {_ROWS} x {_LENGTH:,} tokens, {how}"
    figures.add("memory", f"{case}: planned over allocated", planned / peak, "times", _note(planned, peak, reserved))
    assert all(loss == loss and loss < 1e4 for loss in losses)
    assert planned > (1 - MARGIN) * peak, items


def _note(planned: int, peak: int, reserved: int) -> str:
    return f"{planned / MIB:,.0f} against {peak / MIB:,.0f} MiB (reserved {reserved / MIB:,.0f}), without the context"


def test_generation_stays_within_the_memory_that_its_rows_are_counted_with(tmp_path: Path, figures: Figures) -> None:
    """The engine fills a share of the free memory with rows, and the rest must be enough for everything else."""
    import torch

    from lrmctl.engines.base import GenerationRequest, Sampling
    from lrmctl.engines.hf import memory
    from lrmctl.engines.hf.engine import HfEngine

    rows, new = 256, 128
    engine = HfEngine(saved(tmp_path / "model", config_of(size="half")), batch_size=rows, device="cuda")
    engine.prepare()
    weights = torch.cuda.memory_allocated()
    prompts = prompts_of(rows, 200, 256, 32_000)
    sampling = Sampling(1.0, top_p=0.9, max_new_tokens=new, min_new_tokens=new)
    requests = [GenerationRequest(f"p{i}", sampling, ids=tuple(ids)) for i, ids in enumerate(prompts)]
    tokens: list[int] = []

    def generate() -> None:
        tokens.extend(len(one.ids) for some in engine.generate(requests) for _, one in some)

    peak = peak_bytes(generate) - weights
    per_row = memory.cache_bytes(engine.model) * (256 + new) + memory._WORK * 4 * memory.vocabulary(engine.model)
    planned, reserved = rows * per_row, torch.cuda.max_memory_reserved() - weights
    case = f"generation, 0.45 B in bf16, {rows} rows of at most {256 + new} tokens: counted over allocated"
    figures.add("memory", case, planned / peak, "times", _note(planned, peak, reserved))
    assert min(tokens) >= new - 1
    assert peak < planned / memory._SHARE
    assert memory.rows_that_fit(engine.model, 384) <= memory.free_bytes(engine.model.device) / per_row


def test_free_memory_counts_what_torch_has_cached() -> None:
    import torch

    from lrmctl.engines.hf.memory import free_bytes, free_cached

    device = torch.device("cuda", 0)
    free_cached()
    before = free_bytes(device)
    held = torch.empty(512 * MIB, dtype=torch.uint8, device=device)
    assert free_bytes(device) <= before - 500 * MIB
    del held
    assert free_bytes(device) >= before - 64 * MIB
