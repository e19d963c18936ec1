"""Finds exact duplicates (by normalised text) and near duplicates (by word sequence).

Two texts are near duplicates if rapidfuzz's Indel similarity of their word sequences is at least `THRESHOLD`: twice the
length of the longest common subsequence over the words of both. The result is exact although few pairs are compared: a
deleted word breaks two pairs of neighbouring words and an inserted one breaks one, so near texts share most pairs
(Gravano et al., VLDB 2001), and sets with that overlap share one of their few rarest members (Bayardo et al., WWW
2007).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

from lrmctl._util.words import folded, words_of

THRESHOLD = 0.9
"""Corresponds to one word in ten replaced, or one in five left out."""
_LENGTHS = THRESHOLD / (2 - THRESHOLD)
"""Smallest ratio of the lengths of two near duplicates."""

Words = tuple[str, ...]


def normalised(text: str) -> str:
    """Normalized words (see `lrmctl._util.words`) separated by single spaces, without punctuation.

    In a script without spaces each character is a word; full-width, composed and decomposed letters are equal. A text
    of only symbols keeps its symbols.
    """
    return " ".join(words_of(text)) or " ".join(folded(text).split())


def similarity(a: Words, b: Words) -> float:
    """Twice the length of the longest common subsequence over the words of both; 0 below `THRESHOLD`."""
    from rapidfuzz.distance import Indel

    return Indel.normalized_similarity(a, b, score_cutoff=THRESHOLD)


@dataclass(frozen=True)
class NearMatch:
    """A text of one list (`index`) and the first text of another (or the same) list that it duplicates."""

    index: int
    other: int
    exact: bool


class Corpus:
    """Distinct normalised texts, with an index that is built on the first search for near duplicates."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._first: dict[str, int] = {}
        self._copies: list[NearMatch] = []
        for i, text in enumerate(map(normalised, texts)):
            if text in self._first:
                self._copies.append(NearMatch(i, self._first[text], True))
            else:
                self._first[text] = i

    def duplicates(self) -> list[NearMatch]:
        """Texts that duplicate an earlier one of this corpus, each once, exact copies first."""
        return [*self._copies, *(NearMatch(i, other, False) for i, other in self._near.items())]

    def matches(self, texts: Sequence[str]) -> list[NearMatch]:
        """Which of `texts` occur in this corpus, exactly or nearly; `other` is the index in this corpus."""
        found = []
        for i, text in enumerate(map(normalised, texts)):
            if text in self._first:
                found.append(NearMatch(i, self._first[text], True))
            elif (other := self._find(tuple(text.split()), self._index)) is not None:
                found.append(NearMatch(i, other, False))
        return found

    @cached_property
    def _words(self) -> dict[int, Words]:
        return {index: tuple(text.split()) for text, index in self._first.items()}

    @cached_property
    def _counts(self) -> Counter[str]:
        return Counter(pair for words in self._words.values() for pair in _pairs(words))

    @cached_property
    def _near(self) -> dict[int, int]:
        """Near duplicate -> the earlier text that it duplicates."""
        near: dict[int, int] = {}
        index: dict[str, list[int]] = {}
        for i, words in self._words.items():
            other = self._find(words, index)
            if other is None:
                self._enter(i, words, index)
            else:
                near[i] = other
        return near

    @cached_property
    def _index(self) -> dict[str, list[int]]:
        """Every text, indexed by its rarest pairs."""
        index: dict[str, list[int]] = {}
        for i, words in self._words.items():
            self._enter(i, words, index)
        return index

    def _enter(self, i: int, words: Words, index: dict[str, list[int]]) -> None:
        for pair in self._rarest(words):
            index.setdefault(pair, []).append(i)

    def _find(self, words: Words, index: dict[str, list[int]]) -> int | None:
        """A text of the index that is a near duplicate of these words."""
        seen: set[int] = set()
        shortest, longest = len(words) * _LENGTHS, len(words) / _LENGTHS
        for pair in self._rarest(words):
            for other in index.get(pair, ()):
                if other in seen:
                    continue
                seen.add(other)
                candidate = self._words[other]
                if shortest <= len(candidate) <= longest and similarity(words, candidate):
                    return other
        return None

    def _rarest(self, words: Words) -> list[str]:
        """The rarest pairs, of which any near duplicate shares at least one; rarest first."""
        ordered = sorted(_pairs(words), key=lambda pair: (self._counts[pair], pair))
        return ordered[: _most_broken(len(words)) + 1]


def _pairs(words: Words) -> Iterator[str]:
    """Pairs of neighbouring words; repeated pairs are numbered, so that all are distinct."""
    seen: Counter[str] = Counter()
    for pair in map(" ".join, pairwise(words)):
        seen[pair] += 1
        yield pair if seen[pair] == 1 else f"{pair} {seen[pair]}"


@lru_cache
def _most_broken(length: int) -> int:
    """Most pairs of a text with `length` words that a near duplicate can lack.

    With d words deleted and i inserted, d + i <= (1 - T) (2 length - d + i), and at most 2 d + i pairs are broken.
    """
    room = 2 * (1 - THRESHOLD) * length + 1e-9
    taken = range(int(room / (2 - THRESHOLD)) + 1)
    return max(2 * d + int((room - d * (2 - THRESHOLD)) / THRESHOLD) for d in taken)
