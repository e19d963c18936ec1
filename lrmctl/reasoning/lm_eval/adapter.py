"""Our engine as an lm-eval model: lm-eval's requests become requests to the engine, and traces are returned.

Each combination of task and sampling, a `SampledTask`, has its own name in lm-eval; the i-th request for the same
document is sample i. lm-eval sees answer segments only, and an empty one if the thinking was not closed or the answer
was truncated.
"""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any

from lrmctl.engines.base import Engine, GenerationRequest, OnProgress, Sampling
from lrmctl.engines.store import Store, complete
from lrmctl.reasoning.base import GradedTrace, answered
from lrmctl.types import Prompt, Trace

_SEED, _NUMPY_SEED = 0, 1234
_LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")


class AnswerSegment(str):
    """The answer segment, as lm-eval sees it, which carries the whole trace through lm-eval's filters to the scorer."""

    trace: Trace
    graded: GradedTrace

    def __new__(cls, trace: Trace) -> AnswerSegment:
        made = super().__new__(cls, trace.answer if answered(trace) else "")
        made.trace = trace
        return made


@dataclass(frozen=True)
class SampledTask:
    """One task at one sampling.

    Blank lines that end an answer are searched afterwards, since every answer begins with one after the thinking.

    Attributes:
        prompts: by lm-eval's document number.
        first: the sample index of lm-eval's first repeat.
        stops: whether lm-eval's task may end the answer at its own stop texts, and request more tokens.
    """

    prompts: Sequence[Prompt]
    sampling: Sampling
    first: int = 0
    stops: bool = False

    def sampling_of(self, asked: Mapping[str, Any]) -> Sampling:
        """The evaluation's sampling; lm-eval's temperature and `do_sample` are ignored."""
        if not self.stops:
            return self.sampling
        stop = tuple(text for text in self.until(asked) if text.strip())
        longest = max(int(asked.get(name) or 0) for name in _LENGTHS)
        return replace(self.sampling, stop=stop, max_new_tokens=max(longest, self.sampling.max_new_tokens))

    def until(self, asked: Mapping[str, Any]) -> tuple[str, ...]:
        """The stop texts of lm-eval's task."""
        until = asked.get("until") or ()
        return tuple(text for text in ([until] if isinstance(until, str) else until) if text) if self.stops else ()


def make_lm(
    engine: Engine, store: Store, cells: Mapping[str, SampledTask], seed: int, on_progress: OnProgress | None = None
) -> Any:
    """Our engine as lm-eval's `LM`. A function, because the base class is lm-eval's."""
    from lm_eval.api.model import LM

    class EngineLM(LM):  # type: ignore[misc]  # lm_eval is untyped
        @property
        def tokenizer_name(self) -> str:
            return engine.fingerprint

        def chat_template(self, _name: bool | str = False) -> str:
            return ""  # prompts are rendered by our engine; lm-eval only logs this

        def apply_chat_template(self, chat_history: list[dict[str, str]], **_: Any) -> str:
            messages = tuple({"role": m["role"], "content": m["content"]} for m in chat_history)
            return engine.render(Prompt("", messages, "reasoning"))

        def generate_until(self, requests: list[Any]) -> list[AnswerSegment]:
            asked = list(_asked(engine, cells, requests, seed))
            done = complete(engine, store, [request for _, request in asked], on_progress)
            until = [cells[r.task_name].until(r.args[1]) for r in requests]
            return [
                AnswerSegment(_ended(replace(engine.trace(prompt, request, one), error=one.error), stop))
                for (prompt, request), one, stop in zip(asked, done, until, strict=True)
            ]

        def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
            pairs = [(str(context), str(continuation)) for context, continuation in (r.args[:2] for r in requests)]
            return [(found.logprob, found.greedy) for found in engine.loglikelihood(pairs)]

        def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
            return list(engine.rolling_loglikelihood([str(r.args[0]) for r in requests]))

    return EngineLM()


def _ended(trace: Trace, stop: Sequence[str]) -> Trace:
    """The answer up to the first stop text; it is complete if a length limit cut it only after that."""
    answer = trace.answer.strip()
    found = [answer.index(text) for text in stop if text in answer]
    if not found or trace.finish_reason == "error":
        return trace
    return replace(trace, answer=answer[: min(found)], finish_reason="stop")


def _asked(
    engine: Engine, cells: Mapping[str, SampledTask], instances: Sequence[Any], seed: int
) -> Iterator[tuple[Prompt, GenerationRequest]]:
    """lm-eval's instances as requests; each prompt is rendered once."""
    seen: dict[tuple[str, int, int], int] = defaultdict(int)
    made: dict[tuple[str, Sampling], GenerationRequest] = {}
    for instance in instances:
        cell = cells[instance.task_name]
        prompt, how = cell.prompts[instance.doc_id], cell.sampling_of(instance.args[1])
        if (prompt.id, how) not in made:
            made[prompt.id, how] = engine.request(prompt, how, 0, seed)
        repeat = (instance.task_name, instance.doc_id, instance.idx)
        yield prompt, replace(made[prompt.id, how], sample=cell.first + seen[repeat])
        seen[repeat] += 1


@contextmanager
def quiet() -> Iterator[None]:
    """Suppresses lm-eval's warnings on defaults of tasks made of callables, and its progress bar; errors still show."""
    from lm_eval.api import task

    logger = logging.getLogger("lm_eval")
    level, bar = logger.level, task.tqdm
    logger.setLevel(logging.ERROR)
    task.tqdm = partial(bar, disable=True)  # it has no option for this
    try:
        yield
    finally:
        logger.setLevel(level)
        task.tqdm = bar


@contextmanager
def pinned_random() -> Iterator[None]:
    """Seeds the global generators as `simple_evaluate` does, and restores their state afterwards.

    Tasks draw from them while they are built and scored, and so does lm-eval in unexpected places.
    """
    import numpy as np

    import_module("rich.style")  # draws a number when it is first imported, which would shift all that follow
    before, before_numpy = random.getstate(), np.random.get_state()
    random.seed(_SEED)
    np.random.seed(_NUMPY_SEED)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)


def evaluate(lm: Any, tasks: Mapping[str, Any], *, chat: bool, limit: int | None = None, unsafe: bool = False) -> Any:
    """lm-eval's results for its tasks by name.

    `evaluate`, not `simple_evaluate`: that one reseeds the whole process, collects the machine's environment for a
    second, prints git's complaints, and adds nothing to the scores. lm-eval's request cache is never used, since its
    key does not contain the model.
    """
    import lm_eval

    with quiet(), pinned_random():
        return lm_eval.evaluate(
            lm=lm,
            task_dict={"tasks": dict(tasks), "groups": {}},
            limit=limit,
            apply_chat_template=chat,
            bootstrap_iters=0,
            confirm_run_unsafe_code=unsafe,
        )
