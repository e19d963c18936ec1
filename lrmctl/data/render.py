"""Prompts and demonstrations as the exact text that a model is trained and sampled on.

Rendered here and nowhere else: trainers that apply the chat template to a whole conversation lose the thinking of
templates that strip it from past turns. Takes any transformers tokenizer; loads none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.thinking import ThinkingFormat, default_format
from lrmctl.types import Prompt


def render_prompt(tokenizer: Any, prompt: Prompt, template_args: Mapping[str, Any] | None = None) -> str:
    """The chat template applied to the prompt, generation prompt included.

    Args:
        template_args: named arguments of the template, e.g. `enable_thinking`.

    Raises:
        LrmctlError: there is no template, it is broken, it refuses this prompt, or leaves a part of it out.
    """
    from lrmctl.models.chat import render_chat

    try:
        return render_chat(tokenizer, prompt.messages, template_args)
    except LrmctlError as error:
        raise type(error)(f"prompt {prompt.id!r}: {error.what}", error.where, error.fix) from error


def render_response(
    tokenizer: Any, thinking: str, answer: str, *, opened: bool, format: ThinkingFormat | None = None, off: bool = False
) -> str:
    """A demonstration's text after the prompt: thinking, closing tag, answer, end of text.

    Args:
        opened: the rendered prompt already opened the thought.
        format: how the model writes its thought; think tags by default.
        off: the model is not to think: the answer alone.
    """
    if off:
        return f"{answer}{tokenizer.eos_token}"
    form = format or default_format()
    return f"{'' if opened else form.opening}{thinking}{form.closing}{answer}{tokenizer.eos_token}"


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of the rendered prompt; the template has put in every special token already."""
    ids: list[int] = tokenizer(render_prompt(tokenizer, prompt), add_special_tokens=False)["input_ids"]
    return ids
