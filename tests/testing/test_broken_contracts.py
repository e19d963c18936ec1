"""Broken engines, reasoning tasks, analyses, recipes, doctor checks and launchers: each is told what it breaks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from launcher_plugin import install_launchers

from lrmctl.analysis import Analysis, Cell, Estimate, EvalRow, Figure, Findings, group, share
from lrmctl.backends.launch import JobState, Launcher, LaunchJob, Record
from lrmctl.doctor import Check, Machine
from lrmctl.engines import Completion, Engine, GenerationRequest, Sampling
from lrmctl.reasoning import GradedTrace, ReasoningTask, graded
from lrmctl.testing import (
    ContractError,
    check_analysis,
    check_doctor_check,
    check_engine,
    check_launcher,
    check_reasoning_task,
    check_recipe,
)
from lrmctl.testing.installed import check_installed
from lrmctl.types import Prompt, Trace


class Fixed(Engine):
    name, fingerprint, identity = "fixed", "f", "i"  # type: ignore[assignment]  # properties of the base

    def render(self, prompt: Prompt) -> str:
        return prompt.text

    def question(self, messages: Any, max_new_tokens: int, **_: Any) -> GenerationRequest:
        return GenerationRequest(messages[-1]["content"], Sampling(0.0, max_new_tokens=max_new_tokens), question=True)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        for index in reversed(range(len(requests))):
            yield [(index, Completion((), "No.", "stop", tokens=1))]

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:  # noqa: ARG002
        return Trace(prompt, "", completion.text, "absent", completion.finish_reason, error=completion.error)


class Forgetting(Fixed):
    def generate(self, requests: Any) -> Any:
        yield from list(super().generate(requests))[1:]


class Raising(Fixed):
    def generate(self, requests: Any) -> Any:  # noqa: ARG002
        raise TimeoutError("no server")


class Drifting(Fixed):
    calls = 0

    def generate(self, requests: Any) -> Any:
        self.calls += 1
        yield [(i, Completion((), f"No {self.calls}.", "stop", tokens=1)) for i in range(len(requests))]


class Failing(Fixed):
    def generate(self, requests: Any) -> Any:
        yield [(i, Completion.failed("no key")) for i in range(len(requests))]


class Twice(Fixed):
    def generate(self, requests: Any) -> Any:
        yield from [*super().generate(requests), *super().generate(requests)]


class Mixing(Fixed):
    def trace(self, prompt: Prompt, request: Any, completion: Any) -> Trace:
        return super().trace(replace(prompt, id="other"), request, completion)


class Sampled(Fixed):
    def question(self, messages: Any, max_new_tokens: int, **_: Any) -> GenerationRequest:
        return replace(super().question(messages, max_new_tokens), sampling=Sampling(1.0))


def test_an_engine_keeps_its_contract_in_any_order_of_completions() -> None:
    check_engine(Fixed())


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        (Forgetting(), "1 of 3 requests are not completed"),
        (Raising(), "generate raises TimeoutError: no server; a failure is Completion.failed"),
        (Drifting(), "at temperature 0 it completes differently again"),
        (Failing(), "every completion failed: no key"),
        (Twice(), "is completed twice"),
        (Mixing(), "the trace of plugin-test/harmful is of other"),
        (Sampled(), "a question is greedy"),
        (object(), "it is a object, not a lrmctl.engines.Engine"),
    ],
)
def test_an_engine_that_breaks_its_contract_is_told_how(engine: Engine, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        check_engine(engine)


def prompts(n: int) -> list[Prompt]:
    return [Prompt.user(f"sum/{i}", f"{i} + 1 = ?", "reasoning", reference=str(i + 1)) for i in range(n)]


def right(trace: Trace) -> GradedTrace:
    return graded(trace, lambda answer: GradedTrace(answer.strip() == trace.prompt.reference))


def task(load: Any = lambda limit: prompts(min(limit or 9, 9)), grade: Any = right, **more: Any) -> ReasoningTask:
    facts = {"license": "CC0-1.0", "url": "https://example.org", "split": "test", "grader": ("exact", "1"), **more}
    return ReasoningTask("sums", load, grade=grade, **facts)


def test_a_reasoning_task_keeps_its_contract_boxed_or_not() -> None:
    check_reasoning_task(task())
    check_reasoning_task(
        task(
            grade=lambda t: graded(t, lambda answer: GradedTrace(answer.endswith(f"boxed{{{t.prompt.reference}}}"))),
        )
    )


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (task(load=lambda _: prompts(9)), r"load\(2\) gives 9 prompts"),
        (task(load=lambda limit: prompts(9)[-(limit or 9) :]), "does not give the same first prompts again"),
        (task(grade=lambda t: GradedTrace(t.answer == t.prompt.reference)), "unclosed thinking is graded as correct"),
        (task(grade=lambda _: GradedTrace(True)), "'I do not know.' is graded as correct"),
        (task(grade=lambda _: GradedTrace(False)), "the reference '1' is not graded as correct"),
        (task(grade=lambda t: right(t) if int(t.answer) else None), "raises ValueError"),
        (task(grade=lambda t: right(t).correct), "grading gives a bool"),
        (task(grader=("exact", "")), "a grader has a name and a version"),
        (task(license=""), "a task has a `license`"),
    ],
)
def test_a_reasoning_task_that_breaks_its_contract_is_told_how(broken: ReasoningTask, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        check_reasoning_task(broken)


class Looking(Analysis):
    def __init__(self, change: Callable[[Figure], Any] = lambda figure: figure, data: Any = None) -> None:
        self._change, self._data = change, data or {}

    def analyze(self, rows: Sequence[EvalRow], base: Sequence[EvalRow] | None) -> Findings:  # noqa: ARG002
        cells = group((row, bool(row.trace.answer)) for row in rows)
        figures = [(c, share([r.trace.prompt.id for r, _ in m], [hit for _, hit in m])) for c, m in cells]
        return Findings([self._change(Figure(cell, "answers", found)) for cell, found in figures], self._data)


class First(Analysis):
    def analyze(self, rows: Sequence[EvalRow], base: Sequence[EvalRow] | None) -> Findings:  # noqa: ARG002
        return Findings([], {"first": rows[0].set})


class OfJudged(Analysis):
    def analyze(self, rows: Sequence[EvalRow], base: Sequence[EvalRow] | None) -> Findings:  # noqa: ARG002
        return Findings([], {"safe": [row.answer.safe for row in rows]})  # type: ignore[union-attr]  # the fault


def figure(**changes: Any) -> Looking:
    return Looking(lambda found: replace(found, **changes))


NOWHERE = Estimate(0.5, float("nan"), float("nan"), 4)


def test_an_analysis_keeps_its_contract() -> None:
    check_analysis(Looking())


@pytest.mark.parametrize(
    ("analysis", "told"),
    [
        (First(), "analyze raises IndexError.* for 0 rows"),
        (OfJudged(), "analyze raises AttributeError"),
        (figure(estimate=NOWHERE), "'answers' has no interval"),
        (figure(estimate=Estimate(0.5, 0.6, 0.7, 4)), r"0.5 is outside \[0.6, 0.7\]"),
        (figure(estimate=Estimate(0.5, 0.4, 0.7, 400)), "is over 400 prompts, and its set has 5"),
        (figure(better="lots"), "`better` of 'answers' is 'lots'"),
        (Looking(data={"x": {1, 2}}), "`data` of its findings is not JSON"),
        (Looking(lambda found: (found.name, 1)), "a figure is a tuple"),
        (figure(cell=Cell("none", "benign", 0.6, "all")), "its set has 0"),
    ],
)
def test_an_analysis_that_breaks_its_contract_is_told_how(analysis: Analysis, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        check_analysis(analysis)


def test_a_recipe_is_there_loads_and_validates(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    with pytest.raises(ContractError, match="there is no file"):
        check_recipe(file)
    file.write_text("extends: lab/sft-mixed\nname: mine\n")
    check_recipe(file)
    file.write_text("extends: lab/sft-mixed\ntrain: {epochz: 3}\n")
    with pytest.raises(ContractError, match=r"mine.yaml:2: train.epochz: is not known here; did you mean 'epochs'"):
        check_recipe(file)
    file.write_text("extends: lab/sft-mixed\nlaunch: {via: nowhere}\n")
    with pytest.raises(ContractError, match="there is no launcher called 'nowhere'"):
        check_recipe(file)
    with pytest.raises(ContractError, match="gives a dict, not the path of a file"):
        check_recipe({"name": "mine"})  # type: ignore[arg-type]  # the fault


def checks(*found: Check) -> Callable[[Machine], list[Check]]:
    return lambda _: list(found)


def writing(machine: Machine) -> list[Check]:
    machine.runs_dir.mkdir(exist_ok=True)
    return [Check("disk", "ok", "written")]


def of_a_variable(_: Machine) -> list[Check]:
    return [Check("path", "ok", os.environ["ACME_HOME"])]


def test_a_doctor_check_keeps_its_contract() -> None:
    check_doctor_check(checks(Check("a", "ok", "fine"), Check("b", "warn", "odd", "do this")))


@pytest.mark.parametrize(
    ("checker", "told"),
    [
        (checks(Check("a", "warn", "odd")), "here: 'a' is 'warn' and has no fix"),
        (checks(Check("a", "bad", "odd", "x")), "here: 'a' has the verdict 'bad'"),  # type: ignore[arg-type]
        (checks(), "here it gives no check"),
        (lambda _: ["fine"], "it gives a str, not a lrmctl.doctor.Check"),
        (writing, "it writes into the folder of runs"),
        (of_a_variable, "on a bare machine it raises KeyError"),
    ],
)
def test_a_doctor_check_that_breaks_its_contract_is_told_how(
    checker: Any, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_HOME", "/opt/acme")
    with pytest.raises(ContractError, match=told):
        check_doctor_check(checker)
    assert os.environ["ACME_HOME"] == "/opt/acme"


class Queue(Launcher):
    def __init__(self, queue: str = "short") -> None:
        if queue not in ("short", "long"):
            raise ValueError(f"there is no queue {queue}")
        self.queue = queue

    def submit(self, job: LaunchJob) -> Record:  # noqa: ARG002
        raise AssertionError("the check submits nothing")

    def state(self, record: Record) -> JobState:  # noqa: ARG002
        return JobState("gone")

    def cancel(self, record: Record) -> None: ...


class Careless(Queue):
    def __init__(self, lrmctl_no_such_option: str = "") -> None:
        self.queue = lrmctl_no_such_option


class Eager(Queue):
    def preview(self, job: LaunchJob) -> str:
        job.log.with_name("job.sh").write_text(job.script())
        return "job.sh"


class Silent(Queue):
    def preview(self, job: LaunchJob) -> str:  # noqa: ARG002
        return None  # type: ignore[return-value]  # the fault


class Unready(Queue):
    def check(self) -> None:
        raise FileNotFoundError("bsub")


class Nameless(Queue):
    def record(self, job: LaunchJob) -> Record:  # noqa: ARG002
        return {"queue": self.queue}


def test_a_launcher_keeps_its_contract() -> None:
    check_launcher(Queue)


@pytest.mark.parametrize(
    ("launcher", "told"),
    [
        (Careless, "takes the option 'lrmctl_no_such_option', which it cannot know"),
        (Eager, "preview or record writes job.sh"),
        (Silent, "preview gives a NoneType, not a text"),
        (Unready, "check raises FileNotFoundError: bsub; raise an LrmctlError"),
        (Nameless, "a record that is known before has an `id`"),
        (object, "it is a object, not a lrmctl.backends.launch.Launcher"),
    ],
)
def test_a_launcher_that_breaks_its_contract_is_told_how(launcher: Any, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        check_launcher(launcher)


def test_an_installed_launcher_is_tested_and_one_that_needs_options_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_launchers(tmp_path, monkeypatch)
    found = {one.name: one for one in check_installed(["acme-launch"])}
    assert (found["detached"].verdict, found["detached"].reason) == ("ok", "")
    assert found["one"].verdict == "skip"
    assert "needs the option 'address'" in found["one"].reason
