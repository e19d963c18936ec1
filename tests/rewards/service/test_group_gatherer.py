"""The gatherer of groups alone, without HTTP: repeated calls, and a service that was killed and restarted."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from lrmctl.recipe.schema.recipes import RewardSection
from lrmctl.rewards.compose import ComposedReward
from lrmctl.rewards.service.config import ServiceSpec
from lrmctl.rewards.service.gather import GroupGatherer
from lrmctl.rewards.service.held import AGAIN
from lrmctl.rewards.service.ledger import RolloutLedger
from lrmctl.rewards.service.metrics import ServiceMetrics
from lrmctl.rewards.service.worker_handle import GroupJob, ScoringJob
from lrmctl.runs.jsonl import read_jsonl
from lrmctl.types import Prompt, Trace

PROMPT = Prompt.user("p", "question", "harmful")
OWN = """
def value(trace):
    return float(trace.answer)


def above(group):
    values = [float(trace.answer) for trace in group]
    return [sum(v > other for other in values) / (len(values) - 1) for v in values]
"""


class Gathering:
    """A gatherer with a ledger on disk, whose batches are scored here and now.

    Args:
        patience: seconds in place of the 170 that a call may wait.
    """

    def __init__(self, folder: Path, *, samples: int = 3, patience: float = 60.0, **section: Any) -> None:
        (folder / "own.py").write_text(OWN)
        components = [{"fn": f"{folder / 'own.py'}:{name}"} for name in ("value", "above")]
        words = RewardSection.model_validate({"components": components, **section})
        self.composed = ComposedReward(words)
        kinds = self.composed.compared_kinds
        self.spec = ServiceSpec(words, folder / "r.jsonl", samples={"train": samples}, compared_kinds=kinds)
        self._loop = asyncio.get_running_loop()
        self.ledger = RolloutLedger(self.spec, ServiceMetrics(self.composed.names), self._loop.time())
        self.gatherer = GroupGatherer(self.spec, self.ledger, patience)
        self.compared: list[GroupJob] = []
        self.gatherer.submit = self.compared.append

    def call(self, value: float) -> ScoringJob:
        trace = Trace(PROMPT, "I see.", str(value), "closed")
        return ScoringJob(trace, "", str(value).encode(), 1, self._loop.time(), self._loop.create_future())

    def arrive(self, job: ScoringJob) -> None:
        if not self.gatherer.returned(job):
            self.gatherer.settle([job], self.composed.score_alone([job.trace]))

    def compare(self) -> None:
        while self.compared:
            job = self.compared.pop()
            self.gatherer.settle([job], [self.composed.score_group(job.item)])


async def rewards(*jobs: ScoringJob) -> list[float]:
    return [json.loads(await job.future)["rewards"] for job in jobs]


def test_a_call_that_is_turned_away_keeps_its_place_and_gets_its_reward_when_it_is_made_again(tmp_path: Path) -> None:
    async def run() -> None:
        here = Gathering(tmp_path, patience=0.2)
        first = [here.call(1.0), here.call(2.0)]
        for job in first:
            here.arrive(job)
        assert [await job.future for job in first] == [AGAIN, AGAIN]
        assert (here.gatherer.waiting, here.gatherer.weight) == (2, 2)
        again, last = here.call(1.0), here.call(3.0)
        assert here.gatherer.returned(again)
        here.arrive(last)
        here.compare()
        late = here.call(2.0)  # comes back after its group was compared
        assert here.gatherer.returned(late)
        assert await rewards(again, last, late) == [1.0, 4.0, 2.5]
        assert not here.gatherer.returned(here.call(2.0))
        assert (here.gatherer.waiting, here.gatherer.weight) == (0, 0)

    asyncio.run(run())


def test_a_repeated_call_of_a_group_that_was_written_is_answered_from_its_row(tmp_path: Path) -> None:
    async def before() -> list[bytes]:
        here = Gathering(tmp_path)
        jobs = [here.call(value) for value in (1.0, 2.0, 3.0)]
        for job in jobs:
            here.arrive(job)
        here.compare()
        here.ledger.close()
        return [job.future.result() for job in jobs]

    async def after() -> list[bytes]:
        here = Gathering(tmp_path)
        again = [here.call(2.0), here.call(3.0)]
        for job in again:
            assert here.gatherer.returned(job)
        assert not here.gatherer.returned(here.call(3.0))  # each row answers once
        assert not here.gatherer.returned(here.call(4.0))
        here.ledger.close()
        return [job.future.result() for job in again]

    first, second = asyncio.run(before()), asyncio.run(after())
    assert second == first[1:]
    assert len(list(read_jsonl(tmp_path / "r.jsonl"))) == 3


def test_rows_of_a_group_that_was_not_written_as_a_whole_answer_nothing(tmp_path: Path) -> None:
    async def before() -> None:
        here = Gathering(tmp_path, service={"group_wait": 0.05})
        jobs = [here.call(value) for value in (1.0, 2.0)]
        for job in jobs:
            here.arrive(job)
        while not here.compared:
            await asyncio.sleep(0.01)
        here.compare()
        assert await rewards(*jobs) == [1.0, 3.0]
        here.ledger.close()

    async def after() -> None:
        here = Gathering(tmp_path)
        assert not here.gatherer.returned(here.call(1.0))
        here.ledger.close()

    asyncio.run(before())
    asyncio.run(after())


def test_a_failure_in_a_group_is_answered_again_with_the_reward_that_it_got(tmp_path: Path) -> None:
    forgiving = {"on_failure": "neutral", "max_failure_rate": 1.0}

    async def before() -> bytes:
        here = Gathering(tmp_path, **forgiving)
        jobs = [here.call(1.0), here.call(2.0), here.call(3.0)]
        for job in jobs[:2]:
            here.arrive(job)
        from lrmctl.rewards.service.batcher import NoReward

        here.gatherer.settle([jobs[2]], [NoReward("it hung", "value")])
        here.compare()
        here.ledger.close()
        result: bytes = jobs[2].future.result()
        return result

    async def after() -> bytes:
        here = Gathering(tmp_path, **forgiving)
        again = here.call(3.0)
        assert here.gatherer.returned(again)
        here.ledger.close()
        result: bytes = again.future.result()
        return result

    first, second = asyncio.run(before()), asyncio.run(after())
    assert json.loads(second) == json.loads(first)
    assert json.loads(first)["rewards"] == 2.0  # the mean of 1 and 3
