"""The texts that a fitted judge reads of a trace, and what is far from those that it was fitted on.

Knows no classifier. A field is a part of a trace and the n-grams that are counted in it.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct

from lrmctl._util.words import folded, scripts_in
from lrmctl.judges.templates.base import part_text
from lrmctl.types import Part, Trace

WORD = r"(?u)\b\w+(?:'\w+)*"
"""A word; `can't` is one."""
_WORDS = re.compile(WORD)
_NO_LETTERS = bytes(set(range(256)) - set(string.ascii_letters.encode()))
COMMON_SCRIPT = 0.01
"""Share of the letters from which a script counts as one that the judge was fitted on."""
UNKNOWN_FLOOR = 0.5
"""A text is far away if the share of its words that are known is below this part of the lowest percentile seen."""


class TextField(Struct, frozen=True, forbid_unknown_fields=True):
    """N-grams of one text of a trace.

    Attributes:
        name: unique in a judge.
        of: the prompt's last message, or the judged part.
        analyzer: n-grams of words, or of characters inside words.
        least, most: length of the n-grams.
        chars: only this many characters from the beginning are read; 0 for all.
    """

    name: str
    of: Literal["prompt", "response"]
    analyzer: Literal["word", "char_wb"]
    least: int
    most: int
    chars: int = 0

    def read(self, prompt: str, response: str) -> str:
        """The text that is counted, normalised (see `_util.words.folded`)."""
        text = prompt if self.of == "prompt" else response
        return folded(text[: self.chars] if self.chars else text)

    def settings(self) -> dict[str, Any]:
        """Arguments of scikit-learn's vectorizers."""
        settings: dict[str, Any] = {"analyzer": self.analyzer, "ngram_range": (self.least, self.most)}
        return {**settings, "lowercase": False, **({"token_pattern": WORD} if self.analyzer == "word" else {})}


class Reach(Struct, frozen=True, forbid_unknown_fields=True):
    """What the judge was fitted on, to recognise texts that are far from it.

    Attributes:
        scripts: of the responses' letters, each at least 1 % of them.
        longest: characters of the longest response; longer ones are judged in windows.
        known: least share of a response's words that has to be in the vocabulary; 0 if there is none.
    """

    scripts: tuple[str, ...]
    longest: int
    known: float = 0.0

    def far(self, response: str, vocabulary: frozenset[str] | None = None) -> str:
        """Why this response is far from those that the judge was fitted on; empty if it is not."""
        counts = Counter(latin=1) if _plainly_latin(response) else scripts_in(response)
        most = max(counts, key=lambda script: (counts[script], script), default="")
        if most and most not in self.scripts:
            return f"the text is mostly in the script {most}; this judge was fitted on {', '.join(self.scripts)}"
        if vocabulary is not None and self.known:
            share = known_share(response, vocabulary)
            if share < self.known:
                return (
                    f"only {share:.0%} of the words of the text are known to this judge, which needs {self.known:.0%}"
                )
        return ""


def texts_of(traces: Sequence[Trace], part: Part) -> list[tuple[str, str]]:
    """Prompt (its last message) and judged part of each trace."""
    return [(trace.prompt.text, part_text(trace, part)) for trace in traces]


def _plainly_latin(text: str) -> bool:
    """Whether there are many times more letters of ASCII than other characters; counting scripts takes longer."""
    ascii_text = text.encode("ascii", "ignore")
    return 10 * (len(text) - len(ascii_text)) < len(ascii_text.translate(None, _NO_LETTERS))


def known_share(response: str, vocabulary: frozenset[str]) -> float:
    """Share of the words of a text, each counted once, that a vocabulary has; 1 without words."""
    words = set(_WORDS.findall(folded(response)))
    return len(words & vocabulary) / len(words) if words else 1.0


def scripts_of(responses: Sequence[str]) -> tuple[str, ...]:
    """The scripts of the letters of all texts that are at least 1 % of them, most frequent first."""
    counts: Counter[str] = Counter()
    for response in responses:
        counts += scripts_in(response)
    total = counts.total()
    return tuple(script for script, n in counts.most_common() if n >= COMMON_SCRIPT * total)
