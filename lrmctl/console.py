"""Terminal output: data on stdout, messages on stderr; one format each for errors, tables, JSON and progress.

Only the CLI prints; libraries below raise `LrmctlError` and call `on_progress`. Nothing here knows what it shows.
"""

from __future__ import annotations

import dataclasses
import errno
import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.table import Table


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise, so that the process ends as for any other error; rich would exit with 1, which means findings."""
        raise BrokenPipeError(errno.EPIPE, "nobody reads the output")


out = _Console(soft_wrap=True, highlight=False, emoji=False)
err = _Console(stderr=True, soft_wrap=True, highlight=False, emoji=False)

OK, FINDINGS, USER_ERROR, BACKEND_FAILED, UNEXPECTED, INTERRUPTED = 0, 1, 2, 3, 70, 130
_NAME = 48
"""Longest name, in characters, that a table does not wrap."""
_ENDLESS = re.compile(r"\S{400,}")
_STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
QUIET_SECONDS = 10.0
"""Without a terminal, progress prints at most one line per this many seconds."""


def say(text: str) -> None:
    """Print one line to stderr, without interpreting markup."""
    err.print(text, markup=False)


_warned: set[str] = set()


def warn(text: str) -> None:
    """Print a warning to stderr, once per process for each text."""
    if text not in _warned:
        _warned.add(text)
        err.print(f"[yellow]warning:[/] {escape(text)}")


def show_own_warnings() -> None:
    """Print Python warnings of lrmctl's own modules with `warn`; leave those of other packages as they are."""
    import warnings

    others, package = warnings.showwarning, str(Path(__file__).parent)

    def show(message: Any, category: Any, filename: str, *where: Any, **more: Any) -> None:
        if filename.startswith(package):
            warn(str(message))
        else:
            others(message, category, filename, *where, **more)

    warnings.showwarning = show


def print_error(error: BaseException) -> None:
    """Print what happened, where and the fix to stderr: no traceback, long words cut, control characters escaped."""
    text = _ENDLESS.sub(lambda word: f"{word[0][:120]}...{word[0][-40:]}", str(error) or type(error).__name__)
    err.print(f"[bold red]error:[/] {escape(harmless(text))}")


def harmless(text: str) -> str:
    r"""Text from a model without what steers a terminal or turns its text: control characters as `\x1b` or `\u202e`."""
    return _STEERING.sub(lambda sign: ascii(sign[0])[1:-1], text)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table to stdout. Cells are never truncated, and markup in them is not interpreted."""
    shown = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    names = max((len(str(row[0])) for row in rows), default=0)
    for i, column in enumerate(columns):  # on a narrow terminal the other columns wrap, so that names stay whole
        shown.add_column(column, overflow="fold", no_wrap=i == 0 and names <= _NAME)
    for row in rows:
        shown.add_row(*(escape(str(cell)) for cell in row))
    (out if out.is_terminal else _Console(width=_width(columns, rows), highlight=False, emoji=False)).print(shown)


def _width(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> int:
    """Width that fits every cell, so that a program reading a pipe gets unwrapped lines."""
    widths = [max(len(str(cell)) for cell in cells) + 2 for cells in zip(columns, *rows, strict=True)]
    return max(80, sum(widths))


def emit_json(kind: str, data: Any) -> None:
    """Print the envelope of every `--json` to stdout: `{"lrmctl": version, "kind": ..., "data": ...}`."""
    from lrmctl._util.version import __version__

    envelope = {"lrmctl": __version__, "kind": kind, "data": data}
    print(json.dumps(envelope, default=_plain, ensure_ascii=not shows_unicode(), indent=2))


def shows_unicode() -> bool:
    """Whether stdout's encoding can represent every character."""
    return (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") in ("utf8", "utf16", "utf32")


def _plain(value: Any) -> Any:
    if hasattr(value, "to_json"):
        return value.to_json()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (set, frozenset, tuple)):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class _Step(Protocol):
    """What a training backend reports: see `backends.base.Progress`."""

    @property
    def step(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def metrics(self) -> Mapping[str, float]: ...


OnProgress = Callable[..., None]
"""Called as `(progress)` with a backend's step, or as `(done, total)`, optionally followed by a text or metrics."""


@contextmanager
def progress(label: str) -> Iterator[OnProgress]:
    """Show progress on stderr: a live line on a terminal, otherwise an occasional plain line."""
    if not err.is_terminal:
        yield _Lines(label)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    spinner = SpinnerColumn("line" if err.options.ascii_only else "dots")
    columns = (spinner, TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=err) as bar:
        task, clocks = bar.add_task(label, total=None, note=""), _Clocks()

        def show(*report: Any) -> None:
            done, total, note = _read(report)
            left = clocks.left(report, done, total)
            bar.update(task, completed=done, total=total or None, note=escape(", ".join(filter(None, (note, left)))))

        yield show


@contextmanager
def waiting() -> Iterator[Callable[[str], None]]:
    """Say on stderr what is waited for: a live line on a terminal, otherwise one line for the first text."""
    from rich.errors import LiveError

    shown: list[Any] = []

    def show(text: str) -> None:
        if shown:
            if shown[0]:
                shown[0].update(escape(text))
            return
        status = None
        if err.is_terminal:
            status = err.status(escape(text), spinner="line" if err.options.ascii_only else "dots")
            try:
                status.start()
            except LiveError:  # progress is on the screen already
                status = None
        shown.append(status)
        if not status:
            say(text)

    try:
        yield show
    finally:
        if shown and shown[0]:
            shown[0].stop()


class _Lines:
    """Progress without a terminal: the first report, the last, and one every `QUIET_SECONDS`."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.clocks = _Clocks()
        self.said = float("-inf")

    def __call__(self, *report: Any) -> None:
        done, total, note = _read(report)
        left = self.clocks.left(report, done, total)
        now = time.monotonic()
        if now - self.said < QUIET_SECONDS and done != total:
            return
        self.said = now
        say(f"{self.label}: {', '.join(filter(None, (f'{done}/{total}' if total else str(done), note, left)))}")


class _Clocks:
    """Creates the `Clock` that suits the reports: a training backend's steps, or plain counts."""

    def __init__(self) -> None:
        self.clock: Clock | None = None

    def left(self, report: Sequence[Any], done: int, total: int) -> str:
        self.clock = self.clock or Clock(starts_up=not isinstance(report[0], int))
        return self.clock.left(done, total)


class Clock:
    """Estimates the time left.

    Args:
        starts_up: steps take about equally long, but the first includes start-up (training), so the pace is that of the
            steps after it. If False, the pace is that of everything since the first report. The completions of one
            batch end together after a long time without any, so that an early pace is wrong by far: an estimate is
            given once it agrees with that of when half as much was done. Reports that know how much work is under way
            (`Done`) are taken at their word.
    """

    def __init__(self, *, starts_up: bool = False) -> None:
        self.starts_up = starts_up
        self.began = time.monotonic()
        self.seen = 0
        self.first: tuple[float, float] | None = None
        self._sampling = False
        self._paces: list[tuple[int, float]] = []
        self._agreed: float | None = None

    def left(self, done: int, total: int) -> str:
        now = time.monotonic()
        work = getattr(done, "work", done)
        if done and done == total:
            return f"took {duration(now - self.began)}"
        if not self._sampling and hasattr(done, "work"):
            # before the first token weights are loaded and prompts read, which says nothing of the pace
            self._sampling = done.work > 0
            self.first = (work, now) if self._sampling else None
            return ""
        if self.first is None and not self.starts_up:
            self.first = (done, now)
            return ""
        if self.first is None:
            if done == 1 or 0 < self.seen < done:
                self.first = (done, now)
            self.seen = done
            return ""
        start, since = self.first
        early = work != done and (now - since < _FIRST or work - start < _LEAST * total)
        if work <= start or early:
            return ""
        pace = (now - since) / (work - start)
        if not self.starts_up and work == done:
            pace = self._settled(done - int(start), pace)
        return f"{duration(pace * (total - work))} left" if pace else ""

    def _settled(self, done: int, pace: float) -> float:
        """The last pace, in seconds for each, that agreed with the one at half as much; 0 before there is one."""
        half = next((earlier for count, earlier in reversed(self._paces) if count <= done / 2), None)
        if not self._paces or done > 1.02 * self._paces[-1][0]:
            self._paces.append((done, pace))
        if half is not None and 1 / _AGREE <= pace / half <= _AGREE:
            self._agreed = pace
        return self._agreed or 0.0


_FIRST = 5.0
"""Seconds before the first estimate from work under way."""
_LEAST = 0.02
"""Share of the work before that estimate."""
_AGREE = 1.35
"""Most that two paces which agree differ by, as a factor."""


def duration(seconds: float) -> str:
    """Format seconds: `45 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _read(report: tuple[Any, ...]) -> tuple[int, int, str]:
    """Done, total and a note from either form of a report."""
    first, *rest = report
    if not isinstance(first, int):
        step: _Step = first
        return step.step, step.total, metrics_line(step.metrics)
    total = rest[0] if rest and isinstance(rest[0], int) else 0
    extra = rest[-1] if rest and not isinstance(rest[-1], int) else ""
    return first, total, metrics_line(extra) if isinstance(extra, Mapping) else str(extra)


def metrics_line(metrics: Mapping[str, float]) -> str:
    """A few key metrics in one line: reward and its components, or the loss; and seconds per step."""
    keys = [key for key in ("reward", "loss", "kl") if key in metrics][:2]
    keys += [key for key in metrics if key.startswith("reward/")][:4]
    shown = [f"{key.removeprefix('reward/')} {metrics[key]:.3g}" for key in keys]
    if "time/step" in metrics:
        shown.append(f"{metrics['time/step']:.1f} s a step")
    return ", ".join(shown)
