"""Scopes of a reward beyond the three parts of a trace: both parts, and every segment of the thinking.

`both` is the lower of the scores on thinking and answer; `segments` the lowest of the scores on the segments of the
thinking, each scored as the thinking of its trace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lrmctl.hooks.adapt import adapted
from lrmctl.hooks.specs import Reward
from lrmctl.rewards.base import score_group_part, score_part
from lrmctl.types import Scope, Score, Trace


def score_on(reward: Reward, traces: Sequence[Trace], scope: Scope) -> list[Score]:
    """One score per trace, in order; never raises.

    Of several scores on one trace the lowest counts; missing ones are left out. A failed one fails the trace, unless
    another is at the lower end of the reward's declared `range`, which the failed one could not change.
    """
    reward = adapted("reward", reward)
    if scope == "both":
        both = (score_part(reward, traces, "thinking"), score_part(reward, traces, "answer"))
        return [_lowest({"thinking": t, "answer": a}, reward) for t, a in zip(*both, strict=True)]
    if scope == "segments":
        return _segments(reward, traces)
    return score_part(reward, traces, scope)


def score_group_on(reward: Reward, traces: Sequence[Trace], scope: Scope) -> list[Score]:
    """The same for the samples of one prompt and a reward that compares them. `segments` fails: the samples have
    different numbers of them."""
    reward = adapted("reward", reward)
    if scope == "both":
        both = (score_group_part(reward, traces, "thinking"), score_group_part(reward, traces, "answer"))
        return [_lowest({"thinking": t, "answer": a}, reward) for t, a in zip(*both, strict=True)]
    if scope == "segments":
        return [Score(error="a reward that compares samples cannot be applied to segments")] * len(traces)
    return score_group_part(reward, traces, scope)


def _segments(reward: Reward, traces: Sequence[Trace]) -> list[Score]:
    """A trace without thinking is scored once, unchanged: rewards handle empty thinking."""
    from lrmctl.judges.scopes import segments_of

    pieces = [[_with(trace, text) for text in segments_of(trace.thinking)] or [trace] for trace in traces]
    scores = iter(score_part(reward, [piece for some in pieces for piece in some], "thinking"))
    return [_lowest({f"segment {i}": next(scores) for i in range(1, len(some) + 1)}, reward) for some in pieces]


def _with(trace: Trace, segment: str) -> Trace:
    """The trace with one segment as its thinking; token counts in proportion to characters."""
    share, all_of = len(segment) / max(1, len(trace.thinking)), trace.thinking_tokens
    return replace(trace, thinking=segment, thinking_tokens=None if all_of is None else round(all_of * share))


def _lowest(scores: Mapping[str, Score], reward: Reward) -> Score:
    values = {name: score.value for name, score in scores.items() if score.value is not None}
    name = min(values, key=lambda n: values[n], default="")
    bottom = reward.range[0]
    failed = next(((n, score) for n, score in scores.items() if score.failed), None)
    if failed and (not name or values[name] > bottom):
        return replace(failed[1], error=f"on the {failed[0]}: {failed[1].error}")
    return scores[name] if name else Score()
