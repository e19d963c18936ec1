"""Registers the public benchmarks, and those of a user's own prompts."""

from __future__ import annotations

from lrmctl.benchmarks import contrast, custom, harmful
from lrmctl.benchmarks.factory import PublicSet
from lrmctl.hooks.specs import Register, hookimpl

_SPLIT = "split"
SETS = {
    "strongreject": (PublicSet(harmful.strongreject, ({}, {_SPLIT: "small"})), "StrongREJECT: forbidden prompts"),
    "harmbench": (
        PublicSet(
            harmful.harmbench,
            tuple({_SPLIT: s, "functional": f} for s in harmful.HARMBENCH for f in harmful.FUNCTIONAL),
        ),
        "HarmBench: behaviours, contextual ones after their context",
    ),
    "advbench": (PublicSet(harmful.advbench), "AdvBench: harmful behaviours"),
    "jailbreakbench": (
        PublicSet(contrast.jailbreakbench, tuple({_SPLIT: s} for s in contrast.JAILBREAKBENCH)),
        "JailbreakBench: misuse behaviours, and benign ones on the same topics",
    ),
    "xstest": (
        PublicSet(contrast.xstest, tuple({_SPLIT: s} for s in contrast.XSTEST)),
        "XSTest: safe prompts that look unsafe, and unsafe ones in contrast",
    ),
    "wildjailbreak-eval": (
        PublicSet(contrast.wildjailbreak_eval, tuple({_SPLIT: s} for s in contrast.WILD)),
        "WildJailbreak's evaluation attacks, and benign look-alikes (gated)",
    ),
    "or-bench": (
        PublicSet(contrast.or_bench, tuple({_SPLIT: s} for s in contrast.OR_BENCH)),
        "OR-Bench: benign prompts that get refused, and toxic ones in contrast",
    ),
    "do-not-answer": (PublicSet(harmful.do_not_answer), "Do-Not-Answer: questions not to be followed"),
    "sorry-bench": (
        PublicSet(harmful.sorry_bench, tuple({"version": v} for v in harmful.SORRY)),
        "SORRY-Bench: ten prompts of each category (gated)",
    ),
    "malicious-instruct": (PublicSet(harmful.malicious_instruct), "MaliciousInstruct: ten malicious intents"),
    "wildguardtest": (
        PublicSet(contrast.wildguardtest, ({}, {_SPLIT: "benign"}, {_SPLIT: "all"})),
        "WildGuardTest: prompts by the annotators' label (gated)",
    ),
}


@hookimpl
def lrmctl_benchmarks(register: Register) -> None:
    for name, (public, summary) in SETS.items():
        register(name, public, summary=summary)
    register("prompts-file", custom.prompts_file, summary="your own prompts: a CSV, JSONL, text or Parquet file")
    register("prompts-hub", custom.prompts_hub, summary="your own prompts: a data set of the hub, or a copy of one")
