"""One engine on several worker processes: the completions of one worker, nothing lost, and no process left behind."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from gated_engine import GatedEngine

from lrmctl.engines.base import Completion, Engine, GenerationRequest, Sampling
from lrmctl.engines.decoding.engine import steered
from lrmctl.engines.factory import judge_engine, make_engine
from lrmctl.engines.hf.engine import HfEngine
from lrmctl.engines.spread import ProcessCrew, SpreadEngine, crew_of
from lrmctl.engines.spread.chunks import Chunks
from lrmctl.engines.spread.crew import Call, Failed, Rows, answers
from lrmctl.engines.store import Store, complete
from lrmctl.errors import LrmctlError, RecipeError
from lrmctl.recipe.schema.decoding import Budget
from lrmctl.recipe.schema.engines import HfOptions, judge_engine_options
from lrmctl.types import Prompt

PROMPTS = [Prompt.user(f"p{i}", f"question {i}" + "?" * (i % 4), "benign") for i in range(10)]
WARM, COLD = Sampling(1.0, max_new_tokens=16), Sampling(0.0, max_new_tokens=12)
PATIENCE = 60.0  # seconds


class Unsendable(Exception):
    """An error that pickle cannot make again."""

    def __init__(self, one: int, _other: int) -> None:
        super().__init__(one)


def requests_of(engine: Engine, samples: int = 3) -> list[GenerationRequest]:
    return [engine.request(p, how, i, 0) for how in (WARM, COLD) for p in PROMPTS for i in range(samples)]


def drawn(engine: Engine, requests: list[GenerationRequest]) -> dict[int, Completion]:
    return {i: completion for some in engine.generate(requests) for i, completion in some}


def gated(checkpoint: Path, workers: int = 2, **settings: Any) -> SpreadEngine:
    return SpreadEngine(GatedEngine, checkpoint, {"batch_size": 4, **settings}, ProcessCrew(workers))


def gone(pids: list[int]) -> bool:
    """Whether the processes end; a zombie has ended."""

    def lives(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    end = time.monotonic() + PATIENCE
    while any(map(lives, pids)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(lives, pids))


@pytest.fixture(scope="module")
def three(checkpoint: Path) -> Iterator[Engine]:
    engine = make_engine(checkpoint, HfOptions(workers=3), batch_size=4)
    yield engine
    engine.release()


@pytest.mark.e2e
def test_three_workers_draw_what_one_draws(three: Engine, checkpoint: Path, tmp_path: Path) -> None:
    one = HfEngine(checkpoint, batch_size=4)
    requests = requests_of(one)
    assert requests_of(three) == requests
    assert drawn(three, requests) == drawn(one, requests)
    assert (three.identity, three.facts(), three.capabilities) == (one.identity, one.facts(), one.capabilities)
    with Store(tmp_path / "c.sqlite") as store:
        done = complete(three, store, requests)
        assert complete(one, store, requests) == done
    assert "model" not in vars(one)
    assert isinstance(three, SpreadEngine)
    assert three.local._weights.model is None  # this process has no weights


@pytest.mark.e2e
def test_questions_and_probabilities_come_from_the_workers_too(three: Engine, checkpoint: Path) -> None:
    one = HfEngine(checkpoint, batch_size=4)
    asked = [one.question([{"role": "user", "content": f"say {i}"}], 5) for i in range(20)]
    assert drawn(three, asked) == drawn(one, asked)
    choices = [("a", "b")] * len(asked)
    found, expected = (engine.first_token_probabilities(asked, choices) for engine in (three, one))
    assert [each.probabilities for each in found] == [pytest.approx(each.probabilities, rel=1e-4) for each in expected]
    pairs = [("question", f" {i}") for i in range(20)]
    scores = [each.logprob for each in three.loglikelihood(pairs)]
    assert scores == pytest.approx([each.logprob for each in one.loglikelihood(pairs)], rel=1e-4)
    texts = [text for _, text in pairs]
    assert three.rolling_loglikelihood(texts) == pytest.approx(one.rolling_loglikelihood(texts), rel=1e-4)


@pytest.mark.e2e
def test_a_decoding_mode_steers_the_workers(three: Engine, checkpoint: Path) -> None:
    mode = Budget(mode="budget", tokens=10, closing="")
    here, there = steered(HfEngine(checkpoint, batch_size=4), mode), steered(three, mode)
    requests = requests_of(here)
    assert drawn(there, requests) == drawn(here, requests)


@pytest.mark.slow
@pytest.mark.e2e
def test_statistics_are_computed_here_after_the_workers_have_ended(checkpoint: Path) -> None:
    engine = make_engine(checkpoint, HfOptions(workers=2), batch_size=4)
    assert isinstance(engine, SpreadEngine)
    requests = requests_of(engine)
    first = drawn(engine, requests)
    assert isinstance(engine.crew, ProcessCrew)
    pids = engine.crew.pids
    found = [one for some in engine.token_statistics([((5, 6), (7, 8))], base=engine) for one in some]
    assert len(found) == 1
    assert engine.mean_hidden_states([((5, 6), (7, 8))], -1).shape == (1, 32)
    assert gone(pids)
    assert drawn(engine, requests) == first  # and they start again
    engine.release()


def test_no_requests_start_no_worker(checkpoint: Path) -> None:
    crew = ProcessCrew(3)
    engine = SpreadEngine(HfEngine, checkpoint, {}, crew)
    assert list(engine.generate([])) == []
    assert engine.loglikelihood([]) == []
    assert crew.pids == []


@pytest.mark.slow
def test_completions_come_before_their_chunk_ends(checkpoint: Path, tmp_path: Path) -> None:
    engine = gated(checkpoint, gate=tmp_path / "gate")
    requests = requests_of(engine)
    coming = engine.generate(requests)
    first = next(coming)  # all workers still wait for the gate
    (tmp_path / "gate").touch()
    with pytest.warns(RuntimeWarning, match="a worker's warning"):
        rest = [one for some in coming for one in some]
    assert dict(first + rest) == drawn(HfEngine(checkpoint, batch_size=4), requests)
    engine.release()


@pytest.mark.e2e
def test_a_killed_worker_is_named_and_loses_nothing_that_was_stored(checkpoint: Path, tmp_path: Path) -> None:
    engine = gated(checkpoint, gate=tmp_path / "gate")
    assert isinstance(engine.crew, ProcessCrew)
    requests = requests_of(engine)
    pids: list[int] = []

    def kill(done: int, _total: int) -> None:
        if done and not pids:
            assert isinstance(engine.crew, ProcessCrew)
            pids.extend(engine.crew.pids)
            os.kill(pids[-1], signal.SIGKILL)

    with Store(tmp_path / "c.sqlite") as store:
        with pytest.raises(LrmctlError, match=r"worker 2 of 2 on CPU \(process \d+\) was killed by SIGKILL") as error:
            complete(engine, store, requests, kill)
        assert "run the same command again" in error.value.fix
        assert gone(pids)  # the others were ended
        kept = len(store)
        assert kept >= 1
        (tmp_path / "gate").touch()
        seen: list[int] = []
        done = complete(engine, store, requests, lambda n, _total: seen.append(n))
    assert seen[0] >= kept
    assert done == list(dict(sorted(drawn(HfEngine(checkpoint), requests).items())).values())
    engine.release()


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (RecipeError("no such thing", "x"), "x: no such thing"),
        (ArithmeticError("the logits are NaN"), "the logits are NaN"),
        (MemoryError("out of memory: 3 GiB"), "worker 1 ran out of memory: out of memory: 3 GiB"),
        (Unsendable(1, 2), "worker 1 failed: Unsendable"),
    ],
)
def test_a_worker_s_error_can_be_sent(raised: Exception, told: str, checkpoint: Path) -> None:
    engine = GatedEngine(checkpoint, fails=raised)
    asked = tuple(requests_of(engine, 1)[:3])
    *rows, last = answers(engine, Call("generate", (7, 8, 9), (asked,)), "worker 1")
    assert [type(row) for row in rows] == [Rows]
    assert isinstance(last, Failed)
    back = pickle.loads(pickle.dumps(last)).error
    assert isinstance(back, ArithmeticError if isinstance(raised, ArithmeticError) else LrmctlError)
    assert told in str(back)


@pytest.mark.slow
def test_a_worker_s_error_is_raised_here(checkpoint: Path) -> None:
    engine = gated(checkpoint, fails=ArithmeticError("the logits are NaN"))
    with pytest.raises(ArithmeticError, match="the logits are NaN") as error:
        drawn(engine, requests_of(engine))
    assert "of 2 on CPU" in error.value.__notes__[0]
    assert isinstance(engine.crew, ProcessCrew)
    assert engine.crew.pids == []


@pytest.mark.slow
@pytest.mark.e2e
def test_a_generator_that_is_left_ends_the_workers(checkpoint: Path, tmp_path: Path) -> None:
    engine = gated(checkpoint, gate=tmp_path / "never")
    assert isinstance(engine.crew, ProcessCrew)
    coming = engine.generate(requests_of(engine))
    next(coming)
    pids = engine.crew.pids
    coming.close()
    assert gone(pids)


PARENT = """
import sys
sys.path.insert(0, {support!r})
from pathlib import Path
from gated_engine import GatedEngine
from lrmctl.engines.base import GenerationRequest, Sampling
from lrmctl.engines.spread import ProcessCrew, SpreadEngine

engine = SpreadEngine(GatedEngine, Path({checkpoint!r}), {{"gate": Path("never")}}, ProcessCrew(2))
asked = [GenerationRequest(f"question {{i}}", Sampling(max_new_tokens=8)) for i in range(40)]
for some in engine.generate(asked):
    print(*engine.crew.pids, flush=True)
"""


@pytest.mark.slow
@pytest.mark.e2e
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["SIGKILL", "Ctrl-C"])
def test_workers_end_with_their_parent(how: signal.Signals, checkpoint: Path, tmp_path: Path) -> None:
    support = str(Path(__file__).parents[2] / "support")
    text = PARENT.format(support=support, checkpoint=str(checkpoint))
    parent = subprocess.Popen([sys.executable, "-c", text], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = [int(word) for word in parent.stdout.readline().split()]
    assert len(pids) == 2
    parent.send_signal(how)
    assert parent.wait(PATIENCE) != 0
    parent.stdout.close()
    assert gone(pids)


def test_chunks_cover_all_requests_and_become_smaller() -> None:
    chunks = Chunks(1000, 4, batch_size=8)
    found = []
    while some := chunks.take():
        found.append(some)
    assert [i for some in found for i in some] == list(range(1000))
    assert [len(some) for some in found] == sorted(map(len, found), reverse=True)
    assert len(found[0]) == 125  # half of a worker's share
    assert len(found[-2]) == 16  # two batches


def test_large_batches_get_an_even_share() -> None:
    assert len(Chunks(100, 4, batch_size=512).take()) == 25
    unknown = Chunks(4000, 4, None)
    unknown.learn(300)
    assert len(unknown.take()) == 600


def test_few_requests_take_few_workers() -> None:
    assert [Chunks(total, 8, None).workers for total in (1, 8, 9, 30, 1000)] == [1, 1, 2, 4, 8]


def test_the_number_of_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    from lrmctl.engines.spread import choice

    assert crew_of("auto", "auto") is None  # there is no GPU here
    assert crew_of(1, "auto") is None
    made = crew_of(3, "cpu")
    assert isinstance(made, ProcessCrew)
    assert (made.count, made.device) == (3, "cpu")
    monkeypatch.setattr(choice, "visible_gpus", lambda: ("4", "6"))
    made = crew_of("auto", "auto")
    assert isinstance(made, ProcessCrew)
    assert (made.count, made.device) == (2, "cuda")
    assert made.label(1) == "worker 2 of 2 on GPU 6"
    assert crew_of("auto", "cuda:1") is None
    assert crew_of("auto", "cpu") is None
    shared = crew_of(3, "cuda")
    assert shared is not None
    assert shared.label(2) == "worker 3 of 3 on GPU 4"


def test_a_judge_has_one_worker() -> None:
    options = judge_engine_options("hf")
    assert isinstance(options, HfOptions)
    assert options.workers == 1
    with pytest.raises(RecipeError, match=r"'cuda:1', one GPU, and its engine has workers: 2"):
        judge_engine("lab:tiny", {"use": "hf", "workers": 2}, device="cuda:1")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"workers": 0}, "engine.workers: .* greater than 0, or Input should be 'auto'"),
        ({"workers": "many"}, "valid integer"),
        ({"workers": 2, "device": "cuda:1"}, "2 workers, and `device: cuda:1` names one GPU: say `workers: 1`"),
    ],
)
def test_workers_that_cannot_be(options: dict[str, Any], told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        judge_engine_options(options)
