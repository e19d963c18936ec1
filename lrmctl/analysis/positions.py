"""Where in a thought its reflections stand, and which of them change its course.

A position is a share of the thought's length, 0 at its beginning and 1 at its end, so that long and short thoughts can
be laid over each other. A hit of a word list is a surface fact; whether the thought then goes on to something new is
measured by the words that follow it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from lrmctl.lexicons import Hit

BINS = 10
"""Of the histogram over relative position."""
GRAM = 3
"""Words in a row that are compared."""
NEW = 0.5
"""Share of the word triples after a reflection that have to be new for it to have changed the course."""
_WORDS = re.compile(r"\w+(?:['\u2019.,]\w+)*")


class ReflectionProfile(NamedTuple):
    """The reflections of one thought.

    Attributes:
        hits: how many there are.
        first: relative position of the first one in [0, 1); None without one.
        gaps: lengths between neighbours, as shares of the thought.
        bins: hits in each tenth of the thought: [BINS].
        novelty: of each hit, the share of word triples in the text up to the next one (or the end) that the thought
            has not said before; None where too few words follow for a triple.
    """

    hits: int
    first: float | None
    gaps: tuple[float, ...]
    bins: tuple[int, ...]
    novelty: tuple[float | None, ...]

    @property
    def depth(self) -> int:
        """Reflections that change the course: what follows is new by at least half."""
        return sum(value is not None and value >= NEW for value in self.novelty)


def profile(text: str, hits: Sequence[Hit]) -> ReflectionProfile:
    """Positions and novelty of the hits of one thought.

    Hits that stand side by side (`Wait. Hmm,`) share the text that follows the last of them, which counts for that one.
    """
    places = [hit.start / len(text) for hit in hits]
    bins = [0] * BINS
    for place in places:
        bins[min(BINS - 1, int(place * BINS))] += 1
    gaps = tuple(b - a for a, b in pairwise(places))
    return ReflectionProfile(len(hits), places[0] if places else None, gaps, tuple(bins), _novelty(text, hits))


def _novelty(text: str, hits: Sequence[Hit]) -> tuple[float | None, ...]:
    if not hits:
        return ()
    words = [(found[0].lower(), found.start()) for found in _WORDS.finditer(text)]
    said: set[tuple[str, ...]] = set()
    found: list[float | None] = []
    at = 0
    ends = [hit.start for hit in hits[1:]] + [len(text)]
    for bound, end in [(0, hits[0].start), *zip((hit.end for hit in hits), ends, strict=True)]:
        while at < len(words) and words[at][1] < bound:
            at += 1
        segment = []
        while at < len(words) and words[at][1] < end:
            segment.append(words[at][0])
            at += 1
        grams = [tuple(segment[i : i + GRAM]) for i in range(len(segment) - GRAM + 1)]
        found.append(sum(gram not in said for gram in grams) / len(grams) if grams else None)
        said.update(grams)
    return tuple(found[1:])
