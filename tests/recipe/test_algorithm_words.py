"""The words of an RL recipe and OpenRLHF's flags for them."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from lrmctl.backends.openrlhf.common import ComputeTarget
from lrmctl.backends.openrlhf.flags import parser
from lrmctl.backends.openrlhf.flags.rl import ESTIMATORS, RL_RECIPE_KEYS, recipe_flags
from lrmctl.recipe.schema.algorithm import AlgorithmName
from lrmctl.recipe.schema.recipes import RlRecipe

CUDA, CPU = ComputeTarget("cuda", "bf16"), ComputeTarget("cpu", "fp32")


def recipe(**sections: Any) -> RlRecipe:
    words = {"kind": "rl", "name": "r", "model": "m", "prompts": [{"use": "lab-prompts"}]}
    return RlRecipe.model_validate({**words, "reward": {"components": [{"use": "format"}]}, **sections})


def algorithm(**words: Any) -> dict[str, Any]:
    return recipe_flags(recipe(algorithm=words), CUDA)


def test_every_algorithm_has_an_estimator_that_openrlhf_knows() -> None:
    known = next(a.choices for a in parser.parser("train_ppo_ray")._actions if a.dest == "algo.advantage.estimator")
    assert set(ESTIMATORS) == set(get_args(AlgorithmName))
    assert set(ESTIMATORS.values()) == set(known or ())


def test_every_flag_with_a_word_exists() -> None:
    assert set(RL_RECIPE_KEYS) <= set(parser.known("train_ppo_ray"))


def test_the_dapo_preset_fills_in_what_is_left_out() -> None:
    made = algorithm(preset="dapo")
    assert made["actor.eps_clip_low_high"] == [0.2, 0.28]
    assert (made["algo.dynamic_filtering_enable"], made["algo.kl.init_coef"]) == (True, 0)
    assert (made["actor.loss_agg_mode"], made["reward.overlong_buffer_len"]) == ("token-mean", 4096)


def test_what_the_recipe_says_wins_over_the_preset() -> None:
    made = algorithm(preset="dapo", clip_high=0.3, dynamic_filtering=None)
    assert made["actor.eps_clip_low_high"] == [0.2, 0.3]
    assert made["algo.dynamic_filtering_enable"] is False


def test_a_resolved_preset_resolves_to_itself() -> None:
    once = recipe(algorithm={"preset": "dapo", "overlong": {"buffer": 64}})
    assert RlRecipe.model_validate(once.model_dump(mode="json")) == once


def test_gspo_is_a_sequence_level_loss() -> None:
    made = algorithm(preset="gspo")
    assert (made["actor.policy_loss_type"], made["actor.loss_agg_mode"]) == ("gspo", "seq-mean-token-mean")
    assert made["algo.advantage.is_correction_level"] == "off"  # its clip is as tight as the engine's difference


def test_only_ppo_has_a_critic() -> None:
    assert not any(flag.startswith("critic") for flag in algorithm(name="rloo"))
    made = algorithm(name="ppo", critic={"learning_rate": 1e-5, "warmup_steps": 3})
    assert (made["critic.adam.lr"], made["critic.freezing_steps"]) == (1e-5, 2)


def test_updates_share_a_steps_samples() -> None:
    made = algorithm(prompts_per_step=16, samples_per_prompt=8, updates_per_step=4)
    assert (made["train.batch_size"], made["rollout.batch_size"]) == (32, 16)


def test_colocated_roles_sleep_in_turn_and_not_while_sampling_is_asynchronous() -> None:
    layout = {"nodes": 2, "gpus": 8, "tensor_parallel": 2}
    made = recipe_flags(recipe(layout=layout), CUDA)
    assert (made["vllm.num_engines"], made["train.colocate_all"], made["vllm.enable_sleep"]) == (8, True, True)
    asynchronous = recipe_flags(recipe(layout=layout, rollout={"mode": "async"}), CUDA)
    assert asynchronous["vllm.enable_sleep"] is False


def test_separate_roles_have_gpus_of_their_own() -> None:
    layout = {"gpus": 4, "placement": "separate", "rollout_gpus": 2, "reference_gpus": 1}
    made = recipe_flags(recipe(layout=layout), CUDA)
    assert (made["vllm.num_engines"], made["ref.num_gpus_per_node"], made["train.colocate_all"]) == (2, 1, False)


def test_on_cpu_nothing_needs_cuda() -> None:
    made = recipe_flags(recipe(), CPU)
    assert made["ds.packing_samples"] is False
    assert made["actor.gradient_checkpointing_enable"] is False
    assert "train.colocate_all" not in made


@pytest.mark.parametrize("where", [CUDA, CPU])
@pytest.mark.parametrize("name", get_args(AlgorithmName))
def test_the_real_parser_accepts_every_algorithm(where: ComputeTarget, name: str) -> None:
    words = {
        "name": name,
        "kl": {"coef": 0.01, "target": 0.1, "place": "reward", "estimator": "k1"},
        "dual_clip": 3.0,
        "dynamic_filtering": {},
        "overlong": {"buffer": 8},
        "truncated_penalty": 0.5,
        "reward_clip": [-1, 1],
        "ema": 0.99,
    }
    rollout = {"mode": "partial", "oversample": 2.0, "queue": 2, "max_new_tokens": 64}
    optimizer = {"dynamic_batch_tokens": 4096, "sequence_parallel": 2, "offload": True}
    made = recipe_flags(recipe(algorithm=words, rollout=rollout, optimizer=optimizer), where)
    read = parser.parse("train_ppo_ray", parser.to_argv(made))
    assert {k: read[k] for k in ("train.ema_beta", "rollout.vllm_generate_batch_size")} == {
        "train.ema_beta": 0.99,
        "rollout.vllm_generate_batch_size": 32,
    }
