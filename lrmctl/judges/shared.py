"""Judges shared by a whole process: verdicts are cached, equal questions asked once, concurrent callers merged.

Many threads of a reward service and many components of a reward ask the same judge about the same traces. Sharing
changes no verdict: one per trace comes back, in order, with the judge's own name and version. A failed verdict is never
cached. Third-party judges are shared in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from threading import Lock
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from cachetools import LRUCache

from lrmctl.hooks.adapt import adapted
from lrmctl.hooks.specs import Judge
from lrmctl.judges.batching import QueryBatcher, TraceBatch
from lrmctl.types import Part, Trace, Verdict

_OVERHEAD = 600  # bytes of a verdict, its key and the cache entry, without strings


@dataclass(frozen=True)
class _Settings:
    cache_bytes: int = 64 << 20
    window: float = 0.003
    max_batch: int = 64


@dataclass(frozen=True)
class JudgeStats:
    """Statistics of one shared judge.

    Attributes:
        asked: verdicts requested.
        hits: those that needed no judging: cached, or in progress for another caller.
        batches: calls of the judge itself.
        failed: verdicts with an error, and traces on which the judge raised.
        seconds: spent in the judge itself.
    """

    name: str
    version: str
    asked: int
    hits: int
    batches: int
    failed: int
    seconds: float


class _Memory:
    """Verdicts by key, with least-recently-used eviction; bounded in bytes. Thread-safe."""

    def __init__(self, size: int) -> None:
        self._lock = Lock()
        self._kept: LRUCache[bytes, Verdict] = LRUCache(size, getsizeof=_bytes_of)

    def get(self, key: bytes) -> Verdict | None:
        with self._lock:
            return self._kept.get(key)

    def put(self, key: bytes, verdict: Verdict) -> None:
        if _bytes_of(verdict) <= self._kept.maxsize:
            with self._lock:
                self._kept[key] = verdict


def _bytes_of(verdict: Verdict) -> int:
    """Approximate size of a verdict; Python needs at most four bytes per character."""
    return _OVERHEAD + 4 * (len(verdict.raw) + sum(60 + len(label) for label in verdict.labels))


_settings = _Settings()
_memory = _Memory(_settings.cache_bytes)
_number = count()
_making = Lock()
_by_options: WeakValueDictionary[str, SharedJudge] = WeakValueDictionary()
_all: WeakSet[SharedJudge] = WeakSet()


def configure(*, cache_bytes: int | None = None, window: float | None = None, max_batch: int | None = None) -> None:
    """Configure how this process shares its judges; options not given stay unchanged.

    Args:
        cache_bytes: memory for the verdicts of all judges together; 0 disables the cache. Setting it clears the cache.
        window: most seconds that the first caller of a batch waits for others.
        max_batch: most traces in a call that merges several callers.
    """
    global _settings, _memory
    with _making:
        if window is not None:
            _settings = replace(_settings, window=window)
        if max_batch is not None:
            _settings = replace(_settings, max_batch=max_batch)
        if cache_bytes is not None:
            _settings = replace(_settings, cache_bytes=cache_bytes)
            _memory = _Memory(cache_bytes)


def stats() -> list[JudgeStats]:
    """Statistics of every shared judge in use, by name and version."""
    with _making:
        judges = list(_all)
    found = [judge.stats for judge in judges]
    return sorted(found, key=lambda one: (one.name, one.version, -one.asked))


def share(name: str, options: Mapping[str, Any], make: Callable[[], Judge]) -> SharedJudge:
    """The process's judge of this name and these options; created if none is in use.

    Options that are not JSON cannot be compared: such a judge is shared only by those who hold it.
    """
    try:
        key = json.dumps([name, dict(options)], sort_keys=True)
    except (TypeError, ValueError):
        return SharedJudge(make())
    with _making:
        if (judge := _by_options.get(key)) is not None:
            return judge
    made = SharedJudge(make())  # outside the lock, since a judge may be made of others
    with _making:
        return _by_options.setdefault(key, made)


class SharedJudge(Judge):
    """A judge that many threads may call; otherwise behaves like the judge that it wraps.

    Args:
        judge: the wrapped judge. `cacheable = False` keeps its verdicts from being cached and merged (a judge that
            reads more than the trace), `parallel` is the number of concurrent calls it supports (default 1).
    """

    def __init__(self, judge: Judge) -> None:
        from lrmctl.judges.naming import judge_name

        self.wrapped: Judge = adapted("judge", judge)
        self.name, self.version = judge_name(self.wrapped), self.wrapped.version
        self.says_refusal, self._cacheable = self.wrapped.says_refusal, self.wrapped.cacheable
        self.parallel, self.cacheable = self.wrapped.parallel, self.wrapped.cacheable  # for panels that have it in them
        self._id = next(_number)  # two judges of one name may differ: nothing is cached beyond a judge's life
        self._batches = QueryBatcher(
            self._call, lambda: (_settings.window, _settings.max_batch), max(1, self.wrapped.parallel)
        )
        self._lock = Lock()
        self._under_way: dict[bytes, tuple[TraceBatch, int]] = {}
        self._asked = self._hits = self._failed = 0
        with _making:
            _all.add(self)

    @property
    def stats(self) -> JudgeStats:
        with self._lock:
            counted = (self._asked, self._hits, self._batches.calls, self._failed, self._batches.seconds)
        return JudgeStats(self.name, self.version, *counted)

    def check(self) -> None:
        """Find out early whether the judge can be called at all."""
        self.wrapped.check()

    def prepare(self) -> None:
        """Load what is slow to load, if the judge has anything of the kind."""
        self.wrapped.prepare()

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        """One verdict per trace, in order.

        Raises:
            whatever the judge raises on these traces.
        """
        found: dict[int, Any] = {}
        keys = self._keys(traces, part)
        own, joined = self._sort(traces, part, keys, found)
        try:
            self._ask(own, keys, found)
        finally:
            self._forget(own, keys)
        self._wait(joined, traces, part, keys, found)
        return [found[i] for i in range(len(traces))]

    def _call(self, traces: Sequence[Trace], part: Part) -> Sequence[Verdict]:
        return self.wrapped.judge(traces, part)

    def _keys(self, traces: Sequence[Trace], part: Part) -> list[bytes] | None:
        if not self._cacheable or not _settings.cache_bytes:
            return None
        head = json.dumps([self._id, self.name, self.version, part])
        return [_key(head, trace) for trace in traces]

    def _sort(
        self, traces: Sequence[Trace], part: Part, keys: list[bytes] | None, found: dict[int, Any]
    ) -> tuple[_Own, list[_Joined]]:
        """The traces to judge and those already in progress; cached verdicts go into `found`."""
        if keys is None:
            with self._lock:
                self._asked += len(traces)
            return _Own(TraceBatch(list(traces), part), list(range(len(traces)))), []
        own, joined = _Own(TraceBatch([], part), []), []
        with self._lock:
            for i, key in enumerate(keys):
                if (verdict := _memory.get(key)) is not None:
                    found[i] = verdict
                elif key in self._under_way:
                    joined.append(_Joined(i, *self._under_way[key]))
                else:
                    self._under_way[key] = (own.group, len(own.rows))
                    own.rows.append(i)
            own.group.traces = [traces[i] for i in own.rows]
            self._asked += len(traces)
            self._hits += len(traces) - len(own.rows)
        return own, joined

    def _ask(self, own: _Own, keys: list[bytes] | None, found: dict[int, Any]) -> None:
        """Judge the caller's own traces, and cache the verdicts."""
        if not own.rows:
            own.group.results = []
        else:
            self._batches.run(own.group)
        results = self._checked(own.group)
        for i, verdict in zip(own.rows, results, strict=True):
            found[i] = verdict
            if keys is not None and isinstance(verdict, Verdict) and not verdict.failed:
                _memory.put(keys[i], verdict)

    def _checked(self, group: TraceBatch) -> Sequence[Any]:
        """A batch's results, one per trace."""
        asked = len(group.traces)
        if group.error is not None:
            self._count_failed(asked)
            raise group.error
        results = group.results or []
        if len(results) != asked:
            error = f"returned {len(results)} results for {asked} traces"
            results = [Verdict(self.name, self.version, group.part, error=error)] * asked
        self._count_failed(sum(isinstance(one, Verdict) and one.failed for one in results))
        return results

    def _count_failed(self, failed: int) -> None:
        with self._lock:
            self._failed += failed

    def _forget(self, own: _Own, keys: list[bytes] | None) -> None:
        own.group.finished.set()
        if keys is not None:
            with self._lock:
                for i in own.rows:
                    self._under_way.pop(keys[i], None)

    def _wait(
        self,
        joined: list[_Joined],
        traces: Sequence[Trace],
        part: Part,
        keys: list[bytes] | None,
        found: dict[int, Any],
    ) -> None:
        """Take over the results of another caller. If its call failed, ask again: this trace may not be the cause."""
        again = []
        for one in joined:
            one.group.finished.wait()
            results = one.group.results
            if results is None or len(results) != len(one.group.traces):
                again.append(one.row)
            else:
                found[one.row] = results[one.index]
        if again:
            own = _Own(TraceBatch([traces[i] for i in again], part, alone=True), again)
            self._ask(own, keys, found)


@dataclass
class _Own:
    """The traces of a caller that nobody else has requested: their batch, and their positions in the call."""

    group: TraceBatch
    rows: list[int]


@dataclass
class _Joined:
    """A trace in progress for another caller: its position, and where its verdict will be."""

    row: int
    group: TraceBatch
    index: int


def _key(head: str, trace: Trace) -> bytes:
    """Key of everything that a judge may read in a trace; the sample index and token counts are not part of it."""
    prompt = trace.prompt
    said = [
        *(prompt.id, [dict(m) for m in prompt.messages], prompt.kind, prompt.source, prompt.reference),
        *(dict(prompt.meta), trace.thinking, trace.answer, trace.thinking_state, trace.finish_reason),
        *(trace.irregular, trace.skipped),
    ]
    text = json.dumps(said, sort_keys=True, default=repr)
    return hashlib.sha256(f"{head}{text}".encode()).digest()
