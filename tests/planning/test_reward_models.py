"""Which models of a recipe's reward count against the GPUs of the run."""

from __future__ import annotations

from typing import Any

import pytest

from lrmctl.recipe.schema.recipes import RlRecipe
from lrmctl.training.colocated import colocated_models

SERVED = {"use": "openai", "base_url": "http://guard:8000/v1"}


def recipe(judge: str, **options: Any) -> RlRecipe:
    component = {"use": "judged-safe", "options": {"judge": judge, "judge_options": options}}
    return RlRecipe.model_validate(
        {"kind": "rl", "name": "r", "model": "m", "prompts": [{"use": "p"}], "reward": {"components": [component]}}
    )


@pytest.mark.parametrize("judge", ["qwen3guard", "llama-guard-3", "strongreject", "wildguard"])
@pytest.mark.parametrize("engine", ["hf", "vllm", {"use": "vllm"}, {"dtype": "float16"}])
def test_a_judge_in_process_is_counted(judge, engine):
    colocated, unknown = colocated_models(recipe(judge, model="Qwen/Qwen3-4B", engine=engine, device="cuda:1"))
    assert [(g.name, g.gpu) for g in colocated] == [(judge, 1)]
    assert unknown == []


def test_a_judge_behind_a_server_takes_nothing_here():
    assert colocated_models(recipe("qwen3guard", model="Qwen/Qwen3-4B", engine=SERVED)) == ([], [])
    assert colocated_models(recipe("qwen3guard", model="whatever the server calls it", engine="openai")) == ([], [])


def test_a_judge_of_unknown_size_is_said_not_to_be_counted():
    colocated, unknown = colocated_models(recipe("shieldgemma"))
    assert colocated == []
    assert "google/shieldgemma-9b" in unknown[0]
