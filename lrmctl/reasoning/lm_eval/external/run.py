"""lm-eval tasks on a reasoning model: every sample scored by the task's own code, on answer segments only.

lm-eval scores one sample per document; here each sample is a copy of the task, so that the task's filters and metrics
see what they were written for. A task with its own repeats gets that number of completions per sample, and the first of
them is the sample's trace.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrmctl.engines.base import Sampling
from lrmctl.engines.store import distinct_samples
from lrmctl.reasoning.base import TaskResult
from lrmctl.reasoning.lm_eval.adapter import SampledTask
from lrmctl.reasoning.lm_eval.external.grade import Row, graded_trace, metric_key, primary_metric, sample_scores
from lrmctl.reasoning.lm_eval.external.task import FEWSHOT_SEED, ExternalTask, pin_documents
from lrmctl.types import Prompt


@dataclass(frozen=True)
class ExternalRun:
    """One lm-eval task at one sampling."""

    name: str
    task: ExternalTask
    sampling: Sampling
    samples: int
    limit: int | None

    @property
    def chat(self) -> bool:
        return self.task.chat

    @cached_property
    def prompts(self) -> Sequence[Prompt]:
        return self.task.load(self.limit)

    @property
    def _names(self) -> list[str]:
        return [f"{self.name}#{i}" for i in range(distinct_samples(self.sampling, self.samples))]

    def cells(self) -> Mapping[str, SampledTask]:
        repeats = self.task.made.get_config("repeats") or 1
        return {
            name: SampledTask(self.prompts, self.sampling, first=i * repeats, stops=True)
            for i, name in enumerate(self._names)
        }

    def lm_tasks(self) -> Mapping[str, Any]:
        return {name: self._copy(name) for name in self._names}

    def _copy(self, name: str) -> Any:
        made = copy.copy(self.task.made)
        made._config = copy.copy(made._config)
        made.set_config(key="task", value=name)
        made.set_fewshot_seed(FEWSHOT_SEED)
        documents, count = made.eval_docs, len(self.prompts)
        few = documents.select(range(count)) if hasattr(documents, "select") else documents[:count]
        pin_documents(made, few)
        if self.task.generated:  # the engine renders the prompts
            texts = iter([prompt.text for prompt in self.prompts])
            made.fewshot_context = lambda _doc, **_: next(texts)
        return made

    def result(self, found: Mapping[str, tuple[Any, Any]]) -> TaskResult:
        samples = [_by_document(found[name][1]) for name in self._names]
        several = len(self.task.made._filters) > 1
        said = [
            sample_scores(prompt, i, sample[number], several)
            for number, prompt in enumerate(self.prompts)
            for i, sample in enumerate(samples)
        ]
        primary = primary_metric(self.task.name, self.task.metric, [scores for _, scores, _ in said])
        graded = tuple(graded_trace(trace, scores, extracted, primary) for trace, scores, extracted in said)
        reported = _reported([found[name][0] for name in self._names], several)
        return TaskResult(self.task, self.sampling, tuple(t for t, _, _ in said), graded, reported)


def _by_document(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    """lm-eval's rows of one sample, one per filter."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["doc_id"]].append(row)
    return found


def _reported(results: Sequence[Mapping[str, Any]], several: bool) -> dict[str, float]:
    """lm-eval's aggregates, averaged over samples."""
    found: dict[str, list[float]] = defaultdict(list)
    for result in results:
        for key, value in result.items():
            metric, mark, by = key.partition(",")
            if mark and isinstance(value, (int, float)) and not metric.endswith("_stderr"):
                found[metric_key(metric, by, several)].append(float(value))
    return {key: sum(values) / len(values) for key, values in found.items()}
