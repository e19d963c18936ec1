"""Progress of a training run on stderr: a live panel on a terminal, else a plain line now and then.

Progress arrives with the steps; the start-up before the first one is shown phase by phase.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lrmctl import console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from lrmctl.backends.base import Progress

OnProgress = Callable[["Progress"], None]
OnSampling = Callable[[int, int], None]
SAFE = ("safe", "judged-safe", "safety")
"""Names of reward components whose mean is the share of safe rollouts."""
_PHASES = ("generate", "experience", "update", "broadcast")


@contextmanager
def training(name: str, greeting: str) -> Iterator[Callbacks]:
    """Callbacks for `train` that show a run's progress; the greeting is printed once the run has started."""
    if not console.err.is_terminal:
        with console.progress(f"sample {name}") as sampling, console.progress(f"train {name}") as plain:
            yield Callbacks(greeting, lambda progress: None if progress.phase else plain(progress), sampling)
        return
    from rich.live import Live

    view = View(name)
    with Live(view, console=console.err, refresh_per_second=2, transient=False):
        yield Callbacks(greeting, view.update, view.sample)


class Callbacks:
    """What `train` calls: itself after each step, `sampling` while it draws rows. Prints a line before the first."""

    def __init__(self, greeting: str, step: OnProgress, sampling: OnSampling) -> None:
        self.greeting, self._step, self._sampling = greeting, step, sampling

    def __call__(self, progress: Progress) -> None:
        self._greet()
        self._step(progress)

    def sampling(self, done: int, total: int) -> None:
        self._greet()
        self._sampling(done, total)

    def _greet(self) -> None:
        if self.greeting:
            console.say(self.greeting)
            self.greeting = ""


class View:
    """The panel: redrawn after each step, and by the clock in between."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.began, self.phase_began = time.monotonic(), time.monotonic()
        self.clock, self.sampling_clock = console.Clock(starts_up=True), console.Clock()
        self.step, self.total, self.saved = 0, 0, 0
        self.phase, self.left = "starting", ""
        self.metrics: Mapping[str, float] = {}
        self.alarms: tuple[str, ...] = ()

    def update(self, progress: Progress) -> None:
        """Process one report."""
        if progress.phase and progress.phase != self.phase:
            self.phase_began = time.monotonic()
        self.phase = progress.phase or ("" if progress.metrics else self.phase)
        self.step, self.total = progress.step, progress.total
        self.saved = progress.checkpoint or self.saved
        self.metrics = progress.metrics or self.metrics
        self.alarms = progress.alarms or self.alarms
        self.left = self.clock.left(progress.step, progress.total)

    def sample(self, done: int, total: int) -> None:
        """Process a report of rejection sampling, before the training."""
        left = self.sampling_clock.left(done, total)
        self.phase = ", ".join(filter(None, (f"sampling, {int(done):,} of {total:,} completions", left)))
        if done == total:
            self.phase, self.phase_began = "starting", time.monotonic()

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        rows = Table.grid(padding=(0, 2))
        for label, value in facts(self.metrics, self.saved):
            rows.add_row(Text(label, style="dim"), Text(value))
        if self.alarms:
            rows.add_row(Text("alarms", style="bold red"), Text(", ".join(self.alarms)))
        head = Table.grid(padding=(0, 2))
        head.add_row(Text(self.name, style="bold"), ProgressBar(self.total or 1, self.step, width=30), self._where())
        return Group(head, rows) if self.metrics else Group(head)

    def _where(self) -> str:
        elapsed = console.duration(time.monotonic() - self.began)
        if self.phase:
            waiting = console.duration(time.monotonic() - self.phase_began)
            return f"{self.step}/{self.total or '?'}  {self.phase} ({waiting}), {elapsed} so far"
        return ", ".join(filter(None, (f"{self.step}/{self.total}", f"{elapsed} so far", self.left)))


def facts(metrics: Mapping[str, float], saved: int = 0) -> list[tuple[str, str]]:
    """The rows of the panel: label and value. Metrics that a run does not measure have no row."""
    found: list[tuple[str, str]] = []
    if "reward" in metrics:
        parts = "  ".join(f"{k.removeprefix('reward/')} {v:.3f}" for k, v in metrics.items() if k.startswith("reward/"))
        found.append(("reward", f"{metrics['reward']:.3f}   {parts}".rstrip()))
    safe = next((metrics[f"reward/{name}"] for name in SAFE if f"reward/{name}" in metrics), None)
    if safe is not None:
        found.append(("safe", f"{safe:.1%} (mean of the component)"))
    for key, label, shape in _ROWS:
        if key in metrics:
            found.append((label, shape.format(metrics[key])))
    times = [f"{phase} {metrics[f'time/{phase}']:.1f}" for phase in _PHASES if f"time/{phase}" in metrics]
    if "time/step" in metrics:
        found.append(("seconds", f"{metrics['time/step']:.1f} a step   {'  '.join(times)}".rstrip()))
    return [*found, ("checkpoint", f"step {saved}" if saved else "none yet")]


_ROWS = (
    ("loss", "loss", "{:.4f}"),
    ("eval_loss", "held-out loss", "{:.4f}"),
    ("accuracy", "accuracy", "{:.1%} of pairs"),
    ("eval_accuracy", "held-out accuracy", "{:.1%} of pairs"),
    ("reward_margin", "margin", "{:.3f} (chosen - rejected)"),
    ("kl", "KL", "{:.4f} nats a token"),
    ("entropy", "entropy", "{:.3f} nats a token"),
    ("response_length", "length", "{:.0f} tokens"),
    ("truncated", "cut", "{:.1%} of samples"),
    ("grad_norm", "gradient", "{:.3f}"),
    ("learning_rate", "learning rate", "{:.2e}"),
)
