"""What OpenRLHF cannot do together, told in the recipe's words; its own asserts are the judge of what is left."""

from __future__ import annotations

import ast
import importlib.util
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from training_recipes import RL, SFT, merged

from lrmctl.backends.openrlhf import rules
from lrmctl.backends.openrlhf.common import ComputeTarget
from lrmctl.backends.openrlhf.flags import parser
from lrmctl.backends.openrlhf.flags import rl as rl_flags
from lrmctl.backends.openrlhf.flags import sft as sft_flags
from lrmctl.backends.openrlhf.rules.model import model_problems
from lrmctl.backends.openrlhf.validate import check
from lrmctl.errors import RecipeError
from lrmctl.recipe.load import load_recipe
from lrmctl.recipe.problems import Problem
from lrmctl.recipe.schema.algorithm import AlgorithmName
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe

CUDA, CPU, HALF = ComputeTarget("cuda", "bf16"), ComputeTarget("cpu", "fp32"), ComputeTarget("cuda", "fp16")


def judged(
    base: dict[str, Any], changes: Mapping[str, Any], where: ComputeTarget
) -> tuple[dict[str, Any], list[Problem]]:
    words = merged(base, {key.replace("__", "."): value for key, value in changes.items()})
    if base is RL:
        recipe = RlRecipe.model_validate(words)
        return rules.check_flags(recipe, where, rl_flags.recipe_flags(recipe, where))
    tuned = SftRecipe.model_validate(words)
    return rules.check_flags(tuned, where, sft_flags.recipe_flags(tuned, where))


def wrong(changes: Mapping[str, Any], where: ComputeTarget = CUDA, base: dict[str, Any] = RL) -> dict[str, Problem]:
    return {p.key: p for p in judged(base, changes, where)[1] if not p.note}


def noted(changes: Mapping[str, Any], where: ComputeTarget = CUDA, base: dict[str, Any] = RL) -> set[str]:
    return {p.key for p in judged(base, changes, where)[1] if p.note}


GPUS = {"layout__gpus": 4, "optimizer__micro_batch_size": 1}
RL_CASES: list[tuple[dict[str, Any], str]] = [
    ({"algorithm__samples_per_prompt": 1}, "algorithm.samples_per_prompt"),
    ({"algorithm__name": "reinforce", "algorithm__samples_per_prompt": 1, "algorithm__dynamic_filtering": {},
      "optimizer__micro_batch_size": 4}, "algorithm.samples_per_prompt"),
    ({"algorithm__updates_per_step": 3}, "algorithm.updates_per_step"),
    ({"algorithm__updates_per_step": 4}, "optimizer.micro_batch_size"),
    ({"optimizer__micro_batch_size": 3}, "optimizer.micro_batch_size"),
    ({"layout__gpus": 4}, "optimizer.micro_batch_size"),
    ({**GPUS, "layout__gpus": 6, "optimizer__dynamic_batch_tokens": 4096}, "layout.gpus"),
    ({**GPUS, "optimizer__sequence_parallel": 3}, "optimizer.sequence_parallel"),
    ({**GPUS, "optimizer__sequence_parallel": 2, "optimizer__packing": False}, "optimizer.sequence_parallel"),
    ({"optimizer__dynamic_batch_tokens": 64, "optimizer__packing": False}, "optimizer.dynamic_batch_tokens"),
    ({"optimizer__offload": True, "optimizer__zero_stage": 0}, "optimizer.offload"),
    ({"optimizer__lora": {}}, "optimizer.lora"),
    ({"algorithm__normalize_std": False}, "algorithm.normalize_std"),
    ({"algorithm__gamma": 0.9}, "algorithm.gamma"),
    ({"algorithm__gae_lambda": 0.9}, "algorithm.gae_lambda"),
    ({"algorithm__clip_low": 1.0}, "algorithm.clip_low"),
    ({"algorithm__dual_clip": 1.1}, "algorithm.dual_clip"),
    ({"algorithm__importance": {"level": "sequence"}}, "algorithm.importance.mode"),
    ({"algorithm__importance": {"statistic": "tv"}}, "algorithm.importance.mode"),
    ({"algorithm__importance": {"statistic": "tv", "mode": "mask", "low": 0.1}}, "algorithm.importance.low"),
    ({"algorithm__importance": {"low": 3.0}}, "algorithm.importance.low"),
    ({"algorithm__kl": {"target": 0.1}}, "algorithm.kl.target"),
    ({"algorithm__kl": {"coef": 0.1, "target": 0.1}}, "algorithm.kl.target"),
    ({"algorithm__kl": {"unbiased_gradient": True}}, "algorithm.kl.unbiased_gradient"),
    ({"algorithm__kl": {"coef": 0.1, "place": "reward", "unbiased_gradient": True}}, "algorithm.kl.unbiased_gradient"),
    ({"algorithm__critic": {"learning_rate": 1e-5}}, "algorithm.critic.learning_rate"),
    ({"algorithm__name": "ppo", "algorithm__critic": {"warmup_steps": 3}}, "algorithm.critic.warmup_steps"),
    ({"algorithm__overlong": {"buffer": 64}}, "algorithm.overlong.buffer"),
    ({"algorithm__truncated_penalty": 1.5}, "algorithm.truncated_penalty"),
    ({"algorithm__reward_clip": [1, -1]}, "algorithm.reward_clip"),
    ({"algorithm__dynamic_filtering": {"low": 0.5, "high": 0.5}}, "algorithm.dynamic_filtering.low"),
    ({"rollout__max_new_tokens": 192}, "rollout.max_new_tokens"),
    ({"rollout__oversample": 2.0}, "rollout.oversample"),
    ({"rollout__queue": 2}, "rollout.queue"),
    ({"rollout__engine": "builtin"}, "rollout.engine"),
    ({"evaluation": {"prompts": RL["prompts"], "best": "format"}}, "evaluation.every"),
    ({"layout__critic_gpus": 1}, "layout.critic_gpus"),
    ({"layout__reference_gpus": 1, "layout__placement": "separate"}, "layout.reference_gpus"),
    ({"layout__rollout_gpus": 2}, "layout.rollout_gpus"),
    ({**GPUS, "layout__tensor_parallel": 3}, "layout.tensor_parallel"),
    ({"layout__placement": "separate", "layout__rollout_gpus": 3, "layout__tensor_parallel": 2},
     "layout.tensor_parallel"),
    ({"layout__placement": "separate", "layout__reference_gpus": 3, "algorithm__kl": {"coef": 0.1}},
     "layout.reference_gpus"),
    ({"layout__placement": "separate", "layout__critic_gpus": 3, "algorithm__name": "ppo"}, "layout.critic_gpus"),
    ({"layout__nodes": 2, "optimizer__micro_batch_size": 1}, "layout.nodes"),
    ({"backend__flags": {"vllm.enable_sleep": True}, "rollout__mode": "async"}, "backend.flags.vllm.enable_sleep"),
    ({"backend__flags": {"ds.enable_sleep": True}, "layout__placement": "separate"}, "backend.flags.ds.enable_sleep"),
    ({"backend__flags": {"rollout.micro_batch_size": 5}}, "backend.flags.rollout.micro_batch_size"),
    ({"backend__flags": {"rollout.micro_batch_size": 0}}, "backend.flags.rollout.micro_batch_size"),
    ({"backend__flags": {"train.colocate_actor_ref": True}, "layout__placement": "separate",
      "layout__reference_gpus": 2, "algorithm__kl": {"coef": 0.1}}, "layout.reference_gpus"),
    ({"backend__flags": {"data.max_images_per_prompt": 1}}, "backend.flags.data.max_images_per_prompt"),
    ({"backend__flags": {"ds.load_in_4bit": True}}, "backend.flags.ds.load_in_4bit"),
    ({"backend__flags": {"data.prompt_probs": "0.5,0.5"}}, "backend.flags.data.prompt_probs"),
    ({"backend__flags": {"train.colocate_critic_reward": True}}, "backend.flags.train.colocate_critic_reward"),
    ({"backend__flags": {"ckpt.disable_ds": True}, "save_every": 2}, "backend.flags.ckpt.disable_ds"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key"), RL_CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_what_rl_cannot_do_is_told_by_the_recipes_key(changes: dict[str, Any], key: str) -> None:
    assert wrong({}) == {}
    assert key in wrong(changes)
    assert wrong(changes)[key].what


SFT_CASES: list[tuple[dict[str, Any], str, ComputeTarget]] = [
    ({"optimizer__micro_batch_size": 3}, "optimizer.micro_batch_size", CUDA),
    ({"layout__gpus": 4}, "optimizer.micro_batch_size", CUDA),
    ({"optimizer__dynamic_batch_tokens": 64}, "optimizer.dynamic_batch_tokens", CUDA),
    ({"layout__placement": "separate"}, "layout.placement", CUDA),
    ({"layout__tensor_parallel": 2}, "layout.tensor_parallel", CUDA),
    ({"train__eval_every": 2}, "train.eval_every", CUDA),
    ({"backend__flags": {"ds.load_in_4bit": True}}, "backend.flags.ds.load_in_4bit", CUDA),
    ({"backend__flags": {"ds.load_in_4bit": True}, "optimizer__lora": {}}, "backend.flags.ds.load_in_4bit", HALF),
    ({"backend__flags": {"ds.use_liger_kernel": True}}, "backend.flags.ds.use_liger_kernel", CPU),
    ({"backend__flags": {"ds.tensor_parallel_size": 2}, "layout__gpus": 2}, "backend.flags.ds.tensor_parallel_size",
     HALF),
    ({"backend__flags": {"ckpt.save_hf": True}, "save_every": 2}, "backend.flags.ckpt.save_hf", CUDA),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "where"), SFT_CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_what_sft_cannot_do_is_told_by_the_recipes_key(changes: dict[str, Any], key: str, where: ComputeTarget) -> None:
    assert wrong({}, where, SFT) == {}
    assert key in wrong(changes, where, SFT)


@pytest.mark.parametrize("word", ["sequence_parallel", "dynamic_batch_tokens"])
def test_what_needs_packing_is_refused_on_cpu(word: str) -> None:
    assert "which is CUDA's" in wrong({f"optimizer__{word}": 2}, CPU)[f"optimizer.{word}"].what


def test_rl_in_fp16_is_refused_and_sft_in_fp16_is_noted() -> None:
    assert "bf16" in wrong({}, HALF)["backend.dtype"].fix
    assert wrong({}, HALF, SFT) == {}
    assert "backend.dtype" in noted({}, HALF, SFT)


def test_lora_in_rl_is_refused_with_the_reason() -> None:
    assert "parameter names" in wrong({"optimizer__lora": {"rank": 8}})["optimizer.lora"].what
    assert wrong({"optimizer__lora": {"rank": 8}}, CUDA, SFT) == {}


@pytest.mark.parametrize("name", get_args(AlgorithmName))
def test_every_algorithm_with_its_own_words_is_fine(name: str) -> None:
    own: dict[str, dict[str, Any]] = {
        "ppo": {"critic": {"learning_rate": 1e-5, "warmup_steps": 1}, "gae_lambda": 0.95, "gamma": 0.99},
        "reinforce": {"gamma": 0.9, "samples_per_prompt": 2},
        "flash_reinforce": {"samples_per_prompt": 2},
    }
    words = {f"algorithm__{key}": value for key, value in own.get(name, {}).items()}
    assert wrong({"algorithm__name": name, **words}) == {}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"algorithm__kl": {"coef": 0.1, "estimator": "k1"}}, "algorithm.kl.estimator"),
        ({"algorithm__kl": {"coef": 0.1, "place": "reward"}}, "algorithm.kl.estimator"),
        ({"rollout__top_p": 0.9}, "rollout.top_p"),
        ({"algorithm__name": "ppo"}, "algorithm.critic.warmup_steps"),
        ({"algorithm__loss": "gspo"}, "algorithm.aggregation"),
        ({"algorithm__dynamic_filtering": {}}, "algorithm.dynamic_filtering"),
        ({"algorithm__truncated_penalty": 0.5}, "algorithm.truncated_penalty"),
        ({"rollout__mode": "async", "algorithm__importance": {"level": "off"}}, "algorithm.importance.level"),
        ({"optimizer__dynamic_batch_tokens": 64}, "optimizer.dynamic_batch_tokens"),
        ({"save_every": 100}, "save_every"),
        ({"evaluation": {"prompts": RL["prompts"]}}, "evaluation.every"),
        ({"backend__flags": {"actor.optim": "muon"}}, "optimizer.max_grad_norm"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_is_allowed_and_worth_knowing_is_a_note(changes: dict[str, Any], key: str) -> None:
    assert wrong(changes) == {}
    assert key in noted(changes)
    assert key not in noted({}) or key == "save_every"


# What OpenRLHF itself says: its checks between `parse_args()` and `train(args)`, run without importing it.


def own_checks(read: Mapping[str, Any], capsys_lines: list[str]) -> Namespace:
    """Run OpenRLHF's cross-field checks on parsed flags. Raises AssertionError as it would."""
    here = parser.folder()
    assert here is not None
    spec = importlib.util.spec_from_file_location("openrlhf_config", here / "utils" / "config.py")
    assert spec is not None
    assert spec.loader is not None
    config = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(config)
    args = config.hierarchize(Namespace(**read))
    names = {"args": args, "print": lambda *words: capsys_lines.append(" ".join(map(str, words)))}
    exec(_CHECKS, names)
    return args


def _checks() -> Any:
    here = parser.folder()
    if here is None:
        return None
    path = here / "cli" / "train_ppo_ray.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    main = next(n for n in tree.body if isinstance(n, ast.If))
    texts = [ast.dump(n) for n in main.body]
    first = max(i for i, text in enumerate(texts) if "hierarchize" in text) + 1
    body = main.body[first:-1]
    train = next(n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "train")
    counts = [n for n in ast.walk(train) if isinstance(n, ast.If) and isinstance(n.body[0], ast.Assert)]
    return compile(ast.Module([*body, *counts], []), str(path), "exec")


_CHECKS = _checks()
needs_openrlhf = pytest.mark.skipif(_CHECKS is None, reason="OpenRLHF is not installed")


def accepted(changed: dict[str, Any]) -> list[str]:
    """What OpenRLHF prints about the flags of a recipe; raises AssertionError if it refuses them."""
    merged_flags, _ = judged(RL, changed, CUDA)
    words = {"reward.remote_url": "http://127.0.0.1:1", "actor.model_name_or_path": "model", **merged_flags}
    said: list[str] = []
    own_checks(parser.parse("train_ppo_ray", parser.to_argv(words)), said)
    return said


@needs_openrlhf
def test_openrlhfs_own_checks_are_found_and_refuse() -> None:
    accepted({})
    for changes in (
        {"algorithm__samples_per_prompt": 1},
        {"rollout__oversample": 2.0},
        {"layout__gpus": 4, "layout__tensor_parallel": 3, "optimizer__micro_batch_size": 1},
        {"optimizer__micro_batch_size": 16, "layout__gpus": 2},
    ):
        with pytest.raises(AssertionError):
            accepted(changes)


few = st.sampled_from([1, 2, 4, 8])
choices = st.fixed_dictionaries(
    {"algorithm__samples_per_prompt": few, "algorithm__prompts_per_step": few, "layout__gpus": few},
    optional={
        "algorithm__name": st.sampled_from(get_args(AlgorithmName)),
        "algorithm__updates_per_step": st.integers(1, 3),
        "algorithm__dynamic_filtering": st.sampled_from([{}, {"low": 0.5, "high": 0.4}]),
        "algorithm__kl": st.sampled_from([{"coef": 0.1}, {"coef": 0.1, "place": "reward", "estimator": "k1"}]),
        "optimizer__micro_batch_size": few,
        "optimizer__sequence_parallel": st.sampled_from([1, 2, 3]),
        "optimizer__packing": st.booleans(),
        "optimizer__dynamic_batch_tokens": st.sampled_from([256, 4096]),
        "layout__placement": st.sampled_from(["colocated", "separate"]),
        "layout__tensor_parallel": st.sampled_from([1, 2, 3]),
        "rollout__mode": st.sampled_from(["sync", "async", "partial"]),
        "rollout__oversample": st.sampled_from([1.0, 2.0]),
        "backend__flags": st.sampled_from(
            [{"vllm.enable_sleep": True}, {"rollout.micro_batch_size": 4}, {"train.colocate_actor_ref": True}]
        ),
    },
)


@pytest.mark.e2e
@needs_openrlhf
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(choices)
def test_what_the_rules_let_through_openrlhf_lets_through_unchanged(changes: dict[str, Any]) -> None:
    if wrong(changes):
        return
    said = accepted(changes)
    ignored = ("Recommend setting", "in async RLHF only colocates", "Set --rollout_max_tokens_per_gpu")
    assert [line for line in said if not any(text in line for text in ignored)] == []


# How a user meets it


def test_a_plan_is_refused_once_with_every_problem_and_its_line(tmp_path: Path) -> None:
    from lrmctl.training.plan import plan_training

    file = tmp_path / "r.yaml"
    file.write_text(
        "extends: lab/rl\nalgorithm:\n  samples_per_prompt: 1\n  gamma: 0.5\nbackend: {flags: {zero_stage: 1}}\n"
    )
    with pytest.raises(RecipeError) as caught:
        plan_training(load_recipe(file, ["rollout.queue=3"]), runs_dir=tmp_path)
    told = str(caught.value)
    for place in (
        f"{file}:3: algorithm.samples_per_prompt:",
        f"{file}:4: algorithm.gamma:",
        f"{file}:5: backend.flags.zero_stage:",
        "--set rollout.queue=3: rollout.queue:",
    ):
        assert place in told


def test_what_only_the_data_shows_is_refused_with_a_line_too(tmp_path: Path) -> None:
    from lrmctl.training.plan import plan_training

    file = tmp_path / "r.yaml"
    file.write_text("extends: lab/sft-mixed\ndata: {max_len: 100000}\n")
    with pytest.raises(RecipeError, match=r"r\.yaml:2: data\.max_len: 100000 tokens are more than the model's"):
        plan_training(load_recipe(file), runs_dir=tmp_path)


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"layout__gpus": 6, "layout__tensor_parallel": 3}, "layout.tensor_parallel"),
        ({"layout__gpus": 4, "layout__tensor_parallel": 4}, None),  # fewer heads of keys than GPUs: they are copied
        ({"layout__gpus": 2, "optimizer__sequence_parallel": 2, "backend__flags": {"ds.ring_attn_head_stride": 3}},
         "backend.flags.ds.ring_attn_head_stride"),
    ],
)  # fmt: skip
def test_attention_heads_are_dealt_out_whole(tmp_path: Path, changes: dict[str, Any], key: str | None) -> None:
    (tmp_path / "config.json").write_text('{"num_attention_heads": 8, "num_key_value_heads": 2}')
    recipe = RlRecipe.model_validate(merged(RL, {k.replace("__", "."): v for k, v in changes.items()}))
    read = rules.parsed_flags(recipe, {**rl_flags.recipe_flags(recipe, CUDA), **recipe.backend.flags})
    assert [p.key for p in model_problems(recipe, tmp_path, read)] == ([key] if key else [])
    assert model_problems(recipe, tmp_path / "nowhere", read) == []


def test_auto_is_fine_where_one_device_can_run_it() -> None:
    def found(**changes: Any) -> list[Problem]:
        return check(RlRecipe.model_validate(merged(RL, {k.replace("__", "."): v for k, v in changes.items()})))

    assert all(p.note for p in found(layout__gpus=2, optimizer__micro_batch_size=4))
    only_cpu = found(backend__dtype="fp32", rollout__engine="builtin")
    assert all(p.note for p in only_cpu)
    assert [p.key for p in only_cpu if "runs on CPU only" in p.what] == ["backend.dtype"]
    neither = found(backend__dtype="fp32", layout__gpus=2)
    assert [p.key for p in neither if not p.note] == ["backend.dtype"]
    assert [p.key for p in found(backend__device="cpu", layout__gpus=2) if not p.note] == ["layout.gpus"]
    assert [p.key for p in found(backend__device="cuda", backend__dtype="fp32") if not p.note] == ["backend.dtype"]


def test_a_recipe_for_several_nodes_is_fine_until_it_is_started_on_one() -> None:
    recipe = RlRecipe.model_validate(merged(RL, {"layout.nodes": 2, "optimizer.micro_batch_size": 1}))
    assert [p.note for p in check(recipe) if p.key == "layout.nodes"] == [True]
