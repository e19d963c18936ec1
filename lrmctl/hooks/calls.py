"""`LRMCTL_TRACE=1`: one line on stderr for every call into a plugin while names are looked up and made.

lrmctl trace: import my_package.plugin (acme-rewards) 1.204 s
lrmctl trace: lrmctl_rewards (acme-rewards) 0.000 s
lrmctl trace: make reward brevity (acme-rewards) 0.013 s
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pluggy

TRACE_VARIABLE = "LRMCTL_TRACE"


def traced() -> bool:
    return os.environ.get(TRACE_VARIABLE, "") not in ("", "0")


@contextmanager
def trace_call(what: str, distribution: str) -> Iterator[None]:
    """Prints the call when it has ended, also if it raises."""
    if not traced():
        yield
        return
    began = time.perf_counter()
    try:
        yield
    finally:
        _say(what, distribution, time.perf_counter() - began)


def trace_hooks(manager: pluggy.PluginManager, distribution: str) -> None:
    """Prints every hook that the manager's plugins implement when it is called."""
    if not traced():
        return
    began: list[float] = []

    def before(hook: str, methods: Sequence[pluggy.HookImpl], kwargs: Mapping[str, Any]) -> None:  # noqa: ARG001
        began.append(time.perf_counter())

    def after(
        outcome: pluggy.Result[Any],  # noqa: ARG001 (pluggy passes them all)
        hook: str,
        methods: Sequence[pluggy.HookImpl],
        kwargs: Mapping[str, Any],  # noqa: ARG001
    ) -> None:
        seconds = time.perf_counter() - began.pop()
        if methods:
            _say(hook, distribution, seconds)

    manager.add_hookcall_monitoring(before, after)


def _say(what: str, distribution: str, seconds: float) -> None:
    print(f"lrmctl trace: {what} ({distribution}) {seconds:.3f} s", file=sys.stderr, flush=True)
