"""Asking a model questions: what judges need of an engine. Free of torch; who answers is made by `make_engine`.

A judge writes a `JudgeQuery` and reads a `JudgeReply`. Whether transformers in this process, vLLM or a server answers
is an option of the judge, and changes nothing in what is asked or how it is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Message = Mapping[str, str]


@dataclass(frozen=True)
class JudgeQuery:
    """One question, answered greedily.

    Attributes:
        messages: a conversation for the model's own chat template; empty if `text` is given.
        text: the whole prompt, for models that are asked without a chat template; no special tokens are added to it.
        prefill: how the model's reply begins. An engine that cannot put words into the model's mouth (a chat server)
            leaves it out and looks at the first token that is not blank.
        max_new_tokens: length limit of the reply.
        choices: words of which the probability that the reply starts with them is wanted; empty to have a text.
        template_args: named arguments for the chat template, e.g. `enable_thinking`.
    """

    messages: tuple[Message, ...] = ()
    text: str = ""
    prefill: str = ""
    max_new_tokens: int = 64
    choices: tuple[str, ...] = ()
    template_args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JudgeReply:
    """What the model answered, or why it could not.

    Attributes:
        text: the generated text, without special tokens.
        probabilities: of each choice in [0, 1], as the model gives them, not normalised over the choices. A choice
            that is absent was not among the tokens that the engine could see.
        error: why there is no answer; the rest is then empty.
        too_long: the question is longer than the model has room for; `error` says so.
    """

    text: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    too_long: bool = False


class ChatEngine(Protocol):
    """Anything that answers. Safe to call from several threads.

    May have `parallel: int`: calls of `ask` that it makes good use of at the same time; 1 without it. One that renders
    has `why_not(asks) -> str`: why one of these questions cannot be rendered whole, empty if all can.
    """

    @property
    def identity(self) -> str:
        """Model and whatever else changes its answers; never a path, a URL or a key."""
        ...

    @property
    def reserved(self) -> tuple[str, ...]:
        """The model's control tokens as text, which judged text must not contain; empty where they are not known."""
        ...

    def check(self) -> None:
        """Raises what stands in the way of asking: no such model, no key. Loads no weights and asks nothing."""
        ...

    def prepare(self) -> None:
        """Load what is slow to load; without it the first question does."""
        ...

    def ask(self, asks: Sequence[JudgeQuery]) -> list[JudgeReply]:
        """One reply per question, in order. A question that cannot be answered is a reply with `error`."""
        ...
