"""Rewards for the wording of a response, whatever its content: repetition, and the script it is written in."""

from __future__ import annotations

from collections.abc import Sequence

from lrmctl._util.words import KNOWN, scripts_in, scripts_named, scripts_of_prompt, words_of
from lrmctl.hooks.specs import Reward
from lrmctl.rewards.builtin.format import FormatRules, Thinking
from lrmctl.rewards.builtin.options import number, one_of, whole_number
from lrmctl.types import Part, Score, Trace


def repeated_share(words: Sequence[str], n: int) -> float:
    """Share of n-grams that occurred before: 1 - distinct / all; 0 for fewer than n words."""
    grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
    return 1.0 - len(set(grams)) / len(grams) if grams else 0.0


def longest_run(words: Sequence[str]) -> int:
    """Length of the longest run of one repeated word; 0 without words."""
    longest = run = 0
    for i, word in enumerate(words):
        run = run + 1 if i and word == words[i - 1] else 1
        longest = max(longest, run)
    return longest


class Repetition(Reward):
    """Penalises text that repeats itself.

    Formula: -penalty * (1 - distinct / all) over the n-grams of words; -penalty if a word occurs more than `run` times
    in a row. Case and punctuation do not count; a character of a script without blanks is a word. Empty text repeats
    nothing: 0. For part `whole` the worse of thinking and answer counts, so that an answer may repeat its thinking.
    Range: [-penalty, 0]; [-1, 0] by default.
    Source: the n-gram penalty of Yeo et al., Demystifying Long Chain-of-Thought (arXiv 2502.03373), as a share; the
    limit on words in a row is ours.

    Args:
        n: words in an n-gram.
        run: most consecutive occurrences of a word; 0 for no limit.
        penalty: the largest penalty.
    """

    range: tuple[float, float] = (-1.0, 0.0)

    def __init__(self, n: int = 4, run: int = 3, penalty: float = 1.0) -> None:
        self._n, self._run = whole_number("n", n), whole_number("run", run, low=0)
        self._penalty = number("penalty", penalty, low=0)
        self.range = (-self._penalty, 0.0)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        return [Score(min(self._text(text) for text in _texts(trace, part))) for trace in traces]

    def _text(self, text: str) -> float:
        words = words_of(text)
        if self._run and longest_run(words) > self._run:
            return -self._penalty
        return 0.0 - self._penalty * repeated_share(words, self._n)


class Language(Reward):
    """How much of a part is written in the intended script.

    Formula: letters of the wanted script / letters of any known script. Code, LaTeX, digits and signs do not count;
    text without letters is 1. Bad form (cut, empty, unclosed) is 0. For part `whole` thinking and answer are taken
    together.
    Range: [0, 1].
    Source: the language-consistency reward of DeepSeek-R1 (arXiv 2501.12948), by letters and not by words.
    Limits: it tells scripts apart and not languages, so English and French are one; names and terms in a foreign script
    count against a text. A prompt with fewer letters of its own language than of another is assigned the other's
    script; then name the script explicitly.

    Args:
        script: `auto` for the prompt's script; or a script (latin, cyrillic, arabic, ...), or chinese, japanese,
            korean.
        thinking: `required`, `optional` or `absent`: the thinking that good form wants.
    """

    range = (0.0, 1.0)

    def __init__(self, script: str = "auto", thinking: Thinking = "required") -> None:
        self._script = one_of("script", script, ("auto", *KNOWN))
        self._form = FormatRules(thinking)

    def score(self, traces: Sequence[Trace], part: Part) -> list[Score]:
        return [self._score(trace, part) for trace in traces]

    def _score(self, trace: Trace, part: Part) -> Score:
        wanted = scripts_of_prompt(trace.prompt.text) if self._script == "auto" else scripts_named(self._script)
        if not wanted or (part == "thinking" and trace.answer_only):
            return Score()  # a prompt without letters requires no language, nor can empty thinking have one
        if not self._form.holds(trace, part):
            return Score(0.0)
        counts = scripts_in("\n".join(_texts(trace, part)))
        total = counts.total()
        return Score(sum(counts[script] for script in wanted) / total if total else 1.0)


def _texts(trace: Trace, part: Part) -> tuple[str, ...]:
    return {"thinking": (trace.thinking,), "answer": (trace.answer,)}.get(part, (trace.thinking, trace.answer))
