"""Detects whether and how a model thinks, from its chat template and its tokenizer's added tokens.

The template is rendered with its switches on and off and the results are compared, instead of relying on documentation.
If neither template nor tokens show anything, the completions decide (see `Thinking.settled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.errors import RecipeError
from lrmctl.thinking.formats import ThinkingFormat, builtin_formats, own_format, thinking_format
from lrmctl.thinking.state import UNKNOWN, Thinking
from lrmctl.thinking.template import SWITCHES, inspect_template, refuse_open_thought

Override = Mapping[str, Any] | str | None
"""A recipe's setting: `off`, a format's name, `{format: NAME}` or `{open: ..., close: ...}`; None detects it."""


def format_of_override(override: Override) -> ThinkingFormat | None:
    """The format that a recipe names; None for `off` and if not set.

    Raises:
        RecipeError, NotFoundError: it names no valid format.
    """
    if override is None or override in ("off", "auto", False):
        return None
    if isinstance(override, str):
        return thinking_format(override)
    if not isinstance(override, Mapping):
        raise RecipeError(f"thinking is {override!r}", "thinking", "say off, {format: NAME} or {open: ..., close: ...}")
    if override.get("format"):
        return thinking_format(str(override["format"]))
    return own_format(str(override.get("open") or ""), str(override.get("close") or ""))


def find_thinking(
    tokenizer: Any, *, template_args: Mapping[str, Any] | None = None, override: Override = None
) -> Thinking:
    """Detect how the model of a tokenizer thinks.

    Args:
        tokenizer: a transformers tokenizer with a chat template; None if a server applies its own template.
        template_args: the template's arguments in use.
        override: the recipe's setting.

    Raises:
        RecipeError: the recipe's format contradicts the template's.
    """
    form = format_of_override(override)
    if override in ("off", False):
        return _off(tokenizer, template_args)
    if tokenizer is None:
        return _without_template(form, template_args or {})
    return inspect_template(tokenizer, template_args or {}, form)


def _off(tokenizer: Any, template_args: Mapping[str, Any] | None) -> Thinking:
    if tokenizer is not None:
        refuse_open_thought(tokenizer, template_args or {})
    return Thinking(None, "does not think", False, why="the recipe says so")


def _without_template(form: ThinkingFormat | None, args: Mapping[str, Any]) -> Thinking:
    """For a server's own template: the arguments sent to it may turn thinking off."""
    for name, value in args.items():
        if name in SWITCHES and SWITCHES[name].is_off(value):
            return Thinking(form, "can think", False, name, f"{name} is {value!r}")
    if form:
        return Thinking(form, "thinks", True, why="the recipe names its format")
    return UNKNOWN


def known_formats() -> list[ThinkingFormat]:
    """The built-in formats."""
    return list(builtin_formats().values())
