"""Registers the built-in lexicons."""

from __future__ import annotations

from lrmctl.hooks.specs import LazyFactory, Register, hookimpl
from lrmctl.lexicons import builtin_lexicons


@hookimpl
def lrmctl_lexicons(register: Register) -> None:
    for name, lexicon in builtin_lexicons().items():
        factory = LazyFactory("lrmctl.lexicons.lexicon:builtin_factory", (name,))
        register(name, factory, summary=f"{len(lexicon.words)} words or phrases; {lexicon.source}")
