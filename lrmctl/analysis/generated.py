"""The evaluated text again, as token ids: what the model was given and what it wrote, out of the completion store.

A row holds the prompt's messages and the texts, not what they were rendered to: a system message, arguments of the
chat template and words forced by a decoding mode are in the store only. Where there is no store, prompts are rendered
as the evaluation's summary says. What neither knows is left out and counted, never guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.engines.base import Rendering
from lrmctl.engines.store import Store, StoredCompletion
from lrmctl.errors import LrmctlError
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.thinking import ThinkingFormat, default_format, find_thinking, opens_thinking
from lrmctl.types import Prompt

_BROKEN = "\N{REPLACEMENT CHARACTER}"
_Place = tuple[float, int]
"""Temperature and sample."""


class EncodedTrace(NamedTuple):
    """One trace as the model saw it: `context` token ids (prompt, opening marker), then the `thinking` ids."""

    context: list[int]
    thinking: list[int]
    exact: bool
    """Whether these are as many tokens as the model had written."""


class EncodedTraces(NamedTuple):
    """The traces that can be read again, and the others by number.

    Attributes:
        source: `store` (the ids that were drawn) or `rendered` (text encoded again).
        rows, encoded: those that can be read, one to one.
        not_stored: traces that the store does not hold.
        steered: traces into which a decoding mode put words: not the model's own.
    """

    source: str
    rows: list[EvalRow]
    encoded: list[EncodedTrace]
    not_stored: int = 0
    steered: int = 0


def read_again(tokenizer: Any, rows: Sequence[EvalRow], folder: Path) -> EncodedTraces:
    """Token ids of traces with thinking.

    Args:
        folder: of the evaluation, with `rows.jsonl`, `summary.json` and, if it was kept, `completions.sqlite`.

    Raises:
        LrmctlError: the store holds none of them.
    """
    rendering = rendering_of(folder)
    if not (folder / "completions.sqlite").is_file():
        return EncodedTraces("rendered", list(rows), [encode(tokenizer, row, rendering) for row in rows])
    texts = [_rendered(tokenizer, row.trace.prompt, rendering) for row in rows]
    drawn = _in_store(folder, rows, texts)
    kept = [(row, text, one) for row, text, one in zip(rows, texts, drawn, strict=True) if one and not one.inserted]
    steered = sum(one is not None and one.inserted > 0 for one in drawn)
    if rows and not kept and not steered:
        what = (
            f"none of {len(rows)} traces is in the store of completions, so that nobody knows what the model was given"
        )
        raise LrmctlError(what, str(folder / "completions.sqlite"), "evaluate again, or `analysis.entropy: false`")
    form = _form(tokenizer, rendering)
    encoded = [_encoded(tokenizer, row, text, one, form) for row, text, one in kept]
    return EncodedTraces("store", [row for row, _, _ in kept], encoded, drawn.count(None), steered)


def encode(tokenizer: Any, row: EvalRow, rendering: Rendering | None = None) -> EncodedTrace:
    """Token ids of a row's prompt and thinking, encoded anew.

    The text on disk lacks the white space around the thinking; the layout whose length equals the recorded
    `thinking_tokens` is taken, and the bare text if none does (`exact` is then False).
    """
    rendering = rendering or Rendering()
    rendered = _rendered(tokenizer, row.trace.prompt, rendering)
    return _anew(tokenizer, row, rendered, opens_thinking(rendered), _form(tokenizer, rendering))


def _form(tokenizer: Any, rendering: Rendering) -> ThinkingFormat:
    """How the model wrote its thought."""
    found = find_thinking(tokenizer, template_args=rendering.template_args, override=rendering.thinking)
    return found.format or default_format()


def _anew(tokenizer: Any, row: EvalRow, given: str, opened: bool, form: ThinkingFormat) -> EncodedTrace:
    trace, context = row.trace, _ids(tokenizer, given)
    if not opened:
        context = context + _ids(tokenizer, form.open)
    for before, after in (("", "\n"), ("", ""), ("\n", "\n"), ("\n", "")):
        thinking = _ids(tokenizer, before + trace.thinking + after)
        if len(thinking) == trace.thinking_tokens:
            return EncodedTrace(context, thinking, True)
    return EncodedTrace(context, _ids(tokenizer, trace.thinking), False)


def rendering_of(folder: Path) -> Rendering:
    """How the evaluation in a folder rendered its prompts, as its summary says."""
    path = folder / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    told, markers = summary.get("sampling", {}), (summary.get("thinking") or {}).get("markers")
    return Rendering(told.get("system") or "", told.get("template_args") or {}, markers)


def _rendered(tokenizer: Any, prompt: Prompt, rendering: Rendering) -> str:
    from lrmctl.data.render import render_prompt

    asked = replace(prompt, messages=tuple(rendering.messages(prompt)))
    return render_prompt(tokenizer, asked, rendering.template_args)


def _ids(tokenizer: Any, text: str) -> list[int]:
    found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return found


def _in_store(folder: Path, rows: Sequence[EvalRow], texts: Sequence[str]) -> list[StoredCompletion | None]:
    """What was drawn for each row; None where the store does not hold it."""
    wanted: dict[_Place, list[int]] = {}
    for i, row in enumerate(rows):
        wanted.setdefault((row.temperature, row.trace.sample), []).append(i)
    found: list[StoredCompletion | None] = [None] * len(rows)
    by_rendering: dict[tuple[float, int, str], list[int]] = {}
    for i, (row, text) in enumerate(zip(rows, texts, strict=True)):
        by_rendering.setdefault((row.temperature, row.trace.sample, text), []).append(i)
    with Store(folder / "completions.sqlite") as store:
        for one in store.completions():
            exact = by_rendering.get((one.temperature, one.sample, one.prompt))
            for i in exact or wanted.get((one.temperature, one.sample), []):
                if found[i] is None and _is(one, rows[i], exact is not None):
                    found[i] = one
    return found


def _is(one: StoredCompletion, row: EvalRow, asked: bool) -> bool:
    """Whether this is the completion of the row: the same question, and the beginning of its thinking in it.

    Only the first line: where a model thought twice, the row has both thoughts without what stood between them.
    """
    begin = row.trace.thinking.split("\n", 1)[0]
    if begin in one.completion and asked:
        return True
    return row.trace.prompt.text.strip() in one.prompt and begin in one.prompt + one.completion


def _encoded(tokenizer: Any, row: EvalRow, rendered: str, one: StoredCompletion, form: ThinkingFormat) -> EncodedTrace:
    given = _ids(tokenizer, one.prompt)
    wrote = list(one.ids) or _ids(tokenizer, one.completion)
    ids = given + wrote
    start = len(given) if row.trace.thinking in one.completion else len(_ids(tokenizer, rendered))
    span = _span(tokenizer, ids, start, row.trace.thinking)
    if span is None:  # several thoughts, or special tokens in it: the row's text is not in one piece there
        opened = opens_thinking(rendered) or one.prompt != rendered
        return _anew(tokenizer, row, one.prompt, opened, form)._replace(exact=False)
    first, end = max(span[0], len(given)), span[1]
    return EncodedTrace(ids[:first], ids[first:end], end - first == row.trace.thinking_tokens)


def _span(tokenizer: Any, ids: Sequence[int], start: int, thinking: str) -> tuple[int, int] | None:
    """First token of the thinking and the first one after it, blank tokens around it included."""

    def text(end: int) -> str:
        return str(tokenizer.decode(ids[:end], clean_up_tokenization_spaces=False))

    whole = text(len(ids))
    at = whole.find(thinking, len(text(start)))
    if at < 0:
        return None
    first = _last(lambda i: len(text(i)) <= at, start, len(ids))
    end = min(len(ids), 1 + _last(lambda i: len(text(i)) < at + len(thinking), first, len(ids)))
    while end < len(ids) and text(end).endswith(_BROKEN):  # a character in several tokens
        end += 1
    blank = list(_blanks(tokenizer, ids))
    while first > start and blank[first - 1]:
        first -= 1
    while end < len(ids) and blank[end]:
        end += 1
    return first, end


def _last(holds: Any, low: int, high: int) -> int:
    """The largest number in [low, high] for which a condition holds that holds up to some number only."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if holds(middle) else (low, middle - 1)
    return low


def _blanks(tokenizer: Any, ids: Sequence[int]) -> Iterator[bool]:
    known: dict[int, bool] = {}
    special: Mapping[int, Any] = dict.fromkeys(tokenizer.all_special_ids)
    for i in ids:
        if i not in known:
            word = str(tokenizer.decode([i]))
            known[i] = bool(word) and not word.strip() and i not in special
        yield known[i]
