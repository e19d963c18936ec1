"""Renders prompts and demonstrations as the exact text for training and sampling.

All rendering is here: trainers that apply the chat template to a whole conversation lose the thinking if the template
strips it from past turns. Takes any transformers tokenizer; loads none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.thinking import ThinkingFormat, default_format
from lrmctl.types import Prompt


def render_prompt(tokenizer: Any, prompt: Prompt, template_args: Mapping[str, Any] | None = None) -> str:
    """The chat template applied to the prompt, generation prompt included.

    Args:
        template_args: keyword arguments of the template, e.g. `enable_thinking`.

    Raises:
        LrmctlError: there is no template, or it is broken, rejects this prompt, or drops a part of it.
    """
    from lrmctl.models.chat import render_chat

    try:
        return render_chat(tokenizer, prompt.messages, template_args)
    except LrmctlError as error:
        raise type(error)(f"prompt {prompt.id!r}: {error.what}", error.where, error.fix) from error


def with_system(prompt: Prompt, system: str) -> Prompt:
    """The prompt with a system message before its others, if it has none."""
    if not system or prompt.messages[0]["role"] == "system":
        return prompt
    return replace(prompt, messages=({"role": "system", "content": system}, *prompt.messages))


def render_response(
    tokenizer: Any, thinking: str, answer: str, *, opened: bool, format: ThinkingFormat | None = None, off: bool = False
) -> str:
    """A demonstration's text after the prompt: thinking, closing tag, answer, and the template's end of turn.

    Args:
        opened: the rendered prompt already opened the thinking.
        format: the model's thinking format; think tags by default.
        off: thinking is off, so only the answer is rendered.

    Raises:
        LrmctlError: neither tokenizer nor template defines an end of text.
    """
    from lrmctl.models.end_of_text import end_of_text

    form, end = format or default_format(), end_of_text(tokenizer).response
    if not end:
        raise LrmctlError(
            "neither the tokenizer nor the chat template names an end of text",
            where=str(getattr(tokenizer, "name_or_path", "")),
            fix="name it as eos_token in tokenizer_config.json",
        )
    if off:
        return f"{answer}{end}"
    return f"{'' if opened else form.opening}{thinking}{form.closing}{answer}{end}"


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Token ids of the rendered prompt; the template already contains all special tokens."""
    ids: list[int] = tokenizer(render_prompt(tokenizer, prompt), add_special_tokens=False)["input_ids"]
    return ids
