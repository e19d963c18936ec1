"""Questions answered by any OpenAI-compatible server: many at a time, with patience for a server that is down.

A server that is away, busy or broken is asked again with growing, jittered pauses until it has been so for
`patience` seconds; only then does a question fail. What asking again cannot mend (a wrong key, an unknown model, a
question too long) fails at once and says what to do. Knows no judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from threading import Event
from typing import Any

import httpx
from tenacity import Retrying, retry_if_exception_type
from tenacity.nap import sleep_using_event

from lrmctl.engines.chat import JudgeQuery, JudgeReply
from lrmctl.engines.openai.chat_protocol import read_reply, request_of
from lrmctl.engines.openai.responses import told_error
from lrmctl.engines.openai.retry import (
    AGAIN,
    CircuitBreaker,
    RateLimiter,
    TryAgainError,
    is_too_long,
    key_of,
    named,
    pause_of,
    place_of,
    refused,
    retry_after,
)
from lrmctl.errors import JudgeError
from lrmctl.recipe.schema.engine_options import OpenAiOptions

_WHOSE = "the judge's server"


class OpenAiChat:
    """A model behind a server.

    Args:
        model: the name that the server knows it by.
    """

    reserved: tuple[str, ...] = ()  # a server does not tell its model's control tokens

    def __init__(self, model: str, options: OpenAiOptions) -> None:
        self._model, self._options = model, options
        self._outage = CircuitBreaker(options.patience)
        self._pace = RateLimiter(options.requests_per_minute)

    @property
    def identity(self) -> str:
        return f"openai:{self._model.rstrip('/').rpartition('/')[2] if self._model[:1] in '/.~' else self._model}"

    @property
    def parallel(self) -> int:
        """Calls of `ask` at the same time: a server batches by itself, and a call must not wait for a slow other."""
        return self._options.concurrency

    def check(self) -> None:
        """Raises JudgeError if the key's variable is not set; nobody is contacted."""
        self._headers()

    def prepare(self) -> None:
        """Nothing is loaded and nobody is contacted; raises JudgeError if the key's variable is not set."""
        self._headers()

    def ask(self, asks: Sequence[JudgeQuery]) -> list[JudgeReply]:
        """One reply per question, in order.

        Raises:
            JudgeError: the environment variable with the key is not set.
        """
        headers, stop = self._headers(), Event()
        futures: list[Future[JudgeReply]] = [self._pool.submit(self._one, ask, headers, stop) for ask in asks]
        try:
            return [future.result() for future in futures]
        except BaseException:  # Ctrl-C: what is under way must not keep the process alive for its patience
            stop.set()
            for future in futures:
                future.cancel()
            raise

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._options.concurrency, thread_name_prefix="judge-server")

    @cached_property
    def _client(self) -> httpx.Client:
        most = self._options.concurrency
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most)
        timeout = httpx.Timeout(self._options.timeout, connect=min(10.0, self._options.timeout))
        return httpx.Client(limits=limits, timeout=timeout)

    def _headers(self) -> dict[str, str]:
        if (name := self._options.api_key_env) is None:
            return {}
        if not (key := key_of(name)):
            what = f"the key of {_WHOSE} is not there: the environment variable {name} is not set"
            raise JudgeError(what, "engine.api_key_env", f"export {name}=... where lrmctl is started")
        return {"Authorization": f"Bearer {key}"}

    def _one(self, ask: JudgeQuery, headers: dict[str, str], stop: Event) -> JudgeReply:
        path, body = request_of(self._model, ask, self._options.top_logprobs, self._options.extra_body)
        address = self._options.base_url.rstrip("/") + path
        retrying = Retrying(
            retry=retry_if_exception_type(TryAgainError),
            wait=pause_of,
            stop=lambda state: stop.is_set() or self._outage.over(state),
            sleep=sleep_using_event(stop),
            reraise=True,
        )
        try:
            return retrying(self._post, ask, address, body, headers, stop)
        except TryAgainError as error:
            tries = retrying.statistics.get("attempt_number", 1)
            return JudgeReply(error=f"{error} (asked {tries} {'time' if tries == 1 else 'times'})")
        except httpx.HTTPError as error:
            return JudgeReply(error=f"{_WHOSE} cannot be asked: {type(error).__name__}: {error}")

    def _post(
        self, ask: JudgeQuery, address: str, body: dict[str, Any], headers: dict[str, str], stop: Event
    ) -> JudgeReply:
        self._pace.wait(stop)
        try:
            answer = self._client.post(address, json=body, headers=headers)
        except (httpx.TransportError, httpx.DecodingError) as error:
            self._outage.failed()
            what = f"{_WHOSE} at {place_of(address)} does not answer: {named(error)}"
            raise TryAgainError(what) from error
        words, inside = told_error(answer.content)
        status = inside if answer.status_code == 200 and inside else answer.status_code
        if status in AGAIN or status >= 500:
            self._outage.failed()
            what = f"{_WHOSE} answers {status}" + (f": {words}" if words else "")
            raise TryAgainError(what, retry_after(answer))
        self._outage.ended()
        if status != 200:
            words = words or repr(answer.text[:120])
            variable = self._options.api_key_env
            why = refused(_WHOSE, status, words, model=self._model, variable=variable)
            return JudgeReply(error=why, too_long=is_too_long(status, words))
        return read_reply(ask, answer.content)
