"""Registers the built-in formats of thinking; here, because the room of formats lies below the hooks."""

from __future__ import annotations

from functools import partial

from lrmctl.hooks.specs import Register, hookimpl
from lrmctl.thinking import ThinkingFormat, builtin_formats


def _made(form: ThinkingFormat) -> ThinkingFormat:
    return form


@hookimpl
def lrmctl_thinking_formats(register: Register) -> None:
    for name, form in builtin_formats().items():
        register(name, partial(_made, form), summary=form.summary)
