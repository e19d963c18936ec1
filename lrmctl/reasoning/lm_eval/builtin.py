"""Our own tasks as lm-eval tasks: a configuration of callables instead of YAML, every sample scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrmctl.engines.base import Sampling
from lrmctl.engines.store import distinct_samples
from lrmctl.reasoning.base import ReasoningTask, TaskResult
from lrmctl.reasoning.lm_eval.adapter import AnswerSegment, SampledTask
from lrmctl.types import Prompt

_FILTER = "all"
_METRICS = ("correct", "cut", "unclosed")


@dataclass(frozen=True)
class OwnRun:
    """One of our own tasks at one sampling."""

    name: str
    task: ReasoningTask
    sampling: Sampling
    samples: int
    limit: int | None
    chat = True

    @cached_property
    def prompts(self) -> Sequence[Prompt]:
        return self.task.load(self.limit)

    def cells(self) -> Mapping[str, SampledTask]:
        return {self.name: SampledTask(self.prompts, self.sampling)}

    def lm_tasks(self) -> Mapping[str, Any]:
        from lm_eval.tasks import TaskManager

        from lrmctl.reasoning.lm_eval.adapter import quiet

        with quiet():
            made: Mapping[str, Any] = TaskManager(include_defaults=False).load([self._config()])["tasks"]
        for task in made.values():
            task.fewshot_context = lambda doc, **_: doc["question"]  # the engine renders the prompt
        return made

    def _config(self) -> dict[str, Any]:
        repeats = distinct_samples(self.sampling, self.samples)
        return {
            "task": self.name,
            "custom_dataset": lambda **_: _dataset(self.prompts),
            "test_split": "test",
            "output_type": "generate_until",
            "num_fewshot": 0,
            "doc_to_text": lambda doc: doc["question"],
            "doc_to_target": lambda doc: doc["reference"],
            "generation_kwargs": {"until": []},  # a stop text would end the thinking
            "repeats": repeats,
            "filter_list": [{"name": _FILTER, "filter": [{"function": "take_first_k", "k": repeats}]}],
            "process_results": self._score,
            "metric_list": [
                {"metric": metric, "aggregation": _mean_of_means, "higher_is_better": metric == "correct"}
                for metric in _METRICS
            ],
        }

    def _score(self, _doc: Mapping[str, str], results: Sequence[Sequence[AnswerSegment]]) -> dict[str, list[float]]:
        """lm-eval's `process_results`: scores of every repeat; each answer carries its grading."""
        answers = results[0]
        for answer in answers:
            answer.graded = self.task.grade(answer.trace)
        done = [answer.trace for answer in answers if answer.trace.finish_reason != "error"]
        return {
            "correct": [float(a.graded.correct) for a in answers if a.graded.correct is not None],
            "cut": [float(trace.finish_reason == "length") for trace in done],
            "unclosed": [float(trace.thinking_state == "unclosed") for trace in done],
        }

    def result(self, found: Mapping[str, tuple[Any, Any]]) -> TaskResult:
        reported, rows = found[self.name]
        answers = [answer for row in rows for answer in row["filtered_resps"][0]]
        graded = tuple(answer.graded for answer in answers)
        own = {name: reported[f"{name},{_FILTER}"] for name in _METRICS}
        traces = tuple(answer.trace for answer in answers)
        return TaskResult(self.task, self.sampling, traces, graded, {**own, **self.task.totals(graded)})


def _dataset(prompts: Sequence[Prompt]) -> Any:
    from datasets import Dataset, DatasetDict

    rows = [{"id": p.id, "question": p.text, "reference": p.reference} for p in prompts]
    return DatasetDict({"test": Dataset.from_list(rows)})


def _mean_of_means(per_prompt: Sequence[Sequence[float]]) -> float | None:
    """Mean over prompts with at least one generated sample; None if there are none."""
    means = [sum(x) / len(x) for x in per_prompt if x]
    return sum(means) / len(means) if means else None
