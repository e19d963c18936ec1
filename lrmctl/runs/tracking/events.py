"""Passes run events to trackers: each in a thread of its own, so that a slow or hanging one never holds up a run."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl._util.tail import FileTail
from lrmctl.errors import LrmctlError
from lrmctl.hooks.specs import TrackedRun, Tracker
from lrmctl.runs.damage import DamagedError, read_object
from lrmctl.runs.folder import RunFolder

WAITING = 1_000
"""Events that wait for a tracker before it is given up."""
AT_THE_END = 30.0
"""Seconds that a tracker has for what is left when a run ends."""

Say = Callable[[str], None]


class TrackerUse(NamedTuple):
    """A tracker by name, with the options of its factory."""

    name: str
    options: Mapping[str, Any]


class RunEvents:
    """The trackers of one run. Events are passed on in order; the first failure of a tracker is said and ends it.

    Args:
        trackers: by name.
        say: called with a sentence about a tracker that failed.
    """

    def __init__(self, trackers: Sequence[tuple[str, Tracker]], say: Say) -> None:
        self._threads = [_TrackerThread(name, tracker, say) for name, tracker in trackers]

    def __bool__(self) -> bool:
        return bool(self._threads)

    def tell(self, event: str, *facts: Any) -> None:
        """Pass an event on and return at once.

        Args:
            event: the name of a method of `Tracker`.
        """
        for thread in self._threads:
            thread.put(event, facts)

    def close(self) -> None:
        """Wait until everything is passed on, for a limited time."""
        for thread in self._threads:
            thread.close()


class _TrackerThread:
    def __init__(self, name: str, tracker: Tracker, say: Say) -> None:
        self._name, self._tracker, self._say = name, tracker, say
        self._waiting: queue.Queue[tuple[str, tuple[Any, ...]] | None] = queue.Queue(WAITING)
        self._given_up = False
        self._thread = threading.Thread(target=self._work, name=f"tracker {name}", daemon=True)
        self._thread.start()

    def put(self, event: str, facts: tuple[Any, ...]) -> None:
        if self._given_up:
            return
        try:
            self._waiting.put_nowait((event, facts))
        except queue.Full:
            self._give_up(f"{WAITING} events wait for it")

    def close(self) -> None:
        if self._given_up:
            return
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self._give_up(f"{WAITING} events wait for it")
            return
        self._thread.join(AT_THE_END)
        if self._thread.is_alive():
            self._give_up(f"it has not finished within {AT_THE_END:.0f} s")

    def _work(self) -> None:
        while (one := self._waiting.get()) is not None and not self._given_up:
            event, facts = one
            try:
                getattr(self._tracker, event)(*facts)
            except BaseException as error:  # a plugin may raise anything, and the run goes on
                self._give_up(f"{type(error).__name__}: {error}")
                return

    def _give_up(self, why: str) -> None:
        if not self._given_up:
            self._given_up = True
            reason = (why.strip().splitlines() or [""])[0]
            self._say(f"tracker {self._name}: {reason}; the run continues without it")


def trackers_of(folder: Path) -> list[TrackerUse]:
    """The trackers that the recipe of a run names; none if there is no such run."""
    try:
        recipe = read_object(folder / "lock.json").get("recipe", {})
        return [TrackerUse(one["use"], one.get("options") or {}) for one in recipe.get("trackers") or ()]
    except (DamagedError, AttributeError, KeyError, TypeError):
        return []


def _made(uses: Sequence[TrackerUse], say: Say) -> Iterator[tuple[str, Tracker]]:
    from lrmctl.hooks import registry

    for use in uses:
        try:
            yield use.name, registry.make("tracker", use.name, **use.options)
        except LrmctlError as error:
            say(f"tracker {use.name}: {error.what}; the run continues without it")


@contextmanager
def run_events(
    folder: RunFolder, uses: Sequence[TrackerUse], recipe: Mapping[str, Any], say: Say
) -> Iterator[RunEvents]:
    """The events of a training run, from `run_started` to `finished` or `failed`.

    Weights & Biases is a tracker as well where the environment enables it.

    Args:
        recipe: resolved.
        say: called with a sentence about a tracker that failed, or where one keeps the run.
    """
    from lrmctl.runs.tracking.wandb import WandbTracker, wandb_enabled

    trackers = list(_made(uses, say))
    if wandb_enabled() and all(name != "wandb" for name, _ in trackers):
        trackers.append(("wandb", WandbTracker()))
    events = RunEvents(trackers, say)
    attempt = int(folder.status().get("attempt", 1))
    events.tell("run_started", TrackedRun(folder.name, folder.path, recipe, attempt, say))
    try:
        yield events
    except BaseException as error:
        events.tell("failed", str(error) or type(error).__name__)
        events.close()
        raise
    events.tell("finished", folder.model)
    events.close()


class StepEvents:
    """A progress callback that tells each step and its rollouts, and then shows it.

    Args:
        rollouts: the run's file of rollouts, which may not exist.
    """

    def __init__(self, events: RunEvents, rollouts: Path, on_progress: Callable[[Any], None]) -> None:
        self._events, self._on_progress = events, on_progress
        self._rollouts = FileTail(rollouts, from_end=True)

    def __call__(self, progress: Any) -> None:
        if self._events and progress.metrics:
            self._events.tell("step", progress.step, dict(progress.metrics))
            if rows := [row for _, row in self._rollouts.rows()]:
                self._events.tell("rollouts", progress.step, rows)
        self._on_progress(progress)


def tell(folder: Path, event: str, *facts: Any, also: Sequence[TrackerUse] = (), say: Say) -> None:
    """Tell one event after training, to the trackers of the run in a folder or to others.

    Args:
        folder: of a run, or of the evaluation of a model that is none.
        also: trackers of a folder that holds no run.
    """
    run = RunFolder(folder)
    uses = trackers_of(folder) or list(also)
    if not uses:
        return
    events = RunEvents(list(_made(uses, say)), say)
    recipe = read_object(run.lock).get("recipe", {}) if run.lock.is_file() else {}
    events.tell("run_resumed", TrackedRun(run.name, run.path, recipe, int(run.status().get("attempt", 1)), say))
    events.tell(event, *facts)
    events.tell("left")
    events.close()
