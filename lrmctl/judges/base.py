"""Calling a judge safely: one verdict per trace comes back, whatever the judge does.

A judge that raises, or breaks the one-verdict-per-trace rule, yields verdicts with `error` set. Knows no particular
judge, no reward and no benchmark. The underlying `call_guarded` also serves rewards.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from lrmctl.hooks.adapt import adapted
from lrmctl.hooks.specs import Judge
from lrmctl.judges.naming import judge_name as judge_name
from lrmctl.types import Part, Trace, Verdict

R = TypeVar("R")


def make_judge(name: str, options: dict[str, Any] | None = None) -> Judge:
    """A registered judge by name, shared by everything in this process that asks for the same options.

    Raises:
        LrmctlError: unknown name, options that the judge does not take, or a plugin that cannot be loaded.
    """
    from lrmctl.hooks import registry
    from lrmctl.judges.shared import share

    chosen = options or {}
    judge: Any = share(name, chosen, lambda: registry.make("judge", name, **chosen))
    return judge  # type: ignore[no-any-return]


def judge_parts(judge: Judge, traces: Sequence[Trace]) -> list[tuple[Verdict, Verdict]]:
    """Verdicts on the thinking and on the answer of each trace, in order; never raises."""
    return list(zip(judge_part(judge, traces, "thinking"), judge_part(judge, traces, "answer"), strict=True))


def judge_part(judge: Judge, traces: Sequence[Trace], part: Part) -> list[Verdict]:
    """One verdict per trace on one part, in order; never raises.

    Thinking that is absent by design is not judged: it gets the empty verdict `Verdict.of_nothing`.
    """

    judge = adapted("judge", judge)

    def failed(error: str) -> Verdict:
        return Verdict(judge=judge_name(judge), version=judge.version, part=part, error=error)

    def checked(verdict: object) -> Verdict:
        if not isinstance(verdict, Verdict):
            return failed(f"returned a {type(verdict).__name__}, not a Verdict")
        return verdict

    asked = [trace for trace in traces if not _nothing_to_judge(trace, part)]
    judged = iter(call_guarded(lambda some: judge.judge(some, part), asked, checked, failed))
    return [_of_nothing(judge, trace) if _nothing_to_judge(trace, part) else next(judged) for trace in traces]


def _nothing_to_judge(trace: Trace, part: Part) -> bool:
    return trace.answer_only and part == "thinking"


def _of_nothing(judge: Judge, trace: Trace) -> Verdict:
    """The verdict on thinking that is absent by design: empty, so that the answer alone decides."""
    return Verdict(judge_name(judge), judge.version, "thinking", labels=("skipped" if trace.skipped else "off",))


def call_guarded(
    call: Callable[[Sequence[Trace]], Any],
    traces: Sequence[Trace],
    checked: Callable[[object], R],
    failed: Callable[[str], R],
) -> list[R]:
    """Call a plugin on traces and get exactly one result per trace.

    If the call raises, each trace is tried alone, so that only those that cause the failure fail.

    Args:
        call: the plugin; should return one result per trace.
        checked: accepts a result, or turns it into a failed one.
        failed: makes a failed result from an error message.
    """
    if not traces:
        return []
    try:
        results = list(call(traces))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may do anything, even exit or cancel; it becomes an error of its traces
        if len(traces) == 1:
            return [failed(describe(error))]
        return [call_guarded(call, [trace], checked, failed)[0] for trace in traces]
    if len(results) != len(traces):
        return [failed(f"returned {len(results)} results for {len(traces)} traces") for _ in traces]
    return [checked(result) for result in results]


def describe(error: BaseException) -> str:
    """`ValueError: the message (file.py:12)`: one line that names the place where the exception was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    try:
        words = str(error)
    except Exception:  # formatting an exception can fail too
        words = "its text cannot be read"
    return f"{type(error).__name__}: {words}{place}"
