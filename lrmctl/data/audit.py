"""Audits training data before a run: lengths, dropped rows, duplicates, and overlap with evaluations.

Only counts; changes nothing. Knows no tokenizer and no model: the caller provides the lengths of rendered rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lrmctl.data.leaks import TrainingTexts, other_texts, user_texts
from lrmctl.data.near_duplicates import Corpus, NearMatch
from lrmctl.rows.prompts import key_of
from lrmctl.thinking import split_text, split_unseen
from lrmctl.types import Prompt

BINS = 10
EXAMPLES = 3
_PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Histogram:
    """Lengths of rows in tokens.

    Attributes:
        edges: BINS + 1 bounds; the last one belongs to the last bin.
        percentiles: by name (`p50`), and `max` and `mean`.
    """

    edges: tuple[int, ...]
    counts: tuple[int, ...]
    percentiles: Mapping[str, float]


@dataclass(frozen=True)
class AuditExample:
    """A text that duplicates another one."""

    text: str
    repeats: str
    exact: bool


@dataclass(frozen=True)
class Repeats:
    """Rows that duplicate others, each counted once."""

    exact: int = 0
    near: int = 0
    examples: tuple[AuditExample, ...] = ()


@dataclass(frozen=True)
class RenderedRows:
    """The result of rendering, per row and including dropped rows.

    Attributes:
        sizes: per row, tokens of the prompt, and of prompt and response together.
        kept: per row, whether it is trained on.
        responses: the rendered SFT responses of kept rows.
        opened: the template opens the thinking in the prompt.
        merged: number of rows in which one token spans the end of the prompt and the start of the response.
        strips: the template strips the thinking of past turns.
    """

    sizes: Sequence[tuple[int, int]]
    kept: Sequence[bool]
    responses: Sequence[str] = ()
    opened: bool = False
    merged: int = 0
    strips: bool = False


@dataclass(frozen=True)
class Audit:
    """The result of an audit; token counts only if there was a tokenizer.

    Attributes:
        rows: requested, before any are dropped.
        counts: rows by `kind / source`.
        tokens: histograms of `prompt`, `response` (SFT) and `total`.
        dropped: rows that are too long, by `kind / source`; lrmctl drops them, a trainer would truncate them.
        thinking_lost: rendered responses whose thinking is empty or not closed.
        past_thinking_stripped: conversations whose past thinking the template removes.
        duplicates: whole conversations that repeat an earlier one; intended repeats of a weighted mixture are not
            counted.
        overlap: prompts of an evaluation set that are trained on (see `lrmctl.data.leaks`), by set.
        not_audited: what could not be checked, and why.
    """

    rows: int
    counts: Mapping[str, int]
    tokens: Mapping[str, Histogram] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    thinking_lost: int = 0
    past_thinking_stripped: int = 0
    merged: int = 0
    duplicates: Repeats = Repeats()
    overlap: Mapping[str, Repeats] = field(default_factory=dict)
    not_audited: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def audit(
    prompts: Sequence[Prompt],
    rendered: RenderedRows | None = None,
    against: Mapping[str, Sequence[Prompt]] | None = None,
    not_audited: Sequence[str] = (),
) -> Audit:
    """Audit training prompts, and their rendered rows if given.

    Args:
        prompts: of every requested row, in order.
        rendered: of the same rows.
        against: evaluation sets by name.
    """
    labels = [f"{p.kind} / {_short(p.source)}" for p in prompts]
    distinct = list({(p.source, p.id, key_of(p)): p for p in prompts}.values())  # a mixture repeats whole prompts
    trained = TrainingTexts(
        [text for p in distinct for text in user_texts(p)], [text for p in distinct for text in other_texts(p)]
    )
    return Audit(
        rows=len(prompts),
        counts=dict(Counter(labels)),
        duplicates=_duplicates(distinct),
        overlap={name: _overlap(trained, sets) for name, sets in (against or {}).items()},
        not_audited=tuple(not_audited),
        **(_lengths(prompts, labels, rendered) if rendered else {}),
    )


def _short(source: str) -> str:
    """Only the file name of a local file."""
    return source.rpartition("/")[2] if source.startswith("/") else source or "unnamed"


def _lengths(prompts: Sequence[Prompt], labels: Sequence[str], rendered: RenderedRows) -> dict[str, Any]:
    dropped = Counter(label for label, kept in zip(labels, rendered.kept, strict=True) if not kept)
    states = [split_text(text, opened=rendered.opened) for text in rendered.responses]
    said = [[m["content"] for m in p.messages if m["role"] == "assistant"] for p in prompts]
    past = sum(any(split_unseen(text).state == "closed" for text in texts) for texts in said)
    return {
        "tokens": _histograms(rendered),
        "dropped": dict(dropped),
        "thinking_lost": sum(s.state != "closed" or not s.thinking for s in states),
        "past_thinking_stripped": past if rendered.strips else 0,
        "merged": rendered.merged,
    }


def _histograms(rendered: RenderedRows) -> dict[str, Histogram]:
    prompts = [p for p, _ in rendered.sizes]
    totals = [t for _, t in rendered.sizes]
    if not prompts:
        return {}
    if totals == prompts:
        return {"prompt": histogram(prompts)}
    responses = [t - p for p, t in rendered.sizes]
    return {"prompt": histogram(prompts), "response": histogram(responses), "total": histogram(totals)}


def histogram(values: Sequence[int]) -> Histogram:
    """Bins of equal width from the smallest to the largest value."""
    import numpy as np

    counts, edges = np.histogram(values, bins=BINS)
    found = np.percentile(values, _PERCENTILES)
    percentiles = {f"p{p}": float(v) for p, v in zip(_PERCENTILES, found, strict=True)}
    percentiles |= {"mean": round(float(np.mean(values)), 1), "max": float(max(values))}
    return Histogram(tuple(round(float(e)) for e in edges), tuple(int(c) for c in counts), percentiles)


def _repeats(matches: Sequence[NearMatch], texts: Sequence[str], others: Sequence[str]) -> Repeats:
    exact = sum(m.exact for m in matches)
    shown = [m for m in matches if not m.exact][:EXAMPLES] or matches[:EXAMPLES]
    examples = tuple(AuditExample(texts[m.index], others[m.other], m.exact) for m in shown)
    return Repeats(exact, len(matches) - exact, examples)


def _duplicates(prompts: Sequence[Prompt]) -> Repeats:
    """Conversations that repeat an earlier one with the same system message."""
    texts = ["\n".join(m["content"] for m in p.messages if m["role"] != "system") for p in prompts]
    alike: dict[str, list[int]] = defaultdict(list)
    for i, prompt in enumerate(prompts):
        alike["\n".join(m["content"] for m in prompt.messages if m["role"] == "system")].append(i)
    found = [
        NearMatch(places[m.index], places[m.other], m.exact)
        for places in alike.values()
        for m in Corpus([texts[i] for i in places]).duplicates()
    ]
    return _repeats(found, texts, texts)


def _overlap(trained: TrainingTexts, evaluated: Sequence[Prompt]) -> Repeats:
    """Evaluation prompts that occur in the training data; examples give the evaluation's text first."""
    return _repeats(trained.find(evaluated), [p.text for p in evaluated], trained.texts)
