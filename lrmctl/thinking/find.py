"""Does a model think, and how does it write it: found from its chat template and its tokenizer's added tokens.

The template is rendered, with its switches on and off, and the renderings are compared: what a template is said to do
does not count. Where neither template nor tokens show anything, the completions decide (see `Thinking.settled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lrmctl.errors import RecipeError
from lrmctl.thinking.formats import ThinkingFormat, builtin_formats, own_format, thinking_format
from lrmctl.types import ThinkingState

Mode = Literal["thinks", "can think", "does not think", "unknown"]
Override = Mapping[str, Any] | str | None
"""What a recipe says: `off`, a format's name, `{format: NAME}` or `{open: ..., close: ...}`; None finds it."""
FEW = 0.05
"""Share of completions with a thought below which a model of which nothing else is known counts as one that does not
think."""


@dataclass(frozen=True)
class Thinking:
    """How one model thinks under one set of template arguments.

    Attributes:
        format: its markers; None where they are read from each completion.
        mode: what the model can do.
        on: whether it is asked to think: without a thought a completion is `absent` if True, `off` if False; None
            leaves it to the completions.
        switch: the template's argument that switches thinking, empty for none.
        why: how it was found, for a reader.
        warnings: sentences to be told before anything is drawn.
    """

    format: ThinkingFormat | None = None
    mode: Mode = "unknown"
    on: bool | None = None
    switch: str = ""
    why: str = ""
    warnings: tuple[str, ...] = ()

    def state(self, found: ThinkingState, *, closed_before: bool = False) -> ThinkingState:
        """The state of a completion whose text shows `found`.

        Args:
            closed_before: the rendered prompt ends with a closed thought.
        """
        return "off" if found == "absent" and (closed_before or self.on is False) else found

    def settled(self, thoughts: int, completions: int) -> Thinking:
        """With what an evaluation's completions show, where nothing else says it."""
        if self.on is not None or not completions:
            return self
        seen = f"{thoughts} of {completions} completions opened a thought"
        if thoughts >= FEW * completions and thoughts:
            return replace(self, on=True, mode="thinks", why=_also(self.why, seen))
        seen = seen if thoughts else f"none of {completions} completions opened a thought"
        return replace(self, on=False, mode="does not think", why=_also(self.why, seen))

    def describe(self) -> str:
        """One line for a terminal."""
        form = f" ({self.format.name})" if self.format else ""
        switched = {True: ", on", False: ", off", None: ""}[self.on] if self.mode == "can think" else ""
        return f"{self.mode}{switched}{form}" + (f": {self.why}" if self.why else "")

    def to_json(self) -> dict[str, Any]:
        form = self.format.to_json() if self.format else None
        kept = {"mode": self.mode, "on": self.on, "switch": self.switch, "why": self.why}
        return {**kept, "format": form, "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Thinking:
        form = row.get("format")
        return cls(
            format=ThinkingFormat.from_json(form) if form else None,
            mode=row.get("mode", "unknown"),
            on=row.get("on"),
            switch=row.get("switch", ""),
            why=row.get("why", ""),
            warnings=tuple(row.get("warnings", ())),
        )


UNKNOWN = Thinking()
_SOFT = "/no_think"
"""In the user's last message or the system message: models with the switch `enable_thinking` heed it (Qwen3)."""


def switched_off_by_words(text: str, thinking: Thinking) -> bool:
    """Whether the words of a prompt switch thinking off, where the model's template has such a switch."""
    return thinking.switch == "enable_thinking" and _SOFT in text


def _also(why: str, seen: str) -> str:
    return f"{why}; {seen}" if why else seen


def format_of_override(override: Override) -> ThinkingFormat | None:
    """The format that a recipe names; None for `off` and for nothing.

    Raises:
        RecipeError, NotFoundError: what is said names no format.
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
    """How the model of a tokenizer thinks.

    Args:
        tokenizer: a transformers tokenizer with a chat template; None where the template is a server's own.
        template_args: the template's arguments as the model is asked with.
        override: what a recipe says of the model.

    Raises:
        RecipeError: the recipe's format is not the template's.
    """
    from lrmctl.thinking.template import look_at

    form = format_of_override(override)
    if override in ("off", False):
        return _off(tokenizer, template_args)
    if tokenizer is None:
        return _without_template(form, template_args or {})
    return look_at(tokenizer, template_args or {}, form)


def _off(tokenizer: Any, template_args: Mapping[str, Any] | None) -> Thinking:
    from lrmctl.thinking.template import refuse_open

    if tokenizer is not None:
        refuse_open(tokenizer, template_args or {})
    return Thinking(None, "does not think", False, why="the recipe says so")


def _without_template(form: ThinkingFormat | None, args: Mapping[str, Any]) -> Thinking:
    """Of a server's own template: what is sent to it may say that thinking is off."""
    from lrmctl.thinking.template import SWITCHES

    for name, value in args.items():
        if name in SWITCHES and SWITCHES[name].is_off(value):
            return Thinking(form, "can think", False, name, f"{name} is {value!r}")
    if form:
        return Thinking(form, "thinks", True, why="the recipe names its format")
    return UNKNOWN


def known_formats() -> list[ThinkingFormat]:
    """The built-in formats."""
    return list(builtin_formats().values())
