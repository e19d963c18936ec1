"""Splits completions into thinking and answer by the markers of one format. The only splitter in lrmctl.

Text after closed thinking is the answer, including any markers in it. Unclosed thinking has no answer, whatever it
says. Results are spans of the text, so that tokens can be counted for the same spans.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

from lrmctl._util.text import is_blank
from lrmctl.thinking.channels import messages_of
from lrmctl.thinking.formats import Pair, ThinkingFormat, builtin_formats, default_format
from lrmctl.thinking.marks import MarkerSpan, marks_of, mentioned
from lrmctl.thinking.spans import Span, SpanCounter, TextCounter, counter_of_ids
from lrmctl.types import MENTIONED, ThinkingState

__all__ = [
    "MENTIONED",
    "SplitCompletion",
    "assuming_format",
    "closes_thinking",
    "format_of_text",
    "opens_thinking",
    "split_apart",
    "split_ids",
    "split_text",
    "split_unseen",
]


_READING: ContextVar[ThinkingFormat | Literal["off"] | None] = ContextVar("reading", default=None)


@dataclass(frozen=True)
class SplitCompletion:
    """A split completion; fields as in `Trace`."""

    thinking: str
    answer: str
    state: ThinkingState
    irregular: tuple[str, ...] = ()
    thinking_tokens: int = 0
    answer_tokens: int = 0


@dataclass
class ParsedSpans:
    """Spans of thinking and answer in a text."""

    thinking: list[Span] = field(default_factory=list)
    answer: list[Span] = field(default_factory=list)
    state: ThinkingState = "closed"
    odd: set[str] = field(default_factory=set)
    between: str = ""


def split_text(
    text: str,
    *,
    opened: bool,
    format: ThinkingFormat | None = None,
    count: Any = None,
    counter: SpanCounter | None = None,
) -> SplitCompletion:
    """Split decoded text that still contains its markers.

    Args:
        text: the completion, without the end-of-text token.
        opened: the prompt already opened the thinking (see `opens_thinking`).
        format: None uses the built-in format whose markers the text contains, or `think` if there are none.
        count: returns the number of tokens in a text; without it token counts are 0.
    """
    if format is None and _READING.get() == "off":
        return SplitCompletion("", text.strip(), "off")
    form = format or format_of_text(text, opened=opened)
    parsed = parse(text, form, opened)
    measure = counter or TextCounter(text, count)
    return SplitCompletion(
        thinking=_joined(text, parsed.thinking, parsed.between, measure),
        answer=_joined(text, parsed.answer, "", measure),
        state=parsed.state,
        irregular=tuple(sorted(parsed.odd)),
        thinking_tokens=sum(measure.tokens(span) for span in parsed.thinking),
        answer_tokens=sum(measure.tokens(span) for span in parsed.answer),
    )


def split_unseen(text: str, *, format: ThinkingFormat | None = None) -> SplitCompletion:
    """Split a completion of an unknown prompt: if it only closes thinking, the template presumably opened it."""
    split = split_text(text, opened=False, format=format)
    if "stray" in split.irregular and text.lstrip().startswith(split.thinking):
        return split_text(text, opened=True, format=format)
    return split


@contextmanager
def assuming_format(override: ThinkingFormat | Literal["off"] | None) -> Iterator[None]:
    """Within this context, texts split without a given format use this one; `off` finds no thinking.

    For rows of other tools, whose model only the user knows.
    """
    token = _READING.set(override)
    try:
        yield
    finally:
        _READING.reset(token)


def split_apart(reasoning: str, content: str, *, format: ThinkingFormat | None = None) -> SplitCompletion:
    """Thinking and answer that a server sent separately, kept verbatim whatever markers they contain.

    Wrappers around the answer are removed as usual. Thinking without an answer counts as unclosed.
    """
    form = format or format_of_text(content)
    reasoning = _without_its_tags(reasoning.strip(), format or format_of_text(reasoning))
    if is_blank(content):
        return SplitCompletion(reasoning, "", "unclosed")
    marks = marks_of(content, form)
    odd = {MENTIONED} if any(mark.mention for mark in marks) else set()
    odd |= {"repeated"} if any(not mark.mention for mark in marks) else set()
    odd |= {MENTIONED} if marks_of(reasoning, form) else set()
    (start, end), *_ = _unwrapped(content, [(0, len(content))], form.wrappers)
    return SplitCompletion(reasoning, content[start:end].strip(), "closed", tuple(sorted(odd)))


def _without_its_tags(reasoning: str, form: ThinkingFormat) -> str:
    """Remove a pair of markers around the whole thinking, which some servers leave there."""
    if reasoning.startswith(form.open) and reasoning.endswith(form.close):
        return reasoning[len(form.open) : -len(form.close)].strip()
    return reasoning


def split_ids(
    ids: Sequence[int], tokenizer: Any, *, opened: bool, format: ThinkingFormat | None = None
) -> SplitCompletion:
    """Split token ids, so that markers are found even where decoding would drop them as special tokens.

    Args:
        ids: the completion's tokens, without the end-of-text token.
        tokenizer: a transformers tokenizer.
    """
    counter = counter_of_ids(ids, tokenizer, format)
    return split_text(counter.text, opened=opened, format=format, counter=counter)


def opens_thinking(rendered_prompt: str, format: ThinkingFormat | None = None) -> bool:
    """True if the rendered prompt ends with an opening marker, so that the completion starts with thinking."""
    end = rendered_prompt.rstrip()
    return any(end.endswith(marker) for form in _forms(format) for marker in form.all_opens)


def closes_thinking(rendered_prompt: str, format: ThinkingFormat | None = None) -> bool:
    """True if the rendered prompt ends with a closing marker, so that thinking is off."""
    end = rendered_prompt.rstrip()
    return any(end.endswith(marker) for form in _forms(format) for marker in form.all_closes)


def format_of_text(text: str, *, opened: bool = False) -> ThinkingFormat:
    """The built-in format whose markers a completion of an unknown model contains; `think` if there are none."""
    if isinstance(given := _READING.get(), ThinkingFormat):
        return given
    start = text.lstrip()
    known = builtin_formats().values()
    plain = start.lstrip("*_# ")  # prose may be emphasised
    begun = [(len(o), f) for f in known for o in f.all_opens if (plain if f.prose else start).startswith(o)]
    if begun:
        return max(begun, key=lambda each: each[0])[1]
    if channels := [form for form in known if form.channels and messages_of(text, form, guess=True)]:
        return channels[0]
    closed = [
        (mark.start, form)
        for form in known
        if not form.prose and not form.channels
        for mark in marks_of(text, form)
        if not mark.mention and not (opened and mark.opens)
    ]
    return min(closed, key=lambda each: each[0])[1] if closed else default_format()


def parse(text: str, form: ThinkingFormat, opened: bool) -> ParsedSpans:
    """Find the spans of thinking and answer."""
    parsed = _parse_channels(text, form, opened) if form.channels else _parse_tags(text, form, opened)
    if parsed.state == "closed":
        if not _words(text, parsed.thinking, form.inner):
            parsed.odd.add("empty")
        parsed.answer = _without_ends(text, parsed.answer, form.ends)
        parsed.answer = _unwrapped(text, parsed.answer, form.wrappers)
    else:
        parsed.answer = _without_ends(text, parsed.answer, form.ends)
    parsed.thinking = _without_tags(text, parsed.thinking, form.inner)
    return parsed


def _parse_tags(text: str, form: ThinkingFormat, opened: bool) -> ParsedSpans:
    marks = marks_of(text, form)
    found = ParsedSpans()
    before, start = _beginning(text, marks, form, opened, found.odd)
    if start is None:
        return _absent(text, marks)
    inside = [mark for mark in marks if mark.start >= start]
    close = _closing(inside)
    if close is None:
        found.odd |= {"nested" for mark in inside if mark.opens and not mark.mention}
        return ParsedSpans([*before, (start, len(text))], [], "unclosed", found.odd)
    found.odd |= {"nested" for m in inside if m.opens and not m.mention and m.start < close.start}
    found.odd |= {"repeated" for m in inside if not m.mention and m.start > close.start}
    passed = [m for m in inside if m.start < close.start and not m.opens]
    found.odd |= {MENTIONED for m in inside if m is not close and (m.mention or m in passed)}
    found.thinking, found.answer = [(start, close.start)], [*before, (close.end, len(text))]
    return found


def _beginning(
    text: str, marks: Sequence[MarkerSpan], form: ThinkingFormat, opened: bool, odd: set[str]
) -> tuple[list[Span], int | None]:
    """Spans before the thinking, which a user would see, and the offset where it begins (None without thinking)."""
    first = next((mark for mark in marks if mark.opens and not text[: mark.start].strip()), None)
    if opened:
        odd |= {"nested"} if first else set()
        return [], first.end if first else 0
    if first:
        return [], first.end
    real = [] if form.prose else [mark for mark in marks if not mark.mention]
    if not real:
        return [], None
    odd.add("stray")
    if not real[0].opens:  # the template may have opened it
        return [], 0
    return [(0, real[0].start)], real[0].end


def _closing(marks: Sequence[MarkerSpan]) -> MarkerSpan | None:
    """The marker that closes the thinking: the first that is not a mention, else the most likely mention.

    A mention in a sentence or a fenced block may be real if there is no other marker (e.g. an unclosed block); one in
    inline code or quotes never is.
    """
    closes = [mark for mark in marks if not mark.opens]
    for how in ("", "sentence", "fence"):
        if found := next((mark for mark in closes if mark.mention == how), None):
            return found
    return None


def _absent(text: str, marks: Sequence[MarkerSpan]) -> ParsedSpans:
    return ParsedSpans([], [(0, len(text))], "absent", {MENTIONED} if marks else set())


def _parse_channels(text: str, form: ThinkingFormat, opened: bool) -> ParsedSpans:
    """Split messages by channel. Tool calls are not an answer; thinking without a following answer is unclosed."""
    assert form.channels is not None
    messages = messages_of(text, form, opened=opened)
    if not messages:
        return ParsedSpans([(0, len(text))], [], "unclosed") if opened else _absent(text, [])
    found = ParsedSpans(between="\n\n")
    for message in messages:
        part = found.answer if message.channel in (*form.channels.answer, *form.channels.visible) else found.thinking
        (found.thinking if message.call else part).append(message.span)
    answered = any(m.channel in form.channels.answer for m in messages)
    last = messages[-1]
    if messages[0].span[0] and (text[: messages[0].begins].strip()):
        found.odd.add("stray")
    if not found.thinking:
        found.state = "absent"
    elif not answered and (last.call or not last.ended) and (last.call or last.channel in form.channels.thinking):
        return ParsedSpans([*found.thinking, *found.answer], [], "unclosed", found.odd, found.between)
    final = next((m for m in messages if m.channel in form.channels.answer), None)
    if final and any(marker in text[slice(*final.span)] for marker in (form.channels.channel, form.channels.message)):
        found.odd.add(MENTIONED)
    return found


def _words(text: str, spans: Sequence[Span], inner: Sequence[Pair]) -> bool:
    return any(not is_blank(text[a:b]) for a, b in _without_tags(text, spans, inner))


def _without_tags(text: str, spans: Sequence[Span], pairs: Sequence[Pair]) -> list[Span]:
    """Remove the tags of the pairs from the spans."""
    found = list(spans)
    for tag in (tag for pair in pairs for tag in pair):
        found = [piece for a, b in found for piece in _cut_out(text, a, b, tag)]
    return found


def _cut_out(text: str, start: int, end: int, tag: str) -> Iterable[Span]:
    while (place := text.find(tag, start, end)) >= 0:
        yield start, place
        start = place + len(tag)
    yield start, end


def _without_ends(text: str, spans: list[Span], ends: Sequence[str]) -> list[Span]:
    """Remove end-of-completion markers from the spans."""
    while spans and (piece := text[slice(*spans[-1])].rstrip()):
        end = next((e for e in ends if piece.endswith(e)), None)
        if end is None:
            break
        start = spans[-1][0]
        spans = [*spans[:-1], (start, start + len(piece) - len(end))]
    return spans


def _unwrapped(text: str, spans: list[Span], wrappers: Sequence[Pair]) -> list[Span]:
    """Remove a pair of tags around the whole answer, even if the closing tag was truncated."""
    told = [(a, b) for a, b in spans if text[a:b].strip()]
    if len(told) != 1:
        return spans
    (a, b), changed = told[0], True
    while changed:
        changed = False
        for open, close in wrappers:
            piece = text[a:b]
            left = a + len(piece) - len(piece.lstrip())
            right = a + len(piece.rstrip())
            if not text.startswith(open, left) or left + len(open) > right:
                continue
            inner_end = right - len(close) if text[left:right].endswith(close) else right
            inner = (left + len(open), max(inner_end, left + len(open)))
            if _tags_within(text, inner, (open, close)):
                continue
            (a, b), changed = inner, True
    return [(a, b)]


def _tags_within(text: str, span: Span, pair: Pair) -> bool:
    for tag in pair:
        place = text.find(tag, *span)
        while place >= 0:
            if not mentioned(text, place, place + len(tag)):
                return True
            place = text.find(tag, place + 1, span[1])
    return False


def _joined(text: str, spans: Sequence[Span], between: str, counter: SpanCounter) -> str:
    return between.join(counter.clean(span) for span in spans if text[slice(*span)].strip() or not between).strip()


def _forms(format: ThinkingFormat | None) -> Iterable[ThinkingFormat]:
    return (format,) if format else builtin_formats().values()
