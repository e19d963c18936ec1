"""Shared-prefix pairs: unsafe traces led another way by a trigger, with continuations that are sampled or given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lrmctl.data.pairs.groups import NARROW, UNSCORED, GroupedPairs
from lrmctl.data.pairs.intervene import PlacedTrigger, placed_triggers
from lrmctl.data.pairs.pair import PreferencePair, Response
from lrmctl.rows.traces import TraceRow, read_traces
from lrmctl.rows.values import missing, quoted_value
from lrmctl.training.pairs import rewards_of
from lrmctl.types import Trace

if TYPE_CHECKING:
    from lrmctl.lexicons import Lexicon
    from lrmctl.recipe.schema.recipes import RewardSection

OnProgress = Callable[[int, int], None]
NO_CONTINUATION = "thoughts of which no continuation ends"
_FIX = 'give `"continuation": {"thinking": ..., "answer": ...}`, what follows the trigger, or sample it with --model'


@dataclass(frozen=True)
class Sampler:
    """How continuations are sampled.

    Attributes:
        store: SQLite file of completions; what it holds is not drawn again.
    """

    model: str
    store: Path
    samples: int = 4
    temperature: float = 0.7
    max_new_tokens: int = 2048


def intervened_pairs(
    path: Path,
    cues: Lexicon,
    triggers: Sequence[str],
    *,
    sampler: Sampler | None = None,
    reward: RewardSection | None = None,
    min_gap: float = 0.0,
    on_progress: OnProgress | None = None,
) -> GroupedPairs:
    """One pair of each harmful prompt's trace that has a cue: what follows a trigger, against what followed the cue.

    Args:
        triggers: used in turn.
        sampler: None takes the rows' own `continuation`.
        reward: keeps a pair only if its chosen side scores higher, by at least `min_gap`; of several continuations the
            best. Without it the first one that ends is taken.

    Raises:
        NotFoundError, RecipeError: the file or a row's continuation cannot be read; the model cannot go on from text.
    """
    left_out, rows = Counter[str](), list(read_traces(path, kind=None))
    places = list(placed_triggers(rows, cues, triggers, left_out))
    continuations = _sampled(places, sampler, on_progress) if sampler else [[_given(place.row)] for place in places]
    pairs = []
    for place, found in zip(places, continuations, strict=True):
        made = [place.pair(one) for one in found]
        pairs.append([pair for pair in made if not pair.flaw])
        if not pairs[-1]:
            left_out[NO_CONTINUATION] += 1
    kept = [some[0] for some in pairs if some]
    if reward is not None:
        kept = list(_preferred(reward, [some for some in pairs if some], min_gap, left_out))
    return GroupedPairs(kept, len(rows), dict(left_out))


def _given(row: TraceRow) -> Response:
    """The continuation of a row.

    Raises:
        RecipeError: there is none, or it is not an object of two texts.
    """
    value: Any = row.row.get("continuation")
    if missing(value):
        raise row.row.wrong("the row has no continuation", "continuation", _FIX)
    thinking, answer = (value.get("thinking"), value.get("answer")) if isinstance(value, Mapping) else (None, None)
    if not isinstance(thinking, str) or not isinstance(answer, str):
        raise row.row.wrong(f"is {quoted_value(value)}", "continuation", _FIX)
    return Response(thinking, answer)


def _sampled(places: Sequence[PlacedTrigger], sampler: Sampler, on_progress: OnProgress | None) -> list[list[Response]]:
    """What the model says after each trigger, as far as it ends."""
    from lrmctl.analysis.continuations import ForcedThought, go_on
    from lrmctl.engines.factory import make_engine
    from lrmctl.recipe.schema.engines import HfOptions

    starts = [place.start for place in places]
    forced = [ForcedThought(place.trace.prompt, place.start, False, sampler.temperature) for place in places]
    drawn = go_on(
        make_engine(sampler.model, HfOptions()),
        forced,
        sampler.store,
        samples=sampler.samples,
        max_new_tokens=sampler.max_new_tokens,
        on_progress=on_progress,
    )
    return [
        [
            Response(trace.thinking.removeprefix(start), trace.answer)
            for trace in traces
            if trace.thinking_state == "closed" and trace.finish_reason == "stop" and trace.thinking.startswith(start)
        ]
        for start, traces in zip(starts, drawn, strict=True)
    ]


def _preferred(
    section: RewardSection, pairs: Sequence[Sequence[PreferencePair]], min_gap: float, left_out: Counter[str]
) -> Iterator[PreferencePair]:
    """The pair with the best chosen side of each place, if that is better than the rejected one."""
    flat = [trace for some in pairs for trace in (_trace(some[0], some[0].rejected), *_chosen(some))]
    rewards = iter(rewards_of(section, flat))
    for some in pairs:
        worse, better = next(rewards), [next(rewards) for _ in some]
        known = [(value, i) for i, value in enumerate(better) if value is not None]
        if worse is None or not known:
            left_out[UNSCORED] += 1
            continue
        value, i = max(known, key=lambda one: (one[0], -one[1]))
        if value <= worse or value - worse < min_gap:
            left_out[NARROW] += 1
            continue
        prompt = some[i].prompt
        meta = {**prompt.meta, "chosen_reward": value, "rejected_reward": worse}
        yield replace(some[i], prompt=replace(prompt, meta=meta))


def _chosen(pairs: Sequence[PreferencePair]) -> list[Trace]:
    return [_trace(pair, pair.chosen) for pair in pairs]


def _trace(pair: PreferencePair, side: Response) -> Trace:
    return Trace(pair.prompt, side.thinking, side.answer, "closed", "stop")
