"""The store of completions: nothing drawn twice, nothing lost to a kill, errors never kept, readable by anyone."""

from __future__ import annotations

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from lrmctl.engines.base import Completion, GenerationRequest, Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store, complete, pace_of, sample_traces
from lrmctl.errors import LrmctlError
from lrmctl.types import Prompt

WARM = Sampling(1.0, max_new_tokens=16)
PROMPTS = [Prompt.user(f"p{i}", f"question {i}", "benign") for i in range(5)]


def requests_of(engine: HfEngine, samples: int = 3) -> list[GenerationRequest]:
    return [GenerationRequest(engine.render(p), WARM, i) for p in PROMPTS for i in range(samples)]


class Unreliable(HfEngine):
    """An engine whose every third completion fails, as a server's may."""

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        for batch in super().generate(requests):
            yield [(i, Completion((), "", "error", "timed out") if i % 3 == 0 else c) for i, c in batch]


def test_what_is_stored_is_not_drawn_again(checkpoint: Path, tmp_path: Path) -> None:
    first, second = HfEngine(checkpoint, batch_size=4), HfEngine(checkpoint, batch_size=4)
    requests = requests_of(first)
    with Store(tmp_path / "c.sqlite") as store:
        drawn = complete(first, store, requests)
        assert complete(second, store, requests) == drawn
        assert len(store) == len(requests)
    assert "model" not in vars(second)  # the weights were not even loaded


def test_only_what_is_missing_is_drawn(checkpoint: Path, tmp_path: Path) -> None:
    engine = HfEngine(checkpoint, batch_size=4)
    requests = requests_of(engine)
    seen: list[tuple[int, int]] = []
    with Store(tmp_path / "c.sqlite") as store:
        some = complete(engine, store, requests[3:8])
        everything = complete(engine, store, requests, lambda done, total: seen.append((done, total)))
    assert everything[3:8] == some
    assert (seen[0], seen[-1]) == ((5, 15), (15, 15))
    assert seen == sorted(seen)


def test_another_seed_sampling_sample_or_model_is_another_completion() -> None:
    request = GenerationRequest("hi", WARM)
    keys = {
        request.key("hf:float32:a"),
        request.key("hf:float32:b"),
        replace(request, seed=1).key("hf:float32:a"),
        replace(request, sample=1).key("hf:float32:a"),
        replace(request, sampling=replace(WARM, top_p=0.9)).key("hf:float32:a"),
        replace(request, sampling=replace(WARM, max_new_tokens=17)).key("hf:float32:a"),
        replace(request, text="hi ").key("hf:float32:a"),
    }
    assert len(keys) == 7


def test_failed_completions_are_not_stored_and_are_asked_for_again(checkpoint: Path, tmp_path: Path) -> None:
    requests = requests_of(HfEngine(checkpoint))
    with Store(tmp_path / "c.sqlite") as store:
        first = complete(Unreliable(checkpoint), store, requests)
        assert [c.error for c in first if c.finish_reason == "error"] == ["timed out"] * 5
        assert len(store) == 10
        done = complete(HfEngine(checkpoint), store, requests)
    assert {c.finish_reason for c in done} <= {"stop", "length"}


def test_traces_come_by_sampling_then_prompt_then_sample(checkpoint: Path, tmp_path: Path) -> None:
    engine = HfEngine(checkpoint)
    with Store(tmp_path / "c.sqlite") as store:
        traces = sample_traces(engine, store, PROMPTS, [WARM, Sampling(0.0, max_new_tokens=8)], samples=3, seed=0)
    warm = [(p.id, i) for p in PROMPTS for i in range(3)]
    greedy = [(p.id, 0) for p in PROMPTS]  # a greedy sample would only repeat itself
    assert [(t.prompt.id, t.sample) for t in traces] == warm + greedy


def test_the_pace_is_of_what_was_generated_and_not_of_what_was_found(checkpoint: Path, tmp_path: Path) -> None:
    engine, file = HfEngine(checkpoint, device="cpu"), tmp_path / "c.sqlite"
    assert pace_of(file) is None
    assert not file.exists()
    requests = requests_of(engine)
    for some in (requests[:2], requests, requests):
        with Store(file) as store:
            done = complete(engine, store, some)
    pace = pace_of(file)
    assert pace
    assert (pace.completions, pace.tokens) == (len(requests), sum(one.count for one in done))
    with closing(sqlite3.connect(file)) as db:
        assert db.execute("select count(*) from sessions").fetchone() == (2,)
        db.execute("drop table sessions")
    assert pace_of(file) is None  # as an older version left it


def test_sqlite_shows_the_completions_in_plain_columns(checkpoint: Path, tmp_path: Path) -> None:
    engine = HfEngine(checkpoint)
    requests = requests_of(engine, samples=1)
    with Store(tmp_path / "c.sqlite") as store:
        done = complete(engine, store, requests)
    rows = sqlite3.connect(tmp_path / "c.sqlite").execute(
        "select prompt, temperature, sample, tokens, completion from completions"
    )
    expected = {(r.text, 1.0, 0, len(c.ids), c.text) for r, c in zip(requests, done, strict=True)}
    assert set(rows) == expected


def test_counts_of_tokens_come_back_as_they_were(tmp_path: Path) -> None:
    told = [
        Completion((5, 6, 7), "abc", "stop"),
        Completion((), "from a server", "length", tokens=9, thinking_tokens=4),
        Completion((5, 6, 7), "abc", "stop", inserted=2),
        Completion((5, 6), "ab", "stop", tokens=3),
    ]
    requests = [GenerationRequest("hi", WARM, i) for i in range(4)]
    with Store(tmp_path / "c.sqlite") as store:
        store.put("engine", zip(requests, told, strict=True))
        assert store.get("engine", requests) == dict(enumerate(told))
    rows = sqlite3.connect(tmp_path / "c.sqlite").execute("select tokens, thinking_tokens, inserted from completions")
    assert sorted(rows, key=str) == [(1, None, 2), (3, None, 0), (3, None, 0), (9, 4, 0)]


FIRST_FORM = """
create table completions (
    key text primary key, engine text not null, temperature real not null, seed integer not null,
    sample integer not null, finish_reason text not null, tokens integer not null, prompt text not null,
    completion text not null, ids text not null, sampling text not null,
    created text not null default current_timestamp
)
"""


def test_a_file_of_the_first_form_is_read_and_written_on(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    request = GenerationRequest("hi", Sampling(0.6, 0.95, max_new_tokens=16), 1, 7)
    words = {"temperature": 0.6, "top_p": 0.95, "top_k": 0, "max_new_tokens": 16, "min_new_tokens": 0, "stop": []}
    key = hashlib.sha256(json.dumps(["engine", "hi", words, 7, 1], sort_keys=True).encode()).hexdigest()
    row = (key, "engine", 0.6, 7, 1, "stop", 2, "hi", "ab", "[5, 6]", json.dumps(words), "2025-01-01")
    with closing(sqlite3.connect(path)) as db:
        db.execute(FIRST_FORM)
        db.execute(f"insert into completions values ({','.join('?' * 12)})", row)
        db.commit()
    with Store(path) as store:
        assert store.get("engine", [request]) == {0: Completion((5, 6), "ab", "stop")}
        store.put("engine", [(replace(request, sample=2), Completion((), "x", "stop", tokens=1, thinking_tokens=0))])
    with Store(path) as store:
        assert len(store) == 2


@pytest.mark.e2e
@pytest.mark.timeout(900)
def test_forty_thousand_completions_are_found(tmp_path: Path) -> None:
    requests = [GenerationRequest(f"question {i % 10_000} " + "words " * 30, WARM, i // 10_000) for i in range(40_000)]
    answer = Completion(tuple(range(100, 220)), "an answer of some length " * 20, "stop")
    with Store(tmp_path / "c.sqlite") as store:
        for start in range(0, 40_000, 2_000):
            store.put("engine", [(r, answer) for r in requests[start : start + 2_000]])
    count = 0
    with Store(tmp_path / "c.sqlite") as store:
        for start in range(0, 40_000, 2_000):
            count += len(store.get("engine", requests[start : start + 2_000]))
    assert count == 40_000


def test_a_file_that_is_no_store_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    path.write_text("this is no database, it only has its name" * 50)
    with pytest.raises(LrmctlError, match="not a database") as caught:
        Store(path)
    assert caught.value.where == str(path)


WORKER = """
import sys
from pathlib import Path
from lrmctl.engines.base import Sampling
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.store import Store, sample_traces
from lrmctl.types import Prompt

prompts = [Prompt.user(str(i), f"question {i}", "benign") for i in range(200)]
with Store(Path(sys.argv[2])) as store:
    engine = HfEngine(Path(sys.argv[1]), batch_size=2)
    sample_traces(engine, store, prompts, Sampling(1.0, max_new_tokens=48), 4, 0)
"""


def _stored(path: Path) -> list[tuple[str, str]]:
    if not path.exists():
        return []
    try:
        return sqlite3.connect(path).execute("select key, ids from completions").fetchall()
    except sqlite3.OperationalError:  # not yet created
        return []


@pytest.mark.e2e
def test_a_killed_process_loses_nothing_and_the_next_goes_on(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, str(checkpoint), str(path)])
    end = time.monotonic() + 600
    while len(_stored(path)) < 6 and time.monotonic() < end and worker.poll() is None:
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL  # it was in the middle, not done
    before = dict(_stored(path))
    assert 6 <= len(before) < 800

    engine = HfEngine(checkpoint, batch_size=256)
    prompts = [Prompt.user(str(i), f"question {i}", "benign") for i in range(200)]
    seen: list[int] = []
    with Store(path) as store:
        sample_traces(engine, store, prompts, Sampling(1.0, max_new_tokens=48), 4, 0, lambda done, _: seen.append(done))
    after = dict(_stored(path))
    assert seen[0] == len(before)  # exactly the rest was drawn
    assert len(after) == 800
    assert all(after[key] == ids for key, ids in before.items())
    assert [f.name for f in tmp_path.iterdir()] == [path.name]  # the killed writer's journal is gone
