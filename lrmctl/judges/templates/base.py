"""Judge templates: how a judge model is asked and its reply parsed. A template is pure, and free of any engine.

Parsing is strict: a reply that does not match the format exactly gives an explanation, never a verdict. Only the
model's reply is parsed, so text inside the judged trace that looks like a verdict decides nothing by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lrmctl._util.suggest import did_you_mean
from lrmctl._util.text import is_blank
from lrmctl.errors import RecipeError
from lrmctl.judges.query import JudgeQuery, JudgeReply
from lrmctl.thinking import MENTIONED, split_unseen
from lrmctl.types import Part, Prompt, Trace

Mode = Literal["text", "probability"]
LEAST_SHARE = 0.5
"""Least total probability of the two words at the first token; below it the model said something else."""


@dataclass(frozen=True)
class ParsedVerdict:
    """A judge's parsed reply.

    Attributes:
        safe: None if this judge does not assess safety.
        refused: None if it does not say.
        labels: its categories, and its own word for the severity.
        p_unsafe: in [0, 1], if it gives one.
    """

    safe: bool | None = None
    refused: bool | None = None
    labels: tuple[str, ...] = ()
    p_unsafe: float | None = None


class JudgeTemplate(ABC):
    """One way to ask a judge model and to parse its reply.

    Attributes:
        name: name of the judge.
        version: identifies the template, the parser and every option that changes a verdict.
        says_refusal: whether its verdicts say if an answer refuses, for lists of judges; None if unknown.
        reads_turns: how sections of its chat template begin, if earlier turns of the prompt are included in its
            questions; None if they are not.
    """

    says_refusal: bool | None = None
    reads_turns: tuple[str, ...] | None = None

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def version(self) -> str: ...

    def asks_about(self, prompt: Prompt, response: str, reserved: Iterable[str] = ()) -> tuple[JudgeQuery, ...]:
        """The questions about one response, for templates that need more of the prompt than its text; see `asks`.

        Raises:
            JudgeError: the prompt lacks what the template needs.
        """
        return self.asks(prompt.text, response, reserved)

    @abstractmethod
    def asks(self, prompt: str, response: str, reserved: Iterable[str] = ()) -> tuple[JudgeQuery, ...]:
        """The questions about one response; most templates need one.

        Args:
            prompt, response: the user's text and the judged text, unmodified and untrusted.
            reserved: the engine's control tokens.
        """

    @abstractmethod
    def read(self, replies: Sequence[JudgeReply]) -> ParsedVerdict | str:
        """Parse the replies, one per question and none of them an error; or explain why they cannot be parsed.

        The explanation completes the sentence "the judge's output ...".
        """


def part_text(trace: Trace, part: Part) -> str:
    """The judged text, without think tags: a guard's template may cut text at them.

    The whole is thinking followed by the answer. Truncated thinking is judged as far as it goes.
    """
    texts = {"thinking": (trace.thinking,), "answer": (trace.answer,), "whole": (trace.thinking, trace.answer)}
    return "\n\n".join(text for text in texts[part] if not is_blank(text))


def with_turns(ask: JudgeQuery, trace: Trace, defuse: Callable[[str], str]) -> JudgeQuery:
    """The question preceded by the user and assistant turns before the prompt's last message."""
    before = [m for m in trace.prompt.messages[:-1] if m["role"] in ("user", "assistant")]
    turns = tuple({"role": m["role"], "content": defuse(m["content"])} for m in before)
    return replace(ask, messages=(*turns, *ask.messages))


def conversation(prompt: str, response: str) -> tuple[Mapping[str, str], ...]:
    """The prompt and its response as chat messages, for a guard's own template."""
    return {"role": "user", "content": prompt}, {"role": "assistant", "content": response}


def by_threshold(
    p_unsafe: float, threshold: float, *, refused: bool | None = None, labels: tuple[str, ...] = ()
) -> ParsedVerdict:
    """Unsafe from the threshold on."""
    return ParsedVerdict(p_unsafe < threshold, refused, labels, p_unsafe)


def share_of(reply: JudgeReply, word: str, other: str) -> float | str:
    """p(word) / (p(word) + p(other)) of the reply's first token, or why there is none.

    A word that the engine could not see counts as improbable only if the other one has nearly all of the probability.
    """
    known = [p for p in (reply.probabilities.get(word), reply.probabilities.get(other)) if p is not None]
    if not known:
        return f"does not begin with {word!r} or {other!r} as far as the engine can see"
    if not all(0.0 <= p <= 1.0 for p in known):  # also catches NaN
        return f"has probabilities {known} that are none"
    if sum(known) < LEAST_SHARE:
        return f"begins with {word!r} or {other!r} with a probability of only {sum(known):.3f}"
    return min(reply.probabilities.get(word, 0.0) / sum(known), 1.0)


def raw_of(reply: JudgeReply) -> str:
    """The reply for display: its text, or the probabilities."""
    return reply.text or ", ".join(f"{word!r} {p:.4g}" for word, p in reply.probabilities.items())


def one_of(what: str, value: str, known: Iterable[str]) -> None:
    """Refuse an unknown option value.

    Raises:
        RecipeError: lists the valid values.
    """
    known = tuple(known)
    if value not in known:
        raise RecipeError(f"there is no {what} {value!r}", what, did_you_mean(str(value), known))


def checked_threshold(threshold: float) -> None:
    """Refuse a threshold outside (0, 1].

    Raises:
        RecipeError: it would call everything or nothing unsafe.
    """
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0 < threshold <= 1:
        raise RecipeError(f"threshold must be above 0 and at most 1, not {threshold!r}", "threshold", "say 0.5")


def without_empty_thought(text: str) -> str:
    """Output without an empty thought before it, which templates of thinking models may insert."""
    split = split_unseen(text)
    return split.answer if split.state == "closed" and not split.thinking else text.strip()


def after_thought(text: str) -> str | None:
    """The output after the thinking, in any format; all of it if the model did not think.

    Returns:
        None if the thinking is not closed, or if there is more than one thought.
    """
    split = split_unseen(text)
    return None if split.state == "unclosed" or set(split.irregular) - {"empty", MENTIONED} else split.answer
