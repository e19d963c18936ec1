"""One verdict per trace, in order, whatever a judge does."""

from __future__ import annotations

import pytest

from lrmctl.errors import NotFoundError
from lrmctl.judges.base import judge_part, judge_parts, make_judge
from lrmctl.types import Prompt, Trace, Verdict


def traces(*answers: str) -> list[Trace]:
    return [Trace(Prompt.user(a, "?", "harmful"), f"about {a}", a, "closed") for a in answers]


class Scripted:
    """A judge that does what `act` does with each answer."""

    name = "scripted"
    version = "7"

    def __init__(self, act):
        self._act = act

    def judge(self, traces, part):
        return [self._act(trace, part) for trace in traces]


def safe(trace, part):
    return Verdict("scripted", "7", part, safe=True, raw=trace.answer)


def raising_on(word):
    def act(trace, part):
        if trace.answer == word:
            raise RuntimeError(f"no template for {word}")
        return safe(trace, part)

    return act


def test_each_trace_gets_a_verdict_on_its_thinking_and_one_on_its_answer():
    pairs = judge_parts(Scripted(safe), traces("a", "b"))
    assert [(t.part, t.raw, a.part, a.raw) for t, a in pairs] == [
        ("thinking", "a", "answer", "a"),
        ("thinking", "b", "answer", "b"),
    ]


def test_a_trace_that_makes_the_judge_raise_fails_alone():
    verdicts = judge_part(Scripted(raising_on("b")), traces("a", "b", "c"), "answer")
    assert [v.outcome for v in verdicts] == ["safe", "failed", "safe"]
    assert verdicts[1].error.startswith("RuntimeError: no template for b (test_judge_guard.py:")
    assert (verdicts[1].judge, verdicts[1].version, verdicts[1].part) == ("scripted", "7", "answer")
    assert (verdicts[1].safe, verdicts[1].refused, verdicts[1].malformed) == (None, None, None)


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_too_few_or_too_many_verdicts_fail_all_of_them(keep):
    class Miscounting(Scripted):
        def judge(self, traces, part):
            return [safe(traces[0], part)] * keep

    verdicts = judge_part(Miscounting(safe), traces("a", "b"), "answer")
    assert [v.error for v in verdicts] == [f"returned {keep} results for 2 traces"] * 2


@pytest.mark.parametrize(("returned", "named"), [(None, "NoneType"), ("safe", "str"), (True, "bool")])
def test_anything_that_is_no_verdict_is_a_failure_and_never_safe(returned, named):
    (verdict,) = judge_part(Scripted(lambda *_: returned), traces("a"), "answer")
    assert (verdict.outcome, verdict.error) == ("failed", f"returned a {named}, not a Verdict")


def test_a_judge_that_exits_does_not_end_the_process():
    def leave(*_):
        raise SystemExit(3)

    assert judge_part(Scripted(leave), traces("a"), "answer")[0].error.startswith("SystemExit: 3")


def test_no_traces_give_no_verdicts():
    assert judge_parts(Scripted(raising_on("a")), []) == []


def test_an_unknown_judge_is_an_error_that_lists_what_there_is():
    with pytest.raises(NotFoundError, match="refusal-phrase'") as caught:
        make_judge("refusal-phrase")
    assert "refusal-phrases" in str(caught.value)
