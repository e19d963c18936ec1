"""The forward pass over evaluated thoughts: fills the table of tokens, on one device or on several side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any

from lrmctl.analysis.generated import EncodedTrace, EncodedTraces
from lrmctl.analysis.offsets import starts
from lrmctl.analysis.tokens import TokenStore, TraceTokens, key_of, name_of, read_tokens
from lrmctl.engines.base import Engine
from lrmctl.engines.probabilities import TokenStatistics
from lrmctl.errors import LrmctlError
from lrmctl.runs.eval_rows import EvalRow

Progress = Callable[[int, int], None]
_Found = tuple[int, TokenStatistics]
_AT_ONCE = 64
"""Traces that a device takes at a time: they are batched by length among themselves."""


def read_traces(
    engines: Sequence[Engine],
    bases: Sequence[Engine],
    found: EncodedTraces,
    folder: Path,
    *,
    top_k: int,
    on_progress: Progress | None = None,
) -> list[TraceTokens]:
    """Statistics of every token of the traces, one to one; those that the folder holds already are not read again.

    Args:
        engines: of one model, one for each device.
        bases: of the base, as many on the same devices; empty for none.
        folder: `analysis/tokens` of the run; traces that are not among these are taken out of it.
        on_progress: called with (traces done, traces in all).
    """
    tokenizer = engines[0].tokenizer
    keys = [key_of(one.context, one.thinking) for one in found.encoded]
    made_of = {
        "model": engines[0].identity,
        "base": bases[0].identity if bases else None,
        "top_k": top_k,
    }
    with TokenStore(folder, made_of) as store:
        have = store.keys()
        todo = [i for i, key in enumerate(keys) if key not in have]
        done = len(keys) - len(todo)
        if on_progress:
            on_progress(done, len(keys))
        for i, statistics in _statistics(engines, bases, [found.encoded[i] for i in todo], top_k):
            at = todo[i]
            store.add(_row(tokenizer, found.rows[at], found.encoded[at], keys[at], statistics))
            done += 1
            if on_progress:
                on_progress(done, len(keys))
        store.keep_only(set(keys))
    known = {trace.key: trace for trace in read_tokens(folder)}
    return [known[key]._replace(**_named(row)) for row, key in zip(found.rows, keys, strict=True)]


def _named(row: EvalRow) -> dict[str, Any]:
    """A greedy trace may stand there twice, under two names with one key."""
    return dict(zip(("set", "kind", "temperature", "prompt", "sample"), name_of(row), strict=True))


def _row(tokenizer: Any, row: EvalRow, one: EncodedTrace, key: str, statistics: TokenStatistics) -> TraceTokens:
    import numpy as np

    ids = np.asarray(one.thinking, dtype=np.int32)
    start = starts(tokenizer, one.thinking, row.trace.thinking)
    return TraceTokens(*name_of(row), key, ids, start, **statistics._asdict())


def _statistics(
    engines: Sequence[Engine], bases: Sequence[Engine], traces: Sequence[EncodedTrace], top_k: int
) -> Iterator[_Found]:
    """Of all traces, in the order in which devices are done with them."""
    order = sorted(range(len(traces)), key=lambda i: -len(traces[i].context) - len(traces[i].thinking))
    waiting: SimpleQueue[list[int]] = SimpleQueue()
    for start in range(0, len(order), _AT_ONCE):
        waiting.put(order[start : start + _AT_ONCE])
    done: SimpleQueue[_Found | None] = SimpleQueue()
    stop = Event()

    def work(device: int) -> None:
        try:
            while not stop.is_set():
                some = waiting.get_nowait()
                pairs = [(traces[i].context, traces[i].thinking) for i in some]
                base = bases[device] if bases else None
                for batch in engines[device].token_statistics(pairs, base=base, top_k=top_k):
                    for i, statistics in batch:
                        done.put((some[i], statistics))
        except Empty:
            pass
        finally:
            done.put(None)

    with ThreadPoolExecutor(len(engines)) as pool:
        workers = [pool.submit(work, device) for device in range(len(engines))]
        try:
            ended = 0
            while ended < len(workers):
                if (one := done.get()) is None:
                    ended += 1
                else:
                    yield one
        finally:
            stop.set()
    for worker in workers:
        worker.result()


def devices_of(asked: str) -> list[str]:
    """The devices of the pass: every GPU for `auto` and `cuda`, else the one that is named.

    Raises:
        LrmctlError: there is no such device.
    """
    import torch

    there = torch.cuda.is_available()
    if asked.startswith("cuda") and not there:
        raise LrmctlError("torch sees no GPU", "analysis.device", "say `cpu` or `auto`")
    count = torch.cuda.device_count() if there else 0
    if asked in ("auto", "cuda") and there:
        return [f"cuda:{i}" for i in range(count)]
    if asked.startswith("cuda:") and int(asked.removeprefix("cuda:")) >= count:
        raise LrmctlError(f"there is no {asked}: torch sees {count} GPU(s), from cuda:0", "analysis.device")
    return ["cpu" if asked == "auto" else asked]
