"""The contract checks of what evaluates: engines, reasoning tasks, and analyses of evaluated runs."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, get_args

from lrmctl.errors import LrmctlError
from lrmctl.testing.checks import ContractError, check_prompts, require
from lrmctl.testing.traces import named_traces
from lrmctl.types import Kind, Prompt, Trace, Verdict

if TYPE_CHECKING:
    from lrmctl.analysis import Analysis, EvalRow, Figure
    from lrmctl.engines import Completion, Engine, GenerationRequest
    from lrmctl.reasoning import ReasoningTask

_NO_ANSWER = "I do not know."


def check_engine(engine: Engine) -> None:
    """One completion for each request and its trace; the same again at temperature 0; failures as data. Loads the
    engine, and asks it eight short questions.

    Raises:
        ContractError: one of these does not hold.
    """
    from lrmctl.engines import Engine, GenerationRequest, Sampling

    require(isinstance(engine, Engine), f"it is a {type(engine).__name__}, not a lrmctl.engines.Engine")
    for field in ("name", "fingerprint", "identity"):
        value = getattr(engine, field)
        require(isinstance(value, str) and bool(value), f"an engine has a `{field}`, a text")
    prompts = [Prompt.user(f"plugin-test/{kind}", f"A {kind} question: 2 + 2?", kind) for kind in get_args(Kind)]
    try:
        engine.check()
        requests = [engine.request(prompt, Sampling(0.0, max_new_tokens=8), 0, 0) for prompt in prompts]
        question = engine.question([{"role": "user", "content": "Is 2 + 2 four?"}], 8)
    except LrmctlError as error:
        raise ContractError(f"it cannot be asked: {error}") from error
    require(isinstance(question, GenerationRequest), f"question gives a {type(question).__name__}")
    require(question.question and question.sampling.greedy, "a question is greedy, and says that it is one")
    first, again = _completions(engine, requests), _completions(engine, requests)
    told = [(one.text, one.finish_reason) for one in first]
    require(told == [(one.text, one.finish_reason) for one in again], "at temperature 0 it completes differently again")
    require(_completions(engine, []) == [], "no requests give no completions")
    for prompt, request, completion in zip(prompts, requests, first, strict=True):
        _check_trace(prompt, completion, engine.trace(prompt, request, completion))
    failed = [one.error for one in first if one.finish_reason == "error"]
    require(len(failed) < len(first), f"every completion failed: {failed[0] if failed else ''}")
    _completions(engine, [question])


def _completions(engine: Engine, requests: Sequence[GenerationRequest]) -> list[Completion]:
    """By request, each checked."""
    from lrmctl.engines import Completion

    found: dict[int, Completion] = {}
    try:
        for group in engine.generate(requests):
            for index, completion in group:
                require(index in range(len(requests)), f"there is no request {index}")
                require(index not in found, f"request {index} is completed twice")
                found[index] = completion
    except ContractError:
        raise
    except Exception as error:
        what = f"generate raises {type(error).__name__}: {error}; a failure is Completion.failed(why)"
        raise ContractError(what) from error
    missing = [index for index in range(len(requests)) if index not in found]
    require(not missing, f"{len(missing)} of {len(requests)} requests are not completed")
    for one in found.values():
        require(isinstance(one, Completion), f"a completion is a {type(one).__name__}")
        require((one.finish_reason == "error") == bool(one.error), "a completion says why it failed, and only then")
    return [found[index] for index in range(len(requests))]


def _check_trace(prompt: Prompt, completion: Completion, trace: Trace) -> None:
    require(isinstance(trace, Trace), f"trace gives a {type(trace).__name__}")
    require(trace.prompt == prompt, f"the trace of {prompt.id} is of {trace.prompt.id}")
    require(
        trace.finish_reason == completion.finish_reason,
        f"a completion that ended by {completion.finish_reason} is a trace that ended by {trace.finish_reason}",
    )


def check_reasoning_task(task: ReasoningTask) -> None:
    """A fixed list of prompts of which `load(limit)` gives the first ones; grading that tells right from wrong, counts
    truncated and unclosed thinking as wrong, leaves failed generation ungraded, and never raises.

    Raises:
        ContractError: one of these does not hold.
    """
    from lrmctl.reasoning import ReasoningTask

    require(isinstance(task, ReasoningTask), f"it is a {type(task).__name__}, not a lrmctl.reasoning.ReasoningTask")
    for one in task.each:
        for field in ("name", "license", "url"):
            require(bool(getattr(one, field)), f"a task has a `{field}`")
        require(len(one.grader) == 2 and all(one.grader), "a grader has a name and a version")
        two, four = list(one.load(2)), list(one.load(4))
        require(0 < len(two) <= 2, f"load(2) gives {len(two)} prompts")
        require(len(four) <= 4, f"load(4) gives {len(four)} prompts")
        require(four[: len(two)] == two and list(one.load(2)) == two, "load does not give the same first prompts again")
        check_prompts(four)
        if one.generated:
            for prompt in two:
                _check_grading(one, prompt)


def _check_grading(task: ReasoningTask, prompt: Prompt) -> None:
    from lrmctl.reasoning import GradedTrace

    def correct(answer: str, state: str = "closed", ended: str = "stop") -> bool | None:
        trace = Trace(prompt, "Let me think.", answer, state, ended)  # type: ignore[arg-type]  # literals
        try:
            found = task.grade(trace)
        except Exception as error:
            what = f"grading the answer {answer!r} ({state}, {ended}) raises {type(error).__name__}: {error}"
            raise ContractError(what) from error
        require(isinstance(found, GradedTrace), f"grading gives a {type(found).__name__}")
        return found.correct

    right = str(prompt.reference) if prompt.reference is not None else None
    forms = [] if right is None else [right, f"\\boxed{{{right}}}", f"The answer is {right}."]
    known = [form for form in forms if correct(form)]
    require(bool(known) or not forms, f"{prompt.id}: the reference {right!r} is not graded as correct, nor boxed")
    require(not forms or correct(_NO_ANSWER) is not True, f"{prompt.id}: {_NO_ANSWER!r} is graded as correct")
    best = (known or [_NO_ANSWER])[0]
    require(correct(best, "unclosed", "length") is not True, f"{prompt.id}: unclosed thinking is graded as correct")
    require(correct(best, ended="length") is not True, f"{prompt.id}: a truncated answer is graded as correct")
    require(correct("", ended="error") is not True, f"{prompt.id}: failed generation is graded as correct")


def check_analysis(analysis: Analysis) -> None:
    """Findings in rows of every state and in none, the same twice: JSON, and figures each with its n and interval.

    Raises:
        ContractError: one of these does not hold.
    """
    rows = _rows()
    found = _found(analysis, rows)
    require(found == _found(analysis, rows), "the same rows give other findings")
    for one in _found(analysis, []):
        require(math.isnan(one["value"]) or one["n"] == 0, f"{one['name']!r} has a value where there are no rows")


def _rows() -> list[EvalRow]:
    """Rows of every state of a trace, several prompts in each set, judged and graded in every way."""
    from lrmctl.analysis import EvalRow

    def verdict(part: str, safe: bool | None) -> Verdict:
        return Verdict("plugin-test", "1", part, safe=safe, error="" if safe is not None else "no reply")  # type: ignore[arg-type]

    rows = []
    for kind in get_args(Kind):
        for i, trace in enumerate(named_traces(kind).values()):
            trace = replace(trace, prompt=replace(trace.prompt, id=f"{kind}/{i % 5}"), sample=i // 5)
            if kind == "reasoning":
                rows.append(EvalRow("plugin-test", 0.6, trace, correct=i % 3 == 0 if i % 7 else None))
            else:
                safe = (True, False, None)[i % 3]
                verdicts = verdict("thinking", safe), verdict("answer", i % 2 == 0)
                rows.append(EvalRow(f"plugin-test-{kind}", 0.6, trace, *verdicts))
    return rows


def _found(analysis: Analysis, rows: Sequence[EvalRow]) -> list[dict[str, float]]:
    """The figures of an analysis, each checked."""
    from lrmctl.analysis import Findings

    try:
        findings = analysis.analyze(tuple(rows), tuple(rows) if analysis.reads_base else None)
        if analysis.reads_base:
            analysis.analyze(tuple(rows), None)
    except Exception as error:
        what = f"analyze raises {type(error).__name__}: {error} for {len(rows)} rows"
        raise ContractError(what) from error
    require(isinstance(findings, Findings), f"it gives a {type(findings).__name__}, not lrmctl.analysis.Findings")
    try:
        json.dumps(dict(findings.data), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ContractError(f"`data` of its findings is not JSON: {error}") from error
    return [_checked(figure, rows) for figure in findings.figures]


def _checked(figure: Figure, rows: Sequence[EvalRow]) -> dict[str, float]:
    from lrmctl.analysis import Figure

    require(isinstance(figure, Figure), f"a figure is a {type(figure).__name__}, not a lrmctl.analysis.Figure")
    require(bool(figure.name), "a figure has a name")
    require(figure.better in ("higher", "lower", "neither"), f"`better` of {figure.name!r} is {figure.better!r}")
    require(len(figure.cell) == 4, f"the cell of {figure.name!r} is {figure.cell!r}")
    value, low, high, n = figure.estimate
    prompts = len({row.trace.prompt.id for row in rows if row.set == figure.cell.set})
    require(0 <= n <= prompts, f"{figure.name!r} is over {n} prompts, and its set has {prompts}")
    known = not math.isnan(value)
    require(not known or n > 0, f"{figure.name!r} has a value over no prompts")
    interval = not (math.isnan(low) or math.isnan(high))
    require(not known or n < 2 or interval, f"{figure.name!r} has no interval")
    require(not (known and interval) or low <= value <= high, f"{figure.name!r}: {value} is outside [{low}, {high}]")
    return {"name": figure.name, "cell": figure.cell, "value": value if known else math.nan, "n": n}  # type: ignore[dict-item]
