"""The memory model against published figures, and against what real models take."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from measured import SHAPES, build, saved_bytes, shape_of, tensor_bytes

from lrmctl.planning import training_memory as train
from lrmctl.planning.model_shape import ModelShape, known_models
from lrmctl.planning.serving_memory import kv_bytes_per_token, serving
from lrmctl.planning.training_memory import TrainedModelMemory
from lrmctl.recipe.schema.sections import Lora

TOKENS = 256
GIB = 1024**3


def trained(shape: ModelShape, **changes: Any) -> TrainedModelMemory:
    base: dict[str, Any] = {"role": "actor", "element": 2, "processes": 1, "zero_stage": 0, "offload": False}
    return TrainedModelMemory(shape=shape, **{**base, "checkpointing": False, "tokens": TOKENS, **changes})


def of_size(parameters: float) -> ModelShape:
    """A shape whose layers hold about this many parameters; only the count matters here."""
    base = known_models()["deepseek-ai/DeepSeek-R1-Distill-Qwen-7B"]

    class Counted(ModelShape):
        @property
        def parameters(self) -> int:
            return int(parameters)

    return Counted(**{k: getattr(base, k) for k in ModelShape.__dataclass_fields__})


@pytest.mark.parametrize(("stage", "gigabytes"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_model_states_are_those_of_the_zero_paper(stage: int, gigabytes: float) -> None:
    """arXiv 1910.02054, figure 1: 7.5 billion parameters on 64 GPUs, in 10^9 bytes."""
    model = trained(of_size(7.5e9), processes=64, zero_stage=stage)
    assert sum(f.bytes for f in train.resident(model)) / 1e9 == pytest.approx(gigabytes, abs=0.06)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("family", SHAPES)
def test_saved_activations_are_those_of_the_real_model(family: str, dtype: torch.dtype) -> None:
    model = build(family, dtype=dtype, num_hidden_layers=3)
    ids = torch.randint(0, 100, (2, TOKENS // 2))
    estimated = trained(shape_of(model), element=dtype.itemsize)
    expected = sum(f.bytes for f in train.activations(estimated))
    assert saved_bytes(model, ids) == pytest.approx(expected, rel=0.01)


def test_checkpointed_activations_are_those_of_the_real_model() -> None:
    model = build("qwen3", num_hidden_layers=3)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    estimated = trained(shape_of(model), element=4, checkpointing=True)
    kept = train.activations(estimated)[0]
    assert saved_bytes(model, torch.randint(0, 100, (2, TOKENS // 2))) == pytest.approx(kept.bytes, rel=0.01)


def test_weights_gradients_and_adam_are_those_of_the_real_model() -> None:
    model = build("llama", num_hidden_layers=2)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.randint(0, 100, (1, 8))).logits.sum().backward()
    optimizer.step()
    estimated = trained(shape_of(model), element=4)
    assert train.weights(estimated).bytes == tensor_bytes(model.parameters())
    assert train.gradients(estimated).bytes == tensor_bytes(p.grad for p in model.parameters())
    moments = tensor_bytes(v for state in optimizer.state.values() for k, v in state.items() if k != "step")
    assert train.optimizer(estimated).bytes == moments + tensor_bytes(model.parameters())  # fp32 master weights


def test_adapters_are_counted_as_peft_counts_them() -> None:
    peft = pytest.importorskip("peft")
    model = build("qwen2", num_hidden_layers=2)
    shape = shape_of(model)
    for targets in ("all-linear", ["q_proj", "down_proj"]):
        config = peft.LoraConfig(r=16, target_modules=targets, task_type="CAUSAL_LM")
        real = peft.get_peft_model(build("qwen2", num_hidden_layers=2), config)
        named = (targets,) if isinstance(targets, str) else tuple(targets)
        adapters = sum(p.numel() for p in real.parameters() if p.requires_grad)
        assert train.lora_parameters(shape, Lora(rank=16, targets=named)) == adapters


def test_the_kv_cache_of_a_token_is_that_of_the_real_model() -> None:
    model = build("qwen3", dtype=torch.bfloat16, num_hidden_layers=2).eval()
    cache = model(torch.zeros(1, 10, dtype=torch.long), use_cache=True).past_key_values
    size = sum(tensor_bytes([layer.keys, layer.values]) for layer in cache.layers)
    assert kv_bytes_per_token(shape_of(model)) * 10 == size


def test_a_share_that_holds_no_weights_leaves_no_room() -> None:
    shape = known_models()["Qwen/Qwen3-8B"]
    small = serving(shape, 24 * GIB, 0.6, length=8192)
    large = serving(shape, 80 * GIB, 0.6, length=8192)
    assert small.sequences == 0
    assert small.kv_cache < 0
    assert large.sequences == large.kv_cache // (large.per_token * 8192) > 10


@pytest.mark.parametrize(
    ("worse", "better", "what"),
    [
        ({}, {"checkpointing": True}, "activations"),
        ({"zero_stage": 2, "processes": 8}, {"zero_stage": 3, "processes": 8}, "weights"),
        ({"zero_stage": 2}, {"zero_stage": 2, "offload": True}, "optimizer"),
        ({}, {"lora": Lora()}, "optimizer"),
    ],
)
def test_what_saves_memory_saves_it_where_it_says(worse: Any, better: Any, what: str) -> None:
    shape = known_models()["Qwen/Qwen3-4B"]

    def of(changes: Any) -> int:
        figures = train.update(trained(shape, tokens=8192, head=shape.vocab, **changes))
        assert all(f.formula and f.source for f in figures)
        return sum(f.bytes for f in figures if f.what == what)

    assert of(better) < of(worse)
