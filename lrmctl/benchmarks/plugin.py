"""Registers the public benchmarks, and those for a user's own prompts."""

from __future__ import annotations

from lrmctl.benchmarks.set_facts import declared_sets
from lrmctl.hooks.specs import LazyFactory, Register, hookimpl


@hookimpl
def lrmctl_benchmarks(register: Register) -> None:
    for name, facts in declared_sets().items():
        register(name, LazyFactory("lrmctl.benchmarks.declared:declared_set", (name,)), summary=facts.summary)
    two_way, custom = "lrmctl.benchmarks.two_way", "lrmctl.benchmarks.custom"
    register(
        "harmbench", f"{two_way}:HARMBENCH_SET", summary="HarmBench: behaviours, contextual ones after their context"
    )
    register("sorry-bench", f"{two_way}:SORRY_BENCH_SET", summary="SORRY-Bench: ten prompts of each category (gated)")
    register(
        "wildguardtest",
        f"{two_way}:WILDGUARDTEST_SET",
        summary="WildGuardTest: prompts by the annotators' label (gated)",
    )
    register(
        "prompts-of",
        "lrmctl.benchmarks.of_source:SourceBenchmark",
        summary="the prompts of a training source, by its name",
    )
    register("prompts-file", f"{custom}:prompts_file", summary="your own prompts: a CSV, JSONL, text or Parquet file")
    register(
        "prompts-hub", f"{custom}:prompts_hub", summary="your own prompts: a data set of the hub, or a copy of one"
    )
