"""Registers the built-in engines, so that they are listed beside those of plugins."""

from __future__ import annotations

from lrmctl.hooks.specs import LazyFactory, Register, hookimpl

_SUMMARIES = {
    "hf": "transformers, in this process or one worker for each GPU",
    "vllm": "vLLM, in this process; must be installed",
    "openai": "servers with an OpenAI-compatible API",
}


@hookimpl
def lrmctl_engines(register: Register) -> None:
    for name, summary in _SUMMARIES.items():
        register(name, LazyFactory("lrmctl.engines.factory:builtin_factory", (name,)), summary=summary)
