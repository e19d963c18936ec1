"""Alarms during training: reported once, written to `alarms.jsonl`, and passed on with the progress.

After each step only new rows are read. An error here never affects the training: it becomes one note, and the run
continues without monitoring. `judge-disagreement` is not included, since a second judge takes GPU time.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lrmctl.monitors.alarms.catalogue import ALARMS, make_alarms
from lrmctl.monitors.base import AlarmResult
from lrmctl.monitors.monitor import Monitor, clip_of, helped_of, line_of, per_step_of, read_alarms, recipe_of

if TYPE_CHECKING:
    from lrmctl.backends.base import Progress

OnProgress = Callable[["Progress"], None]
FILE = "alarms.jsonl"
OFFLINE = "judge-disagreement"


class LiveMonitor:
    """Polls the alarms of one run and reports new ones.

    Args:
        folder: of the run.
        say: called once for each alarm, and for a failure of the monitoring.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder, self.say, self.step = folder, say, 0
        self.fired: tuple[str, ...] = ()
        self._monitor: Monitor | None = None
        self._broken = False

    def look(self, step: int = 0, last: bool = False) -> tuple[str, ...]:
        """Names of the alarms that have fired so far; with `last` the incomplete window is included."""
        self.step = step or self.step
        if not self._broken:
            try:
                self._look(last)
            except Exception as error:  # monitoring must not end the training
                self._broken = True
                self.say(f"note: the alarms broke ({type(error).__name__}: {error}); the run goes on without them")
        return self.fired

    def _look(self, last: bool) -> None:
        monitor = self._monitor = self._monitor or self._made()
        for result in monitor.finish() if last else monitor.poll():
            if result.alarm not in self.fired:
                self.fired = (*self.fired, result.alarm)
                self._tell(result)

    def _made(self) -> Monitor:
        """A resumed run is read from its start; alarms already reported in an earlier attempt are not reported
        again."""
        recipe = recipe_of(self.folder)
        self.fired = tuple(dict.fromkeys(str(row.get("alarm", "")) for row in read_alarms(self.folder / FILE)))
        alarms = make_alarms(
            [name for name in ALARMS if name != OFFLINE], helped=helped_of(recipe), clip=clip_of(recipe)
        )
        files = self.folder / "rollouts.jsonl", self.folder / "metrics.jsonl"
        return Monitor(*files, alarms, per_step=per_step_of(recipe))

    def _tell(self, result: AlarmResult) -> None:
        with (self.folder / FILE).open("a", encoding="utf-8") as file:
            file.write(line_of(result, step=self.step))
        command = f"lrmctl monitor {shlex.quote(str(self.folder))}"
        self.say(f"alarm: {result.alarm} ({result.began}): {result.text}; look closer: {command}")


@contextmanager
def watched(folder: Path, on_progress: OnProgress, say: Callable[[str], None]) -> Iterator[OnProgress]:
    """Progress reports that include the alarms that have fired."""
    watch = LiveMonitor(folder, say)

    def report(progress: Progress) -> None:
        fired = watch.look(progress.step) if progress.metrics else watch.fired
        on_progress(replace(progress, alarms=fired) if fired else progress)

    yield report
    watch.look(last=True)  # the error of a failed run comes first
