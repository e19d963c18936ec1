"""Registers the built-in data sources."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl

_SAFETY = "lrmctl.data.builtin.safety"


@hookimpl
def lrmctl_sources(register: Register) -> None:
    register(
        "jsonl", "lrmctl.data.sources:jsonl_source", summary="a local .jsonl or .json file of prompts or demonstrations"
    )
    register(
        "rollout-pairs",
        "lrmctl.data.pairs.groups:RolloutPairs",
        summary="preference pairs: the best and the worst of each group of a run's rollouts",
    )
    register("run", "lrmctl.data.of_run:run_source", summary="the rows of a data build; `run:NAME` is short for it")
    register(
        "asked",
        "lrmctl.data.asked:AskedAbout",
        summary="prompts that ask about the rows of other sources",
    )
    register("hub", "lrmctl.data.sources:hub_source", summary="a Hugging Face data set by id, or a local folder of one")
    register("star-1", f"{_SAFETY}:star_1", summary="STAR-1: harmful prompts, policy-grounded thinking, safe answers")
    register("star-benign", f"{_SAFETY}:star_benign", summary="STAR-benign-915: harmless look-alikes, answered")
    register("safechain", f"{_SAFETY}:safechain", summary="SafeChain: R1's safe responses to WildJailbreak prompts")
    register("direct-refusal", f"{_SAFETY}:direct_refusal", summary="DirectRefusal: one fixed thought, then a refusal")
    register("wildjailbreak", f"{_SAFETY}:wildjailbreak", summary="WildJailbreak's training prompts (gated)")
    register("advbench", f"{_SAFETY}:advbench", summary="AdvBench's harmful behaviours, prompts only")
    register("harmbench-val", f"{_SAFETY}:harmbench_val", summary="HarmBench's validation behaviours, prompts only")
    register("alpaca", f"{_SAFETY}:alpaca", summary="Alpaca's instructions as benign prompts")
    register(
        "self-instruct-seed", f"{_SAFETY}:self_instruct_seed", summary="Self-Instruct's seed tasks, answered by people"
    )
    register("gsm8k", "lrmctl.data.builtin.mathematics:gsm8k", summary="GSM8K's training problems")
    register(
        "math", "lrmctl.data.builtin.mathematics:mathematics", summary="MATH's training problems, none of MATH-500's"
    )
