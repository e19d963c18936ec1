"""Registers the built-in data sources."""

from __future__ import annotations

from lrmctl.data.builtin import mathematics, safety
from lrmctl.data.sources import hub_source, jsonl_source
from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_sources(register: Register) -> None:
    register("jsonl", jsonl_source, summary="a local .jsonl or .json file of prompts or demonstrations")
    register("hub", hub_source, summary="a Hugging Face data set by id, or a local folder of one")
    register("star-1", safety.star_1, summary="STAR-1: harmful prompts, policy-grounded thinking, safe answers")
    register("star-benign", safety.star_benign, summary="STAR-benign-915: harmless look-alikes, answered")
    register("safechain", safety.safechain, summary="SafeChain: R1's safe responses to WildJailbreak prompts")
    register("direct-refusal", safety.direct_refusal, summary="DirectRefusal: one fixed thought, then a refusal")
    register("wildjailbreak", safety.wildjailbreak, summary="WildJailbreak's training prompts (gated)")
    register("advbench", safety.advbench, summary="AdvBench's harmful behaviours, prompts only")
    register("harmbench-val", safety.harmbench_val, summary="HarmBench's validation behaviours, prompts only")
    register("alpaca", safety.alpaca, summary="Alpaca's instructions as benign prompts")
    register("gsm8k", mathematics.gsm8k, summary="GSM8K's training problems")
    register("math", mathematics.mathematics, summary="MATH's training problems, none of MATH-500's")
