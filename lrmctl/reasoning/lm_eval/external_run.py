"""Tasks of lm-eval on a reasoning model: every sample scored by the task's own code, on answer segments only.

lm-eval scores one sample of a document; here each sample is a copy of the task, so that the task's filters and metrics
see what they were written for. A task that takes several repeats itself gets its number of completions for each
sample, and the first of them is the sample's trace.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.engines.base import Sampling
from lrmctl.engines.store import draws
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.reasoning.base import GradedTrace, TaskResult, answered
from lrmctl.reasoning.lm_eval.adapter import AnswerSegment, SampledTask
from lrmctl.reasoning.lm_eval.external_task import FEWSHOT_SEED, ExternalTask, pin_documents
from lrmctl.types import Prompt, Trace

LONGEST_FINAL_ANSWER = 400
"""Characters; what a task leaves longer than this is the answer, not a final answer read out of it."""
_COUNTS = {"word_perplexity": "words", "byte_perplexity": "bytes", "bits_per_byte": "bytes"}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class ExternalRun:
    """One of lm-eval's tasks at one sampling."""

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
        return [f"{self.name}#{i}" for i in range(draws(self.sampling, self.samples))]

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
        if self.task.generated:  # the engine renders the prompts that are there already
            texts = iter([prompt.text for prompt in self.prompts])
            made.fewshot_context = lambda _doc, **_: next(texts)
        return made

    def result(self, found: Mapping[str, tuple[Any, Any]]) -> TaskResult:
        samples = [_by_document(found[name][1]) for name in self._names]
        several = len(self.task.made._filters) > 1
        said = [
            _sample(prompt, i, sample[number], several)
            for number, prompt in enumerate(self.prompts)
            for i, sample in enumerate(samples)
        ]
        primary = _primary(self.task.name, self.task.metric, [scores for _, scores, _ in said])
        graded = tuple(_graded(trace, scores, extracted, primary) for trace, scores, extracted in said)
        reported = _reported([found[name][0] for name in self._names], several)
        return TaskResult(self.task, self.sampling, tuple(t for t, _, _ in said), graded, reported)


Said = tuple[Trace, dict[str, float], str | None]
"""A trace, its scores, and the final answer by the task's filters."""


def _by_document(rows: Iterable[Row]) -> Mapping[int, list[Row]]:
    """lm-eval's rows of one sample, one for each filter."""
    found: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["doc_id"]].append(row)
    return found


def _sample(prompt: Prompt, number: int, rows: Sequence[Row], several: bool) -> Said:
    first = rows[0]
    answers = [answer for answer in _flat(first["resps"]) if isinstance(answer, AnswerSegment)]
    scores = {
        _key(name, row["filter"], several): value
        for row in rows
        for metric in row["metrics"]
        for name, value in _numbers(metric, row[metric])
    }
    if answers:
        return answers[0].trace, scores, _extracted(answers[0], first["filtered_resps"][0])
    said = _likeliest(first)
    return Trace(prompt, "", said or "", "absent", sample=number), scores, said


def _flat(nested: Any) -> Iterator[Any]:
    for item in nested:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _key(metric: str, by: str, several: bool) -> str:
    return f"{metric},{by}" if several else metric


def _numbers(metric: str, value: Any) -> Iterator[tuple[str, float]]:
    """A metric of one document as numbers. A perplexity is known of a whole set only; here are its parts."""
    if metric in _COUNTS and isinstance(value, tuple):
        yield "loglikelihood", float(value[0])
        yield _COUNTS[metric], float(value[1])
    elif isinstance(value, list) and value and all(isinstance(v, (bool, int, float)) for v in value):
        yield metric, sum(value) / len(value)
    elif not isinstance(value, (str, tuple, list, dict)) and hasattr(value, "__float__"):  # numpy's numbers too
        yield metric, float(value)


def _extracted(answer: AnswerSegment, filtered: Any) -> str | None:
    from lrmctl.reasoning.grading import final_answer

    left = filtered[0] if isinstance(filtered, list) and filtered else filtered
    if not answered(answer.trace) or not isinstance(left, str) or left.strip() in ("", "[invalid]"):
        return None
    read = str(left).strip()
    return read if len(read) <= LONGEST_FINAL_ANSWER and read != answer.strip() else final_answer(str(answer)) or None


def _likeliest(row: Row) -> str | None:
    """The choice of the highest log-likelihood; of a single continuation, itself if it is what the model would say."""
    found = [pair for pair in row["filtered_resps"] if isinstance(pair, tuple) and len(pair) == 2]
    asked = [arguments for arguments in row["arguments"] if len(arguments) > 1]
    if not found or len(found) != len(asked):
        return None
    if len(found) == 1:
        return str(asked[0][1]).strip() if found[0][1] else None
    with_context = [i for i, arguments in enumerate(asked) if arguments[0] != "" or asked[0][0] == ""]
    best = max(with_context, key=lambda i: found[i][0])
    same = len({arguments[1] for arguments in asked}) == 1  # the choices are in the contexts
    return str(asked[best][0 if same else 1]).strip()


def _primary(name: str, wanted: str | None, scores: Sequence[Mapping[str, float]]) -> str | None:
    """The score that says right or wrong: the first one that is 0 or 1 on every trace; None if none is.

    Raises:
        RecipeError: the one that was asked for is not there, or has other values.
    """
    names = list(dict.fromkeys(key for one in scores for key in one))
    if wanted is not None and wanted not in names:
        raise RecipeError(f"the task {name!r} has no metric {wanted!r}", fix=did_you_mean(wanted, names))
    said = [key for key in names if all(one.get(key, 0.0) in (0.0, 1.0) for one in scores)]
    if wanted is not None and wanted not in said:
        raise RecipeError(f"the metric {wanted!r} of the task {name!r} does not say right or wrong", fix="leave it out")
    return wanted or next(iter(said), None)


def _graded(trace: Trace, scores: Mapping[str, float], extracted: str | None, primary: str | None) -> GradedTrace:
    if trace.finish_reason == "error":
        return GradedTrace(None)
    correct = None if primary is None or primary not in scores else answered(trace) and scores[primary] == 1.0
    return GradedTrace(correct, extracted, scores)


def _reported(results: Sequence[Mapping[str, Any]], several: bool) -> dict[str, float]:
    """lm-eval's aggregates, the mean over samples."""
    found: dict[str, list[float]] = defaultdict(list)
    for result in results:
        for key, value in result.items():
            metric, mark, by = key.partition(",")
            if mark and isinstance(value, (int, float)) and not metric.endswith("_stderr"):
                found[_key(metric, by, several)].append(float(value))
    return {key: sum(values) / len(values) for key, values in found.items()}


def regrade(name: str, made: Any, metric: str | None, generated: bool, trace: Trace) -> GradedTrace:
    """What a task says of a trace that is there already.

    Raises:
        RecipeError: the trace does not hold what the task scores.
    """
    if not generated or (made.get_config("repeats") or 1) > 1:
        what = f"the task {name!r} cannot grade stored traces: they do not hold all that it scores"
        raise RecipeError(what, fix="leave the task out of the recipe that judges again")
    from lm_eval.api.instance import Instance

    doc = _document(made, trace)
    instance = Instance("generate_until", doc, ("", {}), 0, resps=[AnswerSegment(trace)])
    rows = []
    for ensemble in made._filters:
        ensemble.apply([instance])
        left = instance.filtered_resps[ensemble.name]
        metrics = made.process_results(doc, [left])
        head = {"filter": ensemble.name, "resps": [instance.resps], "filtered_resps": [left], "metrics": list(metrics)}
        rows.append({**head, **metrics})
    _, scores, extracted = _sample(trace.prompt, trace.sample, rows, len(made._filters) > 1)
    return _graded(trace, scores, extracted, _primary(name, metric, [scores]))


def _document(made: Any, trace: Trace) -> Any:
    number = trace.prompt.id.rpartition("/")[2]
    if not number.isdigit() or int(number) >= len(made.eval_docs):
        raise LrmctlError(f"there is no document {trace.prompt.id!r} in the task", fix="evaluate again")
    return made.eval_docs[int(number)]
