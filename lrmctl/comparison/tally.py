"""An evaluation reduced to what pairing needs: per prompt the sums of its samples' values. Holds no texts."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from lrmctl.metrics import METRICS
from lrmctl.runs.eval_rows import EvalRow
from lrmctl.types import Kind, Prompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

MAIN: Mapping[Kind, tuple[str, ...]] = {
    "harmful": ("joint_safe", "thinking_safe", "answer_safe"),
    "benign": ("complied",),
    "reasoning": ("correct",),
}
"""The metrics that are paired, by prompt kind; the first one stands for the kind. More is better in each."""

STANDS_FOR: Mapping[Kind, tuple[str, ...]] = {**MAIN, "harmful": ("joint_safe", "answer_safe")}
"""Of these the first that both sides have stands for the kind: the answer's where thinking was not judged."""

STATES: Mapping[Kind, tuple[str, ...]] = {
    "harmful": ("joint_safe", "joint_unsafe", "answer_safe", "answer_unsafe"),
    "benign": ("complied", "refused"),
    "reasoning": ("correct",),
}
"""What says in which state a prompt is, for the list of prompts that flipped."""

BESIDE = (
    "answer_only",
    "no_thought",
    "cut",
    "unclosed",
    "judge_failed",
    "generation_failed",
    "refused",
    "thinking_tokens",
)
"""Figures that say whether a difference can be believed; shown for each side."""


class SliceKey(NamedTuple):
    """What is paired with its like: one kind of prompt of one set at one temperature."""

    set: str
    kind: Kind
    temperature: float


def metrics_of(kind: Kind, every: bool = False) -> tuple[str, ...]:
    """Names of what is tallied: the main metrics, states and figures beside them, or all there is."""
    known = (*MAIN[kind], *STATES[kind], *BESIDE, *(METRICS[kind] if every else ()))
    return tuple(dict.fromkeys(name for name in known if name in METRICS[kind]))


@dataclass
class PromptScores:
    """One set at one temperature.

    Attributes:
        index: prompt id -> its place; `texts` and `references` are in that order, as hash and as gold answer.
        owners: [rows] place of each row's prompt; `values`: by metric [rows], NaN where a row does not count.
        judges: name and version of every judge that gave a verdict.
    """

    kind: Kind
    every: bool = False
    index: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    references: list[str | None] = field(default_factory=list)
    owners: array[int] = field(default_factory=lambda: array("l"))
    values: dict[str, array[float]] = field(default_factory=dict)
    judges: set[tuple[str, str]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for name in metrics_of(self.kind, self.every):
            self.values[name] = array("d")
        self._each = [(column.append, METRICS[self.kind][name]) for name, column in self.values.items()]

    def add(self, row: EvalRow) -> None:
        self.owners.append(self._place(row.trace.prompt))
        self.judges.update((v.judge, v.version) for v in (row.thinking, row.answer) if v is not None)
        for append, metric in self._each:
            value = metric(row)
            append(_NAN if value is None else value)

    def _place(self, prompt: Prompt) -> int:
        found = self.index.get(prompt.id)
        if found is None:
            found = self.index[prompt.id] = len(self.index)
            self.texts.append(hashlib.sha256(json.dumps([*map(dict, prompt.messages)]).encode()).hexdigest())
            self.references.append(prompt.reference)
        return found

    def means(self, metric: str) -> Vector:
        """Each prompt's mean over its samples that count, [prompts] in the order of `index`; NaN where none does."""
        import numpy as np

        owners, values = np.frombuffer(self.owners, dtype=np.int_), np.frombuffer(self.values[metric])
        counts = ~np.isnan(values)
        n = np.bincount(owners[counts], minlength=len(self.index))
        sums = np.bincount(owners[counts], weights=values[counts], minlength=len(self.index))
        means: Vector = np.where(n > 0, sums / np.maximum(n, 1), np.nan)
        return means

    @property
    def counts(self) -> NDArray[np.int_]:
        """Samples of each prompt, [prompts]."""
        import numpy as np

        return np.bincount(np.frombuffer(self.owners, dtype=np.int_), minlength=len(self.index))

    @property
    def samples(self) -> int:
        return int(self.counts.max()) if self.index else 0

    @property
    def judge(self) -> str:
        return ", ".join(sorted(f"{name} {version}".strip() for name, version in self.judges))

    def beside(self) -> dict[str, float | None]:
        """The figures beside the metrics: mean over prompts, None where no prompt counts."""
        import numpy as np

        found = {name: self.means(name) for name in BESIDE if name in self.values}
        return {name: None if np.isnan(x).all() else float(np.nanmean(x)) for name, x in found.items()}


_NAN = float("nan")

Evaluated = dict[SliceKey, PromptScores]


def tally(rows: Iterable[EvalRow], *, every: bool = False) -> Evaluated:
    """Per-prompt outcomes of an evaluation; holds no texts, so that many rows stay small.

    Args:
        every: tally every metric of a row, not only the main ones and the figures beside them.
    """
    found: Evaluated = {}
    for row in rows:
        where = SliceKey(row.set, row.trace.prompt.kind, row.temperature)
        if where not in found:
            found[where] = PromptScores(where.kind, every)
        found[where].add(row)
    return found
