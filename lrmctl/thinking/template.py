"""Inspects a chat template: thinking markers, switches, and whether it opens or closes the thinking."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.thinking.formats import ThinkingFormat, builtin_formats, plugin_formats
from lrmctl.thinking.spans import added_tokens
from lrmctl.thinking.split import closes_thinking, opens_thinking
from lrmctl.thinking.state import Thinking

_ASKED = "lrmctl asks"
_TAG = re.compile(r"(<[A-Za-z][\w:.-]*>|\[[A-Z_]+\]|\u25c1\w+\u25b7)\s*\Z")
_NAMED = re.compile(r"think|thought|reason|cogit|reflect", re.I)


@dataclass(frozen=True)
class Switch:
    """A template argument that turns thinking on and off.

    Attributes:
        on, off: its values.
        sure: any difference in rendering suffices; otherwise the `off` rendering must close, or not open, the thinking.
    """

    on: tuple[Any, ...] = (True,)
    off: tuple[Any, ...] = (False,)
    sure: bool = True

    def is_off(self, value: Any) -> bool:
        return any(value == each and type(value) is type(each) for each in self.off)


_WORDS = Switch(("on", "high", "think"), ("off", "none", "no_think", "nothink"), sure=False)
SWITCHES: Mapping[str, Switch] = {
    "enable_thinking": Switch(),
    "thinking": Switch(),
    "think": Switch(),
    "enable_reasoning": Switch(),
    "reasoning": Switch(),
    "thinking_mode": _WORDS,
    "reasoning_mode": _WORDS,
    "reasoning_effort": _WORDS,
    "thinking_budget": Switch((-1, 1024), (0,), sure=False),
}


def inspect_template(tokenizer: Any, args: Mapping[str, Any], given: ThinkingFormat | None) -> Thinking:
    """See `find_thinking`.

    Raises:
        RecipeError: the recipe's format contradicts the template's.
    """
    template, rendered = template_of(tokenizer), render(tokenizer, args)
    shown = _shown(template, rendered, tokenizer, builtin_formats().values())
    if not any(_in_template(each, template, rendered) for each in shown):
        shown = _shown(template, rendered, tokenizer, plugin_formats()) + shown
    form = given or (shown[0] if shown else None)
    if given:
        _refuse_other(given, shown, template, rendered)
    warnings = () if given else _warnings(rendered, tokenizer, shown)
    if form is None:
        why = "its template and its tokens show no markers of a thought"
        return Thinking(None, "does not think" if not warnings else "unknown", None, why=why, warnings=warnings)
    name, is_on = _switch(tokenizer, args, form, template)
    by_template = _in_template(form, template, rendered)
    if name:
        return Thinking(form, "can think", is_on, name, f"its template has the switch {name}", warnings)
    if closes_thinking(rendered, form):
        return Thinking(form, "does not think", False, "", "its template closes the thought", warnings)
    if opens_thinking(rendered, form):
        return Thinking(form, "thinks", True, "", "its template opens the thought", warnings)
    if by_template:
        return Thinking(form, "thinks", True, "", "its template names the markers", warnings)
    if given:
        return Thinking(form, "thinks", True, "", "the recipe names its format", warnings)
    return Thinking(form, "unknown", None, "", "its tokenizer has the markers, its template says nothing", warnings)


def refuse_open_thought(tokenizer: Any, args: Mapping[str, Any]) -> None:
    """Refuse `thinking: off` for a template that opens the thinking.

    Raises:
        RecipeError: the template does.
    """
    if opens_thinking(render(tokenizer, args)):
        what = "the recipe says that thinking is off, and the chat template opens the thought"
        raise RecipeError(what, "thinking", "switch it off, e.g. `template_args: {enable_thinking: false}`")


def template_of(tokenizer: Any) -> str:
    """The template's source; the default one if there are several."""
    template = getattr(tokenizer, "chat_template", None) or ""
    if isinstance(template, Mapping):
        template = template.get("default") or next(iter(template.values()), "")
    return str(template)


def render(tokenizer: Any, args: Mapping[str, Any]) -> str:
    """Render a short prompt; empty if there is no template or it fails."""
    if not template_of(tokenizer):
        return ""
    from lrmctl.models.chat import render_chat
    from lrmctl.models.template_bounds import TemplateBoundsError

    messages = [{"role": "user", "content": _ASKED}]
    try:
        return render_chat(tokenizer, messages, args)
    except TemplateBoundsError:
        raise
    except LrmctlError:  # third-party code; rendering the first real prompt reports the error
        return ""


def _shown(template: str, rendered: str, tokenizer: Any, forms: Iterable[ThinkingFormat]) -> list[ThinkingFormat]:
    """The formats whose markers were found, best evidence first."""
    tokens = set(added_tokens(tokenizer).values())
    scored = [(_evidence(form, template, rendered, tokens), form) for form in forms]
    return [form for score, form in sorted(scored, key=lambda each: -each[0]) if score]


def _evidence(form: ThinkingFormat, template: str, rendered: str, tokens: set[str]) -> int:
    """Score for a format: markers at the end of a prompt, in the template, or as tokens."""
    ends = 16 * (opens_thinking(rendered, form) or closes_thinking(rendered, form))
    both = all(any(text in template for text in some) for some in (form.all_opens, form.all_closes))
    named = any(text in template for text in form.shown)
    pair = form.open in tokens and form.close in tokens
    if form.channels:
        pair = {form.channels.channel, form.channels.message} <= tokens
    return ends + 4 * both + 4 * (named and not form.prose) + pair


def _in_template(form: ThinkingFormat, template: str, rendered: str) -> bool:
    texts = (*form.shown, *form.all_opens, *form.all_closes)
    return any(text in template or text in rendered for text in texts)


def _refuse_other(given: ThinkingFormat, shown: Sequence[ThinkingFormat], template: str, rendered: str) -> None:
    if _in_template(given, template, rendered):
        return
    other = next((form for form in shown if _in_template(form, template, rendered)), None)
    if other:
        what = f"the recipe says that thoughts are written as {given.open!r} … {given.close!r}, and the chat template"
        what = f"{what} writes {other.open!r} … {other.close!r}"
        raise RecipeError(what, "thinking", f"say `thinking: {{format: {other.name}}}`, or leave it out: it is found")


def _warnings(rendered: str, tokenizer: Any, shown: Sequence[ThinkingFormat]) -> tuple[str, ...]:
    """Warnings about unknown markers that look like thinking markers."""
    known = {text for form in (*builtin_formats().values(), *shown) for text in form.literals}
    end = _TAG.search(rendered)
    if end and end[1] not in known:
        return (_strange(f"the chat template ends with {end[1]!r}"),)
    if shown:
        return ()
    tokens = sorted(t for t in added_tokens(tokenizer).values() if _NAMED.search(t) and t not in known)
    return (_strange(f"the tokenizer has the token {tokens[0]!r}"),) if len(tokens) > 1 else ()


def _strange(what: str) -> str:
    return (
        f"{what}, which no known format of thinking has: if it marks a thought, say `thinking: {{open: …, close: …}}`"
    )


def _switch(tokenizer: Any, args: Mapping[str, Any], form: ThinkingFormat, template: str) -> tuple[str, bool | None]:
    """The argument that turns thinking on and off, and whether it is on; empty if there is none."""
    current = render(tokenizer, args)
    for name in _arguments(template):
        switch, rest = SWITCHES[name], {key: value for key, value in args.items() if key != name}
        on = [render(tokenizer, {**rest, name: value}) for value in switch.on]
        off = [render(tokenizer, {**rest, name: value}) for value in switch.off]
        if any(_turns_off(a, b, form, switch.sure) for a in on for b in off):
            if name in args and switch.is_off(args[name]):
                return name, False
            return name, not (current in off and current not in on)
    return "", None


def _turns_off(on: str, off: str, form: ThinkingFormat, sure: bool) -> bool:
    if not on or not off or on == off:
        return False
    closed = closes_thinking(off, form) and not closes_thinking(on, form)
    opened = opens_thinking(on, form) and not opens_thinking(off, form)
    return sure or closed or opened


def _arguments(template: str) -> list[str]:
    """The known switches that a template uses."""
    return [name for name in SWITCHES if re.search(rf"(?<![\w.'\"]){name}(?![\w'\"])", template)]
