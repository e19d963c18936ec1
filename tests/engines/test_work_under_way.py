"""The time left is of tokens, so that it is right while all completions of a batch are still running."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrmctl import console
from lrmctl._util.progress import Done
from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.store import Store, complete
from lrmctl.engines.work import WorkMeter, expected_tokens

LIMIT = 256


def requests(count: int) -> list[GenerationRequest]:
    return [GenerationRequest("Q", Sampling(max_new_tokens=LIMIT), i, 0) for i in range(count)]


class StepwiseEngine(Engine):
    """All rows run together, one token a turn; row i ends by itself after `lengths[i]` tokens, or at the limit."""

    fingerprint = identity = "stepwise"

    def __init__(self, lengths: Sequence[int], tell: Any = lambda _turn: None) -> None:
        self.lengths, self.tell = lengths, tell

    def question(self, *_: Any, **__: Any) -> GenerationRequest:
        raise NotImplementedError

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        assert len(requests) == len(self.lengths)
        for turn in range(1, LIMIT + 1):
            self.tell(turn)
            self.running = [(turn, LIMIT) for one in self.lengths if one > turn and turn < LIMIT]
            ended = [i for i, one in enumerate(self.lengths) if one == turn or (one > turn == LIMIT)]
            why = "length" if turn == LIMIT else "stop"
            yield [(i, Completion(tuple(range(turn)), "x", why)) for i in ended]  # type: ignore[arg-type]


def test_the_work_of_one_batch_is_known_while_nothing_has_ended() -> None:
    engine = StepwiseEngine([LIMIT + 1] * 10)
    meter = WorkMeter(engine, requests(10))
    engine.running = [(64, LIMIT)] * 10
    assert meter.saw([]).work == pytest.approx(10 * 64 / LIMIT)
    assert meter.saw([]) == 0


def test_the_time_left_of_one_batch_is_right_from_early_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """The same lengths by their number alone: no estimate, or one that is off by ten."""
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)

    def tick(turn: int) -> None:
        nonlocal now
        now = float(turn)

    lengths = [20 + 3 * i for i in range(60)] + [LIMIT + 1] * 60
    clock, said = console.Clock(), {}
    done: list[tuple[int, float]] = []

    def tell(count: int, total: int) -> None:
        said[int(now)] = clock.left(count, total)
        done.append((int(count), getattr(count, "work", float(count))))

    with Store(tmp_path / "completions.sqlite") as store:
        complete(StepwiseEngine(lengths, tick), store, requests(len(lengths)), tell)
    tokens = [sum(min(one, turn) for one in lengths) for turn in range(LIMIT + 1)]
    for turn in (40, 80, 160, 240):
        true = tokens[LIMIT] / tokens[turn]
        assert 120 / done[turn][1] == pytest.approx(true, rel=0.35), turn
        assert said[turn].endswith("left"), turn
    assert done[-1] == (120, 120.0)


def test_an_engine_that_does_not_say_what_runs_is_counted() -> None:
    engine = StepwiseEngine([5, 5, 9])
    meter = WorkMeter(engine, requests(3))
    found = [(requests(3)[0], Completion((1,), "x", "stop"))]
    assert (meter.saw(found), meter.saw([]).work) == (1, 1)


@given(
    ended=st.lists(st.integers(0, LIMIT), max_size=8),
    running=st.lists(st.integers(0, LIMIT), max_size=8),
    waiting=st.integers(0, 8),
)
def test_work_lies_between_nothing_and_all(ended: list[int], running: list[int], waiting: int) -> None:
    asked = requests(len(ended) + len(running) + waiting)
    engine = StepwiseEngine([])
    engine.running = [(tokens, LIMIT) for tokens in running]
    ends = [(asked[i], Completion(tuple(range(n)), "x", "stop")) for i, n in enumerate(ended)]
    found = WorkMeter(engine, asked).saw(ends)
    assert found == len(ended)
    assert 0 <= found.work <= len(asked)


def test_expected_tokens_lie_between_none_and_the_limit() -> None:
    assert expected_tokens(100, 0.0) == 100
    assert expected_tokens(100, 1e-9) == pytest.approx(100)
    assert expected_tokens(1e9, 0.01) == pytest.approx(100)


def test_counts_with_work_add_up_and_travel_between_processes() -> None:
    both = 100 + Done(2, 3.5)
    assert (both, both.work) == (102, 103.5)
    again = pickle.loads(pickle.dumps(both))
    assert (again, again.work) == (102, 103.5)
    assert (Done(1, 1.5) + Done(2, 2.5)).work == 4.0
    assert f"{both}/200" == "102/200"


def test_the_models_engine_says_what_runs(monkeypatch: pytest.MonkeyPatch, checkpoint: Any, tmp_path: Any) -> None:
    from lrmctl.engines.hf import engine as hf

    monkeypatch.setattr(hf, "_QUIET", 0.0)
    model = hf.HfEngine(checkpoint, batch_size=4)
    asked = [GenerationRequest("Hello", Sampling(max_new_tokens=12, min_new_tokens=12), i, 0) for i in range(6)]
    seen: list[tuple[int, float]] = []
    with Store(tmp_path / "c.sqlite") as store:
        complete(model, store, asked, lambda done, _: seen.append((int(done), getattr(done, "work", float(done)))))
    assert any(done == 0 and work > 0 for done, work in seen)
    assert seen[-1] == (6, 6.0)
    assert [work for _, work in seen] == sorted(work for _, work in seen)
    assert not model.running
