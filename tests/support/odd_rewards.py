"""A third-party plugin whose rewards misbehave in every way that a reward can; loaded as a real distribution."""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import re
import sys
import threading
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


class AtOnce:
    """How many of the slow rewards were at work at the same time, at most."""

    lock = threading.Lock()
    now = most = 0

    @classmethod
    def add(cls, n: int) -> None:
        with cls.lock:
            cls.now += n
            cls.most = max(cls.most, cls.now)


def slow(seconds: float) -> Odd:
    def score(traces: Sequence[Trace]) -> list[Score]:
        AtOnce.add(1)
        time.sleep(seconds)
        AtOnce.add(-1)
        return [Score(1.0) for _ in traces]

    return Odd(score)


def exiting() -> Odd:
    def score(_: Sequence[Trace]) -> list[Score]:
        raise SystemExit(7)

    return Odd(score)


def on(text: str, does: str) -> Odd:
    """Does something to the process that scores as soon as an answer has the text in it."""

    def score(traces: Sequence[Trace]) -> list[Score]:
        for trace in traces:
            if text in trace.answer:
                _DOES[does]()
        return [Score(1.0) for _ in traces]

    return Odd(score)


_DOES: dict[str, Callable[[], Any]] = {
    "sleep": lambda: time.sleep(3600),
    "regex": lambda: re.match(r"(a+)+$", "a" * 64 + "b"),  # holds the interpreter's lock for longer than anybody waits
    "exit": lambda: os._exit(7),
    "segfault": lambda: ctypes.string_at(0),
}


def slow_each(seconds: float) -> Odd:
    """Takes its time over every single trace."""

    def score(traces: Sequence[Trace]) -> list[Score]:
        time.sleep(seconds * len(traces))
        return [Score(1.0) for _ in traces]

    return Odd(score)


def faulty(every: int, does: str) -> Odd:
    """Goes wrong on one sample in `every`, always the same ones."""

    def one(trace: Trace) -> Any:
        text = f"{trace.prompt.id} {trace.thinking} {trace.answer}".encode()
        if int.from_bytes(hashlib.sha256(text).digest()[:4]) % every:
            return Score(float(trace.well_formed))
        if does == "raise":
            raise ValueError("a line that the parser does not know")
        if does == "sleep":
            time.sleep(3600)
        return Score({"nan": math.nan, "inf": math.inf, "type": "high"}[does])  # type: ignore[arg-type]

    return Odd(lambda traces: [one(trace) for trace in traces])


class Loading(Odd):
    """Takes seconds to get ready, or fails at it, or takes the process with it."""

    def __init__(self, seconds: float = 0.0, does: str = "") -> None:
        super().__init__(lambda traces: [Score(1.0) for _ in traces])
        self._seconds, self._does = seconds, does

    def prepare(self) -> None:
        print("loading the guard")
        time.sleep(self._seconds)
        if self._does == "raise":
            raise OSError("guard-1b is not on this disk")
        if self._does:
            print("last words", file=sys.stderr, flush=True)
            _DOES[self._does]()


@hookimpl
def lrmctl_rewards(register: Callable[..., None]) -> None:
    register("odd-raising", raising)
    register("odd-raising-on", raising_on)
    register("odd-constant", constant)
    register("odd-slow", slow)
    register("odd-slow-each", slow_each)
    register("odd-on", on)
    register("odd-faulty", faulty)
    register("odd-loading", Loading)
    register("odd-exiting", exiting)
    register("odd-too-few", lambda: Odd(lambda traces: [Score(1.0) for _ in traces][:-1]))
    register("odd-float", lambda: Odd(lambda traces: [1.0 for _ in traces]))
    register("odd-none", lambda: Odd(lambda _: None))
    register("odd-numpy", lambda: Odd(lambda traces: [Score(np.float32(0.5)) for _ in traces]))
    register("odd-missing", lambda: Odd(lambda traces: [Score() for _ in traces]))
    register("odd-length", lambda: Odd(lambda traces: [Score(float(len(t.answer))) for t in traces]))
