"""Registers the built-in thinking formats."""

from __future__ import annotations

from lrmctl.hooks.specs import LazyFactory, Register, hookimpl
from lrmctl.thinking.formats import summaries


@hookimpl
def lrmctl_thinking_formats(register: Register) -> None:
    for name, summary in summaries().items():
        register(name, LazyFactory("lrmctl.thinking.formats:format_factory", (name,)), summary=summary)
