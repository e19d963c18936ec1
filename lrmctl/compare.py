"""Two evaluations of the same prompts, side by side: paired differences with intervals.

Each prompt is its own control, which is worth many times the prompts of an unpaired test. Hence the refusals: nothing
is paired unless both sides saw the same prompts, as often, sampled and judged in the same way. Reads `eval/` of two
folders; knows nothing of how they were made.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.errors import LrmctlError, NotFoundError
from lrmctl.metrics import METRICS
from lrmctl.runs.rows import EvalRow, read_jsonl
from lrmctl.stats import paired_delta
from lrmctl.types import Kind


class Where(NamedTuple):
    """What is paired with its like: one kind of prompt of one set at one temperature."""

    set: str
    kind: Kind
    temperature: float


@dataclass(frozen=True)
class Delta:
    """How `b` differs from `a` on one metric of one set at one temperature.

    Attributes:
        prompts: prompts that count on both sides; `left_out` lack a verdict on at least one.
        samples: the most samples a prompt has.
        a, b: mean over prompts of each prompt's mean over samples; `delta` is b - a, `low` and `high` its 95 %
            bootstrap interval over prompts, `p` from a sign-flip permutation test, two-sided, not adjusted.
        wins, losses, ties: prompts on which b is better than, worse than, and equal to a.
    """

    set: str
    kind: Kind
    temperature: float
    metric: str
    prompts: int
    left_out: int
    samples: int
    a: float
    b: float
    delta: float
    low: float
    high: float
    p: float
    wins: int
    losses: int
    ties: int
    judge: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


MAIN: Mapping[Kind, tuple[str, ...]] = {
    "harmful": ("joint_safe", "thinking_safe", "answer_safe"),
    "benign": ("complied",),
    "reasoning": ("correct",),
}
"""The metrics that are paired, by prompt kind; the first one stands for the kind. More is better in each."""


@dataclass
class Pairable:
    """What pairing needs of one set at one temperature: per prompt its text's hash and its samples' outcomes."""

    kind: Kind
    prompts: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    sums: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(lambda: [0.0, 0]))
    judges: set[str] = field(default_factory=set)

    def add(self, row: EvalRow) -> None:
        prompt = row.trace.prompt
        if prompt.id not in self.prompts:
            text = json.dumps([*map(dict, prompt.messages), prompt.reference], sort_keys=True)
            self.prompts[prompt.id] = hashlib.sha256(text.encode()).hexdigest()
        self.counts[prompt.id] += 1
        self.judges |= {f"{v.judge} {v.version}" for v in (row.thinking, row.answer) if v is not None}
        for name in MAIN[self.kind]:
            value = METRICS[self.kind][name](row)
            if value is not None:
                total = self.sums[prompt.id, name]
                total[0] += value
                total[1] += 1

    def mean(self, prompt: str, metric: str) -> float:
        """Mean over the prompt's samples that count; NaN if none does."""
        total, n = self.sums.get((prompt, metric), (0, 0))
        return total / n if n else float("nan")

    @property
    def samples(self) -> int:
        return max(self.counts.values(), default=0)

    @property
    def judge(self) -> str:
        return ", ".join(sorted(self.judges))


Evaluated = dict[Where, Pairable]


def tally(rows: Iterable[EvalRow]) -> Evaluated:
    """Per-prompt outcomes of an evaluation; holds no texts, so that many rows stay small."""
    found: Evaluated = {}
    for row in rows:
        where = Where(row.set, row.trace.prompt.kind, row.temperature)
        if where not in found:
            found[where] = Pairable(where.kind)
        found[where].add(row)
    return found


def compare(a: Path, b: Path) -> list[Delta]:
    """Paired differences of the main metrics from `a` to `b`, for every set and temperature that both have.

    Args:
        a, b: evaluated folders, each with `eval/rows.jsonl` and `eval/summary.json`.

    Raises:
        NotFoundError: one of the folders was not evaluated.
        LrmctlError: they share no set, or prompts, sampling or judges differ, so that pairing would mislead.
    """
    _same_sampling(a, b)
    return pair(*(tally(EvalRow.from_json(row) for row in _rows(folder)) for folder in (a, b)), names=(str(a), str(b)))


def pair(a: Evaluated, b: Evaluated, *, names: tuple[str, str] = ("a", "b")) -> list[Delta]:
    """As `compare`, from tallies.

    Args:
        names: what errors call the two sides.
    """
    shared = sorted(a.keys() & b.keys())
    if not shared:
        raise LrmctlError(
            "the two evaluations have no set and temperature in common",
            where=" and ".join(names),
            fix=f"evaluate both with one recipe; sets: {_listed(a)} | {_listed(b)}",
        )
    for where in shared:
        _refuse_unlike(where, a[where], b[where], names)
    return [d for where in shared for d in _deltas(where, a[where], b[where])]


def _rows(folder: Path) -> Iterator[dict[str, Any]]:
    path = folder / "eval" / "rows.jsonl"
    if not path.exists():
        raise NotFoundError("this folder has not been evaluated", where=str(path), fix="run `lrmctl eval` on it first")
    return read_jsonl(path)


def _listed(evaluated: Evaluated) -> str:
    return ", ".join(f"{w.set} at {w.temperature:g}" for w in sorted(evaluated)) or "none"


_SAMPLING = ("top_p", "top_k", "max_new_tokens")


def _same_sampling(a: Path, b: Path) -> None:
    """What the rows do not carry: nucleus and token limit, wherever the summaries name them."""
    one, two = (_sampling(folder) for folder in (a, b))
    for key in one.keys() & two.keys():
        if one[key] != two[key]:
            raise LrmctlError(
                f"cannot pair: {key.replace('.', ' ')} is {one[key]} in one and {two[key]} in the other",
                where=f"{a} and {b}",
                fix="evaluate both with one recipe",
            )


def _sampling(folder: Path) -> dict[str, Any]:
    """Sampling settings anywhere in the summary, by dotted path."""
    path = folder / "eval" / "summary.json"
    if not path.exists():
        return {}
    summary = json.loads(path.read_text(encoding="utf-8"))
    found = {key: summary[key] for key in _SAMPLING if key in summary}
    for section in ("engine", "sampling"):
        part = summary.get(section) or {}
        found |= {f"{section}.{key}": part[key] for key in _SAMPLING if key in part}
    return found


def _refuse_unlike(where: Where, a: Pairable, b: Pairable, names: tuple[str, str]) -> None:
    place = f"{where.set} at temperature {where.temperature:g}"
    reason = ""
    if a.prompts != b.prompts:
        only = len(a.prompts.keys() ^ b.prompts.keys())
        changed = sum(a.prompts[p] != b.prompts[p] for p in a.prompts.keys() & b.prompts.keys())
        reason = f"the prompts differ ({only} are on one side only, {changed} have another text)"
    elif a.counts != b.counts:
        reason = f"the samples per prompt differ ({a.samples} and {b.samples}), or one side is incomplete"
    elif a.judges != b.judges:
        reason = f"the judges differ ({a.judge or 'none'} and {b.judge or 'none'})"
    if reason:
        raise LrmctlError(
            f"cannot pair {place}: {reason}", where=" and ".join(names), fix="evaluate both with one recipe"
        )


def _deltas(where: Where, a: Pairable, b: Pairable) -> Iterator[Delta]:
    import numpy as np

    for metric in MAIN[a.kind]:
        x, y = (np.array([side.mean(p, metric) for p in a.prompts]) for side in (a, b))
        both = ~np.isnan(x) & ~np.isnan(y)
        x, y = x[both], y[both]
        if not x.size:
            continue
        found = paired_delta(x, y)
        yield Delta(
            **where._asdict(),
            metric=metric,
            prompts=int(x.size),
            left_out=int((~both).sum()),
            samples=a.samples,
            a=float(x.mean()),
            b=float(y.mean()),
            **found._asdict(),
            wins=int((y > x).sum()),
            losses=int((y < x).sum()),
            ties=int((y == x).sum()),
            judge=a.judge,
        )


def main_metric(kind: Kind) -> str:
    """The one metric that stands for a prompt kind."""
    return MAIN[kind][0]


def main_deltas(deltas: Sequence[Delta]) -> list[Delta]:
    """Only the main metric of each set."""
    return [d for d in deltas if d.metric == main_metric(d.kind)]
