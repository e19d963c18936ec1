"""What an engine and its workers say to each other, and the base class of what carries it.

A worker is told its engine once, says `Started`, and then gets one `Call` at a time, which it answers with any number
of `Rows` and one `Ended`, or with `Failed`. It holds the weights; the requests come from the engine that it works for.
"""

from __future__ import annotations

import pickle
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lrmctl.engines.base import Engine
from lrmctl.engines.checkpoint import CheckpointEngine
from lrmctl.errors import LrmctlError

AGAIN = "run the same command again: what is stored is not drawn anew"


@dataclass(frozen=True)
class ChildEngine:
    """The engine of a worker, as it is made there."""

    kind: type[CheckpointEngine]
    path: Path
    settings: Mapping[str, Any]

    def make(self) -> Engine:
        return self.kind(self.path, **self.settings)


@dataclass(frozen=True)
class Call:
    """A part of a call of an engine's method.

    Attributes:
        method: `generate`, which yields groups, or one that returns a list.
        indices: of these items among all items of the call.
        columns: the method's arguments, each with one value per item.
    """

    method: str
    indices: tuple[int, ...]
    columns: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Warned:
    """A warning, and the file and line that it is about."""

    text: str
    category: type[Warning]
    file: str
    line: int


@dataclass(frozen=True)
class Started:
    """The worker runs, and has loaded nothing yet."""


@dataclass(frozen=True)
class Rows:
    """Results, each with the index of its item."""

    found: list[tuple[int, Any]]
    warned: list[Warned] = field(default_factory=list)


@dataclass(frozen=True)
class Ended:
    """The call has been answered; `batch_size` is what the engine used, if it tells."""

    batch_size: int | None
    warned: list[Warned] = field(default_factory=list)


@dataclass(frozen=True)
class Failed:
    """The call raised an error, or the worker died."""

    error: Exception


Message = Started | Rows | Ended | Failed


class Crew(ABC):
    """Workers, and how they are reached.

    Attributes:
        count: of workers, at most.
    """

    def __init__(self, count: int) -> None:
        self.count = count

    @property
    @abstractmethod
    def device(self) -> str:
        """`cuda` or `cpu`: what each worker computes on."""

    @abstractmethod
    def label(self, worker: int) -> str:
        """The worker and its device, for messages."""

    @abstractmethod
    def start(self, worker: int, child: ChildEngine) -> None:
        """Start a worker, which then says `Started`."""

    @abstractmethod
    def send(self, worker: int, call: Call) -> None:
        """Have a worker answer a call. A dead worker is told by `receive`."""

    @abstractmethod
    def receive(self) -> list[tuple[int, Message]]:
        """Wait for messages. Those of one worker come in order; the last one of a dead worker is `Failed`."""

    @abstractmethod
    def stop(self) -> None:
        """End all workers at once; they can be started again."""


def answers(engine: Engine, call: Call, label: str) -> Iterator[Message]:
    """A worker's messages about a call."""
    with _collected() as warned:
        try:
            for found in _results(engine, call):
                yield Rows(found, _taken(warned))
            used = engine.facts().get("batch_size")
        except Exception as error:
            yield Failed(_portable(error, label))
            return
    yield Ended(used if isinstance(used, int) else None, _taken(warned))


def died(label: str, how: str) -> LrmctlError:
    """The error for a worker that is gone."""
    fix = f"{AGAIN}; if it ran out of memory, with fewer `workers` or a smaller `batch_size`"
    return LrmctlError(f"{label} {how}", "engine.workers", fix)


def _results(engine: Engine, call: Call) -> Iterator[list[tuple[int, Any]]]:
    if call.method == "generate":
        for some in engine.generate(*call.columns):
            yield [(call.indices[i], completion) for i, completion in some]
    else:
        yield list(zip(call.indices, getattr(engine, call.method)(*call.columns), strict=True))


def _portable(error: Exception, label: str) -> Exception:
    """The error as it can be sent: a clear one if memory ran out, else itself, else its text."""
    if isinstance(error, LrmctlError):
        return error
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return died(label, f"ran out of memory: {str(error).splitlines()[0] if str(error) else 'no more memory'}")
    error.add_note(f"in {label}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return LrmctlError(f"{label} failed: {type(error).__name__}: {error}", "engine.workers", AGAIN)
    return error


@contextmanager
def _collected() -> Iterator[list[Warned]]:
    warned: list[Warned] = []

    def take(message: Any, category: Any, filename: str, lineno: int, *_: Any, **__: Any) -> None:
        warned.append(Warned(str(message), category, filename, lineno))

    with warnings.catch_warnings():
        warnings.showwarning = take
        yield warned


def _taken(warned: list[Warned]) -> list[Warned]:
    taken, warned[:] = list(warned), []
    return taken


def show(warned: Sequence[Warned]) -> None:
    """Repeat a worker's warnings in this process."""
    for one in warned:
        warnings.warn_explicit(one.text, one.category, one.file, one.line)
