"""Reflection dynamics: how often, where and to what effect the thinking turns on itself, by lexicon, set and outcome.

A lexicon hit is a surface fact: "but" is mostly an ordinary concession. Read counts beside the lexicon that made them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lrmctl.analysis.cells import Cell, group, ratio, share
from lrmctl.analysis.positions import BINS, GRAM, NEW, ReflectionProfile, profile
from lrmctl.lexicons import Hit, Lexicon, get_lexicon
from lrmctl.runs.eval_rows import EvalRow

FORMAT = 2
_Counted = tuple[Counter[str], ReflectionProfile]


def reflection(rows: Iterable[EvalRow], lexicons: Sequence[str]) -> dict[str, Any]:
    """Counts in the thinking of every row; the content of `analysis/reflection.json`.

    Args:
        rows: evaluated samples.
        lexicons: names, see `lrmctl.lexicons`.

    Returns:
        `{"format", "part", "traces", "depth", "lexicons": {name: ...}, "cells": [...]}`. A cell has, each with an
        interval over prompts: hits `per_trace` and `per_1k` (per 1,000 thinking tokens); the `share` of traces with at
        least one; `first`, the mean relative position of the first hit of traces that have one; `gap`, the mean
        distance of neighbouring hits as a share of the thought; `depth_per_trace`, hits after which the thought goes
        on to something new (see `lrmctl.analysis.positions`), and `depth_share`, those as a share of all hits. Beside
        them `histogram`, hits by tenth of the thought, and `words`, hits of each word.

    Raises:
        NotFoundError: a lexicon that does not exist.
    """
    chosen = [get_lexicon(name) for name in lexicons]
    counted = [(row, [_counted(lexicon, row.trace.thinking) for lexicon in chosen]) for row in rows]
    cells = [
        _cell(cell, lexicon, [row for row, _ in members], [counts[i] for _, counts in members])
        for cell, members in group(counted)
        for i, lexicon in enumerate(chosen)
    ]
    return {
        "format": FORMAT,
        "part": "thinking",
        "traces": len(counted),
        "depth": f"reflections after which at least {NEW:.0%} of the word {GRAM}-grams are new to the thought",
        "lexicons": {lexicon.name: lexicon.to_json() for lexicon in chosen},
        "cells": cells,
    }


def _counted(lexicon: Lexicon, thinking: str) -> _Counted:
    hits: list[Hit] = list(lexicon.hits(thinking))
    return Counter(hit.word for hit in hits), profile(thinking, hits)


def _cell(cell: Cell, lexicon: Lexicon, rows: Sequence[EvalRow], counts: Sequence[_Counted]) -> dict[str, Any]:
    prompts = [row.trace.prompt.id for row in rows]
    tokens = [row.trace.thinking_tokens or 0 for row in rows]
    profiles = [profile for _, profile in counts]
    hits = [one.hits for one in profiles]
    every = [1] * len(rows)
    words = sum((count for count, _ in counts), Counter[str]())
    depth = [one.depth for one in profiles]
    return {
        "lexicon": lexicon.name,
        **cell._asdict(),
        "traces": len(rows),
        "prompts": len(set(prompts)),
        "tokens": sum(tokens),
        "hits": sum(hits),
        "per_trace": ratio(prompts, hits, every).to_json(),
        "per_1k": ratio(prompts, hits, [n / 1_000 for n in tokens]).to_json(),
        "share": share(prompts, [h > 0 for h in hits]).to_json(),
        "first": ratio(prompts, [one.first or 0.0 for one in profiles], [h > 0 for h in hits]).to_json(),
        "gap": ratio(prompts, [sum(one.gaps) for one in profiles], [len(one.gaps) for one in profiles]).to_json(),
        "depth_per_trace": ratio(prompts, depth, every).to_json(),
        "depth_share": ratio(prompts, depth, hits).to_json(),
        "histogram": [sum(one.bins[i] for one in profiles) for i in range(BINS)],
        "words": {word: words[word] for word in lexicon.words},
    }
