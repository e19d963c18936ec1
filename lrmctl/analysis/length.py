"""Built-in analysis `length`: how long the thinking is, by outcome, and against the base's on the same prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from lrmctl.analysis.base import Analysis, Figure, Findings
from lrmctl.analysis.cells import ALL, Cell, group, quantile, ratio
from lrmctl.runs.eval_rows import EvalRow


class Length(Analysis):
    """Thinking tokens: mean, median and 95th percentile by outcome, and the mean as a multiple of the base's.

    Traces without a count (a failed completion) are left out. The multiple is over the prompts that both have.
    """

    reads_base = True

    def analyze(self, rows: Sequence[EvalRow], base: Sequence[EvalRow] | None) -> Findings:
        counted = [(row, row.trace.thinking_tokens) for row in rows if row.trace.thinking_tokens is not None]
        figures = [figure for cell, members in group(counted) for figure in _lengths(cell, members)]
        figures += _multiples(_means(rows), _means(base or ()))
        return Findings(figures, {"traces": len(counted), "not_counted": len(rows) - len(counted)})


def _lengths(cell: Cell, members: Sequence[tuple[EvalRow, int]]) -> Iterator[Figure]:
    prompts = [row.trace.prompt.id for row, _ in members]
    tokens = [float(n) for _, n in members]
    yield Figure(cell, "thinking, mean", ratio(prompts, tokens, [1.0] * len(tokens)), "tokens")
    yield Figure(cell, "thinking, median", quantile(prompts, tokens, 0.5), "tokens")
    yield Figure(cell, "thinking, 95th percentile", quantile(prompts, tokens, 0.95), "tokens")


_Means = Mapping[Cell, Mapping[str, float]]


def _means(rows: Sequence[EvalRow]) -> _Means:
    """Mean number of thinking tokens of each prompt, by the cell of its set."""
    counts: dict[Cell, dict[str, list[int]]] = {}
    for row in rows:
        if (tokens := row.trace.thinking_tokens) is not None:
            cell = Cell(row.set, row.trace.prompt.kind, row.temperature, ALL)
            counts.setdefault(cell, {}).setdefault(row.trace.prompt.id, []).append(tokens)
    return {cell: {prompt: fmean(n) for prompt, n in of.items()} for cell, of in counts.items()}


def _multiples(own: _Means, base: _Means) -> Iterator[Figure]:
    for cell in sorted(own.keys() & base.keys()):
        shared = [prompt for prompt in own[cell] if prompt in base[cell]]
        times = ratio(shared, [own[cell][p] for p in shared], [base[cell][p] for p in shared])
        yield Figure(cell, "thinking, times the base's", times)
