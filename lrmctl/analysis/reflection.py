"""Reflection dynamics, first version: how often the thinking turns on itself, by lexicon, set and outcome.

A lexicon hit is a surface fact: "but" is mostly an ordinary concession. Read counts beside the lexicon that made them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from lrmctl.analysis.cells import Cell, group, ratio, share
from lrmctl.analysis.lexicons import Lexicon, get_lexicon
from lrmctl.runs.eval_rows import EvalRow

FORMAT = 1


def reflection(rows: Iterable[EvalRow], lexicons: Sequence[str]) -> dict[str, Any]:
    """Counts in the thinking of every row; the content of `analysis/reflection.json`.

    Args:
        rows: evaluated samples.
        lexicons: names, see `lrmctl.analysis.lexicons`.

    Returns:
        `{"format", "part", "traces", "lexicons": {name: ...}, "cells": [...]}`. A cell has the hits `per_trace`,
        `per_1k` (per 1,000 thinking tokens), the `share` of traces with at least one, each with an interval over
        prompts, and `words`, the hits of each word.

    Raises:
        NotFoundError: a lexicon that does not exist.
    """
    chosen = [get_lexicon(name) for name in lexicons]
    counted = [(row, [lexicon.count(row.trace.thinking) for lexicon in chosen]) for row in rows]
    cells = [
        _cell(cell, lexicon, [row for row, _ in members], [counts[i] for _, counts in members])
        for cell, members in group(counted)
        for i, lexicon in enumerate(chosen)
    ]
    return {
        "format": FORMAT,
        "part": "thinking",
        "traces": len(counted),
        "lexicons": {lexicon.name: lexicon.to_json() for lexicon in chosen},
        "cells": cells,
    }


def _cell(cell: Cell, lexicon: Lexicon, rows: Sequence[EvalRow], counts: Sequence[Counter[str]]) -> dict[str, Any]:
    prompts = [row.trace.prompt.id for row in rows]
    tokens = [row.trace.thinking_tokens or 0 for row in rows]
    hits = [count.total() for count in counts]
    one = [1] * len(rows)
    words = sum(counts, Counter[str]())
    return {
        "lexicon": lexicon.name,
        **cell._asdict(),
        "traces": len(rows),
        "prompts": len(set(prompts)),
        "tokens": sum(tokens),
        "hits": sum(hits),
        "per_trace": ratio(prompts, hits, one).to_json(),
        "per_1k": ratio(prompts, hits, [n / 1_000 for n in tokens]).to_json(),
        "share": share(prompts, [h > 0 for h in hits]).to_json(),
        "words": {word: words[word] for word in lexicon.words},
    }
