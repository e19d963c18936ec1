"""Completions from one or several OpenAI-compatible servers.

With `api: chat` the server renders the prompt and a request's text is the messages; with `api: completions` it is
rendered here, which decoding modes require. A failure of one completion is that completion's error.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from lrmctl.engines.base import Capability, Completion, Engine, GenerationRequest, Rendering
from lrmctl.engines.checkpoint import question_of, render_question
from lrmctl.engines.openai.checks import DuplicateSampleDetector, ThinkTagDetector
from lrmctl.engines.openai.completions import before_stop, chat_completion, plain_completion, trace_of
from lrmctl.engines.openai.given_text import echo_body, top_logprobs_of
from lrmctl.engines.openai.pool import EndpointPool, RequestOutcome
from lrmctl.engines.openai.protocol import (
    ServerReply,
    UnreadableError,
    body_of,
    chat_text,
    question_body,
    read_answer,
    read_first_token,
    read_reply,
)
from lrmctl.engines.openai.retry import key_of
from lrmctl.engines.probabilities import FirstTokenProbabilities, TopLogprobs
from lrmctl.engines.stopping import starts_inside
from lrmctl.errors import LrmctlError, NotFoundError, RecipeError
from lrmctl.recipe.schema.engines import OpenAiOptions
from lrmctl.runs.names import runs_folder
from lrmctl.thinking import Thinking, builtin_formats, find_thinking, opens_thinking
from lrmctl.types import Prompt, Trace

PLAIN = Rendering()
_PER_TOKEN = 4  # characters, where a server gives no counts


class OpenAiEngine(Engine):
    """A model on one or several servers.

    Args:
        model: the model's name on the servers.
        rendering: how messages are rendered, besides the model's own template.

    Raises:
        RecipeError: `api: completions` without a tokenizer.
    """

    name = "openai"
    capabilities = frozenset[Capability]({"first_token_probabilities", "top_logprobs"})

    def __init__(self, model: str, options: OpenAiOptions, *, rendering: Rendering = PLAIN) -> None:
        if options.api == "completions" and options.tokenizer is None:
            what = "with `api: completions` lrmctl renders the prompts, and there is no tokenizer to do it with"
            raise RecipeError(what, "engine.tokenizer", "add `tokenizer:`, a folder or a hub id, or say `api: chat`")
        self._model, self._options, self._rendering = model, options, rendering
        self._urls = (options.base_url,) if isinstance(options.base_url, str) else options.base_url
        self._warned: list[str] = []
        self._pool = EndpointPool(
            model,
            self._urls,
            concurrency=options.concurrency,
            timeout=options.timeout,
            patience=options.patience,
            per_minute=options.requests_per_minute,
            variable=options.api_key_env,
        )

    @property
    def parallel(self) -> int:  # type: ignore[override]  # as the options say
        """Servers batch by themselves, and a call must not wait for a slow one."""
        return self._options.concurrency

    def check(self) -> None:
        """Raises LrmctlError if the key's variable is not set; contacts no server."""
        self._headers()

    def prepare(self) -> None:
        """Loads and contacts nothing; raises LrmctlError if the key's variable is not set."""
        self._headers()

    def release(self) -> None:
        """Close the connections; the next request opens them again."""
        self._pool.close()

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of the checkpoint if its folder is local; else of its name and revision, since remote weights are
        not seen."""
        from lrmctl.models import fingerprint

        path = Path(self._model).expanduser()
        if (path / "config.json").is_file():
            return fingerprint(path)
        name = self._model.rstrip("/").rpartition("/")[2] if self._model[:1] in "/.~" else self._model
        return f"{name}@{self._options.revision}" if self._options.revision else name

    @cached_property
    def identity(self) -> str:
        """Never contains a URL or a key; extra request fields are included as a hash."""
        parts = ["openai", self._options.api, self.fingerprint, self._options.revision]
        if self._options.extra_body:
            parts.append(_digest(self._options.extra_body))
        if self._options.api == "completions":
            parts.append(_digest(str(self.tokenizer.chat_template)))
        return ":".join(parts)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer named in the options; None without one.

        Raises:
            NotFoundError: there is no tokenizer of that name.
        """
        from lrmctl.models import load_tokenizer, resolve_model

        if (name := self._options.tokenizer) is None:
            return None
        path = Path(name).expanduser()
        if name == "lab:tiny" or name.startswith("run:"):
            path = resolve_model(name, runs_folder())
        try:
            return load_tokenizer(path)
        except (OSError, ValueError) as error:
            what = f"no tokenizer {name!r}: {str(error).strip().splitlines()[0]}"
            raise NotFoundError(what, "engine.tokenizer", "give a folder with tokenizer.json, or a hub id") from error

    def render(self, prompt: Prompt) -> str:
        """The rendered prompt; for a chat server, messages and template arguments as canonical JSON."""
        from lrmctl.data.render import render_prompt

        messages = self._rendering.messages(prompt)
        if self._options.api == "chat":
            return chat_text(messages, self._rendering.template_args)
        return render_prompt(self.tokenizer, replace(prompt, messages=tuple(messages)), self._rendering.template_args)

    def question(
        self,
        messages: Sequence[Mapping[str, str]],
        max_new_tokens: int,
        *,
        text: str = "",
        prefill: str = "",
        template_args: Mapping[str, Any] | None = None,
    ) -> GenerationRequest:
        """See `Engine.question`. With `api: chat` the server renders, and a prefill is ignored."""
        if not text and self._options.api == "chat":
            return replace(question_of(chat_text(messages, template_args or {}), max_new_tokens), plain=False)
        text = text or render_question(self.tokenizer, messages, template_args)
        return question_of(text, max_new_tokens, prefill)

    def generate(self, requests: Sequence[GenerationRequest]) -> Iterator[list[tuple[int, Completion]]]:
        """Completions as they finish, in groups.

        Raises:
            LrmctlError: the key's variable is not set, the servers reject the key or do not know the model, or a
                request forces text on a model behind a chat server.
        """
        headers = self._headers()
        self._refuse(requests)
        nothing = [i for i, request in enumerate(requests) if not request.sampling.max_new_tokens]
        if nothing:
            yield [(i, Completion((), "", "length", tokens=0)) for i in nothing]
        rest = [i for i, request in enumerate(requests) if request.sampling.max_new_tokens]
        for group, answered in (
            ([i for i in rest if requests[i].question], self._replies),
            ([i for i in rest if not requests[i].question], self._generated),
        ):
            for done in answered([requests[i] for i in group], headers):
                yield [(group[n], completion) for n, completion in done]

    def first_token_probabilities(
        self, requests: Sequence[GenerationRequest], choices: Sequence[Sequence[str]]
    ) -> list[FirstTokenProbabilities]:
        """See `Engine.first_token_probabilities`; limited to the `top_logprobs` most likely first tokens.

        Raises:
            LrmctlError: as for `generate`.
        """
        found = [FirstTokenProbabilities()] * len(requests)
        extra, most = self._options.extra_body, self._options.top_logprobs
        for arrived in self._pool.ask(
            len(requests), lambda i: question_body(self._model, requests[i], extra, most), self._headers()
        ):
            for i, outcome in arrived:
                found[i] = _first_token(choices[i], outcome)
        return found

    def top_logprobs(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], top_k: int
    ) -> Iterator[list[tuple[int, TopLogprobs]]]:
        """See `Engine.top_logprobs`. With `api: completions` only: the server echoes the text.

        Raises:
            LrmctlError: as for `generate`, or the server does not return them.
        """
        if self._options.api == "chat":
            raise RecipeError("a chat server reads no given text", "engine.api", "say `api: completions`")
        extra, texts = self._options.extra_body, [[*context, *rest] for context, rest in pairs]
        asked = self._pool.ask(len(pairs), lambda i: echo_body(self._model, texts[i], top_k, extra), self._headers())
        for arrived in asked:
            yield [(i, top_logprobs_of(one, len(pairs[i][0]), len(texts[i]), top_k)) for i, one in arrived]

    def _replies(
        self, requests: Sequence[GenerationRequest], headers: Mapping[str, str]
    ) -> Iterator[list[tuple[int, Completion]]]:
        """Replies to questions, with the text as the server returns it."""
        extra = self._options.extra_body
        for arrived in self._pool.ask(len(requests), lambda i: question_body(self._model, requests[i], extra), headers):
            yield [(i, _reply(requests[i], outcome)) for i, outcome in arrived]

    def _generated(
        self, requests: Sequence[GenerationRequest], headers: Mapping[str, str]
    ) -> Iterator[list[tuple[int, Completion]]]:
        """Completions by the servers, with undecided ones at the end."""
        sameness = DuplicateSampleDetector(requests)
        held: list[tuple[int, ServerReply]] = []
        for arrived in self._pool.ask(len(requests), lambda i: self._body(requests[i]), headers):
            known = self._opening.evidence
            found = [(i, self._read(outcome)) for i, outcome in arrived]
            done = [(i, one) for i, one in found if isinstance(one, Completion)]
            new = [(i, one) for i, one in found if isinstance(one, ServerReply)]
            settled, waiting = self._settled(new if known == self._opening.evidence else held + new)
            held = waiting if known != self._opening.evidence else held + waiting
            done += [(i, self._completion(requests[i], one)) for i, one in settled]
            for i, completion in done:
                self._warn(sameness.seen(requests[i], None if completion.error else said_of(completion)))
            if done:
                yield done
        if held:
            self._warn(self._unsettled(held))
            yield [(i, self._completion(requests[i], one)) for i, one in held]

    def trace(self, prompt: Prompt, request: GenerationRequest, completion: Completion) -> Trace:
        """See `Engine.trace`. Forced text is part of the thinking or answer, but not of their token counts."""
        rendered = self._options.api == "completions"
        return trace_of(prompt, request, completion, self.thinking, self.tokenizer, rendered=rendered)

    def facts(self) -> dict[str, Any]:
        from importlib.metadata import version

        said = "by the servers; thinking and answer apart by their characters where a server does not say"
        return {
            "name": self.name,
            "thinking": self.thinking.describe(),
            "servers": [server.place for server in self._pool.servers],
            "api": self._options.api,
            "revision": self._options.revision,
            "tokens": "by the tokenizer" if self._options.tokenizer else f"{said}; by characters where it says nothing",
            "versions": {"httpx": version("httpx")},
            "warnings": list(dict.fromkeys(self._warned)),
        }

    @cached_property
    def thinking(self) -> Thinking:
        """See `Engine.thinking`. Without a tokenizer the template is the server's own, and unknown."""
        tokenizer = self.tokenizer if self.tokenizer and self.tokenizer.chat_template else None
        return find_thinking(tokenizer, template_args=self._rendering.template_args, override=self._rendering.thinking)

    @cached_property
    def _opening(self) -> ThinkTagDetector:
        form = self.thinking.format
        if self._options.api == "completions" or self.thinking.on is False:
            return ThinkTagDetector(False, form)  # each rendered prompt shows it; disabled thinking opens nothing
        if self.tokenizer is None:
            return ThinkTagDetector(None, form)
        some = Prompt.user("any", "any", "benign")
        from lrmctl.data.render import render_prompt

        try:
            rendered = render_prompt(self.tokenizer, some, self._rendering.template_args)
        except LrmctlError:  # a tokenizer without a template can still count tokens
            return ThinkTagDetector(None, form)
        return ThinkTagDetector(opens_thinking(rendered, form), form)

    def _headers(self) -> dict[str, str]:
        if (name := self._options.api_key_env) is None:
            return {}
        if not (key := key_of(name)):
            what = f"the servers' key is not there: the environment variable {name} is not set"
            raise LrmctlError(what, "engine.api_key_env", f"export {name}=... where lrmctl is started")
        return {"Authorization": f"Bearer {key}"}

    def _refuse(self, requests: Sequence[GenerationRequest]) -> None:
        if self._options.api == "chat" and any(
            (r.forced or r.sampling.end_thinking) and not r.question for r in requests
        ):
            what = "a chat server renders the prompts by itself, so that thinking can neither be begun nor cut for it"
            raise RecipeError(what, "engine.api", "say `api: completions` and name the model's `tokenizer:`")

    def _body(self, request: GenerationRequest) -> tuple[str, dict[str, Any]]:
        return body_of(
            self._model, self._options.api, request, self._options.extra_body, self._special_tags, self.thinking.format
        )

    @cached_property
    def _special_tags(self) -> bool:
        if self.tokenizer is None:
            return False
        forms = (self.thinking.format,) if self.thinking.format else builtin_formats().values()
        markers = {text for form in forms for text in form.literals}
        added = self.tokenizer.added_tokens_decoder.values()
        return any(token.special and str(token) in markers for token in added)

    def _read(self, outcome: RequestOutcome) -> ServerReply | Completion:
        """A parsed answer, which the detector has learned from; or a failed completion."""
        try:
            if outcome.error:
                return Completion.failed(outcome.error, too_long=outcome.too_long)
            answer = read_answer(self._options.api, outcome.data)
        except UnreadableError as error:
            return Completion.failed(str(error))
        self._opening.learn(answer)
        return answer

    def _settled(
        self, answers: list[tuple[int, ServerReply]]
    ) -> tuple[list[tuple[int, ServerReply]], list[tuple[int, ServerReply]]]:
        """Answers that can be classified, and the others."""
        sides: tuple[list[tuple[int, ServerReply]], list[tuple[int, ServerReply]]] = ([], [])
        for one in answers:
            sides[0 if self._opening.settled(one[1]) else 1].append(one)
        return sides

    def _completion(self, request: GenerationRequest, answer: ServerReply) -> Completion:
        form, reasoning = self.thinking.format, None
        if self._options.api == "chat":
            text, reasoning = chat_completion(answer, self._opening.thought(answer), form)
        else:
            text = plain_completion(answer, str(self.tokenizer.eos_token or ""), form)
        tokens = answer.tokens
        if tokens is None:
            tokens = self._count(answer.reasoning + answer.text)
        kept = before_stop(text, request.sampling.stop, reasoning is None and self._inside(request), form)
        reason = answer.finish_reason if kept is None else "stop"
        text = text if kept is None else kept
        thinking = None if self.tokenizer else answer.reasoning_tokens
        return Completion((), text, reason, tokens=tokens, thinking_tokens=thinking, reasoning=reasoning)

    def _inside(self, request: GenerationRequest) -> bool:
        return self._options.api == "completions" and starts_inside(request, self.thinking.format)

    def _count(self, text: str) -> int:
        """Token count by the tokenizer, else an estimate from the number of characters."""
        if self.tokenizer is None:
            return -(-len(text) // _PER_TOKEN)
        return len(self.tokenizer.encode(text, add_special_tokens=False)) if text else 0

    def _unsettled(self, held: Sequence[tuple[int, ServerReply]]) -> str:
        return (
            f"{len(held)} completions have no think tags and nothing shows whether the server's template opens the "
            "thought: name the model's `tokenizer:` in the engine's options, so that it can be read"
        )

    def _warn(self, words: str) -> None:
        if words:
            self._warned.append(words)
            warnings.warn(words, RuntimeWarning, stacklevel=4)


def said_of(completion: Completion) -> str:
    """All of the text, thinking and answer."""
    return f"{completion.reasoning or ''}{completion.text}"


def _reply(request: GenerationRequest, outcome: RequestOutcome) -> Completion:
    if outcome.error:
        return Completion.failed(outcome.error, too_long=outcome.too_long)
    try:
        return Completion((), read_reply(request.plain, outcome.data), "stop")
    except UnreadableError as error:
        return Completion.failed(str(error))


def _first_token(words: Sequence[str], outcome: RequestOutcome) -> FirstTokenProbabilities:
    if outcome.error:
        return FirstTokenProbabilities(error=outcome.error, too_long=outcome.too_long)
    try:
        return FirstTokenProbabilities(read_first_token(words, outcome.data))
    except UnreadableError as error:
        return FirstTokenProbabilities(error=str(error))


def _digest(found: object) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:8]
