"""The contract of a reward as a list of checks, each with its finding, and the latency per trace.

Every check calls the reward directly, without the guard used in training: an exception is a finding. Knows no command
line and no recipe.
"""

from __future__ import annotations

import math
import pickle
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, get_args

from lrmctl.hooks.adapt import adapted
from lrmctl.hooks.specs import Reward
from lrmctl.rewards.grouping import members_by_group
from lrmctl.types import Kind, Part, Prompt, Score, Trace

TOLERANCE = 1e-4
"""Absolute and relative tolerance for equal values: a model pads a batch, which changes the last digits."""
THREADS = 8
_ALONE, _NOTHING = "alone as in a batch", "empty batch"
_PARTS: tuple[Part, ...] = get_args(Part)


@dataclass(frozen=True)
class ContractCheck:
    """One clause of the contract: whether it holds, and what was observed."""

    name: str
    ok: bool
    found: str = ""


@dataclass(frozen=True)
class Latency:
    """Milliseconds per trace, median and 95th percentile: called one by one, and in batches of `batch`."""

    single_p50: float
    single_p95: float
    batched_p50: float
    batched_p95: float
    batch: int


class _Finding(Exception):
    """The finding of a failed check."""


def sample_traces() -> list[Trace]:
    """Traces as training and evaluation produce them: good ones and every kind of odd one, of all prompt kinds."""
    traces: list[Trace] = []
    for kind in get_args(Kind):
        prompt = Prompt.user(
            f"contract-{kind}", f"a {kind} question", kind, reference="4" if kind == "reasoning" else None
        )
        traces += [
            Trace(prompt, "2 and 2 make 4.", "The answer is 4.", "closed", thinking_tokens=7, answer_tokens=5),
            Trace(prompt, "2 and 2 make", "", "unclosed", "length", 5, 0, sample=1),
            Trace(prompt, "", "The answer is 4.", "absent", "stop", 0, 5, sample=2),
            Trace(prompt, "", "", "closed", "stop", 0, 0, sample=3, irregular=("empty",)),
            Trace(prompt, "x" * 5000, "\u00e9\u4e2d\x00", "closed", "stop", 1250, 4, sample=4, irregular=("nested",)),
            Trace(prompt, "\U0001f9ea \u0627\u0644 \ufeff\n\n\n", "The answer", "closed", "length", 4, 2, 5),
            Trace(prompt, "", "", "unclosed", "error", sample=6),  # and without token counts
        ]
    return traces


def check_contract(reward: Reward, traces: Sequence[Trace] | None = None) -> list[ContractCheck]:
    """Every clause of the contract, checked on these traces (by default on `sample_traces`).

    A reward that compares samples is called with the traces of each prompt; prompts with one trace are left out.
    """
    reward, traces = adapted("reward", reward), sample_traces() if traces is None else list(traces)
    first = _try("one score per trace", lambda: _one_each(reward, traces))
    if not first.ok:  # no other check is possible
        return [first]
    clauses: Sequence[tuple[str, Callable[[], str]]] = (
        ("finite", lambda: _finite(reward, traces)),
        ("in its range", lambda: _in_range(reward, traces)),
        ("the same twice", lambda: _twice(reward, traces)),
        ("any order", lambda: _any_order(reward, traces)),
        (_ALONE, lambda: _alone(reward, traces)),
        ("thread-safe", lambda: _threads(reward, traces)),
        ("pickled traces", lambda: _pickled(reward, traces)),
        (_NOTHING, lambda: _empty(reward)),
    )
    # a group has two samples at least, and their scores depend on each other
    left_out = (_ALONE, _NOTHING) if reward.of_group else ()
    return [first, *(_try(name, clause) for name, clause in clauses if name not in left_out)]


def check_failures(reward: Reward, traces: Sequence[Trace] | None = None) -> ContractCheck:
    """Whether well-formed traces are scored at all. Failing is allowed, but ends a run unless its recipe tolerates
    it."""
    reward, traces = adapted("reward", reward), sample_traces() if traces is None else list(traces)

    def clause() -> str:
        failed = [(t, s) for t, s in zip(traces, _scores(reward, traces, "whole"), strict=True) if s.failed]
        if failed:
            raise _Finding(f"{len(failed)} of {len(traces)} failed; first: {failed[0][1].error} ({_odd(failed[0][0])})")
        return f"none of {len(traces)} failed"

    return _try("no failures", clause)


def latency(reward: Reward, traces: Sequence[Trace] | None = None, *, seconds: float = 1.0, batch: int = 64) -> Latency:
    """Latency of well-formed traces, over about `seconds` each way; the first call of each is not counted."""
    reward, traces = adapted("reward", reward), sample_traces() if traces is None else list(traces)
    many = (list(traces) * (batch // len(traces) + 1))[:batch]
    if reward.of_group:
        groups = [[traces[i] for i in members] for members in _groups(traces)]
        single = _timed([lambda g=g: reward.score_group(g, "whole") for g in groups], seconds, len(groups[0]))  # type: ignore[misc]
    else:
        single = _timed([lambda t=t: reward.score([t], "whole") for t in traces], seconds, 1)  # type: ignore[misc]
    batched = _timed([lambda: _call(reward, many, "whole")], seconds, batch)
    return Latency(*_quantiles(single), *_quantiles(batched), batch)


def _try(name: str, clause: Callable[[], str]) -> ContractCheck:
    try:
        return ContractCheck(name, True, clause())
    except _Finding as finding:
        return ContractCheck(name, False, str(finding))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        from lrmctl.judges.base import describe

        return ContractCheck(name, False, f"raises {describe(error)}")


def _one_each(reward: Reward, traces: Sequence[Trace]) -> str:
    for part in _PARTS:
        scores = _call(reward, traces, part)
        if len(scores) != len(traces):
            raise _Finding(f"{len(scores)} results for {len(traces)} traces")
        for score in scores:
            if not isinstance(score, Score):
                raise _Finding(f"{type(score).__name__} is not a Score")
    return f"{len(traces)} traces, {len(_PARTS)} parts"


def _finite(reward: Reward, traces: Sequence[Trace]) -> str:
    from lrmctl.rewards.base import checked_score

    for part in _PARTS:
        for trace, score in zip(traces, _call(reward, traces, part), strict=True):
            if score.value is not None and score.failed:
                raise _Finding("a score that failed must have no value")
            if not score.failed and (checked := checked_score(score)).failed:
                raise _Finding(f"{checked.error} ({_odd(trace)})")
    return ""


def _in_range(reward: Reward, traces: Sequence[Trace]) -> str:
    bounds = getattr(reward, "range", None)
    if bounds is None:
        return "declares none"
    low, high = bounds
    for trace, score in _all(reward, traces):
        if score.value is not None and not low <= score.value <= high:
            raise _Finding(f"{score.value:g} is not in [{low:g}, {high:g}] ({_odd(trace)})")
    return f"[{low:g}, {high:g}]"


def _twice(reward: Reward, traces: Sequence[Trace]) -> str:
    for part in _PARTS:
        first, second = _values(reward, traces, part), _values(reward, traces, part)
        _same(traces, first, second, "asked twice, it says two things")
    return ""


def _any_order(reward: Reward, traces: Sequence[Trace]) -> str:
    for part in _PARTS:
        forwards, backwards = _values(reward, traces, part), _values(reward, traces[::-1], part)[::-1]
        _same(traces, forwards, backwards, "a score depends on the order of the batch")
    return ""


def _alone(reward: Reward, traces: Sequence[Trace]) -> str:
    for part in _PARTS:
        alone = [_values(reward, [trace], part)[0] for trace in traces]
        _same(traces, _values(reward, traces, part), alone, "a score depends on the rest of the batch")
    return ""


def _threads(reward: Reward, traces: Sequence[Trace]) -> str:
    """Each thread scores the traces in its own order, all at once."""
    expected = _values(reward, traces, "whole")
    orders = [random.Random(seed).sample(range(len(traces)), len(traces)) for seed in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda order: _values(reward, [traces[i] for i in order], "whole"), orders))
    for order, values in zip(orders, found, strict=True):
        _same([traces[i] for i in order], [expected[i] for i in order], values, "a score depends on other threads")
    return f"{THREADS} threads"


def _pickled(reward: Reward, traces: Sequence[Trace]) -> str:
    sent = pickle.loads(pickle.dumps(list(traces)))
    _same(traces, _values(reward, traces, "whole"), _values(reward, sent, "whole"), "a score depends on the objects")
    pickle.dumps(_call(reward, traces, "whole"))
    return ""


def _empty(reward: Reward) -> str:
    if list(reward.score([], "whole")):
        raise _Finding("an empty batch must give no scores")
    return ""


def _groups(traces: Sequence[Trace]) -> list[list[int]]:
    """Indices of the traces of each prompt with at least two."""
    found = [m for m in members_by_group([trace.prompt.id for trace in traces]) if len(m) > 1]
    if not found:
        raise _Finding("it compares the samples of a prompt, and no prompt has two traces here")
    return found


def _call(reward: Reward, traces: Sequence[Trace], part: Part) -> list[Any]:
    """What the reward returns; one that compares samples is called group by group."""
    if not reward.of_group:
        return list(reward.score(traces, part))
    scores: list[Any] = [Score()] * len(traces)
    for members in _groups(traces):
        given = list(reward.score_group([traces[i] for i in members], part))
        if len(given) != len(members):
            raise _Finding(f"{len(given)} results for a group of {len(members)}")
        for i, score in zip(members, given, strict=True):
            scores[i] = score
    return scores


def _scores(reward: Reward, traces: Sequence[Trace], part: Part) -> list[Score]:
    """Scores as training accepts them."""
    from lrmctl.rewards.base import checked_score

    return [checked_score(score) for score in _call(reward, traces, part)]


def _all(reward: Reward, traces: Sequence[Trace]) -> list[tuple[Trace, Score]]:
    return [pair for part in _PARTS for pair in zip(traces, _scores(reward, traces, part), strict=True)]


def _values(reward: Reward, traces: Sequence[Trace], part: Part) -> list[float | None]:
    return [score.value for score in _scores(reward, traces, part)]


def _same(traces: Sequence[Trace], a: Sequence[float | None], b: Sequence[float | None], what: str) -> None:
    if len(a) != len(b):
        raise _Finding(f"{len(b)} results for {len(a)} traces")
    for trace, x, y in zip(traces, a, b, strict=True):
        if (x is None) is not (y is None) or (x is not None and y is not None and not _near(x, y)):
            raise _Finding(f"{what}: {x} and {y} ({_odd(trace)})")


def _near(x: float, y: float) -> bool:
    return math.isclose(x, y, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (math.isnan(x) and math.isnan(y))


def _odd(trace: Trace) -> str:
    """A short description of a trace."""
    words = (trace.prompt.kind, f"thinking {trace.thinking_state}", *trace.irregular)
    ended = () if trace.finish_reason == "stop" else (f"ended by {trace.finish_reason}",)
    return ", ".join((*words, *ended, "" if trace.answer else "no answer")).rstrip(", ")


def _timed(calls: Sequence[Callable[[], Any]], seconds: float, traces: int) -> list[float]:
    """Milliseconds per trace of each call, round after round."""
    calls[0]()
    found: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(found) < len(calls):
        for call in calls:
            start = time.perf_counter()
            call()
            found.append((time.perf_counter() - start) * 1000 / traces)
    return found


def _quantiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    return statistics.median(values), statistics.quantiles(values, n=20, method="inclusive")[-1]
