"""Token entropy of the thinking, exact: what the engine gives (`Engine.token_entropies`), by set, kind and outcome.

In nats over the full vocabulary, with the model's own logits at T=1. Sampling temperature and top-p are not folded in.
Server APIs give only the top log-probabilities and hence a lower bound; nothing here uses them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.analysis.cells import ALL, Cell, group, ratio
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Entropies = NDArray[np.float32]

FORMAT = 1
PERCENTILE = 80
"""A token above this percentile of the base model's entropies is a high-entropy ("forking") token (2506.01939)."""
Threshold = tuple[str, str, float]
"""Set, prompt kind and temperature: what a threshold belongs to."""


def choose(rows: Sequence[EvalRow], max_traces: int) -> list[EvalRow]:
    """At most `max_traces` rows of each prompt kind that have thinking.

    First samples of all prompts come before second ones, and sets and temperatures take turns, so that a small
    number still covers every prompt and temperature.
    """
    queues: dict[Kind, dict[tuple[str, float], list[EvalRow]]] = {}
    for row in sorted(rows, key=lambda r: r.trace.sample):
        if row.trace.thinking:
            kind = queues.setdefault(row.trace.prompt.kind, {})
            kind.setdefault((row.set, row.temperature), []).append(row)
    chosen: list[EvalRow] = []
    for by_set in queues.values():
        chosen += list(_take_turns(list(by_set.values())))[:max_traces]
    return chosen


def _take_turns(queues: Sequence[Sequence[EvalRow]]) -> Iterator[EvalRow]:
    for i in range(max(map(len, queues), default=0)):
        yield from (queue[i] for queue in queues if i < len(queue))


def summarize(
    rows: Sequence[EvalRow],
    entropies: Sequence[Entropies],
    thresholds: Mapping[Threshold, float] | None = None,
) -> list[dict[str, Any]]:
    """Cells of `analysis/entropy.json`: the distribution by set, temperature and outcome.

    Args:
        thresholds: the base model's own 80th percentile by set, kind and temperature; None takes this model's own.
    """
    cells = []
    own: dict[Threshold, float] = {}
    for cell, members in group(zip(rows, entropies, strict=True)):  # a set's `all` sorts before its outcomes
        if cell.outcome == ALL:
            own[cell[:3]] = _percentile([h for _, h in members])
        limits = own if thresholds is None else thresholds
        cells.append(_cell(cell, members, limits.get(cell[:3])))
    return cells


def _percentile(entropies: Sequence[Entropies]) -> float:
    import numpy as np

    return float(np.percentile(np.concatenate(entropies), PERCENTILE))


def _cell(cell: Cell, members: Sequence[tuple[EvalRow, Entropies]], threshold: float | None) -> dict[str, Any]:
    import numpy as np

    prompts = [row.trace.prompt.id for row, _ in members]
    tokens = [h.size for _, h in members]
    pooled = np.concatenate([h for _, h in members])
    median, p80, p95 = (float(x) for x in np.percentile(pooled, [50, PERCENTILE, 95]))
    above = None
    if threshold is not None:
        above = ratio(prompts, [float((h > threshold).sum()) for _, h in members], tokens).to_json()
    return {
        **cell._asdict(),
        "traces": len(members),
        "prompts": len(set(prompts)),
        "tokens": int(pooled.size),
        "mean": ratio(prompts, [float(h.sum(dtype=np.float64)) for _, h in members], tokens).to_json(),
        "median": median,
        "p80": p80,
        "p95": p95,
        "threshold": threshold,
        "above": above,
    }
