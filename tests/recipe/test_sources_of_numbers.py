"""Numbers that the shipped recipes take from a paper or its code are that source's."""

from __future__ import annotations

from typing import Any

import pytest

from lrmctl.backends.openrlhf.common import ComputeTarget, optimizer_flags
from lrmctl.recipe.find import shipped
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.schema.sections import Optimizer

CPU = ComputeTarget("cpu", "fp32")


def recipe(name: str) -> Any:
    return load_recipe(name).recipe


@pytest.mark.parametrize("name", sorted(name for name in shipped() if name.endswith("sft-direct-refusal")))
def test_direct_refusal_trains_as_its_authors_script(name: str) -> None:
    made = recipe(name)
    assert (made.train.batch_size, made.train.epochs, made.optimizer.warmup_ratio) == (8, 5, 0.0)
    assert made.layout.gpus * made.layout.nodes * made.optimizer.micro_batch_size == 8


@pytest.mark.parametrize("name", sorted(name for name in shipped() if name.endswith(("sft-star1", "sft-safechain"))))
def test_star1s_cosine_goes_down_to_nothing(name: str) -> None:
    flags = optimizer_flags(recipe(name).optimizer, CPU, "")
    assert (flags["lr_scheduler"], flags["min_lr_ratio"], flags["lr_warmup_ratio"]) == ("cosine_with_min_lr", 0.0, 0.05)


def test_the_end_of_a_cosine_can_be_said_and_only_of_a_cosine() -> None:
    assert optimizer_flags(Optimizer(), CPU, "actor.")["actor.min_lr_ratio"] == 0.1
    assert optimizer_flags(Optimizer(min_lr_ratio=0.25), CPU, "actor.")["actor.min_lr_ratio"] == 0.25
    with pytest.raises(ValueError, match="only cosine has this"):
        Optimizer(schedule="constant", min_lr_ratio=0.0)
    Optimizer(**Optimizer(schedule="constant").model_dump())  # a resolved recipe has every default written out


@pytest.mark.parametrize("name", sorted(name for name in shipped() if name.startswith("eval/") and "qwen3" in name))
def test_qwen3_is_sampled_as_its_makers_advise(name: str) -> None:
    how = recipe(name).evaluation
    assert (how.temperatures, how.top_p, how.top_k) == ((0.6,), 0.95, 20)
    assert "Qwen3" in recipe(name).model
