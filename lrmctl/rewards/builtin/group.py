"""Rewards that place a response among the other samples of its prompt: by another reward, or by how much it differs.

In all of them bad form (cut, empty, unclosed) is the worst, whatever the others are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, pstdev
from typing import Any

from lrmctl._util.words import words_of
from lrmctl.hooks.specs import GroupReward
from lrmctl.judges.base import judge_part, make_judge
from lrmctl.judges.templates.base import part_text
from lrmctl.rewards.base import make_inner_reward, score_part
from lrmctl.rewards.builtin.format import FormatRules, Thinking
from lrmctl.rewards.builtin.judged import why
from lrmctl.rewards.builtin.options import whole_number
from lrmctl.types import Part, Score, Trace, Verdict


class Ranking(GroupReward):
    """Another reward's rank among the samples of the prompt.

    Formula: (rank - 1) / (n - 1) over the n samples that the other reward scored, the lowest score first; equal scores
    get the mean of their ranks, so that a group of equal scores is 0.5 throughout. Bad form is 0 and ranks below
    everyone. A sample that the other reward does not score has no rank, and one on which it fails has failed.
    Range: [0, 1].
    Source: ours. Ranks keep the order of a reward and drop its scale and its outliers.

    Args:
        reward: registered reward, which scores single traces.
        reward_options: its options.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
    """

    range = (0.0, 1.0)

    def __init__(
        self, reward: str, reward_options: Mapping[str, Any] | None = None, thinking: Thinking = "required"
    ) -> None:
        self._reward = make_inner_reward(reward, dict(reward_options or {}))
        self._form = FormatRules(thinking)

    def prepare(self) -> None:
        """Load the models of the other reward now instead of at the first trace."""
        self._reward.prepare()

    def score_group(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        from scipy.stats import rankdata

        good = [i for i, trace in enumerate(traces) if self._form.holds(trace, part)]
        scores = dict(zip(good, score_part(self._reward, [traces[i] for i in good], part), strict=True))
        values = {i: score.value for i, score in scores.items() if score.value is not None}
        below = len(traces) - len(good)  # those in bad form
        ranks = dict(zip(values, rankdata(list(values.values()), method="average"), strict=True))
        last = below + len(values) - 1
        found = []
        for i in range(len(traces)):
            if i not in scores:
                found.append(Score(0.0))
            elif i in ranks and last > 0:
                found.append(Score((below + float(ranks[i]) - 1.0) / last, logs={"score": values[i]}))
            else:
                found.append(scores[i] if scores[i].failed else Score())
        return found


class Diversity(GroupReward):
    """How much a response differs from the other samples of the prompt.

    Formula: 1 - the mean over the other samples of |A and B| / |A or B|, where A and B are the sets of n-grams of words
    of the two texts (Jaccard's index). Case and punctuation do not count; a text of fewer than n words is one n-gram.
    Samples in bad form get 0, and the others are not compared with them; 0 if there is nobody to compare with.
    Range: [0, 1].
    Source: ours.

    Args:
        n: words in an n-gram.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
    """

    range = (0.0, 1.0)

    def __init__(self, n: int = 3, thinking: Thinking = "required") -> None:
        self._n, self._form = whole_number("n", n), FormatRules(thinking)

    def score_group(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        good = {i: self._grams(part_text(t, part)) for i, t in enumerate(traces) if self._form.holds(t, part)}
        return [Score(self._difference(i, good)) for i in range(len(traces))]

    def _difference(self, i: int, good: Mapping[int, frozenset[tuple[str, ...]]]) -> float:
        if i not in good or len(good) < 2:
            return 0.0
        return 1.0 - math.fsum(_similarity(good[i], g) for j, g in good.items() if j != i) / (len(good) - 1)

    def _grams(self, text: str) -> frozenset[tuple[str, ...]]:
        words = words_of(text)
        n = min(self._n, len(words))
        return frozenset(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _similarity(a: frozenset[tuple[str, ...]], b: frozenset[tuple[str, ...]]) -> float:
    return len(a & b) / len(a | b) if a or b else 1.0


class RelativeHelpfulness(GroupReward):
    """Helpfulness relative to the other samples of the prompt, and nothing for a refusal.

    Formula: max((r - mean) / std, 0) with the helpfulness r of the answer, its mean and population standard deviation
    over the samples of the prompt; 0 if the answer refuses, for bad form, and if all are equally helpful. A sample in
    bad form is in no mean; refusals are in them.
    Range: [0, inf); at most sqrt(n - 1) for n samples.
    Source: the helpfulness reward of AlphaAlign (arXiv 2507.14987), after a third party's note; bad form, the standard
    deviation's divisor and what a failure does are ours.

    Args:
        judge: registered judge that says whether an answer refuses.
        helpful: registered reward that gives r, computed on the answer.
        judge_options, helpful_options: their options.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
    """

    range = (0.0, math.inf)

    def __init__(
        self,
        judge: str,
        helpful: str = "reward-model",
        judge_options: Mapping[str, Any] | None = None,
        helpful_options: Mapping[str, Any] | None = None,
        thinking: Thinking = "required",
    ) -> None:
        self._judge = make_judge(judge, dict(judge_options or {}))
        self._helpful = make_inner_reward(helpful, dict(helpful_options or {}))
        self._form = FormatRules(thinking)

    def prepare(self) -> None:
        """Load both models now instead of at the first trace."""
        self._judge.prepare()
        self._helpful.prepare()

    def score_group(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        if part == "thinking":
            return [Score(error="thinking does not show whether the request was refused") for _ in traces]
        good = [i for i, trace in enumerate(traces) if self._form.holds(trace, part)]
        helpful = dict(zip(good, score_part(self._helpful, [traces[i] for i in good], "answer"), strict=True))
        values = [score.value for score in helpful.values() if score.value is not None]
        mean, deviation = (fmean(values), pstdev(values)) if len(set(values)) > 1 else (0.0, 0.0)
        verdicts = dict(zip(good, judge_part(self._judge, [traces[i] for i in good], "answer"), strict=True))
        return [
            self._score(helpful[i], verdicts[i], mean, deviation) if i in helpful else Score(0.0)
            for i in range(len(traces))
        ]

    def _score(self, helpful: Score, verdict: Verdict, mean: float, deviation: float) -> Score:
        if helpful.value is None:
            return Score(error=helpful.error or "the helpfulness of the answer is missing")
        if verdict.failed or verdict.refused is None:
            what = why(verdict) if verdict.failed else f"judge {verdict.judge} does not say whether the answer refuses"
            return Score(error=what)
        logs = {"helpful": helpful.value}
        if verdict.refused or not deviation:
            return Score(0.0, logs=logs)
        return Score(max((helpful.value - mean) / deviation, 0.0), logs=logs)
