"""Does the thought matter? Answers from thoughts that are cut short, and where in the thought the outcome settles.

The thought is cut between segments, closed, and the model answers at once (early answering, arXiv 2307.13702). If the
answer from a small part of the thought already is what the whole thought gives, the rest decides nothing. The segment
behind which the share of good answers changes most is the decisive one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lrmctl.analysis.cells import group, ratio
from lrmctl.analysis.continuations import AnswerGrader, ForcedThought, Progress, go_on
from lrmctl.analysis.segments import Cut, cut
from lrmctl.engines.base import Engine
from lrmctl.lexicons import Lexicon
from lrmctl.runs.eval_rows import EvalRow

FORMAT = 1
STEPS = 10
"""The curve has a point at each tenth of the thought, and one at its beginning."""
LISTED = 200
HALF = 0.5


class EarlyAnswers(NamedTuple):
    """The answers of one trace.

    Attributes:
        at: characters of the thought behind which it was cut, rising; 0 first, its length last.
        good: share of good answers from each place; None where none could be judged.
    """

    row: EvalRow
    at: tuple[int, ...]
    good: tuple[float | None, ...]

    @property
    def final(self) -> bool | None:
        """Whether most answers from the whole thought are good."""
        return self._most(-1)

    @property
    def settled(self) -> float | None:
        """The share of the thought from which on most answers are as from all of it: in [0, 1]."""
        if self.final is None:
            return None
        first = len(self.at) - 1
        while first and self._most(first - 1) is self.final:
            first -= 1
        return self.at[first] / max(1, self.at[-1])

    @property
    def decisive(self) -> tuple[int, float] | None:
        """The number of the segment that changes the share of good answers most, and by how much; None if none does."""
        changes = [
            (abs(b - a), i, b - a)
            for i, (a, b) in enumerate(zip(self.good, self.good[1:], strict=False))
            if a is not None and b is not None and a != b
        ]
        if not changes:
            return None
        _, segment, change = max(changes, key=lambda one: (one[0], -one[1]))
        return segment, change

    def same_at(self, share: float) -> bool | None:
        """Whether most answers from this share of the thought are as from all of it; the last cut before it counts."""
        most = self._most(max(i for i, at in enumerate(self.at) if at <= share * self.at[-1]))
        return None if most is None or self.final is None else most is self.final

    def _most(self, place: int) -> bool | None:
        """Whether most answers from a place are good."""
        good = self.good[place]
        return None if good is None else good > HALF


def cuts(thinking: str, by: Cut, lexicon: Lexicon, most: int) -> list[int]:
    """Where the thought is cut: its beginning, the ends of its segments (at most `most`, evenly spread), its end."""
    ends = [end for _, end, _ in cut(thinking, by, lexicon)][:-1]
    if len(ends) > most:
        ends = [ends[round((i + 1) * (len(ends) + 1) / (most + 1)) - 1] for i in range(most)]
    return [0, *ends, len(thinking)]


def answer_early(
    engine: Engine,
    grader: AnswerGrader,
    rows: Sequence[EvalRow],
    places: Sequence[Sequence[int]],
    store: Path,
    *,
    samples: int,
    temperature: float | None,
    max_new_tokens: int,
    on_progress: Progress | None = None,
) -> list[EarlyAnswers]:
    """Answers from every place of every row's thought.

    Args:
        places: of each row, see `cuts`.
        temperature: of the answers; that of the row if None.
        on_progress: called with (answers drawn, answers in all).
    """
    asked = [(row, at) for row, of in zip(rows, places, strict=True) for at in of]
    forced = [
        ForcedThought(
            row.trace.prompt, row.trace.thinking[:at], True, row.temperature if temperature is None else temperature
        )
        for row, at in asked
    ]
    traces = go_on(engine, forced, store, samples=samples, max_new_tokens=max_new_tokens, on_progress=on_progress)
    good = iter(grader.good([row for row, _ in asked], traces))
    return [
        EarlyAnswers(row, tuple(of), tuple(_share(next(good)) for _ in of))
        for row, of in zip(rows, places, strict=True)
    ]


def _share(good: Sequence[bool | None]) -> float | None:
    known = [one for one in good if one is not None]
    return sum(known) / len(known) if known else None


def early_cells(answers: Sequence[EarlyAnswers]) -> list[dict[str, Any]]:
    """The cells of `analysis/early.json`, by set, temperature and outcome.

    Returns:
        For each cell, with intervals over prompts: `curve`, at each tenth of the thought the share of traces whose
        answers are as those from the whole thought; `good`, the share of good answers there; `settled`, the mean
        share of the thought after which that no longer changes; `unmoved`, traces whose answer without any thought is
        the same as with all of it; and `decisive`, by trace the segment that changes most, the largest first.
    """
    known = [one for one in answers if one.final is not None]
    return [_cell(cell._asdict(), [one for _, one in members]) for cell, members in group((a.row, a) for a in known)]


def _cell(named: Mapping[str, Any], answers: Sequence[EarlyAnswers]) -> dict[str, Any]:
    shares = [i / STEPS for i in range(STEPS + 1)]
    decisive = [(one, found) for one in answers if (found := one.decisive) is not None]
    decisive.sort(key=lambda pair: -abs(pair[1][1]))
    return {
        **named,
        "traces": len(answers),
        "prompts": len({one.row.trace.prompt.id for one in answers}),
        "curve": [_mean([(one, one.same_at(share)) for one in answers]) for share in shares],
        "good": [_mean([(one, _good_at(one, share)) for one in answers]) for share in shares],
        "settled": _mean([(one, one.settled) for one in answers]),
        "unmoved": _mean([(one, one.settled == 0) for one in answers]),
        "decisive": [
            {
                "prompt": one.row.trace.prompt.id,
                "sample": one.row.trace.sample,
                "segment": segment,
                "start": one.at[segment],
                "end": one.at[segment + 1],
                "change": change,
            }
            for one, (segment, change) in decisive[:LISTED]
        ],
    }


def _good_at(one: EarlyAnswers, share: float) -> float | None:
    place = max(i for i, at in enumerate(one.at) if at <= share * one.at[-1])
    return one.good[place]


def _mean(values: Sequence[tuple[EarlyAnswers, float | bool | None]]) -> dict[str, Any]:
    known = [(one.row.trace.prompt.id, float(value)) for one, value in values if value is not None]
    return ratio([prompt for prompt, _ in known], [value for _, value in known], [1.0] * len(known)).to_json()
