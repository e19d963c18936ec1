"""A judge's questions to a model, sent to whichever engine it has, and the replies.

A template writes a `JudgeQuery` and parses a `JudgeReply`. Whether transformers in this process, vLLM or a server
answers is an option of the judge, and does not change the questions or their parsing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lrmctl.engines.base import Engine, GenerationRequest
from lrmctl.errors import LrmctlError

Message = Mapping[str, str]


@dataclass(frozen=True)
class JudgeQuery:
    """One question, answered greedily.

    Attributes:
        messages: a conversation for the model's own chat template; empty if `text` is given.
        text: the whole prompt, for models without a chat template; no special tokens are added.
        prefill: forced beginning of the model's reply. A chat server does not support this: the engine ignores it and
            uses the first non-blank token.
        max_new_tokens: length limit of the reply.
        choices: words whose probability to begin the reply is wanted; empty to get text.
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
        probabilities: of each choice in [0, 1], as given by the model, not normalised over the choices. A missing
            choice was not among the tokens that the engine could see.
        error: why there is no answer; the rest is then empty.
        too_long: the question exceeds the model's context; `error` says so.
        cut: the text ends at the query's limit of tokens, not where the model ended it.
    """

    text: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    too_long: bool = False
    cut: bool = False


def ask(engine: Engine, queries: Sequence[JudgeQuery]) -> list[JudgeReply]:
    """One reply per question, in order; a question that cannot be answered gets a reply with `error`.

    Raises:
        LrmctlError: the engine cannot be used at all: no such model, no key for its server.
    """
    engine.prepare()
    replies: list[JudgeReply] = [JudgeReply(error="the engine gave no reply to this question")] * len(queries)
    texts: dict[int, GenerationRequest] = {}
    words: dict[int, GenerationRequest] = {}
    for i, query in enumerate(queries):
        try:
            (words if query.choices else texts)[i] = request_of(engine, query)
        except LrmctlError as error:
            replies[i] = JudgeReply(error=error.what)
    try:
        _probabilities(engine, words, [queries[i].choices for i in words], replies)
        _texts(engine, texts, replies)
    except LrmctlError as error:  # an error of all requests, e.g. the server rejects the key
        why = "; ".join(filter(None, (error.what, error.fix)))
        return [JudgeReply(error=why) if i in texts or i in words else reply for i, reply in enumerate(replies)]
    return replies


def request_of(engine: Engine, query: JudgeQuery) -> GenerationRequest:
    """The question as an engine request.

    Raises:
        LrmctlError: the model's chat template omits a part of it, or there is none.
    """
    return engine.question(
        query.messages,
        query.max_new_tokens,
        text=query.text,
        prefill=query.prefill,
        template_args=query.template_args,
    )


def unrenderable(engine: Engine, queries: Sequence[JudgeQuery]) -> str:
    """Why one of these questions cannot be rendered completely; empty if all can."""
    for query in queries:
        try:
            request_of(engine, query)
        except LrmctlError as error:
            return error.what
    return ""


def _texts(engine: Engine, asked: Mapping[int, GenerationRequest], replies: list[JudgeReply]) -> None:
    order = list(asked)
    if not order:
        return
    for some in engine.generate([asked[i] for i in order]):
        for n, completion in some:
            replies[order[n]] = (
                JudgeReply(error=completion.error, too_long=completion.too_long)
                if completion.finish_reason == "error"
                else JudgeReply(completion.text, cut=completion.finish_reason == "length")
            )


def _probabilities(
    engine: Engine,
    asked: Mapping[int, GenerationRequest],
    choices: Sequence[Sequence[str]],
    replies: list[JudgeReply],
) -> None:
    order = list(asked)
    if not order:
        return
    found = engine.first_token_probabilities([asked[i] for i in order], choices)
    for i, one in zip(order, found, strict=True):
        replies[i] = JudgeReply(probabilities=one.probabilities, error=one.error, too_long=one.too_long)
