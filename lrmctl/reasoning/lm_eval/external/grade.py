"""The result of an lm-eval task on one sample: its metrics, the final answer, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.reasoning.base import GradedTrace, answered
from lrmctl.reasoning.lm_eval.adapter import AnswerSegment
from lrmctl.types import Prompt, Trace

LONGEST_FINAL_ANSWER = 400
"""Characters; a longer filtered text is the whole answer, not an extracted final answer."""
_COUNTS = {"word_perplexity": "words", "byte_perplexity": "bytes", "bits_per_byte": "bytes"}
Row = Mapping[str, Any]
ScoredSample = tuple[Trace, Mapping[str, float], str | None]
"""A trace, the task's metrics of it, and the final answer."""


def sample_scores(prompt: Prompt, number: int, rows: Sequence[Row], several: bool) -> ScoredSample:
    first = rows[0]
    answers = [answer for answer in _flat(first["resps"]) if isinstance(answer, AnswerSegment)]
    scores = {
        metric_key(name, row["filter"], several): value
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


def metric_key(metric: str, by: str, several: bool) -> str:
    return f"{metric},{by}" if several else metric


def _numbers(metric: str, value: Any) -> Iterator[tuple[str, float]]:
    """A metric of one document as numbers. Perplexity is only defined on a whole set; these are its parts."""
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
    """The choice with the highest log-likelihood; a single continuation counts if it is the greedy one."""
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


def primary_metric(name: str, wanted: str | None, scores: Sequence[Mapping[str, float]]) -> str | None:
    """The score that decides right or wrong: the first one that is 0 or 1 on every trace; None if none is.

    Raises:
        RecipeError: the requested one is missing, or has other values.
    """
    names = list(dict.fromkeys(key for one in scores for key in one))
    if wanted is not None and wanted not in names:
        raise RecipeError(f"the task {name!r} has no metric {wanted!r}", fix=did_you_mean(wanted, names))
    said = [key for key in names if all(one.get(key, 0.0) in (0.0, 1.0) for one in scores)]
    if wanted is not None and wanted not in said:
        raise RecipeError(f"the metric {wanted!r} of the task {name!r} does not say right or wrong", fix="leave it out")
    return wanted or next(iter(said), None)


def graded_trace(trace: Trace, scores: Mapping[str, float], extracted: str | None, primary: str | None) -> GradedTrace:
    if trace.finish_reason == "error":
        return GradedTrace(None)
    correct = None if primary is None or primary not in scores else answered(trace) and scores[primary] == 1.0
    return GradedTrace(correct, extracted, scores)


def regrade(name: str, made: Any, metric: str | None, generated: bool, trace: Trace) -> GradedTrace:
    """Apply a task's scoring to a stored trace.

    Raises:
        RecipeError: the trace lacks what the task scores.
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
    _, scores, extracted = sample_scores(trace.prompt, trace.sample, rows, len(made._filters) > 1)
    return graded_trace(trace, scores, extracted, primary_metric(name, metric, [scores]))


def _document(made: Any, trace: Trace) -> Any:
    number = trace.prompt.id.rpartition("/")[2]
    if not number.isdigit() or int(number) >= len(made.eval_docs):
        raise LrmctlError(f"there is no document {trace.prompt.id!r} in the task", fix="evaluate again")
    return made.eval_docs[int(number)]
