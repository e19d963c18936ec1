"""Token entropy of the thinking, exact: a forward pass over prompt and thinking with the model's own logits at T=1.

H_t = -sum_v p_t(v) ln p_t(v) in nats over the full vocabulary. Sampling temperature and top-p are not folded in.
Server APIs give only the top log-probabilities and hence a lower bound; nothing here uses them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lrmctl.analysis.cells import ALL, Cell, group, ratio
from lrmctl.analysis.generated import EncodedTrace
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Entropies = NDArray[np.float32]

FORMAT = 1
PERCENTILE = 80
"""A token above this percentile of the base model's entropies is a high-entropy ("forking") token (2506.01939)."""
_LOGITS_BUDGET = 1 << 24
"""Logits held at once, in elements: 64 MiB in float32, a few times that with the intermediate results."""

Progress = Callable[[int, int], None]
Threshold = tuple[str, str, float]
"""Set, prompt kind and temperature: what a threshold belongs to."""


def token_entropies(
    model: Any,
    encoded: Sequence[EncodedTrace],
    *,
    pad: int,
    batch_size: int = 32,
    logits_budget: int = _LOGITS_BUDGET,
    on_progress: Progress | None = None,
) -> list[Entropies]:
    """Entropy at each thinking token, in nats.

    Args:
        model: a transformers causal LM.
        encoded: the traces; batched by length.
        pad: any token id, put behind shorter sequences of a batch.
        logits_budget: positions x vocabulary x batch computed at once; long sequences go through in chunks.
        on_progress: called with (done, total) traces.

    Returns:
        One array per trace, in the order given: [thinking tokens].
    """
    import numpy as np

    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].context) + len(encoded[i].thinking))
    found: list[Entropies] = [np.empty(0, dtype=np.float32)] * len(encoded)
    for start in range(0, len(order), batch_size):
        members = order[start : start + batch_size]
        rows = _batch(model, [encoded[i] for i in members], pad, logits_budget)
        for i, row in zip(members, rows, strict=True):
            begin = len(encoded[i].context) - 1  # the logits at a position are about the next token
            found[i] = row[begin : begin + len(encoded[i].thinking)]
        if on_progress:
            on_progress(start + len(members), len(order))
    return found


def _batch(model: Any, encoded: Sequence[EncodedTrace], pad: int, logits_budget: int) -> Entropies:
    """Entropy after every position of right-padded sequences: [batch, positions].

    Positions go through the model in chunks with its key-value cache, which is one forward pass in all, so the
    logits of the whole batch are never held at once.
    """
    import torch

    sequences = [e.context + e.thinking for e in encoded]
    width = max(map(len, sequences))
    ids = torch.tensor([s + [pad] * (width - len(s)) for s in sequences], device=model.device)
    real = torch.tensor([[1] * len(s) + [0] * (width - len(s)) for s in sequences], device=model.device)
    chunk = max(1, logits_budget // (len(sequences) * model.config.get_text_config().vocab_size))
    parts: list[Tensor] = []
    cache = None
    with torch.inference_mode():
        for start in range(0, width, chunk):
            end = min(start + chunk, width)
            seen = {"attention_mask": real[:, :end], "past_key_values": cache, "use_cache": chunk < width}
            out = model(input_ids=ids[:, start:end], **seen)
            cache = out.past_key_values
            parts.append(entropy_of_logits(out.logits).cpu())
    whole: Entropies = torch.cat(parts, dim=1).numpy()
    return whole


def entropy_of_logits(logits: Tensor) -> Tensor:
    """-sum p ln p over the last dimension, in float32 nats. `logits`: [..., V]; -inf counts as p = 0."""
    import torch

    log_p = torch.log_softmax(logits.float(), dim=-1)
    return -(log_p.exp() * log_p.clamp(min=torch.finfo(torch.float32).min)).sum(dim=-1)


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
