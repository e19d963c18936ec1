"""Token entropy of the thinking, by set, kind and outcome: `analysis/entropy.json`, from the table of tokens.

In nats over the full vocabulary, with the model's own logits at T=1. Sampling temperature and top-p are not folded in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lrmctl.analysis.cells import ALL, Cell, group, ratio
from lrmctl.analysis.segments import JudgedThought
from lrmctl.analysis.tokens import STATISTICS, TraceTokens, name_of
from lrmctl.lexicons import Lexicon
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Kind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 2
PERCENTILE = 80
"""A token above this percentile of the base model's entropies is a high-entropy ("forking") token (2506.01939)."""
BINS = 10
"""Of the curve over relative position."""
VERDICTS = ("safe", "unsafe")
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


class _Trace(NamedTuple):
    """Of one trace, sums and counts of tokens, by figure."""

    entropy: NDArray[np.float32]
    sums: dict[str, tuple[float, int]]


def own_thresholds(traces: Sequence[tuple[EvalRow, TraceTokens]]) -> dict[Threshold, float]:
    """The 80th percentile of the entropies of each set, kind and temperature."""
    return {
        cell[:3]: _percentiles([tokens.entropy for _, tokens in members])[1]
        for cell, members in group(traces)
        if cell.outcome == ALL
    }


def summarize(
    traces: Sequence[tuple[EvalRow, TraceTokens]],
    thresholds: Mapping[Threshold, float],
    lexicon: Lexicon,
    thoughts: Sequence[JudgedThought] = (),
) -> list[dict[str, Any]]:
    """Cells of `analysis/entropy.json`: distributions and means by set, temperature and outcome.

    Args:
        thresholds: 80th percentiles, of the base where there is one; a set without one has no `above`.
        lexicon: of the reflections at which entropy is looked at.
        thoughts: whose segments were judged.

    Returns:
        One mapping per cell. Means are over tokens, each with an interval over prompts: `mean` (entropy) and the other
        fields of `TokenStatistics`; `at_reflection` (the first token of a hit), `after_reflection` (the token that
        follows the hit) and `elsewhere`; `curve`, in each tenth of the thought; `by_segment`, by the segment's verdict.
    """
    judged = {name_of(thought.row): thought for thought in thoughts}
    measured = [
        (row, _measured(row, tokens, lexicon, judged.get(name_of(row)), thresholds.get(_place(row))))
        for row, tokens in traces
    ]
    return [_cell(cell, members, thresholds.get(cell[:3]), bool(judged)) for cell, members in group(measured)]


def _place(row: EvalRow) -> Threshold:
    return row.set, row.trace.prompt.kind, row.temperature


def _measured(
    row: EvalRow, tokens: TraceTokens, lexicon: Lexicon, thought: JudgedThought | None, threshold: float | None
) -> _Trace:
    import numpy as np

    entropy, n = tokens.entropy, len(tokens.ids)
    sums = {name: _sum(values) for name in STATISTICS if (values := getattr(tokens, name)) is not None}
    if threshold is not None:
        sums["above"] = float((entropy > threshold).sum()), n
    at, after = _reflections(row.trace.thinking, tokens.start, lexicon)
    elsewhere = np.ones(n, dtype=bool)
    elsewhere[[*at, *after]] = False
    places: dict[str, Any] = {"at_reflection": at, "after_reflection": after, "elsewhere": elsewhere}
    sums |= {name: _sum(entropy[where]) for name, where in places.items()}
    bins = ((np.arange(n) + 0.5) * BINS / max(n, 1)).astype(int)
    sums |= {f"curve{i}": _sum(entropy[bins == i]) for i in range(BINS)}
    if thought is not None:
        sums |= {f"segment_{verdict}": _sum(entropy[_inside(thought, verdict, tokens.start)]) for verdict in VERDICTS}
    return _Trace(entropy, sums)


def _sum(values: NDArray[np.float32]) -> tuple[float, int]:
    import numpy as np

    return float(values.sum(dtype=np.float64)), values.size


def _reflections(thinking: str, start: NDArray[np.int32], lexicon: Lexicon) -> tuple[list[int], list[int]]:
    """The first token of each hit, and the first one after it: a token reaches to where the next one begins."""
    import numpy as np

    hits = list(lexicon.hits(thinking))
    if not hits or not start.size:
        return [], []
    at = np.searchsorted(start, [hit.start for hit in hits], side="right") - 1
    after = np.searchsorted(start, [hit.end for hit in hits], side="left")
    at = np.unique(at.clip(0))
    return at.tolist(), np.setdiff1d(after[after < start.size], at).tolist()


def _inside(thought: JudgedThought, verdict: str, start: NDArray[np.int32]) -> NDArray[np.bool_]:
    import numpy as np

    inside = np.zeros(start.size, dtype=bool)
    for segment in thought.segments:
        if segment.outcome == verdict:
            inside |= (start >= segment.start) & (start < segment.end)
    return inside


def _percentiles(entropies: Sequence[NDArray[np.float32]]) -> list[float]:
    import numpy as np

    return [float(x) for x in np.percentile(np.concatenate(entropies), [50, PERCENTILE, 95])]


def _cell(
    cell: Cell, members: Sequence[tuple[EvalRow, _Trace]], threshold: float | None, judged: bool
) -> dict[str, Any]:
    prompts = [row.trace.prompt.id for row, _ in members]
    median, p80, p95 = _percentiles([trace.entropy for _, trace in members])
    mean = _mean_of(prompts, [trace for _, trace in members])
    return {
        **cell._asdict(),
        "traces": len(members),
        "prompts": len(set(prompts)),
        "tokens": sum(trace.entropy.size for _, trace in members),
        "mean": mean("entropy"),
        "median": median,
        "p80": p80,
        "p95": p95,
        "threshold": threshold,
        "above": mean("above"),
        **{name: mean(name) for name in STATISTICS if name != "entropy"},
        **{name: mean(name) for name in ("at_reflection", "after_reflection", "elsewhere")},
        "curve": [mean(f"curve{i}") for i in range(BINS)],
        "by_segment": {verdict: mean(f"segment_{verdict}") for verdict in VERDICTS} if judged else None,
    }


def _mean_of(prompts: Sequence[str], traces: Sequence[_Trace]) -> Callable[[str], dict[str, Any] | None]:
    """Gives the mean over tokens of a figure, with its interval over prompts; None where no trace has it."""

    def mean(name: str) -> dict[str, Any] | None:
        if not any(name in trace.sums for trace in traces):
            return None
        sums = [trace.sums.get(name, (0.0, 0)) for trace in traces]
        return ratio(prompts, [total for total, _ in sums], [count for _, count in sums]).to_json()

    return mean
