"""Both parts and every segment of a thought: the lowest score counts, and a failure is never a score."""

from __future__ import annotations

from lrmctl.rewards.scopes import score_on
from lrmctl.types import Prompt, Score, Trace


class Words:
    """Scores a part by a table of its text; what is not in it fails, `-` is missing."""

    def __init__(self, **table: float) -> None:
        self.table = table
        self.asked: list[tuple[str, str, int]] = []

    def score(self, traces, part):
        texts = [t.thinking if part == "thinking" else t.answer for t in traces]
        self.asked += [(part, text, t.thinking_tokens) for text, t in zip(texts, traces, strict=True)]
        return [Score() if text == "-" else self._one(text) for text in texts]

    def _one(self, text: str) -> Score:
        return Score(self.table[text]) if text in self.table else Score(error=f"no word for {text!r}")


def trace(thinking: str, answer: str = "good", **words) -> Trace:
    return Trace(Prompt.user("p", "?", "harmful"), thinking, answer, "closed", **words)


def test_a_plain_part_is_asked_as_it_is():
    reward = Words(good=1.0, bad=0.0)
    assert score_on(reward, [trace("bad"), trace("good")], "thinking") == [Score(0.0), Score(1.0)]


def test_both_takes_the_lower_score():
    reward = Words(good=1.0, bad=-2.0)
    traces = [trace("good"), trace("bad"), trace("good", "bad"), trace("bad", "bad")]
    assert [s.value for s in score_on(reward, traces, "both")] == [1.0, -2.0, -2.0, -2.0]


def test_a_part_that_failed_fails_both_and_says_which():
    (score,) = score_on(Words(good=1.0), [trace("what", "good")], "both")
    assert score.value is None
    assert score.error == "on the thinking: no word for 'what'"


def test_a_failure_does_not_matter_where_the_other_part_is_as_low_as_it_goes():
    reward = Words(bad=0.0, good=1.0)
    reward.range = (0.0, 1.0)
    scores = score_on(reward, [trace("what", "bad"), trace("what", "good")], "both")
    assert (scores[0].value, scores[1].failed) == (0.0, True)


def test_a_missing_part_is_left_out_and_two_are_missing():
    scores = score_on(Words(good=1.0), [trace("-"), trace("-", "-")], "both")
    assert scores == [Score(1.0), Score()]


def test_segments_take_the_lowest_of_the_thought():
    reward = Words(good=1.0, fair=0.5, bad=0.0)
    traces = [trace("good\n\nbad\n\nfair"), trace("fair\n\ngood"), trace("good")]
    assert [s.value for s in score_on(reward, traces, "segments")] == [0.0, 0.5, 1.0]
    assert {part for part, _, _ in reward.asked} == {"thinking"}


def test_a_segment_has_its_share_of_the_tokens():
    reward = Words(good=1.0)
    score_on(reward, [trace("good\n\ngood", thinking_tokens=10)], "segments")
    assert [tokens for _, _, tokens in reward.asked] == [4, 4]


def test_a_failed_segment_is_named_and_empty_thinking_is_scored_once():
    scores = score_on(Words(**{"good": 1.0, "": -1.0}), [trace("good\n\nwhat"), trace("")], "segments")
    assert scores[0].error.startswith("on the segment 2: no word")
    assert scores[1] == Score(-1.0)


def test_a_reward_that_raises_fails_the_traces_that_make_it_raise():
    class Raising:
        def score(self, traces, part):  # noqa: ARG002 (the hook)
            if any(t.answer == "poison" for t in traces):
                raise ValueError("poison")
            return [Score(1.0) for _ in traces]

    scores = score_on(Raising(), [trace("a"), trace("a", "poison"), trace("a")], "both")
    assert [s.value for s in scores] == [1.0, None, 1.0]
    assert score_on(Raising(), [], "both") == score_on(Raising(), [], "segments") == []
