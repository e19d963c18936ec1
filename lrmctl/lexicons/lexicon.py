"""Named, versioned lexicons of reflection words, and the search for them in a text. Knows no traces and no files.

The choice of lexicon changes counts by orders of magnitude, so a count is never shown without its lexicon's name.
Text is searched rather than token ids: byte-level vocabularies give ` wait`, `wait` and `Wait` different ids, and
matching one of them misses most occurrences. Lexicons come from lexicons.toml and plugins (`lrmctl_lexicons`).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from typing import Literal, NamedTuple

from msgspec import Struct

from lrmctl._util.toml_tables import read_entries
from lrmctl.errors import NotFoundError, PluginError

Match = Literal["word", "substring", "cased"]


class Hit(NamedTuple):
    """One match in a text.

    Attributes:
        word: as listed, lower case.
        start, end: character offsets.
    """

    word: str
    start: int
    end: int


class Lexicon(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A list of words and phrases.

    Attributes:
        version: changes whenever the words or the counting do.
        words: lower case; a space inside a phrase matches any white space.
        source: where the list was published, or `lrmctl`.
        match: whole words in any case, substrings in any case, or whole words case-sensitively.
        counting: how its source counts, if different.
        strict: its words nearly always signal a correction of the preceding text.

    Raises:
        ValueError: no words, or an empty word.
    """

    name: str
    version: str
    words: tuple[str, ...]
    source: str
    match: Match = "word"
    counting: str = ""
    strict: bool = False

    def __post_init__(self) -> None:
        if not self.words or not all(word.strip() for word in self.words):
            raise ValueError("a lexicon is a list of words, none of them empty")

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Longest phrase first, so that `let me think again` is one hit, not also a `think again`."""
        ordered = sorted(self.words, key=len, reverse=True)
        either = "|".join(re.escape(word).replace(r"\ ", r"\s+").replace("'", "['\u2019]") for word in ordered)
        whole = either if self.match == "substring" else rf"(?<!\w)(?:{either})(?!\w)"
        return re.compile(whole, 0 if self.match == "cased" else re.IGNORECASE)

    def hits(self, text: str) -> Iterator[Hit]:
        """Every hit in `text`, in order and without overlaps."""
        for found in self.pattern.finditer(text):
            yield Hit(" ".join(found[0].lower().replace("\u2019", "'").split()), found.start(), found.end())

    def count(self, text: str) -> Counter[str]:
        """Hits of each word in `text`."""
        return Counter(hit.word for hit in self.hits(text))

    def to_json(self) -> dict[str, object]:
        said = {"version": self.version, "words": list(self.words), "source": self.source, "match": self.match}
        return {**said, "counting": self.counting, "strict": self.strict}


@cache
def builtin_lexicons() -> dict[str, Lexicon]:
    """The lexicons of lexicons.toml by name.

    Raises:
        LrmctlError: an entry that does not fit `Lexicon`.
    """
    return read_entries(__package__ or "", "lexicons.toml", Lexicon)


def builtin_factory(name: str) -> Callable[[], Lexicon]:
    """A factory, without options, of one lexicon of lexicons.toml."""

    def built_in() -> Lexicon:
        return builtin_lexicons()[name]

    return built_in


def get_lexicon(name: str) -> Lexicon:
    """The lexicon of that name, built in or from a plugin.

    Raises:
        NotFoundError: there is no lexicon of that name.
        PluginError: the plugin's factory does not return a `Lexicon`.
    """
    if found := builtin_lexicons().get(name):
        return found
    from lrmctl.hooks import registry

    made = registry.make("lexicon", name)
    if not isinstance(made, Lexicon):
        raise PluginError(f"the lexicon {name!r} is a {type(made).__name__}, not a lrmctl.lexicons.Lexicon")
    return made


def find_lexicon(name: str) -> Lexicon | None:
    """As `get_lexicon`, or None if it is missing: the plugin behind an old result may be uninstalled by now."""
    try:
        return get_lexicon(name)
    except (NotFoundError, PluginError):
        return None
