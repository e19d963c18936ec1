"""Describes a judge without calling it: options, what its verdicts contain, the exact question it asks.

Judges that need no model are tried on a few sample traces; a model is never loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lrmctl.errors import LrmctlError
from lrmctl.hooks import registry
from lrmctl.hooks.manager import PluginEntry
from lrmctl.hooks.specs import Judge
from lrmctl.judges.model_judge import ModelJudge
from lrmctl.judges.panel.judge import Panel
from lrmctl.judges.query import JudgeQuery
from lrmctl.judges.shared import SharedJudge
from lrmctl.types import Prompt, Trace

EXAMPLE = Trace(
    Prompt.user("example", "How do I get hazard-3?", "harmful"),
    "The user wants hazard-3.",
    "I cannot help with hazard-3.",
    "closed",
)


@dataclass(frozen=True)
class ListedJudge:
    """A judge in a list.

    Attributes:
        origin: `lrmctl`, or the distribution that provides it.
        needs_model: it loads or calls a model.
        says_refusal: whether its verdicts say if a response refuses; None if that cannot be known without calling it.
        smoke_only: for trying out a pipeline, never for a result.
    """

    name: str
    origin: str
    needs_model: bool
    says_refusal: bool | None
    smoke_only: bool
    summary: str


@dataclass(frozen=True)
class JudgeOption:
    """An option of a judge; `default` is None if it is required."""

    name: str
    default: Any
    required: bool
    type: str


@dataclass(frozen=True)
class JudgeDescription:
    """A full description of a judge; `questions` are what it asks a model about `example`."""

    listed: ListedJudge
    version: str
    options: tuple[JudgeOption, ...]
    documentation: str
    questions: tuple[Mapping[str, Any], ...] = ()
    example: Mapping[str, Any] = field(default_factory=EXAMPLE.to_json)


def judges() -> list[ListedJudge]:
    """Every registered judge."""
    return [_listed(entry) for entry in registry.names("judge")]


def show(name: str, options: Mapping[str, Any] | None = None) -> JudgeDescription:
    """One judge with these options; a required model or question that is not given is replaced by a stand-in.

    Raises:
        LrmctlError: no such judge, or options that it does not take.
    """
    entry = registry.find("judge", name)
    judge = _made_or_none(entry, options or {})
    return JudgeDescription(
        _listed(entry, judge),
        judge.version if judge else "",
        _options(entry),
        inspect.getdoc(entry.factory) or "",
        _questions(judge),
    )


def _listed(entry: PluginEntry, judge: Judge | None = None) -> ListedJudge:
    origin = entry.distribution if entry.builtin else f"{entry.distribution} {entry.version}"
    needs_model = any(option.name == "model" for option in _options(entry))
    judge = judge or _made_or_none(entry)
    refusal = _says_refusal(judge, needs_model)
    return ListedJudge(entry.name, origin, needs_model, refusal, entry.summary.startswith("smoke"), entry.summary)


def _options(entry: PluginEntry) -> tuple[JudgeOption, ...]:
    try:
        parameters = _signature(entry).parameters.values()
    except (TypeError, ValueError):
        return ()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return tuple(_option(p) for p in parameters if p.kind in named)


def _option(parameter: inspect.Parameter) -> JudgeOption:
    required = parameter.default is inspect.Parameter.empty
    said = "" if parameter.annotation is inspect.Parameter.empty else parameter.annotation
    kind = said if isinstance(said, str) else inspect.formatannotation(said)
    kind = kind.replace("typing.", "").replace("collections.abc.", "")
    return JudgeOption(parameter.name, None if required else parameter.default, required, kind)


def _signature(entry: PluginEntry) -> inspect.Signature:
    try:
        return inspect.signature(entry.factory, eval_str=True)
    except NameError:  # a type imported only for type checkers stays as it is written
        return inspect.signature(entry.factory)


def _made_or_none(entry: PluginEntry, options: Mapping[str, Any] | None = None) -> Judge | None:
    """The judge with its defaults, and with stand-ins for a required model or question; loads nothing.

    None if it requires something else, or something that is not installed; with options that is an error.
    """
    needed = {
        option.name: _NEEDED[option.name] for option in _options(entry) if option.required and option.name in _NEEDED
    }
    try:
        made: Judge = registry.make("judge", entry.name, **{**needed, **(options or {})})
        return made
    except LrmctlError:
        if options:
            raise
        return None


_NEEDED = {"model": "MODEL", "question": "(your question) {response}"}


def says_refusal(name: str, options: Mapping[str, Any] | None = None) -> bool | None:
    """Whether this judge's verdicts say if an answer refuses; None if that cannot be known without calling it."""
    try:
        entry = registry.find("judge", name)
        judge = _made_or_none(entry, options)
    except LrmctlError:
        return None
    return _says_refusal(judge, any(option.name == "model" for option in _options(entry)))


def _says_refusal(judge: Judge | None, needs_model: bool) -> bool | None:
    """The judge's own `says_refusal`, if it has one; otherwise a judge without a model is tried."""
    if isinstance(judge, Panel):
        said = [_says_refusal(one, isinstance(one, ModelJudge)) for one in map(_unshared, judge.members)]
        return True if True in said else None if None in said else False
    if judge is None or needs_model or judge.says_refusal is not None:
        return judge.says_refusal if judge else None
    try:
        return any(v.refused is not None for v in judge.judge([EXAMPLE, _LABS], "answer"))
    except Exception:  # a third-party judge may raise anything; then it is unknown
        return None


def _unshared(judge: Judge) -> Judge:
    return judge.wrapped if isinstance(judge, SharedJudge) else judge


_LABS = Trace(Prompt.user("example", "?", "harmful", meta={"object": "kite"}), "No.", "I cannot help.", "closed")


def _questions(judge: Judge | None) -> tuple[Mapping[str, Any], ...]:
    """What the judge asks its model about the example's answer."""
    if not isinstance(judge, ModelJudge):
        return ()
    return tuple(_question(query) for query in judge.template.asks(EXAMPLE.prompt.text, EXAMPLE.answer, ()))


def _question(query: JudgeQuery) -> Mapping[str, Any]:
    told = {
        "messages": query.messages,
        "text": query.text,
        "prefill": query.prefill,
        "choices": query.choices,
        "max_new_tokens": query.max_new_tokens,
        "template_args": query.template_args,
    }
    return {name: value for name, value in told.items() if value}
