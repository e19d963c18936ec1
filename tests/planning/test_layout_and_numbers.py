"""Placement, derived numbers, GPU types and what to change first."""

from __future__ import annotations

from typing import Any

import pytest

from lrmctl.errors import RecipeError
from lrmctl.planning import PlanSummary, describe
from lrmctl.planning.colocated import ColocatedModel
from lrmctl.planning.derived import DataFacts
from lrmctl.planning.gpus import gpu_memory, smallest_gpu_for
from lrmctl.planning.layout import placement
from lrmctl.planning.model_shape import known_models
from lrmctl.planning.render import bar, number, size, verdict
from lrmctl.planning.workload import Lengths, micro_tokens
from lrmctl.recipe.schema.recipes import RlRecipe, SftRecipe

GIB = 1024**3
JUDGED = {"components": [{"use": "judged-safe", "name": "safe", "when": "harmful", "options": {"judge": "g"}}]}


def rl(**sections: Any) -> RlRecipe:
    base = {"kind": "rl", "name": "r", "model": "m", "prompts": [{"use": "p"}], "reward": JUDGED}
    return RlRecipe.model_validate({**base, **sections})


def sft(**sections: Any) -> SftRecipe:
    base = {"kind": "sft", "name": "s", "model": "m", "data": {"sources": [{"use": "p"}], "max_len": 1000}}
    return SftRecipe.model_validate({**base, **sections})


def planned(recipe: RlRecipe | SftRecipe, model: str = "Qwen/Qwen3-4B", **known: Any) -> PlanSummary:
    return describe(recipe, known_models()[model], device="cuda", dtype="bf16", data=DataFacts(**known))


def roles(recipe: RlRecipe | SftRecipe, device: str = "cuda") -> dict[str, tuple[int, tuple[str, ...]]]:
    return {r.name: (r.gpus, r.where) for r in placement(recipe, device).roles if r.gpus}


def test_colocated_roles_share_their_gpus() -> None:
    recipe = rl(layout={"nodes": 2, "gpus": 4}, algorithm={"kl": {"coef": 0.1}})
    where = ("node0:0-3", "node1:0-3")
    assert roles(recipe) == {"actor": (8, where), "reference": (8, where), "rollout engine": (8, where)}
    assert placement(recipe, "cuda").gpus == 8


def test_separate_roles_have_gpus_of_their_own() -> None:
    layout = {"gpus": 4, "placement": "separate", "rollout_gpus": 6, "critic_gpus": 2}
    recipe = rl(layout=layout, algorithm={"name": "ppo"})
    assert roles(recipe) == {
        "actor": (4, ("node0:0-3",)),
        "critic": (2, ("node0:4-5",)),
        "rollout engine": (6, ("node0:6-7", "node1:0-3")),
    }
    assert (placement(recipe, "cuda").gpus, placement(recipe, "cuda").nodes) == (12, 2)


def test_an_asynchronous_engine_never_shares_the_actors_gpus() -> None:
    recipe = rl(layout={"gpus": 2}, rollout={"mode": "async"})
    assert roles(recipe)["rollout engine"] == (2, ("node0:2-3",))
    assert [g.name for g in planned(recipe).memory.groups] == ["actor", "rollout engine"]  # type: ignore[union-attr]


def test_a_reference_exists_only_for_a_kl_and_a_critic_only_for_ppo() -> None:
    names = {r.name for r in placement(rl(), "cuda").roles}
    assert names == {"actor", "rollout engine", "reward service", "controller"}


def test_on_cpu_every_role_is_a_process_of_the_host() -> None:
    found = placement(rl(algorithm={"name": "ppo", "kl": {"coef": 0.1}}), "cpu")
    assert (found.gpus, {r.where for r in found.roles}) == (0, {("host",)})
    assert len(found.roles) == 6


@pytest.mark.parametrize(("part", "parts"), [("whole", 2), ("answer", 1)])
def test_judge_calls_are_samples_of_the_components_kinds_times_parts(part: str, parts: int) -> None:
    component = {**JUDGED["components"][0], "part": part}
    recipe = rl(reward={"components": [component]}, algorithm={"steps": 10, "prompts_per_step": 4})
    derived = planned(recipe, rows=100, kinds={"harmful": 25, "benign": 75}).derived
    assert derived.samples == 10 * 4 * 8
    assert derived.judge_calls == {"safe": 320 // 4 * parts}
    assert planned(recipe).derived.judge_calls == {"safe": 320 * parts}  # kinds not known: at most


def test_the_numbers_of_an_rl_run() -> None:
    algorithm = {"steps": 20, "prompts_per_step": 4, "samples_per_prompt": 2, "updates_per_step": 2}
    recipe = rl(algorithm={**algorithm, "epochs_per_step": 3}, rollout={"max_new_tokens": 100}, save_every=5)
    derived = planned(recipe, rows=40).derived
    assert (derived.steps, derived.optimizer_steps, derived.passes) == (20, 120, 2.0)
    assert (derived.samples, derived.tokens_at_most, derived.checkpoints) == (160, 16_000, 4)
    parameters = known_models()["Qwen/Qwen3-4B"].parameters
    assert derived.checkpoint_bytes == 14 * parameters
    assert derived.disk_bytes == 2 * 14 * parameters + 2 * parameters  # two are kept, and the model


def test_the_numbers_of_an_sft_run_and_of_one_whose_rows_are_not_known() -> None:
    recipe = sft(train={"epochs": 2, "batch_size": 8}, optimizer={"micro_batch_size": 4}, layout={"gpus": 2})
    derived = planned(recipe, rows=100, tokens=5000).derived
    assert (derived.steps, derived.samples, derived.tokens_at_most) == (24, 192, 10_000)
    assert planned(recipe).derived.steps is None


def test_tokens_of_a_micro_batch_are_bounded_by_rows_dynamic_batches_and_ring_attention() -> None:
    assert micro_tokens(sft(optimizer={"micro_batch_size": 4}), 700) == 2800
    dynamic = rl(optimizer={"dynamic_batch_tokens": 1000, "sequence_parallel": 2})
    assert (micro_tokens(dynamic, 700), micro_tokens(dynamic, 5000)) == (1000, 2500)
    assert Lengths(300).sequence(rl(max_len=8192, rollout={"max_new_tokens": 512})) == 812


def test_the_peak_of_colocated_roles_is_a_phase_and_not_the_sum() -> None:
    memory = planned(rl(layout={"gpus": 8, "gpu_type": "H100-80GB"}, optimizer={"micro_batch_size": 1})).memory
    assert memory is not None
    (group,) = memory.groups
    assert [p.name for p in group.phases] == ["generate", "experience", "update actor"]
    assert memory.peak == max(p.total for p in group.phases) < sum(p.total for p in group.phases)


def test_a_guard_on_a_gpu_of_the_run_is_counted_there_and_elsewhere_it_is_alone() -> None:
    recipe = rl(layout={"gpus": 2, "gpu_type": "H100-80GB"}, optimizer={"micro_batch_size": 1})
    shape, guard = known_models()["Qwen/Qwen3-4B"], known_models()["Qwen/Qwen3Guard-Gen-4B"]

    def of(*colocated: ColocatedModel) -> dict[str, int]:
        found = describe(recipe, shape, device="cuda", dtype="bf16", colocated=colocated).memory
        assert found is not None
        return {g.name: g.peak.total for g in found.groups}

    ((base, alone),) = of().items()
    shared = of(ColocatedModel("guard", guard, 0, 8))
    assert shared[base] == alone
    assert shared[f"{base} + guard (GPU 0)"] > alone + 2 * guard.parameters
    assert of(ColocatedModel("guard", guard, 2, 8))["guard (GPU 2)"] < shared[f"{base} + guard (GPU 0)"] - alone + GIB


def test_a_change_that_is_advised_makes_the_run_fit() -> None:
    recipe = sft(layout={"gpus": 1, "gpu_type": "A100-80GB"}, optimizer={"micro_batch_size": 2})
    first = planned(recipe, "Qwen/Qwen3-4B")
    assert first.memory is not None
    assert first.memory.verdict == "tight"
    too_much = planned(recipe, "Qwen/Qwen3-8B")
    assert too_much.memory is not None
    assert too_much.memory.verdict == "does not fit"
    assert too_much.change is not None
    assert (too_much.change.key, too_much.change.verdict) == ("optimizer.offload", "fits")
    assert "does NOT fit" in verdict(too_much.memory)


def test_without_a_gpu_type_the_smallest_that_holds_it_is_named() -> None:
    memory = planned(sft(layout={"gpus": 8})).memory
    assert memory is not None
    assert memory.verdict == "unknown"
    assert smallest_gpu_for(memory.peak) in verdict(memory)


def test_an_unknown_gpu_type_is_refused_with_a_suggestion() -> None:
    with pytest.raises(RecipeError, match="did you mean 'H100-80GB'"):
        gpu_memory("H100-80G")
    assert gpu_memory("h100-80gb") < 80 * GIB  # what the driver shows, not what the box says


def test_a_model_of_unknown_shape_leaves_everything_else() -> None:
    found = describe(rl(), RecipeError("a mixture of experts"), device="cuda", dtype="bf16")
    assert (found.memory, found.why_no_memory, found.derived.steps) == (None, "a mixture of experts", 80)
    assert found.to_json()["memory"]["not_estimated"] == "a mixture of experts"


def test_amounts_in_words() -> None:
    assert [size(n) for n in (None, 12, 3.3 * GIB, 213 * GIB)] == ["unknown", "12 B", "3.3 GiB", "213 GiB"]
    assert [number(n) for n in (None, 1280, 41.9e6, 0.5)] == ["unknown", "1,280", "41.9 million", "0.50"]
    assert bar(0.5, 4) == "██  "
    assert bar(2.0, 4) == "████"
