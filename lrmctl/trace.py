"""Splitting a completion into thinking and answer: the only place that knows think tags.

Templates differ: some open the tag inside the prompt, so that a completion starts in the middle of a thought; some
models write both tags; some tokenizers make the tags special tokens, which plain decoding drops. A completion whose
thinking was never closed has no answer, whatever it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lrmctl.types import FinishReason, Prompt, ThinkingState, Trace


class ThinkTags(NamedTuple):
    """The literal text of the two tags."""

    open: str = "<think>"
    close: str = "</think>"


DEFAULT_TAGS = ThinkTags()


@dataclass(frozen=True)
class Split:
    """A completion taken apart; the fields mean what they mean in `Trace`."""

    thinking: str
    answer: str
    state: ThinkingState
    irregular: tuple[str, ...] = ()
    thinking_tokens: int = 0
    answer_tokens: int = 0


class _Piece(NamedTuple):
    """Text up to a tag (or the end), the number of tokens in it, and the tag that ended it."""

    text: str
    tokens: int
    ended_by: str


def opens_thinking(rendered_prompt: str, tags: ThinkTags = DEFAULT_TAGS) -> bool:
    """True if the rendered prompt ends with an open think tag, so that the completion starts as a thought."""
    return rendered_prompt.rstrip().endswith(tags.open)


def split_text(
    text: str,
    *,
    opened: bool,
    tags: ThinkTags = DEFAULT_TAGS,
    count: Callable[[str], int] | None = None,
) -> Split:
    """Split decoded text that still shows its tags.

    Args:
        text: the completion, without the end-of-text token.
        opened: the prompt already opened the thought (see `opens_thinking`).
        count: counts tokens of a piece of text; token counts are 0 without it.
    """
    return _assemble(list(_pieces_of_text(text, tags, count or (lambda _: 0))), opened)


def split_ids(ids: Sequence[int], tokenizer: Any, *, opened: bool, tags: ThinkTags = DEFAULT_TAGS) -> Split:
    """Split token ids, so that tags are found even where decoding would drop them as special tokens.

    Args:
        ids: the completion's tokens, without the end-of-text token.
        tokenizer: a transformers tokenizer.
    """
    return _assemble(list(_pieces_of_ids(ids, tokenizer, tags)), opened)


def trace_from_text(
    prompt: Prompt,
    text: str,
    *,
    opened: bool,
    finish_reason: FinishReason,
    sample: int = 0,
    count: Callable[[str], int] | None = None,
) -> Trace:
    """A `Trace` from decoded text that still shows its think tags."""
    return _trace(prompt, split_text(text, opened=opened, count=count), finish_reason, sample)


def trace_from_ids(
    prompt: Prompt,
    ids: Sequence[int],
    tokenizer: Any,
    *,
    opened: bool,
    finish_reason: FinishReason,
    sample: int = 0,
) -> Trace:
    """A `Trace` from token ids (without the end-of-text token), tags special or not."""
    return _trace(prompt, split_ids(ids, tokenizer, opened=opened), finish_reason, sample)


def _trace(prompt: Prompt, split: Split, finish_reason: FinishReason, sample: int) -> Trace:
    return Trace(
        prompt=prompt,
        thinking=split.thinking,
        answer=split.answer,
        thinking_state=split.state,
        finish_reason=finish_reason,
        thinking_tokens=split.thinking_tokens,
        answer_tokens=split.answer_tokens,
        sample=sample,
        irregular=split.irregular,
    )


def _pieces_of_text(text: str, tags: ThinkTags, count: Callable[[str], int]) -> Iterator[_Piece]:
    parts = re.split(f"({re.escape(tags.open)}|{re.escape(tags.close)})", text)
    words = {tags.open: "open", tags.close: "close", "": "end"}
    for piece, tag in zip(parts[::2], [*parts[1::2], ""], strict=True):
        yield _Piece(piece, count(piece), words[tag])


def _pieces_of_ids(ids: Sequence[int], tokenizer: Any, tags: ThinkTags) -> Iterator[_Piece]:
    """Cut at tag tokens; a tag spelled out in ordinary tokens is found in the decoded text of each cut."""
    words = {tokenizer.convert_tokens_to_ids(tag): word for tag, word in zip(tags, ("open", "close"), strict=True)}
    words = {i: w for i, w in words.items() if i is not None and i != tokenizer.unk_token_id}
    start = 0
    for end in [*(i for i, token in enumerate(ids) if token in words), len(ids)]:
        text = tokenizer.decode(ids[start:end], skip_special_tokens=True)
        last = words[ids[end]] if end < len(ids) else "end"
        if tags.open in text or tags.close in text:
            inner = list(_pieces_of_text(text, tags, lambda s: len(tokenizer.encode(s, add_special_tokens=False))))
            yield from inner[:-1]
            yield inner[-1]._replace(ended_by=last)
        else:
            yield _Piece(text, end - start, last)
        start = end + 1


def _assemble(pieces: Sequence[_Piece], opened: bool) -> Split:
    """Give each piece to thinking or answer by where it stands and by the tag that ends it.

    Text before a closing tag is thinking even if no tag opened it; text outside, before a later opening tag, is what
    a user would see, hence answer. If the last thought stays open, everything is thinking.
    """
    inside, blocks = opened, int(opened)
    thinking: list[_Piece] = []
    answer: list[_Piece] = []
    odd: set[str] = set()
    for i, piece in enumerate(pieces):
        (thinking if inside or piece.ended_by == "close" else answer).append(piece)
        if piece.ended_by == "open":
            if inside:
                odd.add("nested")
            elif blocks:
                odd.add("repeated")
            elif piece.text.strip():
                odd.add("stray")
            inside, blocks = True, blocks + 1
        elif piece.ended_by == "close":
            if not inside:
                odd.add("repeated" if blocks or i else "stray")
            inside, blocks = False, max(blocks, 1)
    if inside:
        return _split(list(pieces), [], "unclosed", odd)
    state: ThinkingState = "closed" if blocks else "absent"
    if state == "closed" and not any(p.text.strip() for p in thinking):
        odd.add("empty")
    return _split(thinking, answer, state, odd)


def _split(thinking: Sequence[_Piece], answer: Sequence[_Piece], state: ThinkingState, odd: set[str]) -> Split:
    return Split(
        thinking="".join(p.text for p in thinking).strip(),
        answer="".join(p.text for p in answer).strip(),
        state=state,
        irregular=tuple(sorted(odd)),
        thinking_tokens=sum(p.tokens for p in thinking),
        answer_tokens=sum(p.tokens for p in answer),
    )
