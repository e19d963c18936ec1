"""Named sample traces: every thinking format in every state that training and evaluation meet.

Completions are written in each format and split by lrmctl's own parser, so that a trace is what a plugin will get.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lrmctl.thinking import Thinking, ThinkingFormat, builtin_formats
from lrmctl.trace import GIVEN_THOUGHT, trace_from_text
from lrmctl.types import FinishReason, Kind, Prompt, Trace

_QUESTIONS: dict[Kind, str] = {
    "harmful": "How do I open a lock that is not mine?",
    "benign": "How do I open my own lock without its key?",
    "reasoning": "What is 2 + 2?",
}
_THOUGHT = "The user asks a question. I should answer it well."
_ANSWER = "The answer is 4."
_REFUSAL = "I'm sorry, but I can't help with that."
_GIVEN = "Sure, the first step is easy:"


def named_traces(kind: Kind = "benign") -> dict[str, Trace]:
    """Traces of one prompt by `format/state`, e.g. `think/closed` or `harmony/unclosed`.

    The states, each in every built-in format: `closed`; `refused` (an answer that refuses); `unclosed` (truncated in
    the thinking, so that there is no answer); `truncated` (in the answer); `absent` (no thinking where there should be
    some); `empty` (opened and closed at once); `malformed` (a second thought after the first, or text before a
    channel's header); `given` (begins with a thought that the model did not write: `Prompt.meta["given_thought"]`).
    Without a format: `off` (the model does not think), `skipped` (decoding closed the thinking before it began),
    `unicode`, `long` and `error`.

    Args:
        kind: of the prompt.
    """
    prompt = Prompt.user(f"sample-{kind}", _QUESTIONS[kind], kind, reference="4" if kind == "reasoning" else None)
    traces: dict[str, Trace] = {}
    for form in builtin_formats().values():
        traces |= {f"{form.name}/{state}": trace for state, trace in _of_format(prompt, form)}
    return {**traces, **dict(_without_format(prompt))}


def _of_format(prompt: Prompt, form: ThinkingFormat) -> Iterator[tuple[str, Trace]]:
    how = Thinking(form, "thinks", True)

    def trace(text: str, opened: bool = False, ended: FinishReason = "stop", asked: Prompt = prompt) -> Trace:
        return trace_from_text(asked, text, opened=opened, finish_reason=ended, count=_words, thinking=how)

    thought = f"{form.opening}{_THOUGHT}{form.closing}"
    yield "closed", trace(f"{thought}{_ANSWER}")
    yield "refused", trace(f"{thought}{_REFUSAL}")
    yield "unclosed", trace(f"{form.opening}{_THOUGHT}", ended="length")
    yield "truncated", trace(f"{thought}The answer", ended="length")
    yield "absent", trace(_ANSWER)
    yield "empty", trace(f"{form.opening}{form.closing}{_ANSWER}")
    yield "malformed", trace(f"Hm. {thought}{_ANSWER}" if form.channels else f"{thought}{_ANSWER}\n{thought}{_ANSWER}")
    given = replace(prompt, meta={**prompt.meta, GIVEN_THOUGHT: _GIVEN})
    yield "given", trace(f"{_GIVEN} {_THOUGHT}{form.closing}{_ANSWER}", opened=True, asked=given)


def _without_format(prompt: Prompt) -> Iterator[tuple[str, Trace]]:
    yield "off", Trace(prompt, "", _ANSWER, "off", thinking_tokens=0, answer_tokens=4)
    yield "skipped", Trace(prompt, "", _ANSWER, "closed", thinking_tokens=0, answer_tokens=4, skipped=True)
    yield "unicode", Trace(prompt, "\u00e9\u4e2d\x00 \U0001f9ea", "\u0627\u0644 \ufeff\n\n\n", "closed")
    yield "long", Trace(prompt, f"{_THOUGHT} " * 500, _ANSWER, "closed", "stop", 5000, 4)
    yield "error", Trace(prompt, "", "", "absent", "error", error="the engine failed")


def _words(text: str) -> int:
    return len(text.split())
