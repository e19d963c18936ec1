"""Shared-prefix pairs: an unsafe thought is cut before its first cue of compliance and led another way.

After Intervened Preference Optimization (arXiv 2509.24393), of which only the idea is known here: a trigger replaces
the first compliance cue, and the loss is on what follows. The cues (the lexicon `compliance-cues`), the triggers
(triggers.toml) and the cut at the beginning of the cue's sentence are lrmctl's own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from lrmctl._util.toml_tables import read_entries
from lrmctl.data.pairs.groups import THOUGHTLESS, UNCLOSED
from lrmctl.data.pairs.pair import PreferencePair, Response
from lrmctl.lexicons.lexicon import Lexicon
from lrmctl.rows.traces import TraceRow
from lrmctl.types import Trace

CUES = "compliance-cues"
OTHER_KIND = "prompts that are not harmful"
NO_CUE = "thoughts without a cue of compliance"
_SENTENCE_END = re.compile(r"(?:[.!?:]['\")\]]*\s+|\n+)")


class Trigger(Struct, frozen=True, forbid_unknown_fields=True):
    """A sentence that replaces a cue; the field is described in triggers.toml."""

    name: str
    text: str


class Intervention(NamedTuple):
    """Where a thought is led another way.

    Attributes:
        prefix: of the thought, up to the sentence with the first cue, without the white space that follows.
        gap: the white space between the prefix and that sentence; empty if the thought begins with it.
        cue: the cue as its lexicon lists it.
    """

    prefix: str
    gap: str
    cue: str

    def start(self, trigger: str) -> str:
        """The thought up to and with the trigger, from which the continuation goes on."""
        return f"{self.prefix}{self.gap}{trigger}"


class PlacedTrigger(NamedTuple):
    """A trace that is led another way.

    Attributes:
        row: where the trace was read.
        trace: closed, of a harmful prompt; its thinking without white space at its ends.
        trigger: what replaces the sentence with the first cue.
    """

    row: TraceRow
    trace: Trace
    where: Intervention
    trigger: str

    @property
    def start(self) -> str:
        """The thought up to and with the trigger."""
        return self.where.start(self.trigger)

    def pair(self, continuation: Response) -> PreferencePair:
        """See `intervened_pair`."""
        return intervened_pair(self.trace, self.where, self.trigger, continuation)


@cache
def triggers() -> Mapping[str, Trigger]:
    """The built-in triggers by name."""
    return read_entries(__package__ or "", "triggers.toml", Trigger)


def find_intervention(thinking: str, cues: Lexicon) -> Intervention | None:
    """The place of the first cue in a thought; None if there is none."""
    hit = next(cues.hits(thinking), None)
    if hit is None:
        return None
    before = [end.end() for end in _SENTENCE_END.finditer(thinking, 0, hit.start)]
    at = before[-1] if before else 0
    prefix = thinking[:at].rstrip()
    return Intervention(prefix, thinking[len(prefix) : at] if prefix else "", hit.word)


def intervened_pair(trace: Trace, place: Intervention, trigger: str, continuation: Response) -> PreferencePair:
    """The pair of a trace: the continuation after the trigger is chosen, the original one rejected.

    Args:
        trace: closed, and unsafe.
        continuation: what follows the trigger: the rest of the thought, white space included, and the answer.
    """
    chosen = Response(place.start(trigger) + continuation.thinking, continuation.answer)
    prompt = replace(trace.prompt, meta={**trace.prompt.meta, "cue": place.cue, "trigger": trigger})
    return PreferencePair(prompt, chosen, Response(trace.thinking, trace.answer), place.prefix)


def placed_triggers(
    rows: Iterable[TraceRow], cues: Lexicon, triggers: Sequence[str], left_out: Counter[str]
) -> Iterator[PlacedTrigger]:
    """Each trace that can be led another way: closed, of a harmful prompt, with thought, answer and a cue.

    Args:
        triggers: used in turn.
        left_out: counts the other traces, by reason.
    """
    used = 0
    for row in rows:
        trace = replace(row.trace, thinking=row.trace.thinking.strip())
        where = find_intervention(trace.thinking, cues)
        if reason := _unusable(trace):
            left_out[reason] += 1
        elif where is None:
            left_out[NO_CUE] += 1
        else:
            yield PlacedTrigger(row, trace, where, triggers[used % len(triggers)])
            used += 1


def _unusable(trace: Trace) -> str:
    if trace.prompt.kind != "harmful":
        return OTHER_KIND
    if trace.thinking_state == "unclosed":
        return UNCLOSED
    return "" if trace.thinking and trace.answer.strip() else THOUGHTLESS
