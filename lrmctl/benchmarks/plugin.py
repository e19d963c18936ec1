"""Registers the public benchmarks, and those of a user's own prompts."""

from __future__ import annotations

from lrmctl.benchmarks import custom
from lrmctl.benchmarks.declared import declared_sets, public_set
from lrmctl.benchmarks.two_way import TWO_WAY_SETS
from lrmctl.hooks.specs import Register, hookimpl


@hookimpl
def lrmctl_benchmarks(register: Register) -> None:
    for name, facts in declared_sets().items():
        register(name, public_set(facts), summary=facts.summary)
    for name, (public, summary) in TWO_WAY_SETS.items():
        register(name, public, summary=summary)
    register("prompts-file", custom.prompts_file, summary="your own prompts: a CSV, JSONL, text or Parquet file")
    register("prompts-hub", custom.prompts_hub, summary="your own prompts: a data set of the hub, or a copy of one")
