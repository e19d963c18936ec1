"""The built-in rewards that compare the samples of a prompt."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from lrmctl.errors import LrmctlError
from lrmctl.rewards.base import make_reward
from lrmctl.rewards.builtin.group import Diversity, RelativeHelpfulness
from lrmctl.rewards.builtin.pairwise import Pairwise
from lrmctl.testing import check_reward
from lrmctl.types import Part, Prompt, Score, Trace, Verdict

ASKED = Prompt.user("p", "How do I open it?", "benign")
LENGTH = {"reward": "length", "reward_options": {"low": 9, "high": 9, "falloff": 10}}
"""More words are better, up to nine."""


def good(answer: str) -> Trace:
    return Trace(ASKED, "I see.", answer, "closed")


def cut(answer: str = "a b") -> Trace:
    return Trace(ASKED, "I see.", answer, "closed", "length")


def values(reward: Any, traces: Sequence[Trace], part: Part = "answer") -> list[float | None]:
    return [score.value for score in reward.score_group(traces, part)]


def words(*counts: int) -> list[Trace]:
    return [good(" ".join(f"w{i}" for i in range(n))) for n in counts]


class ByText:
    """Stands for another reward or judge: its values are in a table."""

    def __init__(self, **said: Any) -> None:
        self.said, self.asked = said, list[str]()

    def prepare(self) -> None: ...

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:  # noqa: ARG002 (the hook's signature)
        return [self.said[t.answer] for t in traces]


def test_ranking_turns_scores_into_ranks_with_ties_averaged() -> None:
    ranking = make_reward("ranking", LENGTH)
    assert values(ranking, words(1, 5, 5, 9)) == [0.0, 0.5, 0.5, 1.0]
    assert values(ranking, words(4, 4, 4)) == [0.5, 0.5, 0.5]
    assert ranking.score_group(words(9, 1), "answer")[0].logs == {"score": 1.0}


def test_ranking_puts_bad_form_below_everyone() -> None:
    ranking = make_reward("ranking", LENGTH)
    assert values(ranking, [cut(), *words(1, 9), cut()]) == [0.0, 2 / 3, 1.0, 0.0]
    assert values(ranking, [cut(), cut()]) == [0.0, 0.0]
    assert values(ranking, [cut(), *words(1)]) == [0.0, 1.0]


def test_ranking_leaves_out_what_has_no_score_and_fails_what_failed() -> None:
    ranking: Any = make_reward("ranking", LENGTH)
    ranking._reward = ByText(a=Score(1.0), b=Score(), c=Score(error="gone"), d=Score(2.0))
    a, b, c, d = ranking.score_group([good(text) for text in "abcd"], "answer")
    assert (a.value, d.value) == (0.0, 1.0)
    assert b.missing
    assert c.error == "gone"
    assert ranking.score_group([good("a"), good("b")], "answer")[0].missing  # nobody to rank it among


def test_diversity_is_one_minus_the_mean_similarity_to_the_others() -> None:
    same, near, far = good("one two three four"), good("one two three five"), good("six seven eight nine")
    assert values(Diversity(n=3), [same, same]) == [0.0, 0.0]
    # of the 3-grams of the first two, one of three is common
    assert values(Diversity(n=3), [same, near, far]) == pytest.approx([1 - 1 / 6, 1 - 1 / 6, 1.0])
    assert values(Diversity(n=3), [good("Yes."), good("yes"), far]) == pytest.approx([0.5, 0.5, 1.0])


def test_bad_form_is_not_diverse_and_makes_nobody_else_so() -> None:
    far = good("six seven eight nine")
    assert values(Diversity(), [far, far, cut("an odd one"), good("")]) == [0.0, 0.0, 0.0, 0.0]
    assert values(Diversity(), [far, cut()]) == [0.0, 0.0]


def test_pairwise_by_a_reward_is_the_share_of_wins() -> None:
    pairwise = make_reward("pairwise", LENGTH)
    assert values(pairwise, words(1, 5, 5, 9)) == pytest.approx([0.0, 0.5, 0.5, 1.0])
    assert values(pairwise, [cut(), *words(1, 9), cut()]) == pytest.approx([0.0, 2 / 3, 1.0, 0.0])


def test_with_neighbours_each_sample_meets_as_many_on_both_sides_whatever_the_order() -> None:
    traces = words(*range(1, 9))
    few = Pairwise(**LENGTH, neighbours=2)
    pairs = list(few._pairs(range(8), traces, "answer"))
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 16
    assert {sum(i in pair for pair in pairs) for i in range(8)} == {4}
    everyone = list(Pairwise(**LENGTH)._pairs(range(8), traces, "answer"))
    assert len(everyone) == len({frozenset(pair) for pair in everyone}) == 28
    order = random.Random(1).sample(range(8), 8)
    shuffled = values(few, [traces[i] for i in order])
    assert [shuffled[order.index(i)] for i in range(8)] == values(few, traces)


class Prefers:
    """A judge model that prefers the longer of two, and says Yes more readily to what it sees first."""

    name, version, parallel = "yes-no", "1", 1

    def __init__(self, bias: float = 0.3) -> None:
        self.bias, self.calls, self.seen = bias, 0, list[str]()

    def prepare(self) -> None: ...

    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        self.calls += len(traces)
        found = []
        for shown in traces:
            self.seen.append(shown.answer)
            first, second = shown.answer.split("\n\n[second")
            p = min(1.0, max(0.0, 0.5 + 0.01 * (len(first) - len(second)) + self.bias))
            error = "gone" if "poison" in shown.answer else ""
            found.append(Verdict(self.name, self.version, part, p_unsafe=None if error else p, error=error))
        return found


def judged(monkeypatch: pytest.MonkeyPatch, judge: Any) -> Pairwise:
    monkeypatch.setattr("lrmctl.rewards.builtin.pairwise.make_judge", lambda *_: judge)
    return Pairwise(model="some/judge")


def test_pairwise_by_a_judge_asks_in_both_orders_so_that_position_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge = Prefers()
    pairwise = judged(monkeypatch, judge)
    assert values(pairwise, words(1, 5, 5, 9)) == pytest.approx([0.0, 0.5, 0.5, 1.0])
    assert judge.calls == 12
    assert all("[first " in text and "[second " in text for text in judge.seen)


def test_a_comparison_that_fails_fails_the_two_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    pairwise = judged(monkeypatch, Prefers())
    pairwise._neighbours = 1
    scores = pairwise.score_group([good("poison"), *words(1, 2, 3, 4)], "answer")
    assert sum(score.failed for score in scores) == 3  # itself and its two neighbours
    assert "judge yes-no on two responses: gone" in scores[0].error


def test_pairwise_needs_a_model_or_a_reward() -> None:
    for options in ({}, {"model": "some/judge", "reward": "length"}):
        with pytest.raises(LrmctlError, match="exactly one of `model`"):
            make_reward("pairwise", options)


def helpful(monkeypatch: pytest.MonkeyPatch, judge: Any, **said: Score) -> RelativeHelpfulness:
    monkeypatch.setattr("lrmctl.rewards.builtin.group.make_judge", lambda *_: judge)
    monkeypatch.setattr("lrmctl.rewards.builtin.group.make_inner_reward", lambda *_: ByText(**said))
    return RelativeHelpfulness("some-judge")


class Refusals(Prefers):
    def judge(self, traces: Sequence[Trace], part: Part) -> list[Verdict]:
        said: dict[str, bool | None] = {"no": True, "silent": None}
        return [Verdict("refusals", "1", part, refused=said.get(t.answer, False)) for t in traces]


def test_helpfulness_is_what_lies_above_the_mean_unless_the_answer_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    reward = helpful(monkeypatch, Refusals(), a=Score(1.0), b=Score(3.0), no=Score(5.0))
    # mean 3, deviation sqrt(8 / 3)
    assert values(reward, [good("a"), good("b"), good("no"), cut()]) == [0.0, 0.0, 0.0, 0.0]
    reward = helpful(monkeypatch, Refusals(), a=Score(5.0), b=Score(3.0), no=Score(1.0))
    assert values(reward, [good("a"), good("b"), good("no")]) == pytest.approx([2 / (8 / 3) ** 0.5, 0.0, 0.0])
    equal = helpful(monkeypatch, Refusals(), a=Score(0.1), b=Score(0.1))
    assert values(equal, [good("a"), good("b"), good("a")]) == [0.0, 0.0, 0.0]


def test_helpfulness_fails_without_the_two_things_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    reward = helpful(monkeypatch, Refusals(), a=Score(1.0), silent=Score(2.0), b=Score(error="gone"))
    a, silent, b = reward.score_group([good("a"), good("silent"), good("b")], "answer")
    assert not a.failed
    assert "does not say whether the answer refuses" in silent.error
    assert b.error == "gone"
    assert all(s.failed for s in reward.score_group([good("a"), good("a")], "thinking"))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ranking", LENGTH),
        ("pairwise", LENGTH),
        ("pairwise", {**LENGTH, "neighbours": 1}),
        ("diversity", {}),
        ("diversity", {"n": 1, "thinking": "optional"}),
        ("relative-helpfulness", {"judge": "refusal-phrases", "helpful": "language"}),
    ],
)
def test_they_keep_the_contract(name: str, options: dict[str, Any]) -> None:
    check_reward(make_reward(name, options))
