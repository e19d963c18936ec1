"""The scorer process: makes the composed reward once, then scores the batches that arrive through its pipe.

It may hang, crash or be killed, so it keeps no state. Messages in: `(number, items)`, each a trace or a group to
compare; out: `("ready",)`, `("broken", error)`, `("at", number, component)` when a single item is scored, `("done",
number, rewards, judges)`, where `rewards` has one for each trace and a list for each group.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from typing import Any

from lrmctl.hooks.specs import Reward
from lrmctl.judges.base import describe
from lrmctl.rewards.compose import ComposedReward, GroupToScore
from lrmctl.rewards.service.config import THREADS, ServiceSpec
from lrmctl.rewards.service.errors import as_lrmctl_error
from lrmctl.types import Part, Score, Trace


def run(spec: ServiceSpec, pipe: Connection, _: list[socket.socket]) -> None:
    """The process: load, report ready, score until the pipe is closed."""
    try:
        scorer = _Scorer(spec, pipe)
    except BaseException as error:
        pipe.send(("broken", as_lrmctl_error(error)))
        os._exit(1)
    pipe.send(("ready",))
    pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lrmctl-score")
    try:
        while True:
            number, items = pipe.recv()
            pool.submit(scorer.score, number, items)
    except (EOFError, OSError):
        os._exit(0)  # threads may hang in a reward, so do not wait for them


class _Scorer:
    def __init__(self, spec: ServiceSpec, pipe: Connection) -> None:
        self._pipe, self._lock = pipe, threading.Lock()
        self._judges = _shared_judges(spec)
        self._reward = ComposedReward(spec.section)
        self._here = threading.local()
        for term in self._reward.terms:
            term.reward.prepare()
        self._reward.terms = tuple(
            replace(term, reward=_Announced(term.reward, self._announce(term.name))) for term in self._reward.terms
        )

    def score(self, number: int, items: Sequence[Trace | GroupToScore]) -> None:
        self._here.number = number if len(items) == 1 else None
        try:
            alone = iter(self._reward.score_alone([item for item in items if isinstance(item, Trace)]))
            rewards: Any = [next(alone) if isinstance(i, Trace) else self._reward.score_group(i) for i in items]
        except BaseException as error:  # not a component's failure, which is data, but the composition's
            rewards = describe(error)
        self._send("done", number, rewards, self._stats())

    def _announce(self, name: str) -> Callable[[], None]:
        def announce() -> None:
            number = getattr(self._here, "number", None)
            if number is not None:  # not needed for a batch, which is retried one by one
                self._send("at", number, name)

        return announce

    def _send(self, *message: Any) -> None:
        try:
            data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        except Exception as error:
            data = pickle.dumps(("done", message[1], f"the scores cannot be sent on: {describe(error)}", None))
        with self._lock:
            self._pipe.send_bytes(data)

    def _stats(self) -> list[dict[str, Any]]:
        return [asdict(judge) for judge in self._judges.stats()]


class _Announced(Reward):
    """A reward that reports when it is called, so that one that never returns can be named."""

    def __init__(self, reward: Reward, announce: Callable[[], None]) -> None:
        self._reward, self._tell = reward, announce
        self.range, self.of_group = reward.range, reward.of_group

    def score_group(self, traces: Sequence[Trace], part: Part) -> Sequence[Score]:
        self._tell()
        return self._reward.score_group(traces, part)

    def score(self, traces: Sequence[Trace], part: Part) -> Sequence[Score]:
        self._tell()
        return self._reward.score(traces, part)


def _shared_judges(spec: ServiceSpec) -> Any:
    """The module that shares judges within this process, configured with the service's settings."""
    from lrmctl.judges import shared

    words = spec.section.service
    shared.configure(cache_bytes=int(words.cache_mb * 2**20), window=words.window, max_batch=words.max_batch)
    return shared
