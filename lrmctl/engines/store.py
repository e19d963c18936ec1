"""Completions on disk: stored as they finish, found again by what they depend on, never generated twice.

One SQLite file with plain columns, so that any SQLite browser can read it. A killed process loses only completions that
were not yet handed over; others are on disk before the engine continues. Knows nothing of judges: judging again reads
the same completions.

Run folders may be on network file systems, where the write-ahead log (WAL) does not work, so the rollback journal is
used. It is kept between commits (`persist`), and synchronised only where a power failure could corrupt the file
(`normal`): on a local disk a commit then takes a few milliseconds instead of 10 to 20.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import NamedTuple
from uuid import uuid4

from lrmctl._util.disk import FULL
from lrmctl._util.progress import Done
from lrmctl.engines.base import Completion, Engine, GenerationRequest, OnProgress, Sampling, checked
from lrmctl.engines.work import WorkMeter
from lrmctl.errors import DiskFullError, LrmctlError
from lrmctl.types import FinishReason, Prompt, Trace

_TABLE = """
create table if not exists completions (
    key text primary key,        -- sha256 of engine, prompt, sampling, seed and sample
    engine text not null,        -- engine, dtype and checkpoint fingerprint
    temperature real not null,
    seed integer not null,
    sample integer not null,
    finish_reason text not null,
    tokens integer not null,     -- that the model generated, without the end-of-text token
    thinking_tokens integer,     -- where the engine counts them itself
    inserted integer not null default 0,  -- tokens that a decoding mode put in
    reasoning text,              -- the thinking, where a server sent it apart
    prompt text not null,        -- as rendered by the chat template
    completion text not null,    -- decoded, special tokens shown
    ids text not null,           -- JSON list of token ids
    sampling text not null,      -- JSON of every sampling parameter
    created text not null default current_timestamp
)
"""
_SESSIONS = """
create table if not exists sessions (
    id text primary key,         -- one for each time that an engine generated into this file
    seconds real not null,       -- from its start to the last completion that was stored
    completions integer not null,
    tokens integer not null
)
"""
_INSERT = """
insert or ignore into completions
    (key, engine, temperature, seed, sample, finish_reason, tokens, thinking_tokens, inserted, reasoning, prompt,
     completion, ids, sampling)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_FOUND = "key, finish_reason, completion, ids, tokens, thinking_tokens, inserted, reasoning"
_SINCE_FIRST = {"thinking_tokens": "integer", "inserted": "integer not null default 0", "reasoning": "text"}
"""Columns that files of the first version lack."""

_VOID = """
delete from completions where finish_reason = 'length' and tokens = 0 and inserted = 0 and completion = ''
    and json_extract(sampling, '$.max_new_tokens') > 0
"""
"""What older versions stored for prompts that left no room: not a completion, and the prompt is asked again."""

_ASK_AT_ONCE = 500  # below SQLite's smallest limit on parameters of one statement


class StoredCompletion(NamedTuple):
    """A completion with the text that it continues; `ids` is empty if the engine provides none."""

    temperature: float
    sample: int
    prompt: str
    completion: str
    ids: tuple[int, ...]
    inserted: int


@dataclass
class Session:
    """One time that an engine generates into a store; written with the completions, so that a kill leaves it right."""

    began: float = field(default_factory=time.monotonic)
    id: str = field(default_factory=lambda: uuid4().hex)
    completions: int = 0
    tokens: int = 0

    def row(self, stored: Sequence[Completion]) -> tuple[str, float, int, int]:
        """As stored, with these completions."""
        self.completions += len(stored)
        self.tokens += sum(one.count for one in stored)
        return self.id, time.monotonic() - self.began, self.completions, self.tokens


class Pace(NamedTuple):
    """How fast completions were generated.

    Attributes:
        seconds: of all sessions, loading the model included.
    """

    completions: int
    tokens: int
    seconds: float


class Store:
    """The completions in one SQLite file; a context manager.

    Raises:
        LrmctlError: the file cannot be read or written (not a database, disk full, no permission).
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        with self._guard():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=60, isolation_level=None)
            self._db.execute("pragma synchronous=normal")
            self._db.execute("pragma journal_mode=persist")
            with self._writing():
                self._db.execute(_TABLE)
                self._db.execute(_SESSIONS)
                present = {row[1] for row in self._db.execute("pragma table_info(completions)")}
                for column, kind in _SINCE_FIRST.items():
                    if column not in present:
                        self._db.execute(f"alter table completions add column {column} {kind}")
                self._db.execute(_VOID)
            self._inode = self.path.stat().st_ino

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        with suppress(sqlite3.Error):  # the last process that uses the file removes the journal
            self._db.execute("pragma busy_timeout=0")
            self._db.execute("pragma journal_mode=delete")
        self._db.close()

    def __len__(self) -> int:
        with self._guard():
            return int(self._db.execute("select count(*) from completions").fetchone()[0])

    def get(self, identity: str, requests: Sequence[GenerationRequest]) -> dict[int, Completion]:
        """The stored completions, by index of their request."""
        wanted: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            wanted.setdefault(request.key(identity), []).append(i)
        return {i: completion for key, completion in self._rows(list(wanted)) for i in wanted[key]}

    def completions(self) -> Iterator[StoredCompletion]:
        """All stored completions, latest first."""
        wanted = "temperature, sample, prompt, completion, ids, inserted"
        with self._guard():
            found = self._db.execute(f"select {wanted} from completions order by rowid desc")
            for temperature, sample, prompt, completion, ids, inserted in found:
                yield StoredCompletion(temperature, sample, prompt, completion, tuple(json.loads(ids)), inserted)

    def put(
        self, identity: str, done: Iterable[tuple[GenerationRequest, Completion]], session: Session | None = None
    ) -> None:
        """Store completions, all or none of them. Errors are not stored, since the model did not produce them."""
        stored = [(r, c) for r, c in done if c.finish_reason != "error"]
        if stored:
            self._refuse_deleted()
            rows = [_row(identity, r, c) for r, c in stored]
            with self._guard(), self._writing():
                self._db.executemany(_INSERT, rows)
                if session:
                    told = session.row([c for _, c in stored])
                    self._db.execute("insert or replace into sessions values (?, ?, ?, ?)", told)

    def _refuse_deleted(self) -> None:
        """Refuse a deleted file: SQLite would keep writing to it, or report it as read-only."""
        try:
            same = self.path.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            what = "the store of completions was deleted or replaced while it was written"
            raise LrmctlError(what, str(self.path), "run the same command again: what was in it is drawn anew")

    def _rows(self, keys: Sequence[str]) -> Iterator[tuple[str, Completion]]:
        for start in range(0, len(keys), _ASK_AT_ONCE):
            some = keys[start : start + _ASK_AT_ONCE]
            marks = ",".join("?" * len(some))
            with self._guard():
                found = self._db.execute(f"select {_FOUND} from completions where key in ({marks})", some).fetchall()
            yield from ((key, _completion(*values)) for key, *values in found)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction that takes the write lock at once: two that read first would wait for each other."""
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled it back already, and is the cause to report
                self._db.execute("rollback")
            raise
        self._db.execute("commit")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if _is_full(error):
                fix = "free some space; completions that are stored are not drawn again"
                raise DiskFullError("the disk is full", str(self.path), fix) from error
            fix = "free some space or move the file away; completions that are stored are not drawn again"
            raise LrmctlError(f"the store of completions failed: {error}", where=str(self.path), fix=fix) from error


def _is_full(error: sqlite3.Error | OSError) -> bool:
    return "disk is full" in str(error) or getattr(error, "errno", None) in FULL  # SQLite's own words for its code 13


def _row(identity: str, request: GenerationRequest, done: Completion) -> tuple[str | int | float | None, ...]:
    s = request.sampling
    head = (request.key(identity), identity, s.temperature, request.seed, request.sample, done.finish_reason)
    counts = (done.count, done.thinking_tokens, done.inserted, done.reasoning)
    return (*head, *counts, request.text, done.text, json.dumps(done.ids), json.dumps(asdict(s)))


def _completion(
    why: FinishReason,
    text: str,
    ids: str,
    tokens: int,
    thinking_tokens: int | None,
    inserted: int,
    reasoning: str | None,
) -> Completion:
    read = tuple(json.loads(ids))
    own = None if tokens == len(read) - inserted else tokens
    return Completion(
        read, text, why, tokens=own, thinking_tokens=thinking_tokens, inserted=inserted, reasoning=reasoning
    )


def generate_into(
    store: Store, engine: Engine, requests: Sequence[GenerationRequest]
) -> Iterator[tuple[list[tuple[GenerationRequest, Completion]], Done]]:
    """Generate completions, and store them as they finish; failed ones are returned with their error and not stored.

    Args:
        requests: distinct ones that are not in the store.

    Yields:
        Completions that have finished, each with its request, often none; and the number finished so far.
    """
    meter, session = WorkMeter(engine, requests), Session()
    for batch in engine.generate(requests):
        found = [(requests[i], checked(requests[i], completion)) for i, completion in batch]
        store.put(engine.identity, found, session)
        yield found, meter.saw(found)


def pace_of(path: Path) -> Pace | None:
    """How fast the completions in a file were generated; None if that is not recorded there. Writes nothing."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            found = db.execute("select sum(completions), sum(tokens), sum(seconds) from sessions").fetchone()
    except sqlite3.Error:  # no such file, one of an older version, or no store
        return None
    return Pace(*found) if found[0] and found[2] > 0 else None


def complete(
    engine: Engine, store: Store, requests: Sequence[GenerationRequest], on_progress: OnProgress | None = None
) -> list[Completion]:
    """Every request's completion, in order: from the store if present, else generated and stored as it finishes.

    Failed ones are returned with their error and not stored, so that a second call retries only them.
    """
    tell = on_progress or (lambda _done, _total: None)
    have = store.get(engine.identity, requests)
    todo = list({r: None for i, r in enumerate(requests) if i not in have})  # equal requests are one completion
    tell(len(requests) - len(todo), len(requests))
    drawn: dict[GenerationRequest, Completion] = {}
    for found, done in generate_into(store, engine, todo):
        drawn.update(found)
        tell(len(requests) - len(todo) + done, len(requests))
    return [have[i] if i in have else drawn[r] for i, r in enumerate(requests)]


def distinct_samples(sampling: Sampling, samples: int) -> int:
    """Number of samples per prompt that can differ: one if sampling is greedy."""
    return 1 if sampling.greedy else samples


def sample_traces(
    engine: Engine,
    store: Store,
    prompts: Sequence[Prompt],
    sampling: Sampling | Sequence[Sampling],
    samples: int,
    seed: int,
    on_progress: OnProgress | None = None,
) -> list[Trace]:
    """Sampled traces, ordered by sampling, then prompt, then sample. Resumable; see `complete`.

    Args:
        sampling: one, or several that are sampled together to fill batches.
        samples: per prompt and sampling; greedy sampling gives one, since more would only repeat it.
    """
    several = [sampling] if isinstance(sampling, Sampling) else list(sampling)
    first = [(prompt, engine.request(prompt, how, 0, seed)) for how in several for prompt in prompts]
    asked = [
        (prompt, replace(one, sample=i))
        for prompt, one in first
        for i in range(distinct_samples(one.sampling, samples))
    ]
    done = complete(engine, store, [request for _, request in asked], on_progress)
    return [engine.trace(p, r, c) for (p, r), c in zip(asked, done, strict=True)]
