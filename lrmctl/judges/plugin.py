"""Registers the built-in judges."""

from __future__ import annotations

from lrmctl.hooks.specs import Register, hookimpl
from lrmctl.judges.guards import llama_guard_3, qwen3guard
from lrmctl.judges.rules import RefusalPhrases
from lrmctl.judges.standin import StandInJudge


@hookimpl
def lrmctl_judges(register: Register) -> None:
    register("refusal-phrases", RefusalPhrases, summary="smoke tests only: looks for refusal phrases in the answer")
    register("qwen3guard", qwen3guard, summary="Qwen3Guard-Gen: safety and refusal, strict or loose")
    register("llama-guard-3", llama_guard_3, summary="Llama-Guard-3-8B: safety by 14 categories")
    register("stand-in", StandInJudge, summary="smoke runs only: verdicts from a hash of the text")
