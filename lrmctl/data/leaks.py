"""Finds evaluation prompts in training data: equal, nearly equal, or one contained in the other.

Prompts are compared by text, in every turn; ids are ignored. Training texts count whatever their role (user, system,
assistant); of an evaluation's conversation, every substantial user turn counts. A system message shared by evaluation
and training is not a leak. Instructions that many prompts of one side share as a separate line are ignored.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

from lrmctl.data.near_duplicates import Corpus, NearMatch, normalised
from lrmctl.types import Prompt

OWN_WORDS = 5
"""Fewest words of an evaluation prompt for a match inside a longer training text."""
INSIDE_WORDS = 8
"""Fewest words of a training prompt for a match inside a longer evaluation prompt."""
_SHARED = 3
"""A line shared by at least this many distinct prompts, and a fifth of them, counts as an instruction."""
_GRAM = 4

Words = list[str]


def user_texts(prompt: Prompt) -> list[str]:
    """Every user turn."""
    return [m["content"] for m in prompt.messages if m["role"] == "user"]


def other_texts(prompt: Prompt) -> list[str]:
    """System messages and past assistant turns."""
    return [m["content"] for m in prompt.messages if m["role"] != "user"]


def asked_texts(prompt: Prompt) -> list[str]:
    """The texts of an evaluation prompt to search for: its substantial user turns, or its last one."""
    turns = user_texts(prompt)
    own = [turn for turn in turns if len(normalised(turn).split()) >= OWN_WORDS]
    return (own if len(turns) > 1 else turns) or turns[-1:] or [prompt.text]


class TrainingTexts:
    """Searches training texts for prompts.

    Args:
        users: user turns of the training prompts.
        others: system messages and past assistant turns of the training prompts.
    """

    def __init__(self, users: Sequence[str], others: Sequence[str] = ()) -> None:
        self.texts = [*users, *others]
        self._users = len(users)
        self._corpus = Corpus(self.texts)

    def find(self, prompts: Sequence[Prompt]) -> list[NearMatch]:
        """The prompts found, each once: index in `prompts`, index in `texts`, whether they are equal."""
        asked = [(i, text) for i, prompt in enumerate(prompts) for text in asked_texts(prompt)]
        cores = dict(enumerate(_cores([text for _, text in asked])))
        found: dict[int, NearMatch] = {}
        for match in self._corpus.matches([text for _, text in asked]):
            _better(found, NearMatch(asked[match.index][0], match.other, match.exact))
        rest = [(i, text, cores[n]) for n, (i, text) in enumerate(asked) if i not in found]
        for i, other in (*self._by_core(rest), *self._inside(rest)):
            _better(found, NearMatch(i, other, False))
        return [found[i] for i in sorted(found)]

    def _by_core(self, asked: Sequence[tuple[int, str, str]]) -> Iterator[tuple[int, int]]:
        """Prompts that are equal or nearly equal apart from instructions."""
        corpus, places = self._core_corpus
        for match in corpus.matches([core for _, _, core in asked]) if places else ():
            yield asked[match.index][0], places[match.other]

    @cached_property
    def _cores(self) -> list[str]:
        return _cores(self.texts)

    @cached_property
    def _core_corpus(self) -> tuple[Corpus, list[int]]:
        """Texts without their instructions, and their indices; empty ones are left out."""
        kept = [(i, core) for i, core in enumerate(self._cores) if core.strip()]
        return Corpus([core for _, core in kept]), [i for i, _ in kept]

    @cached_property
    def _words(self) -> list[Words]:
        return [normalised(text).split() for text in self.texts]

    def _inside(self, asked: Sequence[tuple[int, str, str]]) -> Iterator[tuple[int, int]]:
        """Prompts contained in a training text, and training prompts contained in a prompt."""
        places = [i for i, _, _ in asked]
        cores = [normalised(core).split() for _, _, core in asked]
        for inner, outer in _inside(cores, self._words, OWN_WORDS):
            yield places[inner], outer
        whole = [normalised(text).split() for _, text, _ in asked]
        users = [normalised(core).split() for core in self._cores[: self._users]]
        for inner, outer in _inside(users, whole, INSIDE_WORDS):
            yield places[outer], inner


def _better(found: dict[int, NearMatch], match: NearMatch) -> None:
    """Keep the match if it is the first, or the first exact one."""
    known = found.get(match.index)
    if known is None or (match.exact and not known.exact):
        found[match.index] = match


def _cores(texts: Sequence[str]) -> list[str]:
    """Each text without the lines shared by many other texts; the whole text if nothing is left."""
    distinct = {text: [line for line in text.splitlines() if line.strip()] for text in texts}
    lines = Counter(line for told in distinct.values() for line in {normalised(line) for line in told})
    shared = {line for line, n in lines.items() if n >= max(_SHARED, len(distinct) / 5)}
    cores = {
        text: "\n".join(line for line in told if normalised(line) not in shared) for text, told in distinct.items()
    }
    return [cores[text] or text for text in texts]


def _inside(inner: Sequence[Words], outer: Sequence[Words], least: int) -> Iterator[tuple[int, int]]:
    """Pairs of indices where an inner text occurs word for word in an outer one."""
    starts: Mapping[tuple[str, ...], list[int]] = _starts(inner, least)
    if not starts:
        return
    for o, words in enumerate(outer):
        grams = zip(*(words[k:] for k in range(_GRAM)), strict=False)
        for at, gram in enumerate(grams):
            for i in starts.get(gram, ()):
                if words[at : at + len(inner[i])] == inner[i]:
                    yield i, o


def _starts(texts: Sequence[Words], least: int) -> Mapping[tuple[str, ...], list[int]]:
    found: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, words in enumerate(texts):
        if len(words) >= max(least, _GRAM):
            found[tuple(words[:_GRAM])].append(i)
    return found
