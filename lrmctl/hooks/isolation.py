"""Runs a plugin's code so that whatever it does while it loads cannot end, hang or repaint the command.

A plugin loads in a thread of its own. A thread and no signal, because an import that is cut off (torch, numpy) cannot
be repeated in the same process: a late import goes on in the background, and whoever needs the same library waits for
it and gets it whole. And no trial in another process, because that would import everything twice. What a thread cannot
help against: a C extension that holds the interpreter's lock for ever.

Plugins begin one after the other, so that honest ones do not compete for the interpreter and for the locks of modules
that import each other; but one that takes long does not hold up the next.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import Any, Generic, NoReturn, TypeVar

from lrmctl.errors import PluginError, RecipeError

TIMEOUT_VARIABLE = "LRMCTL_PLUGIN_TIMEOUT"
"""Environment variable: seconds to wait for a plugin, whatever for; 0 waits for ever and uses no thread."""
LISTED_TIMEOUT = 5.0
"""Seconds to wait for a plugin that nothing is known to need: its names would only be listed."""
NEEDED_TIMEOUT = 60.0
"""Seconds to wait for a plugin that alone can still have a name that a recipe needs."""
PATIENCE = 1.0
"""Seconds that a plugin takes before whoever waits is told."""
_POLL = 0.05
_T = TypeVar("_T")


def load_timeout(default: float) -> float:
    """Seconds to wait for each plugin, from when its own load begins.

    Raises:
        RecipeError: the environment variable is no number of seconds.
    """
    text = os.environ.get(TIMEOUT_VARIABLE, "").strip()
    try:
        seconds = float(text or default)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise RecipeError(f"{text!r} is no number of seconds", TIMEOUT_VARIABLE, "write a number, e.g. 60, or unset it")
    return seconds


class BackgroundLoad(Generic[_T]):
    """One plugin's load in a thread of its own.

    Args:
        name: of the plugin, for whoever waits.
        load: what it raises is an Exception in `result`, so that only the user can interrupt.
    """

    def __init__(self, name: str, load: Callable[[], _T]) -> None:
        self.name = name
        self.began = float("-inf")
        """When it began, in seconds of `time.monotonic`; `-inf` before."""
        self._load = load
        self._results: list[_T] = []
        self._errors: list[BaseException] = []
        self.thread = threading.Thread(target=self._run, name=f"lrmctl loads {name}", daemon=True)

    @property
    def fresh(self) -> bool:
        """It has not begun."""
        return self.began == float("-inf")

    @property
    def ended(self) -> bool:
        return bool(self._results or self._errors)

    def in_time(self, seconds: float) -> bool:
        """It loads in its thread, and began less than `seconds` ago."""
        return self.thread.is_alive() and time.monotonic() - self.began < seconds

    def start(self) -> None:
        self.began = time.monotonic()
        self.thread.start()

    def run_here(self) -> None:
        """Load in the caller's thread, however long it takes."""
        self.began = time.monotonic()
        interrupted: list[int] = []
        with contained(interrupted):
            self._run()
        if interrupted and self._errors:  # by a signal: Ctrl-C and SIGTERM are the user's
            raise self._errors.pop()

    def result(self) -> _T:
        """What `load` returned; only once it has ended.

        Raises:
            Exception: what it raised. A SystemExit or KeyboardInterrupt of the plugin becomes a PluginError.
        """
        if self._errors:
            error = self._errors[0]
            raise error if isinstance(error, Exception) else PluginError(f"{type(error).__name__}: {error}")
        return self._results[0]

    def place(self) -> str:
        """Where it is, as `file:line`: the innermost one outside the interpreter's own import machinery."""
        frame = sys._current_frames().get(self.thread.ident or 0)
        while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
            frame = frame.f_back
        return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "its end"

    def _run(self) -> None:
        try:
            self._results.append(self._load())
        except BaseException as error:
            self._errors.append(error)


OnWait = Callable[[Sequence[str]], None]
"""Called again and again with the names of what has been waited for longer than `PATIENCE`."""


def load_each(loads: Sequence[BackgroundLoad[Any]], seconds: float, on_wait: OnWait) -> None:
    """Wait until each has ended, or `seconds` have passed since it began; begin those that have not begun.

    One begins when the one before it has ended, or has had its share of `seconds`, so that all have begun after
    `seconds` and the whole takes twice that at most, however many hang.

    Args:
        seconds: 0 loads each in the caller's thread, however long it takes.
    """
    fresh = [load for load in loads if load.fresh]
    if seconds == 0:
        for load in fresh:
            load.run_here()
        return
    if not fresh and not any(load.in_time(seconds) for load in loads):
        return
    share = seconds / len(loads)
    with contained(late=[load.thread for load in loads]):
        while True:
            running, now = [load for load in loads if load.in_time(seconds)], time.monotonic()
            if slow := [load.name for load in running if now - load.began >= PATIENCE]:
                on_wait(slow)
            newest = max(running, key=lambda load: load.began, default=None)
            if fresh and (newest is None or now - newest.began >= share):
                newest = fresh.pop(0)
                newest.start()
            if newest is None:
                return
            newest.thread.join(min(_POLL, seconds))


@contextmanager
def contained(interrupted: list[int] | None = None, late: Sequence[threading.Thread] = ()) -> Iterator[None]:
    """Load a plugin contained: its output goes to stderr, it cannot exit the process, and `json` stays unpatched.

    Args:
        interrupted: receives the number of each signal that arrives meanwhile, to distinguish a plugin that raises
            KeyboardInterrupt from a user's interrupt.
        late: the threads that load; still unable to exit the process if they go on afterwards.
    """
    import json

    leave, kept = os._exit, dict(vars(json))
    inside = True

    def refuse(status: int) -> NoReturn:
        if inside or threading.current_thread() in late:
            raise SystemExit(f"it calls os._exit({status})")
        leave(status)

    os._exit = refuse
    try:
        with _signals_noted(interrupted), redirect_stdout(sys.stderr):
            yield
    finally:
        inside = False
        if not any(thread.is_alive() for thread in late):
            os._exit = leave
        vars(json).update(kept)


@contextmanager
def _signals_noted(interrupted: list[int] | None) -> Iterator[None]:
    """Records signals while handling them as before. Python lets only the main thread set handlers."""
    if interrupted is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def noted(number: int, frame: FrameType | None) -> None:
        interrupted.append(number)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, noted)
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
