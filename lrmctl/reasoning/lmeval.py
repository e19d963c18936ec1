"""The bridge to lm-evaluation-harness: the only file that imports lm_eval.

lm-eval asks, scores and aggregates; our engine and store answer. Three of its habits are kept away from reasoning
models: its stop texts would end the thinking (`until: []`), its default filter would score the first sample only
(`take_first_k`), and its text answers would not say whether the thinking was ever closed (`Answer`).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from lrmctl.engines.base import Sampling
from lrmctl.engines.requests import Engine, Request
from lrmctl.engines.store import OnProgress, Store, complete, draws
from lrmctl.reasoning.tasks import Graded, ReasoningTask
from lrmctl.types import Prompt, Trace

_FILTER = "all"


@dataclass(frozen=True)
class TaskResult:
    """One task at one sampling.

    Attributes:
        traces: by prompt, then sample.
        graded: one per trace.
        reported: what lm-eval itself reports, by metric name (`correct`, `cut`, `unclosed`).
    """

    task: ReasoningTask
    sampling: Sampling
    traces: tuple[Trace, ...]
    graded: tuple[Graded, ...]
    reported: Mapping[str, float]


class Answer(str):
    """The answer segment, as lm-eval sees it, carrying the whole trace through lm-eval's filters to the scorer."""

    trace: Trace
    graded: Graded

    def __new__(cls, trace: Trace) -> Answer:
        made = super().__new__(cls, trace.answer)
        made.trace = trace
        return made


def run_tasks(
    engine: Engine,
    store: Store,
    tasks: Sequence[ReasoningTask],
    sampling: Sequence[Sampling],
    samples: int,
    seed: int,
    limit: int | None = None,
    on_progress: OnProgress | None = None,
) -> list[TaskResult]:
    """Run every task at every sampling in one lm-eval run, so that batches are full; resumable through the store."""
    if not tasks:
        return []
    import lm_eval
    from lm_eval.tasks import TaskManager

    cells = {f"{task.name}@{i}": (task, how) for task in tasks for i, how in enumerate(sampling)}
    configs = [_config(name, task, how, samples, limit) for name, (task, how) in cells.items()]
    with _quiet():
        # `evaluate`, not `simple_evaluate`: that one reseeds the whole process, collects the machine's environment
        # for a second and lets git complain on the terminal, and adds nothing to the scores.
        found: dict[str, Any] = lm_eval.evaluate(
            lm=_make_lm(engine, store, seed, on_progress),
            task_dict=TaskManager(include_defaults=False).load(configs),
            apply_chat_template=True,
            bootstrap_iters=0,
        )
    return [_result(task, how, found["results"][name], found["samples"][name]) for name, (task, how) in cells.items()]


def _config(name: str, task: ReasoningTask, how: Sampling, samples: int, limit: int | None) -> dict[str, Any]:
    """The task as lm-eval's configuration, with callables in place of YAML."""
    return {
        "task": name,
        "custom_dataset": lambda **_: _dataset(task.load(limit)),
        "test_split": "test",
        "output_type": "generate_until",
        "num_fewshot": 0,
        "doc_to_text": lambda doc: doc["question"],
        "doc_to_target": lambda doc: doc["reference"],
        "generation_kwargs": {
            "until": [],
            "max_gen_toks": how.max_new_tokens,
            "do_sample": not how.greedy,
            "temperature": how.temperature,
            "top_p": how.top_p,
        },
        "repeats": draws(how, samples),
        "filter_list": [{"name": _FILTER, "filter": [{"function": "take_first_k", "k": draws(how, samples)}]}],
        "process_results": partial(_score, task),
        "metric_list": [
            {"metric": metric, "aggregation": _mean_of_means, "higher_is_better": metric == "correct"}
            for metric in ("correct", "cut", "unclosed")
        ],
    }


def _dataset(prompts: Sequence[Prompt]) -> Any:
    from datasets import Dataset, DatasetDict

    rows = [{"id": p.id, "question": p.text, "reference": p.reference, "source": p.source} for p in prompts]
    return DatasetDict({"test": Dataset.from_list(rows)})


def _prompt(doc: Mapping[str, str]) -> Prompt:
    return Prompt.user(doc["id"], doc["question"], "reasoning", source=doc["source"], reference=doc["reference"])


def _score(task: ReasoningTask, _doc: Mapping[str, str], results: Sequence[Sequence[Answer]]) -> dict[str, list[float]]:
    """lm-eval's `process_results`: one number per repeat and metric; each answer keeps what its task said of it."""
    traces = [answer.trace for answer in results[0]]
    for answer in results[0]:
        answer.graded = task.grade(answer.trace)
    return {
        "correct": [float(bool(answer.graded.correct)) for answer in results[0]],
        "cut": [float(t.finish_reason == "length") for t in traces],
        "unclosed": [float(t.thinking_state == "unclosed") for t in traces],
    }


def _mean_of_means(per_prompt: Sequence[Sequence[float]]) -> float:
    return sum(sum(x) / len(x) for x in per_prompt) / len(per_prompt)


def _result(task: ReasoningTask, how: Sampling, reported: Mapping[str, Any], rows: Sequence[Any]) -> TaskResult:
    answers = [answer for row in rows for answer in row["filtered_resps"][0]]
    return TaskResult(
        task,
        how,
        traces=tuple(answer.trace for answer in answers),
        graded=tuple(answer.graded for answer in answers),
        reported={name: reported[f"{name},{_FILTER}"] for name in ("correct", "cut", "unclosed")},
    )


def _make_lm(engine: Engine, store: Store, seed: int, on_progress: OnProgress | None) -> Any:
    """Our engine as lm-eval's `LM`. A function, because the base class is lm-eval's."""
    from lm_eval.api.model import LM

    class EngineLM(LM):  # type: ignore[misc]  # lm_eval is untyped
        @property
        def tokenizer_name(self) -> str:
            return engine.fingerprint

        def chat_template(self, _name: bool | str = False) -> str:
            return ""  # we render ourselves; lm-eval only logs this

        def apply_chat_template(self, chat_history: list[dict[str, str]], **_: Any) -> str:
            messages = tuple({"role": m["role"], "content": m["content"]} for m in chat_history)
            return engine.render(Prompt("", messages, "reasoning"))

        def generate_until(self, requests: list[Any]) -> list[Answer]:
            asked = _asked(requests, seed)
            done = complete(engine, store, asked, on_progress)
            answers = zip(requests, asked, done, strict=True)
            return [Answer(engine.trace(_prompt(r.doc), a, c)) for r, a, c in answers]

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            raise NotImplementedError("reasoning tasks are generated, not ranked by likelihood")

        loglikelihood_rolling = loglikelihood

    return EngineLM()


def _asked(instances: Sequence[Any], seed: int) -> list[Request]:
    """lm-eval's instances as requests; the i-th repeat of a document is its sample i."""
    seen: dict[tuple[str, int], int] = defaultdict(int)
    asked = []
    for instance in instances:
        text, how = instance.args
        document = (instance.task_name, instance.doc_id)
        sampling = Sampling(how["temperature"], how["top_p"], max_new_tokens=how["max_gen_toks"])
        asked.append(Request(text, sampling, seen[document], seed))
        seen[document] += 1
    return asked


@contextmanager
def _quiet() -> Iterator[None]:
    """No warning of every default it takes for a task made of callables, no bar of its own; its errors still show."""
    from lm_eval.api import task

    logger = logging.getLogger("lm_eval")
    level, bar = logger.level, task.tqdm
    logger.setLevel(logging.ERROR)
    task.tqdm = partial(bar, disable=True)  # it has no switch
    try:
        yield
    finally:
        logger.setLevel(level)
        task.tqdm = bar
