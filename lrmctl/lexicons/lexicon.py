"""Named, versioned word lists of reflection, and how a text is searched for them. Knows no traces and no files.

The choice of the list moves the result by orders of magnitude, so a count is never shown without its list's name.
Texts are searched, not token ids: byte-level vocabularies give ` wait`, `wait` and `Wait` different ids, and looking
up one of them misses most occurrences.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

from lrmctl._util.suggest import did_you_mean
from lrmctl.errors import NotFoundError


@dataclass(frozen=True)
class Lexicon:
    """A list of words and phrases, matched whole and without regard to case.

    Attributes:
        words: lower case; a space inside a phrase matches any white space.
        source: where the list was published, or `lrmctl`.
        note: how the counting here differs from the source's.
    """

    name: str
    version: str
    words: tuple[str, ...]
    source: str
    note: str = ""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Longest phrase first, so that `let me think again` is one hit and not also a `think again`."""
        ordered = sorted(self.words, key=len, reverse=True)
        either = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in ordered)
        return re.compile(rf"(?<!\w)(?:{either})(?!\w)", re.IGNORECASE)

    def count(self, text: str) -> Counter[str]:
        """Hits of each word in `text`; hits do not overlap."""
        return Counter(" ".join(hit.lower().split()) for hit in self.pattern.findall(text))

    def to_json(self) -> dict[str, object]:
        return {"version": self.version, "words": list(self.words), "source": self.source, "note": self.note}


_OAT_ZERO = (
    "recheck", "rethink", "reassess", "reevaluate", "re-evaluate", "reevaluation", "re-examine", "reexamine",
    "reconsider", "reanalyze", "double-check", "check again", "think again", "verify again", "go over the steps",
)  # fmt: skip

_ALL = (
    Lexicon(
        "cyclicreflex",
        "1",
        ("wait", "but", "alternatively"),
        "OPTML-Group/CyclicReflex, Base/evaluate.py",
        "the source counts bare token ids, case as written; here whole words in any case are counted, so that figures "
        "are higher than its own",
    ),
    Lexicon(
        "r2mu",
        "1",
        ("wait", "but", "okay", "hmm", "albeit", "however", "yet", "still", "nevertheless", "though", "meanwhile",
         "whereas"),
        "OPTML-Group/Unlearn-R2MU, unlearn_think.py",
        "the source's list also holds the opening think tag, which is not part of the thinking text",
    ),
    Lexicon(
        "oat_zero",
        "1",
        _OAT_ZERO,
        "sail-sg/understand-r1-zero",
        "the source matches substrings (`rechecked` too) and asks a language model to confirm",
    ),
    Lexicon("tip", "1", ("alternatively", "instead"), "arXiv 2501.18585 (underthinking)"),
    Lexicon(
        "lab",
        "1",
        ("wait", "hmm", "alternatively", "let me check", "let me think again"),
        "lrmctl",
        "the markers of self-correction that the tiny LRM's corpus contains",
    ),
)  # fmt: skip

LEXICONS = {lexicon.name: lexicon for lexicon in _ALL}


def get_lexicon(name: str) -> Lexicon:
    """The lexicon of that name.

    Raises:
        NotFoundError: no lexicon is called so.
    """
    if name not in LEXICONS:
        raise NotFoundError(f"there is no lexicon {name!r}", fix=did_you_mean(name, LEXICONS))
    return LEXICONS[name]
