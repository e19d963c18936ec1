"""Sharing a judge changes no verdict: not with many threads, not with a judge that raises, not by remembering."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from lrmctl.judges import shared
from lrmctl.judges.base import judge_part, make_judge
from lrmctl.judges.shared import SharedJudge
from lrmctl.smoke.stand_ins import StandInJudge
from lrmctl.testing.checks import check_judge, sample_traces
from lrmctl.types import Part, Prompt, Trace, Verdict


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    shared.configure(cache_bytes=64 << 20, window=0.003, max_batch=64)
    yield
    shared.configure(cache_bytes=64 << 20, window=0.003, max_batch=64)


def trace(text: str, **rest: object) -> Trace:
    return Trace(Prompt.user(f"p-{text}", "how?", "harmful"), f"thought {text}", text, "closed", **rest)  # type: ignore[arg-type]


class Noted:
    """Unsafe if the text says so, raises on `raise`, fails on `fail`; notes its calls."""

    name, version = "noted", "1"

    def __init__(self, pause: float = 0.0, parallel: int = 1) -> None:
        self.calls: list[list[str]] = []
        self.pause, self.parallel = pause, parallel
        self.inside = self.most = 0
        self.lock = threading.Lock()

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        with self.lock:
            self.calls.append([t.answer for t in traces])
            self.inside += 1
            self.most = max(self.most, self.inside)
        time.sleep(self.pause)
        with self.lock:
            self.inside -= 1
        if raising := [t.answer for t in traces if t.answer.startswith("raise")]:
            raise ValueError(raising[0])
        return [self.verdict(t, part) for t in traces]

    def verdict(self, one: Trace, part: Part) -> Verdict:
        if one.answer.startswith("fail"):
            return Verdict(self.name, self.version, part, error="no idea")
        return Verdict(self.name, self.version, part, safe="unsafe" not in one.answer, raw=one.answer)


def together(jobs: Sequence[object], work) -> list:  # type: ignore[no-untyped-def, type-arg]
    """Work on every job, each in a thread of its own, all at once."""
    start = threading.Barrier(len(jobs))

    def one(job: object) -> object:
        start.wait()
        return work(job)

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(one, jobs))


def test_a_shared_judge_keeps_the_contract_and_says_what_the_judge_says() -> None:
    check_judge(SharedJudge(StandInJudge()))
    traces = sample_traces()
    for part in ("thinking", "answer", "whole"):
        judge = SharedJudge(StandInJudge())
        for _ in range(2):
            assert judge_part(judge, traces, part) == judge_part(StandInJudge(), traces, part)


def test_equal_options_get_one_judge_and_it_is_let_go_when_nobody_holds_it() -> None:
    one = make_judge("refusal-phrases", {"phrases": ["no way"]})
    assert make_judge("refusal-phrases", {"phrases": ["no way"]}) is one
    assert make_judge("refusal-phrases") is not one
    assert (one.name, one.version) == (one.wrapped.name, one.wrapped.version)  # type: ignore[attr-defined]
    assert one in set(shared._all)
    number = one._id  # type: ignore[attr-defined]
    del one
    gc.collect()
    assert make_judge("refusal-phrases", {"phrases": ["no way"]})._id != number  # type: ignore[attr-defined]


def test_what_was_judged_is_remembered_and_what_failed_is_not() -> None:
    noted = Noted()
    judge = SharedJudge(noted)
    asked = [trace("a"), trace("fail"), trace("a", sample=3, answer_tokens=9), trace("unsafe")]
    first, second = judge.judge(asked, "answer"), judge.judge(asked, "answer")
    assert first == second == noted.judge(asked, "answer")
    assert noted.calls[:2] == [["a", "fail", "unsafe"], ["fail"]]
    judge.judge([trace("a")], "thinking")
    assert noted.calls[3] == ["a"]
    found = judge.stats
    assert (found.asked, found.hits, found.batches, found.failed) == (9, 4, 3, 2)
    assert found in shared.stats()


@pytest.mark.parametrize(
    "change",
    [
        {"thinking": "other"},
        {"thinking_state": "absent"},
        {"finish_reason": "length"},
        {"irregular": ("nested",)},
        {"prompt": Prompt.user("p-a", "how?", "benign")},
        {"prompt": Prompt.user("p-a", "how?", "harmful", meta={"rubric": 1})},
        {"prompt": Prompt.user("p-a", "how?", "harmful", reference="4")},
    ],
)  # fmt: skip
def test_a_trace_that_differs_in_anything_is_judged_anew(change) -> None:  # type: ignore[no-untyped-def]
    noted = Noted()
    SharedJudge(noted).judge([trace("a"), replace(trace("a"), **change)], "answer")
    assert noted.calls == [["a", "a"]]


@pytest.mark.parametrize("why", ["setting", "judge"])
def test_a_judge_may_be_asked_every_time(why: str) -> None:
    noted = Noted()
    if why == "setting":
        shared.configure(cache_bytes=0)
    else:
        noted.cacheable = False  # type: ignore[attr-defined]
    judge = SharedJudge(noted)
    judge.judge([trace("a"), trace("a")], "answer")
    judge.judge([trace("a")], "answer")
    assert noted.calls == [["a", "a"], ["a"]]
    assert judge.stats.hits == 0


def test_memory_is_bounded_in_bytes() -> None:
    shared.configure(cache_bytes=100_000)
    judge = SharedJudge(Noted())
    for i in range(500):
        judge.judge([trace(f"{i} " + "x" * 500)], "answer")
    assert 0 < shared._memory._kept.currsize <= 100_000
    assert len(shared._memory._kept) < 60
    judge.judge([trace("x" * 50_000)], "answer")  # larger than all of the memory: not kept, not an error


def test_concurrent_callers_are_merged_and_never_beyond_the_limit() -> None:
    shared.configure(max_batch=10)
    noted = Noted(pause=0.02)
    judge = SharedJudge(noted)
    jobs = [[trace(f"{i}-{j}") for j in range(3)] for i in range(32)]
    found = together(jobs, lambda job: judge.judge(job, "answer"))
    assert [[v.raw for v in verdicts] for verdicts in found] == [[t.answer for t in job] for job in jobs]
    assert len(noted.calls) < 20
    assert max(map(len, noted.calls)) == 9
    assert noted.most == 1


def test_a_callers_own_traces_are_not_split() -> None:
    shared.configure(max_batch=4)
    noted = Noted()
    SharedJudge(noted).judge([trace(str(i)) for i in range(9)], "answer")
    assert [len(call) for call in noted.calls] == [9]


def test_parts_are_not_mixed_in_one_call() -> None:
    judge = SharedJudge(Noted(pause=0.01))
    parts = ["thinking", "answer", "whole"] * 8
    found = together(list(enumerate(parts)), lambda job: judge.judge([trace(str(job[0]))], job[1])[0].part)
    assert found == parts


def test_equal_questions_under_way_are_asked_once() -> None:
    noted = Noted(pause=0.1)
    judge = SharedJudge(noted)
    found = together(range(16), lambda _: judge.judge([trace("unsafe")], "answer"))
    assert {v.safe for (v,) in found} == {False}
    assert noted.calls == [["unsafe"]]
    assert judge.stats.hits == 15


@pytest.mark.timeout(300)  # less than the window
def test_a_lone_caller_never_waits_for_company() -> None:
    shared.configure(window=600.0)
    judge = SharedJudge(Noted(pause=0.001))
    for i in range(20):
        judge.judge([trace(str(i))], "answer")


def test_a_judge_may_take_several_calls_at_once() -> None:
    shared.configure(max_batch=1)
    noted = Noted(pause=0.02, parallel=4)
    judge = SharedJudge(noted)
    found = together(range(16), lambda i: judge.judge([trace(str(i))], "answer")[0].raw)
    assert found == [str(i) for i in range(16)]
    assert noted.most == 4


def test_one_callers_exception_is_nobody_elses() -> None:
    judge = SharedJudge(Noted(pause=0.02))
    texts = [f"raise-{i}" if i % 5 == 0 else f"unsafe-{i}" for i in range(30)]
    found = together(texts, lambda text: judge_part(judge, [trace(text), trace(f"{text} too")], "answer"))
    alone = [judge_part(Noted(), [trace(text), trace(f"{text} too")], "answer") for text in texts]
    assert found == alone
    assert [v.failed for pair in found for v in pair] == [t.startswith("raise") for t in texts for _ in range(2)]


def test_a_verdict_that_was_waited_for_is_asked_again_if_its_batch_raised() -> None:
    judge = SharedJudge(Noted(pause=0.1))

    def ask(job: object) -> list[Verdict]:
        if job == "second":
            time.sleep(0.03)
            return judge_part(judge, [trace("good")], "answer")
        return judge_part(judge, [trace("raise"), trace("good")], "answer")

    first, second = together(["first", "second"], ask)
    assert [v.failed for v in first] == [True, False]
    assert [v.safe for v in second] == [True]


class Short:
    name, version = "short", "1"

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        time.sleep(0.01)
        found = [Verdict(self.name, self.version, part, safe=True) for _ in traces]
        return found[:-1] if any(t.answer == "short" for t in traces) else found


def test_too_few_verdicts_are_a_failure_of_the_caller_who_got_them_only() -> None:
    judge = SharedJudge(Short())
    texts = ["short" if i == 3 else str(i) for i in range(12)]
    found = together(texts, lambda text: judge_part(judge, [trace(text), trace("more")], "answer"))
    for text, pair in zip(texts, found, strict=True):
        own = judge_part(Short(), [trace(text), trace("more")], "answer")
        assert pair[0].failed == own[0].failed


def test_what_is_no_verdict_is_passed_on_and_not_remembered() -> None:
    class Odd:
        name, version, calls = "odd", "1", 0

        def judge(self, traces: Sequence[Trace], part: Part) -> list[object]:  # noqa: ARG002
            self.calls += 1
            return ["safe"] * len(traces)

    odd = Odd()
    judge = SharedJudge(odd)  # type: ignore[arg-type]
    for _ in range(2):
        (verdict,) = judge_part(judge, [trace("a")], "answer")
        assert verdict.error == "returned a str, not a Verdict"
    assert odd.calls == 2


def test_an_interrupted_caller_leaves_the_others_their_verdicts() -> None:
    class Interrupted(Noted):
        def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
            found = super().judge(traces, part)
            if len(self.calls) == 2:
                raise KeyboardInterrupt
            return found

    judge = SharedJudge(Interrupted(pause=0.02))

    def ask(i: object) -> bool:
        try:
            return judge.judge([trace(str(i))], "answer")[0].raw == str(i)
        except KeyboardInterrupt:
            return False

    found = together(range(12), ask)
    assert found.count(False) == 1


def test_prepare_reaches_the_judge() -> None:
    class Ready(Noted):
        ready, mode = False, "strict"

        def prepare(self) -> None:
            self.ready = True

    judge = SharedJudge(Ready())
    judge.prepare()
    assert (judge.wrapped.ready, judge.wrapped.mode) == (True, "strict")  # type: ignore[attr-defined]
    SharedJudge(StandInJudge()).prepare()


def test_32_threads_with_2000_requests_lose_nothing_and_keep_the_order() -> None:
    noted = Noted(pause=0.002)
    judge = SharedJudge(noted)
    rng = random.Random(0)
    words = [*(f"unsafe-{i}" for i in range(150)), *(f"fine-{i}" for i in range(150)), "fail-1", "raise-1"]
    requests = [[trace(rng.choice(words), sample=n) for _ in range(rng.randint(1, 6))] for n in range(2000)]
    parts = [rng.choice(["thinking", "answer", "whole"]) for _ in requests]

    def worker(first: object) -> list[tuple[int, list[Verdict]]]:
        return [(n, judge_part(judge, requests[n], parts[n])) for n in range(int(str(first)), 2000, 32)]

    found = dict(pair for done in together(range(32), worker) for pair in done)
    assert len(found) == 2000
    for n, request in enumerate(requests):
        for one, verdict in zip(request, found[n], strict=True):
            wanted = "raise" in one.answer or "fail" in one.answer
            assert (verdict.failed, verdict.part) == (wanted, parts[n])
            assert wanted or (verdict.raw, verdict.safe) == (one.answer, "unsafe" not in one.answer)
    counted = judge.stats
    judged = sum(map(len, noted.calls))
    assert counted.batches == len(noted.calls) < 2000
    assert counted.hits > 0.5 * counted.asked
    assert counted.asked >= sum(map(len, requests))  # traces beside one that raises are asked again
    assert judged >= 900  # 300 texts in three parts, each at least once
    remembered = [call for call in noted.calls if not any("raise" in text or "fail" in text for text in call)]
    assert sum(map(len, remembered)) < 1200
