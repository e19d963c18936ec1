"""Runs a plugin's code so that whatever it does while it loads cannot end, hang or repaint the command.

A plugin loads in a thread of its own, which is given a number of seconds. A thread and no signal, because an import
that is cut off (torch, numpy) cannot be repeated in the same process: a late import goes on in the background, and
whoever needs the same library waits for it and gets it whole. And no trial in another process, because that would
import everything twice. What a thread cannot help against: a C extension that holds the interpreter's lock for ever.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from types import FrameType
from typing import NoReturn, TypeVar

from lrmctl.errors import PluginError, RecipeError

TIMEOUT_VARIABLE = "LRMCTL_PLUGIN_TIMEOUT"
"""Environment variable: seconds that each plugin may take to load; 0 waits for ever and uses no thread."""
DEFAULT_TIMEOUT = 20.0
_T = TypeVar("_T")


def load_timeout() -> float:
    """Seconds that each plugin may take to load.

    Raises:
        RecipeError: the environment variable is no number of seconds.
    """
    text = os.environ.get(TIMEOUT_VARIABLE, "").strip()
    try:
        seconds = float(text or DEFAULT_TIMEOUT)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= threading.TIMEOUT_MAX:
        raise RecipeError(f"{text!r} is no number of seconds", TIMEOUT_VARIABLE, "write a number, e.g. 60, or unset it")
    return seconds


def load_within(seconds: float, load: Callable[[], _T]) -> _T:
    """What `load` returns; whatever it raises is an Exception here, so that only the user can interrupt.

    Raises:
        PluginError: it takes longer; names the line where it is.
        Exception: what it raises. A SystemExit or KeyboardInterrupt of the plugin becomes a PluginError.
    """
    if seconds == 0:
        return _in_this_thread(load)
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(load())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="lrmctl loads a plugin", daemon=True)
    with contained(late=thread):
        thread.start()
        thread.join(seconds)
    if results:
        return results[0]
    if errors:
        raise _as_exception(errors[0])
    fix = f"set {TIMEOUT_VARIABLE} to more seconds if it is only slow, or LRMCTL_PLUGINS to load without it"
    raise PluginError(f"took longer than {seconds:g} s to load; {_place(thread)}", fix=fix)


def _in_this_thread(load: Callable[[], _T]) -> _T:
    interrupted: list[int] = []
    try:
        with contained(interrupted):
            return load()
    except BaseException as error:
        if interrupted:  # by a signal: Ctrl-C and SIGTERM are the user's
            raise
        raise _as_exception(error) from error


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else PluginError(f"{type(error).__name__}: {error}")


def _place(thread: threading.Thread) -> str:
    """Where the thread is: the innermost line outside the interpreter's own import machinery."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    return f"it is at {frame.f_code.co_filename}:{frame.f_lineno}" if frame else "it has ended since"


@contextmanager
def contained(interrupted: list[int] | None = None, late: threading.Thread | None = None) -> Iterator[None]:
    """Load a plugin contained: its output goes to stderr, it cannot exit the process, and `json` stays unpatched.

    Args:
        interrupted: receives the number of each signal that arrives meanwhile, to distinguish a plugin that raises
            KeyboardInterrupt from a user's interrupt.
        late: the thread that loads it; still unable to exit the process if it goes on afterwards.
    """
    import json

    leave, kept = os._exit, dict(vars(json))
    inside = True

    def refuse(status: int) -> NoReturn:
        if inside or threading.current_thread() is late:
            raise SystemExit(f"it calls os._exit({status})")
        leave(status)

    os._exit = refuse
    try:
        with _signals_noted(interrupted), redirect_stdout(sys.stderr):
            yield
    finally:
        inside = False
        if late is None or not late.is_alive():
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
