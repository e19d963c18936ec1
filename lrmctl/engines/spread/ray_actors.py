"""Workers as actors of the Ray cluster that this process is a job of, so that one evaluation may span its nodes.

Every node must see the checkpoint under the same path.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from lrmctl.engines.base import Engine
from lrmctl.engines.spread.crew import Call, ChildEngine, Crew, Failed, Message, Started, answers, died
from lrmctl.errors import LrmctlError

_PASSED_ON = ("PYTHONPATH", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
_PATIENCE = 120.0
"""Seconds without any worker after which a warning says what is waited for."""


class Worker:
    """What runs in an actor."""

    def __init__(self, child: ChildEngine, label: str) -> None:
        self._child, self._label = child, label
        self._engine: Engine | None = None

    def begin(self) -> Message:
        self._engine = self._child.make()
        return Started()

    def answer(self, call: Call) -> Iterator[Message]:
        assert self._engine is not None
        yield from answers(self._engine, call, self._label)


class RayCrew(Crew):
    """Actors with one GPU each, or with one CPU each if the cluster has no GPUs.

    A worker for which the cluster has no room yet gets no requests until it has. Actors end with this process.

    Args:
        device: `auto`, `cpu` or `cuda`.
    """

    def __init__(self, count: int, device: str = "auto") -> None:
        super().__init__(count)
        self._device = device
        self._actors: dict[int, Any] = {}
        self._begun: dict[Any, int] = {}
        self._answers: dict[Any, int] = {}

    @property
    def device(self) -> str:
        if self._device == "auto":
            return "cuda" if self._resources.get("GPU") else "cpu"
        return self._device

    def label(self, worker: int) -> str:
        return f"worker {worker + 1} of {self.count}, a Ray actor on {'a GPU' if self.device == 'cuda' else 'CPU'}"

    def start(self, worker: int, child: ChildEngine) -> None:
        """Start an actor.

        Raises:
            LrmctlError: the cluster cannot be reached, or is too small for all workers.
        """
        import ray

        unit = "GPU" if self.device == "cuda" else "CPU"
        there = int(self._resources.get(unit, 0))
        if there < self.count:
            what = f"there are {self.count} workers, one per {unit}, and the Ray cluster has {there}"
            raise LrmctlError(what, "engine.workers", f"say `workers: {there}` or fewer" if there else "add a node")
        needs = {"num_gpus": 1} if unit == "GPU" else {"num_cpus": 1}
        env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        actor_of: Any = ray.remote(Worker)
        options = {**needs, "runtime_env": {"env_vars": env}}
        actor = self._actors[worker] = actor_of.options(**options).remote(child, self.label(worker))
        self._begun[actor.begin.remote()] = worker

    def send(self, worker: int, call: Call) -> None:
        answer = self._actors[worker].answer
        self._answers[answer.options(num_returns="streaming").remote(call)] = worker

    def receive(self) -> list[tuple[int, Message]]:
        import ray

        refs = [*self._begun, *self._answers]
        ready, _ = ray.wait(refs, num_returns=1, timeout=None if self._answers else _PATIENCE)
        if not ready:
            unit = "GPU" if self.device == "cuda" else "CPU"
            warnings.warn(f"no worker has got a {unit} of the Ray cluster yet; waiting", RuntimeWarning, stacklevel=2)
            ready, _ = ray.wait(refs, num_returns=1)
        return [found for each in ready for found in self._next(each)]

    def stop(self) -> None:
        import ray

        actors, self._actors = self._actors, {}
        self._begun.clear()
        self._answers.clear()
        for actor in actors.values():
            ray.kill(actor)

    @cached_property
    def _resources(self) -> dict[str, float]:
        """Of the whole cluster."""
        import ray

        if not ray.is_initialized():
            try:
                ray.init(address="auto", log_to_driver=True)
            except ConnectionError as error:
                fix = "take no more workers than this process sees GPUs, or run it as a job of a Ray cluster"
                raise LrmctlError(f"there is no Ray cluster: {error}", "engine.workers", fix) from error
        return dict(ray.cluster_resources())  # type: ignore[no-untyped-call]

    def _next(self, ready: Any) -> list[tuple[int, Message]]:
        """The message that a reference stands for; none at the end of an answer."""
        import ray

        worker = self._begun.pop(ready) if ready in self._begun else self._answers[ready]
        try:
            return [(worker, ray.get(next(ready) if ready in self._answers else ready))]
        except StopIteration:
            del self._answers[ready]
            return []
        except ray.exceptions.RayTaskError as error:
            return [(worker, Failed(error.cause if isinstance(error.cause, LrmctlError) else error))]
        except ray.exceptions.RayError as error:
            self._answers = {each: of for each, of in self._answers.items() if of != worker}
            why = str(error).strip().splitlines()
            return [(worker, Failed(died(self.label(worker), f"died: {why[0] if why else type(error).__name__}")))]
