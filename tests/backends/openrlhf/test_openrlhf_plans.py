"""Plans for OpenRLHF: every one is read back by OpenRLHF's own parser."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from lrmctl.backends.base import TrainJob
from lrmctl.backends.openrlhf import common
from lrmctl.backends.openrlhf.flags import parser
from lrmctl.backends.openrlhf.plans import rl, sft
from lrmctl.backends.openrlhf.run.checkpoints import last_checkpoint
from lrmctl.errors import RecipeError
from lrmctl.types import Plan

Job = Callable[..., TrainJob]


def read_back(plan: Plan) -> dict[str, Any]:
    """What OpenRLHF reads from the plan's command line."""
    program = "train_sft" if plan.kind == "sft" else "train_ppo_ray"
    first = next(i for i, word in enumerate(plan.argv) if word.startswith("--") and "." in word)
    return parser.parse(program, plan.argv[first:])


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan as on a machine with GPUs."""
    monkeypatch.setattr(common, "_cuda", lambda: True)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"backend__dtype": "bf16"},
        {"optimizer__schedule": "constant"},
        {"optimizer__zero_stage": 3, "optimizer__weight_decay": 0.1, "optimizer__warmup_ratio": 0.0},
        {"save_every": 2, "optimizer__betas": [0.9, 0.99], "backend__flags": {"ds.use_liger_kernel": False}},
    ],
)
def test_sft_plans_are_accepted_by_the_real_parser(sft_job: Job, changes: dict[str, Any]) -> None:
    read = read_back(sft.plan(sft_job(**changes)))
    assert read["data.input_template"] == "{}"
    assert read["data.apply_chat_template"] is False
    assert (read["train.batch_size"], read["train.micro_batch_size"], read["train.max_epochs"]) == (16, 8, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"backend__dtype": "bf16"},
        {"algorithm__kl": {"coef": 0.01}},
        {"algorithm__kl": {"coef": 0.01, "estimator": "k2"}},
        {"algorithm__kl": {"coef": 0.1, "estimator": "k1", "place": "reward"}},
        {"algorithm__clip_high": 0.28, "optimizer__schedule": "constant", "save_every": 2, "rollout__top_p": 0.9},
        {"algorithm__dual_clip": 3.0, "algorithm__dynamic_filtering": {}, "backend__flags": {"actor.adam.eps": 1e-6}},
    ],
)
def test_rl_plans_are_accepted_by_the_real_parser(rl_job: Job, changes: dict[str, Any]) -> None:
    plan = rl.plan(rl_job(**changes))
    read = read_back(plan)
    assert read["algo.advantage.estimator"] == "group_norm"
    assert (read["rollout.batch_size"], read["rollout.n_samples_per_prompt"], read["train.batch_size"]) == (4, 4, 16)
    assert read["reward.remote_url"] == f"file:{rl_job().run_dir / 'reward-url'}"
    assert plan.secrets == {"reward-url": "http://127.0.0.1:1/reward"}
    assert "127.0.0.1:1" not in json.dumps(plan.to_json())
    assert plan.estimates["samples"] == 48


def test_no_kl_means_no_reference_model(rl_job: Job) -> None:
    read = read_back(rl.plan(rl_job()))
    assert (read["algo.kl.init_coef"], read["algo.kl.use_loss"]) == (0, False)


@pytest.mark.parametrize(("place", "in_loss"), [("loss", True), ("reward", False)])
def test_kl_goes_where_the_recipe_says(rl_job: Job, place: str, in_loss: bool) -> None:
    read = read_back(rl.plan(rl_job(algorithm__kl={"coef": 0.02, "estimator": "k3", "place": place})))
    assert (read["algo.kl.init_coef"], read["algo.kl.use_loss"], read["algo.kl.estimator"]) == (0.02, in_loss, "k3")


def test_clip_range_and_seed_arrive(rl_job: Job) -> None:
    read = read_back(rl.plan(rl_job(algorithm__clip_low=0.1, algorithm__clip_high=0.3, seed=7)))
    assert (read["actor.eps_clip_low_high"], read["train.seed"]) == ([0.1, 0.3], 7)


@pytest.mark.parametrize("rows", [5, 12, 40])
def test_prompts_are_repeated_or_cut_to_the_number_of_steps(rl_job: Job, rows: int) -> None:
    plan = rl.plan(rl_job(rows=rows))
    written = [json.loads(line)["prompt"] for line in plan.files["data/prompts.jsonl"].splitlines()]
    assert len(written) == 12
    counts = [written.count(f"p{i}") for i in range(rows)]
    assert max(counts) - min(counts) <= 1


def test_cutting_prompts_draws_from_the_whole_list(rl_job: Job) -> None:
    plan = rl.plan(rl_job(rows=400))
    written = {int(json.loads(line)["prompt"][1:]) for line in plan.files["data/prompts.jsonl"].splitlines()}
    assert max(written) > 100  # a source that lists one kind first must not push out the others


def test_sft_steps_count_whole_micro_batches_over_epochs(sft_job: Job) -> None:
    assert sft.plan(sft_job(rows=64)).estimates["steps"] == 8
    assert sft.plan(sft_job(rows=31)).estimates["steps"] == 3  # 3 micro-batches of 8 an epoch, windows of 2
    with pytest.raises(RecipeError, match="less than one step"):
        sft.plan(sft_job(rows=7))


def test_all_rows_are_used_however_many(sft_job: Job) -> None:
    assert read_back(sft.plan(sft_job(rows=70)))["data.max_samples"] >= 10**9


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("gpus", [1, 4])
def test_cuda_plans_are_accepted_by_the_real_parser(sft_job: Job, rl_job: Job, gpus: int) -> None:
    tuned = sft.plan(sft_job(layout__gpus=gpus, optimizer__micro_batch_size=4))
    read = read_back(tuned)
    assert (read["ds.param_dtype"], read["ds.attn_implementation"]) == ("bf16", "flash_attention_2")
    assert ("torch.distributed.run" in tuned.argv) is (gpus > 1)
    trained = rl.plan(rl_job(layout__gpus=gpus, optimizer__micro_batch_size=4))
    read = read_back(trained)
    assert (read["actor.num_gpus_per_node"], read["vllm.num_engines"]) == (gpus, gpus)
    assert (read["train.colocate_all"], read["vllm.enable_sleep"], read["ds.enable_sleep"]) == (True, True, True)
    assert trained.resources["gpus"] == gpus
    assert "LRMCTL_OPENRLHF_CPU" not in trained.env


@pytest.mark.usefixtures("cuda")
def test_fp32_on_cuda_is_refused(rl_job: Job) -> None:
    with pytest.raises(RecipeError, match="fp32 on cuda"):
        rl.plan(rl_job(backend__dtype="fp32"))


@pytest.mark.usefixtures("cuda")
def test_cpu_on_a_cuda_machine_is_refused(rl_job: Job) -> None:
    with pytest.raises(RecipeError, match="no CUDA device is visible"):
        rl.plan(rl_job(backend__device="cpu"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backend__device": "cuda"}, "no CUDA device"),
        ({"backend__dtype": "fp16"}, "fp16 on cpu"),
        ({"layout__gpus": 2}, "one process"),
        ({"optimizer__micro_batch_size": 3}, "cannot be cut into micro-batches of 3"),
        ({"backend__flags": {"ds.packing_samples": True}}, "optimizer.packing"),
        ({"max_len": 100000}, "more than the model's"),
        ({"rollout__max_new_tokens": 192}, "no room for a prompt"),
        ({"backend__flags": {"ds.lora.rank": 8}}, "not free"),
        ({"backend__flags": {"train.agent_func_path": "x.py"}}, "not free"),
        ({"backend__flags": {"logger.wandb.key": "secret"}}, "not free"),
        ({"backend__flags": {"actor.adam.eps": "many"}}, "invalid float value"),
        ({"backend__flags": {"actor.optim": "dpo"}}, "invalid choice"),
    ],
)
def test_what_openrlhf_cannot_do_is_refused_before_it_starts(rl_job: Job, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        rl.plan(rl_job(**changes))


@pytest.mark.parametrize(
    ("flag", "meant"), [("rollout.n_sample_per_prompt", "rollout.n_samples_per_prompt"), ("train.num_ep", "train.num_")]
)
def test_an_unknown_or_shortened_flag_is_refused_with_a_suggestion(rl_job: Job, flag: str, meant: str) -> None:
    with pytest.raises(RecipeError) as caught:
        rl.plan(rl_job(backend__flags={flag: 1}))
    assert caught.value.where == f"backend.flags.{flag}"
    assert meant in caught.value.fix


def test_a_flag_that_replaces_a_planned_value_is_said(rl_job: Job) -> None:
    plan = rl.plan(rl_job(backend__flags={"ckpt.max_num": 3}))
    assert read_back(plan)["ckpt.max_num"] == 3
    assert any("ckpt.max_num" in note for note in plan.notes)


def test_what_the_recipe_has_a_word_for_is_not_said_as_a_flag(rl_job: Job) -> None:
    with pytest.raises(RecipeError, match=r"algorithm\.entropy_coef"):
        rl.plan(rl_job(backend__flags={"actor.entropy_coef": 0.01}))


def test_a_checkpoint_is_loaded_where_the_job_resumes(rl_job: Job) -> None:
    job = rl_job()
    assert last_checkpoint(job.run_dir) is None
    assert read_back(rl.plan(job))["ckpt.load_enable"] is False
    actor = job.run_dir / "checkpoints" / "_actor"
    (actor / "global_step20").mkdir(parents=True)
    torch.save({}, actor / "global_step20" / "mp_rank_00_model_states.pt")
    (actor / "global_step40").mkdir()  # torn: DeepSpeed names a checkpoint in `latest` when it is complete
    (actor / "latest").write_text("global_step20")
    last = last_checkpoint(job.run_dir)
    assert last is not None
    assert last.step == 20
    assert read_back(rl.plan(replace(job, resume=True)))["ckpt.load_enable"] is True


def test_planning_writes_nothing(rl_job: Job, sft_job: Job) -> None:
    jobs = rl_job(), sft_job()
    rl.plan(jobs[0])
    sft.plan(jobs[1])
    assert not jobs[0].run_dir.exists()
