"""Shared-prefix pairs: an unsafe thought is cut before its first cue of compliance and led another way.

After Intervened Preference Optimization (arXiv 2509.24393), of which only the idea is known here: a trigger replaces
the first compliance cue, and the loss is on what follows. The cues (the lexicon `compliance-cues`), the triggers
(triggers.toml) and the cut at the beginning of the cue's sentence are lrmctl's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from msgspec import Struct

from lrmctl._util.toml_tables import read_entries
from lrmctl.data.pairs.pair import PreferencePair, Response
from lrmctl.lexicons.lexicon import Lexicon
from lrmctl.types import Trace

CUES = "compliance-cues"
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
