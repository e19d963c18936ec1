"""Renders the rows of a training run with its template arguments and thinking format.

One instance per run; it inspects the template once per set of arguments. A demonstration with thinking after a template
that has already closed the thinking would teach a second thinking block, so it is rejected.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from lrmctl._util.text import is_blank
from lrmctl.data.pairs.pair import PreferencePair
from lrmctl.data.render import render_prompt, render_response, with_system
from lrmctl.data.sources import Demonstration
from lrmctl.errors import RecipeError
from lrmctl.thinking import (
    Override,
    Thinking,
    closes_thinking,
    default_format,
    find_thinking,
    opens_thinking,
    switched_off_by_words,
)
from lrmctl.types import Prompt


@dataclass
class RenderedPrompt:
    """A rendered prompt, and how the model thinks after it."""

    text: str
    thinking: Thinking
    opened: bool
    closed: bool

    @property
    def off(self) -> bool:
        """Whether thinking is off."""
        return self.closed or self.thinking.on is False


class RenderedPair(NamedTuple):
    """The texts of a pair, of which only the two responses are trained on."""

    prompt: str
    chosen: str
    rejected: str


@dataclass
class Renderer:
    """Renders the rows of one run.

    Attributes:
        template_args: the recipe's; a source's take precedence.
        override: the recipe's `thinking:`.
        system: the recipe's system message; a source's takes precedence.
    """

    tokenizer: Any
    template_args: Mapping[str, Any] = field(default_factory=dict)
    override: Override = None
    system: str = ""
    _known: dict[str, Thinking] = field(default_factory=dict)

    def thinking(self, also: Mapping[str, Any] | None = None) -> Thinking:
        """How the model thinks with the recipe's arguments and these.

        Raises:
            RecipeError: the recipe's format contradicts the template's.
        """
        args = {**self.template_args, **(also or {})}
        key = json.dumps(args, sort_keys=True, default=repr)
        if key not in self._known:
            found = find_thinking(self.tokenizer, template_args=args, override=self.override)
            if found.on is None and found.mode == "does not think":  # training provides no further evidence
                found = replace(found, on=False)
            self._known[key] = found
        return self._known[key]

    def is_off(self, also: Mapping[str, Any]) -> bool:
        """Whether thinking is off with these arguments."""
        return self.thinking(also).on is False

    def prompt(
        self, prompt: Prompt, also: Mapping[str, Any] | None = None, system: str | None = None
    ) -> RenderedPrompt:
        """Render a prompt with its source's template arguments and system message."""
        thinking = self.thinking(also)
        asked = with_system(prompt, self.system if system is None else system)
        text = render_prompt(self.tokenizer, asked, {**self.template_args, **(also or {})})
        form = thinking.format
        closed = closes_thinking(text, form) or switched_off_by_words(text, thinking)
        return RenderedPrompt(text, thinking, opens_thinking(text, form), closed)

    def begun(self, rendered: RenderedPrompt, thought: str) -> RenderedPrompt:
        """The prompt followed by the beginning of its thinking.

        Raises:
            RecipeError: thinking is off.
        """
        if rendered.closed or self.override == "off" or _switched_off(rendered.thinking):
            what = f"a thought is given, and {_why_off(rendered)}"
            raise RecipeError(what, "template_args", _fix(rendered))
        start = "" if rendered.opened else (rendered.thinking.format or default_format()).opening
        return replace(rendered, text=rendered.text + start + thought, opened=True)

    def demonstration(self, row: Demonstration) -> tuple[str, str]:
        """Render a demonstration as prompt and response.

        Raises:
            RecipeError: the demonstration has thinking but thinking is off, or the other way round.
        """
        asked = self.prompt(row.prompt, row.template_args, row.system)
        without = is_blank(row.thinking)
        if not without and (asked.closed or self.override == "off" or _switched_off(asked.thinking)):
            raise RecipeError(
                f"the demonstration {row.prompt.id!r} thinks, and {_why_off(asked)}", "template_args", _fix(asked)
            )
        if without and not asked.off:
            raise RecipeError(
                f"the demonstration {row.prompt.id!r} has no thinking, and the model thinks ({asked.thinking.why})",
                "template_args",
                _fix_without(asked),
            )
        form, off = asked.thinking.format, without
        text = render_response(self.tokenizer, row.thinking, row.answer, opened=asked.opened, format=form, off=off)
        return asked.text, text

    def pair(self, row: PreferencePair) -> RenderedPair:
        """Render a pair; what both thoughts begin with becomes part of the prompt.

        Raises:
            RecipeError: as `demonstration`, for either side.
        """
        asked, rest = self.prompt(row.prompt, row.template_args, row.system), (row.template_args, row.system)
        prompt, chosen = self.demonstration(Demonstration(row.prompt, *row.chosen, *rest))
        _, rejected = self.demonstration(Demonstration(row.prompt, *row.rejected, *rest))
        form = asked.thinking.format or default_format()
        shared = len(row.prefix) + (0 if asked.opened else len(form.opening)) if row.prefix else 0
        return RenderedPair(prompt + chosen[:shared], chosen[shared:], rejected[shared:])

    def notes(self) -> list[str]:
        """Notes to read before a run: the thinking formats found, and warnings."""
        found = [warning for thinking in self._known.values() for warning in thinking.warnings]
        told = [thinking.describe() for thinking in self._known.values()]
        return [*(f"thinking: {said}" for said in dict.fromkeys(told)), *dict.fromkeys(found)]


def _switched_off(thinking: Thinking) -> bool:
    return thinking.on is False and thinking.mode == "can think"


def _why_off(asked: RenderedPrompt) -> str:
    return "the chat template closes the thought before it" if asked.closed else "thinking is switched off"


def _fix(asked: RenderedPrompt) -> str:
    switch = asked.thinking.switch
    if switch:
        value = _value(switch, on=True)
        return f"switch thinking on: `template_args: {{{switch}: {value}}}`; or give demonstrations without thinking"
    return "give demonstrations without thinking and `thinking: off`, or correct chat_template.jinja of the model"


def _fix_without(asked: RenderedPrompt) -> str:
    switch = asked.thinking.switch
    if switch:
        value = _value(switch, on=False)
        return f"say `template_args: {{{switch}: {value}}}` for the source, or give demonstrations that think"
    return "give demonstrations that think, or say `thinking: off` if the model is not to think"


def _value(switch: str, *, on: bool) -> str:
    """A value of a template's switch, as YAML."""
    from lrmctl.thinking.template import SWITCHES

    known = SWITCHES.get(switch)
    return json.dumps((known.on if on else known.off)[0] if known else on)
