"""The rows of a build, in the form of `docs/rows.md`, so that recipes can name them as a source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lrmctl.builders.base import Builder
from lrmctl.builders.core import FAILED, Sample
from lrmctl.builders.intervene import Intervene
from lrmctl.data.pairs.write import pair_row
from lrmctl.types import Prompt


def demonstration_rows(samples: Iterable[Sample], builder: Builder) -> Iterator[dict[str, Any]]:
    """A row for each sample that is kept."""
    for one in samples:
        if one.kept:
            trace = one.trace
            facts = {"sample": trace.sample, **builder.meta(one.task, trace)}
            if one.opinion.reward is not None:
                facts["reward"] = one.opinion.reward
            yield {**prompt_row(trace.prompt), "thinking": trace.thinking, "answer": trace.answer, **facts}


def annotated_rows(samples: Iterable[Sample], builder: Builder) -> Iterator[dict[str, Any]]:
    """The prompt of each sample that is kept, with the builder's columns in its `meta`."""
    for one in samples:
        if one.kept:
            row = prompt_row(one.trace.prompt)
            yield {**row, "meta": {**row.get("meta", {}), **builder.meta(one.task, one.trace)}}


def pair_rows(samples: Iterable[Sample], builder: Builder) -> Iterator[dict[str, Any]]:
    """A pair for each sample that is kept."""
    assert isinstance(builder, Intervene)
    for one in samples:
        if one.kept:
            row = pair_row(builder.pair(one.task, one.trace, one.opinion))
            source = one.trace.prompt.source
            yield {**row, "sample": one.trace.sample, **({"source": source} if source else {})}


def prompt_row(prompt: Prompt) -> dict[str, Any]:
    """The columns of a prompt."""
    row: dict[str, Any] = {"id": prompt.id, "kind": prompt.kind, "messages": [dict(m) for m in prompt.messages]}
    if prompt.reference is not None:
        row["reference"] = prompt.reference
    if prompt.meta:
        row["meta"] = dict(prompt.meta)
    return {**row, "source": prompt.source} if prompt.source else row


class PassRates:
    """Counts how many samples of each prompt pass; samples that could not be drawn or judged do not count.

    Args:
        above, below: a prompt is kept if its rate lies between them, neither included; None is below every rate.
    """

    def __init__(self, above: float | None, below: float) -> None:
        self._above, self._below = above, below
        self.counts: Counter[str] = Counter()

    def rows(self, samples: Iterable[Sample]) -> Iterator[dict[str, Any]]:
        """A row for each prompt that is kept, with `pass_rate` and `pass_samples`; fills `counts`."""
        for prompt, passed, failed, drawn in _by_task(samples):
            counted = drawn - failed
            rate = passed / counted if counted else None
            why = self._why_not(rate)
            self.counts[why or "kept"] += 1
            if not why:
                row = prompt_row(prompt)
                facts: Mapping[str, Any] = {"pass_rate": rate, "pass_samples": counted}
                yield {**row, "meta": {**row.get("meta", {}), **facts}}

    def _why_not(self, rate: float | None) -> str:
        if rate is None:
            return "no sample could be judged"
        if self._above is not None and rate <= self._above:
            return f"pass rate of {self._above:g} or less"
        return "" if rate < self._below else f"pass rate of {self._below:g} or more"


def _by_task(samples: Iterable[Sample]) -> Iterator[tuple[Prompt, int, int, int]]:
    """For each task: the prompt, and its samples that passed, that failed, and in all."""
    task, counts = None, [0, 0, 0]
    for one in samples:
        if task is not None and one.task is not task:
            yield task.prompt, *counts  # type: ignore[misc]
            counts = [0, 0, 0]
        task = one.task
        failed = one.opinion.failed or one.dropped == FAILED
        counts = [counts[0] + one.accepted, counts[1] + failed, counts[2] + 1]
    if task is not None:
        yield task.prompt, *counts  # type: ignore[misc]
