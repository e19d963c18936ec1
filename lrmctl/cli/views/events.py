"""Progress of a study on stderr: a live line for each running stage, a plain line for each finished one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from lrmctl import console

if TYPE_CHECKING:
    from lrmctl.studies.stages import StudyEvent

QUIET_SECONDS = 20.0
"""Without a terminal a running stage prints a line at most this often (seconds)."""


@contextmanager
def show_events() -> Iterator[Callable[[StudyEvent], None]]:
    """A callback for `run_study`."""
    began = time.monotonic()
    if not console.err.is_terminal:
        yield _Lines()
    else:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn())
        note = TextColumn("{task.fields[note]}")
        with Progress(*columns, TimeRemainingColumn(compact=True), note, console=console.err, transient=True) as bars:
            yield _Bars(bars)
    console.say(f"the study took {console.duration(time.monotonic() - began)}")


def _ended(event: StudyEvent) -> str:
    """The line of a finished stage."""
    name = f"{event.arm} {event.stage}"
    if event.state == "done":
        return f"done    {name}, {console.duration(event.seconds)}"
    if event.state == "kept":
        return f"kept    {name}, done before"
    if event.state == "skipped" or not event.text:
        return f"skipped {name}: {event.text or 'an earlier stage failed'}"
    return f"failed  {name}: {event.text}"


class _Lines:
    def __init__(self) -> None:
        self.said: dict[str, float] = {}
        self.clocks: dict[str, console.Clock] = {}

    def __call__(self, event: StudyEvent) -> None:
        name = f"{event.arm} {event.stage}"
        if event.state == "start":
            self.said[name] = time.monotonic()
            console.say(f"start   {name}")
        elif event.state != "progress":
            console.say(_ended(event))
        else:
            self._progress(name, event)

    def _progress(self, name: str, event: StudyEvent) -> None:
        clock = self.clocks.setdefault(name, console.Clock(starts_up=event.stage == "train"))
        left = clock.left(event.done, event.total)
        done = f"{event.done}/{event.total}" if event.total else ""
        if time.monotonic() - self.said.get(name, 0.0) >= QUIET_SECONDS:
            self.said[name] = time.monotonic()
            console.say(f"        {name} {', '.join(filter(None, (done, event.text, left)))}")


class _Bars:
    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}

    def __call__(self, event: StudyEvent) -> None:
        name = f"{event.arm} {event.stage}"
        if event.state in ("start", "progress"):
            if name not in self.tasks:
                self.tasks[name] = self.bars.add_task(name, total=None, note="")
            self.bars.update(self.tasks[name], completed=event.done, total=event.total or None, note=escape(event.text))
            if event.stage == "sample" and event.done == event.total:  # no stage of its own, so nothing else ends it
                self.bars.remove_task(self.tasks.pop(name))
            return
        if name in self.tasks:
            self.bars.remove_task(self.tasks.pop(name))
        self.bars.console.print(_ended(event), markup=False)
