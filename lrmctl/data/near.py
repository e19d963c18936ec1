"""Texts that are the same, or nearly: exact by normalised text, near by the overlap of their word triples.

Near is a Jaccard similarity of the sets of word triples of at least `THRESHOLD`. The answer is exact: two sets that are
that similar share one of their few rarest members, so only texts that share one are compared (prefix filtering, Bayardo
et al., WWW 2007). Hashing (MinHash) would be approximate, and its library takes a second to import.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil

THRESHOLD = 0.8
"""0.8 of a text's word triples: one word changed in about thirty."""
_WORDS = 3


def normalised(text: str) -> str:
    """Words in lower case, one space between them, punctuation left out."""
    return " ".join(re.findall(r"\w+", text.casefold()))


def triples(text: str) -> frozenset[str]:
    """The runs of three words of a normalised text; a shorter text is its own only run."""
    words = text.split()
    return frozenset(" ".join(words[i : i + _WORDS]) for i in range(max(1, len(words) - _WORDS + 1)))


def jaccard(a: frozenset[str], b: frozenset[str]) -> float:
    """Shared runs over all runs."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared) if a or b else 1.0


@dataclass(frozen=True)
class Match:
    """A text of one list (`index`) and the first text of another (or the same) list that it repeats."""

    index: int
    other: int
    exact: bool


class Corpus:
    """Distinct normalised texts, and an index over them that is built when near matches are first asked for."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._first: dict[str, int] = {}
        self._copies: list[Match] = []
        for i, text in enumerate(map(normalised, texts)):
            if text in self._first:
                self._copies.append(Match(i, self._first[text], True))
            else:
                self._first[text] = i

    def duplicates(self) -> list[Match]:
        """Texts that repeat an earlier one of this corpus, each counted once, exact copies first."""
        return [*self._copies, *(Match(i, other, False) for i, other in self._near.items())]

    def matches(self, texts: Sequence[str]) -> list[Match]:
        """Which of `texts` this corpus holds, exactly or nearly; `other` is the place in this corpus."""
        found = []
        _ = self._near  # fills the index
        for i, text in enumerate(map(normalised, texts)):
            if text in self._first:
                found.append(Match(i, self._first[text], True))
            elif (other := self._find(triples(text))) is not None:
                found.append(Match(i, other, False))
        return found

    @cached_property
    def _runs(self) -> dict[int, frozenset[str]]:
        return {index: triples(text) for text, index in self._first.items()}

    @cached_property
    def _counts(self) -> Counter[str]:
        return Counter(run for runs in self._runs.values() for run in runs)

    @cached_property
    def _near(self) -> dict[int, int]:
        """The earlier text that each near duplicate repeats; the others fill the index on the way."""
        near: dict[int, int] = {}
        for i, runs in self._runs.items():
            other = self._find(runs)
            if other is not None:
                near[i] = other
                continue
            for run in self._rarest(runs):
                self._index.setdefault(run, []).append(i)
        return near

    @cached_property
    def _index(self) -> dict[str, list[int]]:
        return {}

    def _find(self, runs: frozenset[str]) -> int | None:
        """A text of the index that is near to these runs."""
        seen: set[int] = set()
        for run in self._rarest(runs):
            for other in self._index.get(run, ()):
                if other not in seen and jaccard(runs, self._runs[other]) >= THRESHOLD:
                    return other
                seen.add(other)
        return None

    def _rarest(self, runs: frozenset[str]) -> Iterator[str]:
        """The members that any set this similar shares at least one of, rarest first."""
        ordered = sorted(runs, key=lambda run: (self._counts[run], run))
        return iter(ordered[: len(runs) - ceil(THRESHOLD * len(runs)) + 1])
