"""A third-party plugin whose rewards misbehave in every way that a reward can; loaded as a real distribution."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lrmctl import Part, Score, Trace, hookimpl


class Odd:
    """A reward whose behaviour is a function of the traces."""

    def __init__(self, score: Callable[[Sequence[Trace]], Any]) -> None:
        self._score = score

    def score(self, traces: Sequence[Trace], part: Part) -> Any:  # noqa: ARG002 (the hook's signature)
        return self._score(traces)


def raising(message: str = "the guard model is gone") -> Odd:
    def score(_: Sequence[Trace]) -> list[Score]:
        raise ValueError(message)

    return Odd(score)


def raising_on(text: str) -> Odd:
    """Raises if any answer of the batch has the text in it, like a parser that meets a line it does not know."""

    def score(traces: Sequence[Trace]) -> list[Score]:
        for trace in traces:
            if text in trace.answer:
                raise ValueError(f"cannot read {text}")
        return [Score(1.0) for _ in traces]

    return Odd(score)


def constant(value: Any = 1.0) -> Odd:
    return Odd(lambda traces: [Score(float(value) if isinstance(value, str) else value) for _ in traces])


def slow(seconds: float) -> Odd:
    def score(traces: Sequence[Trace]) -> list[Score]:
        time.sleep(seconds)
        return [Score(1.0) for _ in traces]

    return Odd(score)


def exiting() -> Odd:
    def score(_: Sequence[Trace]) -> list[Score]:
        raise SystemExit(7)

    return Odd(score)


@hookimpl
def lrmctl_rewards(register: Callable[..., None]) -> None:
    register("odd-raising", raising)
    register("odd-raising-on", raising_on)
    register("odd-constant", constant)
    register("odd-slow", slow)
    register("odd-exiting", exiting)
    register("odd-too-few", lambda: Odd(lambda traces: [Score(1.0) for _ in traces][:-1]))
    register("odd-float", lambda: Odd(lambda traces: [1.0 for _ in traces]))
    register("odd-none", lambda: Odd(lambda _: None))
    register("odd-numpy", lambda: Odd(lambda traces: [Score(np.float32(0.5)) for _ in traces]))
    register("odd-missing", lambda: Odd(lambda traces: [Score() for _ in traces]))
    register("odd-length", lambda: Odd(lambda traces: [Score(float(len(t.answer))) for t in traces]))
